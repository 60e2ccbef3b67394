//! Small formats inside values: ages, pauses, labels.
//!
//! Each function accepts a text or says in one line what it expected. None of them interprets further than needed to
//! refuse a mistake early; meaning belongs to the feature that acts on the value.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::expiry::{Age, AgeUnit};
use crate::model::names::TableName;

/// Units of an age, each with its spellings.
const UNITS: [(&str, AgeUnit, &[&str]); 5] = [
    ("hour", AgeUnit::Hour, &["h", "hour", "hours"]),
    ("day", AgeUnit::Day, &["d", "day", "days"]),
    ("week", AgeUnit::Week, &["w", "week", "weeks"]),
    ("month", AgeUnit::Month, &["mon", "month", "months"]),
    ("year", AgeUnit::Year, &["y", "year", "years"]),
];

/// A unit of time: its name, its seconds, its spellings.
type SpanUnit = (&'static str, u64, &'static [&'static str]);

/// Units of a time that passes, from the smallest.
const SPAN_UNITS: [SpanUnit; 5] = [
    ("second", 1, &["s", "sec", "second", "seconds"]),
    ("minute", 60, &["m", "min", "minute", "minutes"]),
    ("hour", 3600, &["h", "hour", "hours"]),
    ("day", 86_400, &["d", "day", "days"]),
    ("week", 604_800, &["w", "week", "weeks"]),
];

/// A shorter pause is none, and a longer one is a slip of the finger.
const PAUSES: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(30 * 24);

/// Longest label: it becomes part of file and object names.
const LONGEST_LABEL: usize = 30;

/// An age such as `90d`, `30 days` or `2y`; never zero, or retention would drop everything.
pub fn age(text: &str) -> Result<Age, String> {
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start().to_lowercase();
    let unit = UNITS.iter().find(|(_, _, spellings)| spellings.contains(&unit.as_str())).map(|(_, unit, _)| *unit);
    match (number.parse::<u32>(), unit) {
        (Ok(0), Some(_)) => Err(format!("`{text}` is no age: it must be more than zero")),
        (Ok(count), Some(unit)) => Ok(Age { count, unit }),
        _ => {
            let units: Vec<_> = UNITS.iter().map(|(name, ..)| *name).collect();
            Err(format!(
                "`{text}` is no age: a whole number and a unit ({}) such as `90d` or `2 years`",
                units.join(", ")
            ))
        }
    }
}

/// A pause between two runs such as `30m` or `1 hour`; at least a minute and at most a month of 30 days.
pub fn pause(text: &str) -> Result<Duration, String> {
    measured(text, &SPAN_UNITS[1..4], &PAUSES)
}

/// A time such as `90s`, `30m` or `2 weeks`, within a range.
pub fn span(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    measured(text, &SPAN_UNITS, range)
}

fn measured(text: &str, units: &[SpanUnit], range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start().to_lowercase();
    let secs = units.iter().find(|(_, _, spellings)| spellings.contains(&unit.as_str())).map(|(_, secs, _)| *secs);
    let (Some(number), Some(secs)) = (number.parse::<u64>().ok(), secs) else {
        let units: Vec<_> = units.iter().map(|(name, ..)| *name).collect();
        let units = units.join(", ");
        let text = text.escape_debug();
        return Err(format!("`{text}` is no time: a whole number and a unit ({units}) such as `30m` or `1 hour`"));
    };
    Some(Duration::from_secs(number.saturating_mul(secs)))
        .filter(|time| range.contains(time))
        .ok_or_else(|| format!("`{text}` is out of range ({} to {})", in_words(*range.start()), in_words(*range.end())))
}

/// A duration in the largest unit that it is a whole number of.
fn in_words(time: Duration) -> String {
    let secs = time.as_secs();
    let fits = |unit: &&SpanUnit| secs >= unit.1 && secs.is_multiple_of(unit.1) && unit.0 != "week";
    let (name, unit, _) = SPAN_UNITS.iter().rev().find(fits).unwrap_or(&SPAN_UNITS[0]);
    let count = secs / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// A name of a job: it becomes part of file names, object keys and metric labels.
pub fn label(text: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if (1..=LONGEST_LABEL).contains(&text.len())
        && text.chars().all(is_inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{}` is no name: 1 to {LONGEST_LABEL} of a-z, 0-9, `-` and `_`, beginning with a letter or digit",
            text.escape_debug()
        ))
    }
}

/// `schema.table`
pub fn table_name(text: &str) -> Result<TableName, String> {
    let (schema, table) =
        text.split_once('.').ok_or_else(|| format!("`{}` lacks its schema: `schema.table`", text.escape_debug()))?;
    TableName::new(schema, table).map_err(|error| error.to_string())
}

/// A path; a relative one counts from the configuration's directory.
pub fn path(text: &str, base_dir: &Path) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        Err(format!("`{}` is no path", text.escape_debug()))
    } else {
        Ok(base_dir.join(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_above_zero_and_a_unit() {
        for good in ["2y", "30 days", "90d", "1 Month", "12h", "3mon", " 4 weeks "] {
            assert!(age(good).is_ok(), "{good}");
        }
        for bad in ["", "y", "2", "2x", "-1d", "0d", "2 m", "1.5y", "99999999999d", "ä"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pause_lasts_from_a_minute_to_a_month() {
        for (good, mins) in [("1m", 1), ("90 min", 90), ("1h", 60), (" 2 Hours ", 120), ("30d", 30 * 24 * 60)] {
            assert_eq!(pause(good), Ok(Duration::from_mins(mins)), "{good}");
        }
        for bad in ["", "h", "5", "0m", "31d", "59s", "1.5h", "-1h", "99999999999999999999h", "9999999999999999d", "ä"]
        {
            assert!(pause(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_may_be_told_in_seconds_and_weeks_as_well() {
        let most = Duration::from_hours(14 * 24);
        for (good, secs) in [("0s", 0), ("90 sec", 90), ("2w", 14 * 86_400), ("1 Hour", 3600)] {
            assert_eq!(span(good, &(Duration::ZERO..=most)), Ok(Duration::from_secs(secs)), "{good}");
        }
        let range = Duration::from_secs(90)..=Duration::from_hours(24);
        assert_eq!(span("1m", &range), Err("`1m` is out of range (90 seconds to 1 day)".to_owned()));
        for bad in ["", "s", "5", "1.5h", "-1h", "1 fortnight"] {
            assert!(span(bad, &range).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_can_be_part_of_a_file_name() {
        for good in ["nightly", "0", "a_b-c"] {
            assert!(label(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a/b", "a b", "A", "..", &"x".repeat(31)] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
