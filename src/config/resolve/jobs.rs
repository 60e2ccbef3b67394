//! The keys `jobs` and `retention`: SQL that the agent runs on the primary at times.
//!
//! In goes the file, out come jobs with all their defaults. Whether the statements are any good is the server's to say.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{retention, timing};
use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::Fields;
use crate::model::job::{DataJob, JobRole, Task};

const KEYS: [&str; 11] =
    ["name", "schedule", "timezone", "jitter", "catch_up", "overlap", "sql", "role", "timeout", "retries", "backoff"];

/// What a job's run may take.
pub const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(7 * 24);

const BACKOFFS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

const MOST_RETRIES: i128 = 20;

/// Reads the key.
pub fn resolve(file: &Fields<'_>, problems: &mut Problems) -> Vec<DataJob> {
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    let items = file.get("jobs").and_then(|entry| entry.list("jobs", problems));
    for item in items.unwrap_or_default() {
        let Some(keys) = item.fields(&KEYS, problems) else { continue };
        let name = keys.need("name", problems).and_then(|entry| {
            let name = entry.checked("a name", formats::label, problems)?;
            if name == DataJob::RETENTION {
                entry.refuse(problems, "is what the job of the key `retention` is called");
            }
            names.push(Claim::of(entry, name.clone()));
            Some(name)
        });
        jobs.extend(job(name, &keys, problems));
    }
    refuse_twice(&names, problems);
    jobs.extend(retention::resolve(file, problems));
    jobs
}

fn job(name: Option<String>, keys: &Fields<'_>, problems: &mut Problems) -> Option<DataJob> {
    let timing = timing::timing(keys, None, problems);
    if keys.get("schedule").is_none() {
        for entry in timing::TIMED_KEYS.iter().chain(&["overlap", "retries", "backoff"]).filter_map(|key| keys.get(key))
        {
            entry.refuse(problems, "only means something with `schedule`");
        }
    }
    let sql = keys.need("sql", problems).and_then(|entry| {
        let checked = |text: &str| {
            if text.trim().is_empty() { Err("there is no statement in it") } else { Ok(text.to_owned()) }
        };
        entry.checked("SQL", checked, problems)
    });
    let role = keys.get("role").and_then(|entry| entry.choice(&JobRole::ALL, problems)).unwrap_or_default();
    let timeout = timing::within(keys, "timeout", &TIMEOUTS, DataJob::TIMEOUT, problems);
    let retries = timing::count(keys, "retries", &(0..=MOST_RETRIES), 0, problems);
    let backoff = timing::within(keys, "backoff", &BACKOFFS, DataJob::BACKOFF, problems);
    Some(DataJob { name: name?, task: Task::Sql { sql: sql?, role }, timing, timeout, retries, backoff })
}
