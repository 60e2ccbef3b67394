//! A cron expression in a time zone: at which moments it falls due.
//!
//! In: the text of five fields, or six with seconds first, and a zone's IANA name. Out: moments, each later than the one before.
//! The fields mean what they mean to cron: 0 and 7 are Sunday, and when both kinds of day are restricted, either will do.
//!
//! Where clocks change: a time that does not exist falls due at the first moment after the gap, and one that exists twice
//! falls due the first time only. An expression for every hour (`*`) goes by elapsed time instead, so none of its hours is
//! left out or made longer.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Days, Duration, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use cron::Schedule;

/// No gap and no overlap of a zone is longer; the longest there ever was is a whole day (a change of the date line).
const LONGEST_SHIFT: TimeDelta = TimeDelta::hours(25);

/// A minute, an hour, a day, a month, a year, ten years.
const LOOKS_BACK: [i64; 6] = [60, 3600, 86_400, 2_764_800, 31_622_400, 315_532_800];

/// Names of the fields of six, for messages.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day", "month", "weekday"];

/// Weekdays as cron counts them.
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// A text that is no schedule, or none in that zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Another number of fields.
    #[error(
        "`{0}` is no schedule: five fields (minute hour day month weekday) such as `0 2 * * *`, or six with seconds first"
    )]
    Fields(String),
    /// One of them is not understood.
    #[error("`{text}` is no schedule: {field} `{part}` is not understood")]
    Field {
        /// The whole text.
        text: String,
        /// Which field.
        field: &'static str,
        /// What stands there.
        part: String,
    },
    /// There is no such day in any year to come.
    #[error("`{0}` never fires: there is no such day")]
    Never(String),
    /// No zone has this name.
    #[error("`{name}` is no time zone such as `Europe/Berlin` or `UTC`")]
    Zone {
        /// The text.
        name: String,
        /// The name that is nearest to it, when one is near.
        meant: Option<&'static str>,
    },
}

/// When something falls due, again and again.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Due when one of them says so. They are asked for wall clock times, as if there were no zones.
    schedules: Vec<Schedule>,
    zone: Tz,
    /// It names no hour, so that elapsed time counts and not the clock's.
    is_every_hour: bool,
}

/// A time zone by its IANA name.
pub fn zone(name: &str) -> Result<Tz, CalendarError> {
    name.parse::<Tz>().map_err(|_| CalendarError::Zone { name: name.to_owned(), meant: nearest_zone(name) })
}

/// The zone that was probably meant: the same but for capitals and blanks, the city alone, or a letter or two off.
fn nearest_zone(given: &str) -> Option<&'static str> {
    let plain = |name: &str| name.trim().replace(' ', "_").to_lowercase();
    let given = plain(given);
    let distance = |zone: &'static str| {
        let zone = plain(zone);
        let city = zone.rsplit('/').next().unwrap_or_default();
        strsim::osa_distance(&given, &zone).min(strsim::osa_distance(&given, city))
    };
    let all = TZ_VARIANTS.iter().map(|zone| zone.name());
    let (far, zone) = all.map(|zone| (distance(zone), zone)).min()?;
    (far <= (given.len() / 4).max(1) && given.len() > 2).then_some(zone)
}

impl Calendar {
    /// Reads an expression.
    pub fn new(text: &str, zone: Tz) -> Result<Self, CalendarError> {
        let given: Vec<&str> = text.split_whitespace().collect();
        let fields: [&str; 6] = match given.as_slice() {
            [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday],
            [second, minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday],
            _ => return Err(CalendarError::Fields(text.escape_debug().to_string())),
        };
        let odd = |field: usize| CalendarError::Field {
            text: text.escape_debug().to_string(),
            field: FIELDS[field],
            part: fields[field].escape_debug().to_string(),
        };
        let weekdays = if is_plain(fields[5], true) { weekdays(fields[5]).ok_or_else(|| odd(5))? } else { None };
        for (position, field) in fields.iter().enumerate() {
            let mut alone = ["*"; 6];
            alone[position] = if position == 5 { "*" } else { field };
            if !is_plain(field, position == 3 || position == 5) || Schedule::from_str(&alone.join(" ")).is_err() {
                return Err(odd(position));
            }
        }
        let made = |day: &str, weekday: &str| {
            let [second, minute, hour, _, month, _] = fields;
            Schedule::from_str(&format!("{second} {minute} {hour} {day} {month} {weekday}")).map_err(|_| odd(5))
        };
        let is_any_day = fields[3].starts_with(['*', '?']);
        let schedules = match &weekdays {
            None => vec![made(fields[3], "*")?],
            Some(weekdays) if is_any_day || fields[5].starts_with('*') => vec![made(fields[3], weekdays)?],
            Some(weekdays) => vec![made(fields[3], "*")?, made("*", weekdays)?],
        };
        let calendar = Self { schedules, zone, is_every_hour: fields[2] == "*" };
        match calendar.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(calendar),
            None => Err(CalendarError::Never(text.escape_debug().to_string())),
        }
    }

    /// The first moment after this one at which it is due; `None` after the year 2100, or when the clock is far off.
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.is_every_hour { self.after_by_elapsed_time(moment) } else { self.after_by_the_clock(moment) }
    }

    /// The last moment up to this one at which it was due, when it was within the ten years before.
    pub fn up_to(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Further back step by step, so that an expression that fires each second is not run through for a year.
        let mut found = LOOKS_BACK.iter().find_map(|seconds| {
            let due = self.after(moment.checked_sub_signed(Duration::seconds(*seconds))?)?;
            (due <= moment).then_some(due)
        })?;
        while let Some(next) = self.after(found).filter(|next| *next <= moment) {
            found = next;
        }
        Some(found)
    }

    /// The wall clock's next time, in whatever zone.
    fn next_on_the_clock(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = after.and_utc();
        self.schedules.iter().filter_map(|schedule| schedule.after(&after).next()).min().map(|found| found.naive_utc())
    }

    /// Each time of the wall clock falls due once. Later times never come earlier, so the first that is later is the next.
    fn after_by_the_clock(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut clock = self.on_the_clock(moment);
        loop {
            clock = self.next_on_the_clock(clock)?;
            let due = self.first_moment(clock);
            if due > moment {
                return Some(due);
            }
        }
    }

    /// Stretches between two changes of the clocks one by one; within each, the clock is ahead of UTC by a fixed time.
    fn after_by_elapsed_time(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut start, mut ahead) = (moment, self.ahead(moment));
        let mut clock = start.naive_utc() + ahead;
        loop {
            let due = (self.next_on_the_clock(clock)? - ahead).and_utc();
            let Some(change) = self.next_change(start, due) else { return Some(due) };
            (start, ahead) = (change, self.ahead(change));
            // The moment of the change may be due itself.
            clock = start.naive_utc() + ahead - Duration::seconds(1);
        }
    }

    /// The first second in `(from, to]` that has another offset than `from`.
    fn next_change(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ahead = self.ahead(from);
        let (mut before, mut after) = (from, from);
        while after < to {
            after = (before + Days::new(1)).min(to);
            if self.ahead(after) != ahead {
                while after - before > Duration::seconds(1) {
                    let middle = before + Duration::seconds((after - before).num_seconds() / 2);
                    if self.ahead(middle) == ahead { before = middle } else { after = middle }
                }
                return Some(after);
            }
            before = after;
        }
        None
    }

    fn ahead(&self, moment: DateTime<Utc>) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc()))
    }

    fn on_the_clock(&self, moment: DateTime<Utc>) -> NaiveDateTime {
        moment.with_timezone(&self.zone).naive_local()
    }

    /// When the clock shows this first, or, where it never does, the first moment after the gap.
    fn first_moment(&self, clock: NaiveDateTime) -> DateTime<Utc> {
        match self.zone.from_local_datetime(&clock) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment.to_utc(),
            LocalResult::None => {
                // Somewhere between these two the clocks were put forward.
                let (mut before, mut after) = ((clock - LONGEST_SHIFT).and_utc(), (clock + LONGEST_SHIFT).and_utc());
                while after - before > Duration::seconds(1) {
                    let middle = before + Duration::seconds((after - before).num_seconds() / 2);
                    if self.on_the_clock(middle) < clock { before = middle } else { after = middle }
                }
                after
            }
        }
    }
}

/// Only what an expression can be made of, and a `*` or `?` only where a range could begin: the parser behind this takes blanks
/// for optional, so that it would read `**` as two fields.
fn is_plain(field: &str, may_be_any: bool) -> bool {
    let is_word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/'));
    let is_item = |item: &str| match item.strip_prefix('*') {
        Some(rest) => rest.is_empty() || (rest.starts_with('/') && is_word(rest)),
        None => is_word(item),
    };
    (may_be_any && field == "?") || field.split(',').all(is_item)
}

/// The days of a weekday field in the numbers of the parser, which begins with Sunday as 1; `Some(None)` for any day.
#[allow(clippy::option_option)] // not understood, any, these
fn weekdays(field: &str) -> Option<Option<String>> {
    if matches!(field, "*" | "?") {
        return Some(None);
    }
    let mut days = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| (1..=7).contains(step))?)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((first, last)) => {
                let (first, last) = (weekday(first)?, weekday(last)?);
                (first, if last < first && last == 0 { 7 } else { last })
            }
            None if step.is_some() => (weekday(range)?, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        if first > last {
            return None;
        }
        days.extend((first..=last).step_by(step.unwrap_or(1)).map(|day| day % 7 + 1));
    }
    Some(Some(days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")))
}

fn weekday(text: &str) -> Option<u8> {
    let lower = text.to_lowercase();
    let named = WEEKDAYS.iter().position(|day| *day == lower || day[..3] == lower);
    named.and_then(|position| u8::try_from(position).ok()).or_else(|| lower.parse().ok().filter(|day| *day <= 7))
}

#[cfg(test)]
mod tests;
