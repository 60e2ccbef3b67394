//! Keys that say when a job runs, how long it may take and what becomes of a run that failed: the same for every kind of job.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::Fields;
use crate::model::backup::{Overlap, Timing};
use crate::plan::schedule::calendar::{self, Calendar, CalendarError};

const DAY: Duration = Duration::from_hours(24);

const JITTERS: RangeInclusive<Duration> = Duration::ZERO..=DAY;

const OVERLAPS: [(&str, Overlap); 2] = [("skip", Overlap::Skip), ("queue", Overlap::Queue)];

/// What only means something for a job that runs at times.
pub const TIMED_KEYS: [&str; 3] = ["timezone", "jitter", "catch_up"];

/// Reads a time within a range; `default` when it was not given or is wrong.
pub fn within(
    keys: &Fields<'_>,
    key: &str,
    range: &RangeInclusive<Duration>,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    let given = keys.get(key);
    let given = given.and_then(|entry| entry.checked("a time", |text| formats::span(text, range), problems));
    given.unwrap_or(default)
}

/// Reads a number within a range.
pub fn count(keys: &Fields<'_>, key: &str, range: &RangeInclusive<i128>, default: u32, problems: &mut Problems) -> u32 {
    let given = keys.get(key).and_then(|entry| entry.number(range, problems));
    given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default)
}

/// When it runs, with `or` as its schedule where none was given; `None` for a job without times.
pub fn timing(keys: &Fields<'_>, or: Option<&str>, problems: &mut Problems) -> Option<Timing> {
    let zone = keys.get("timezone").map_or(Some(chrono_tz::Tz::UTC), |entry| {
        let found = calendar::zone(entry.text("a time zone", problems)?);
        if let Err(error) = &found {
            let meant = match error {
                CalendarError::Zone { meant, .. } => *meant,
                _ => None,
            };
            entry.refuse_and_help(problems, error, meant.map(|meant| format!("did you mean `{meant}`?")));
        }
        found.ok()
    });
    let jitter = within(keys, "jitter", &JITTERS, Duration::ZERO, problems);
    let catch_up = keys.get("catch_up").and_then(|entry| entry.flag(problems)).unwrap_or(true);
    let overlap = keys.get("overlap").and_then(|entry| entry.choice(&OVERLAPS, problems)).unwrap_or_default();
    let cron = match keys.get("schedule") {
        Some(entry) => {
            let checked = |text: &str| Calendar::new(text, zone.unwrap_or_default()).map(|_| text.to_owned());
            entry.checked("a schedule", checked, problems)?
        }
        None => or?.to_owned(),
    };
    let zone = zone.unwrap_or_default().name().to_owned();
    Some(Timing { cron, zone, jitter, catch_up, overlap })
}
