//! Small formats inside values: schedules, ages, store addresses, labels.
//!
//! Each function accepts a text or says in one line what it expected. None of them interprets further than needed to
//! refuse a mistake early; meaning belongs to the feature that acts on the value.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Units of an age, each with its spellings.
const UNITS: [(&str, &[&str]); 5] = [
    ("hour", &["h", "hour", "hours"]),
    ("day", &["d", "day", "days"]),
    ("week", &["w", "week", "weeks"]),
    ("month", &["mon", "month", "months"]),
    ("year", &["y", "year", "years"]),
];

/// Units of a pause in seconds, each with its spellings.
const PAUSE_UNITS: [(&str, u64, &[&str]); 3] = [
    ("minute", 60, &["m", "min", "minute", "minutes"]),
    ("hour", 3600, &["h", "hour", "hours"]),
    ("day", 86400, &["d", "day", "days"]),
];

/// A shorter pause is none, and a longer one is a slip of the finger.
const PAUSES: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(30 * 24);

/// Longest label: it becomes part of file and object names.
const LONGEST_LABEL: usize = 30;

/// Five fields of a cron schedule, whatever is in them.
pub fn schedule(text: &str) -> Result<(), String> {
    if text.split_whitespace().count() == 5 {
        Ok(())
    } else {
        Err(format!("`{text}` is no schedule: five fields (minute hour day month weekday) such as `0 2 * * *`"))
    }
}

/// An age such as `90d`, `30 days` or `2y`; never zero, or retention would drop everything.
pub fn age(text: &str) -> Result<(), String> {
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start().to_lowercase();
    let is_known = UNITS.iter().any(|(_, spellings)| spellings.contains(&unit.as_str()));
    match number.parse::<u32>() {
        Ok(0) if is_known => Err(format!("`{text}` is no age: it must be more than zero")),
        Ok(_) if is_known => Ok(()),
        _ => {
            let units: Vec<_> = UNITS.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "`{text}` is no age: a whole number and a unit ({}) such as `90d` or `2 years`",
                units.join(", ")
            ))
        }
    }
}

/// A pause between two runs such as `30m` or `1 hour`; at least a minute and at most a month of 30 days.
pub fn pause(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start().to_lowercase();
    let secs =
        PAUSE_UNITS.iter().find(|(_, _, spellings)| spellings.contains(&unit.as_str())).map(|(_, secs, _)| *secs);
    let (Some(number), Some(secs)) = (number.parse::<u64>().ok(), secs) else {
        let units: Vec<_> = PAUSE_UNITS.iter().map(|(name, ..)| *name).collect();
        let units = units.join(", ");
        return Err(format!("`{text}` is no time: a whole number and a unit ({units}) such as `30m` or `1 hour`"));
    };
    Some(Duration::from_secs(number.saturating_mul(secs)))
        .filter(|pause| PAUSES.contains(pause))
        .ok_or_else(|| format!("`{text}` is out of range (1 minute to 30 days)"))
}

/// Where backups go: an absolute directory or a bucket.
pub fn store(text: &str) -> Result<(), String> {
    let is_directory = text.strip_prefix("file://").is_some_and(|path| path.starts_with('/'));
    let is_bucket = text.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if is_directory || is_bucket {
        Ok(())
    } else {
        Err(format!("`{text}` is no store: `file:///an/absolute/directory` or `s3://bucket/prefix`"))
    }
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
    fn a_schedule_has_five_fields() {
        assert!(schedule("*/5  0-6 * * mon,fri").is_ok());
        for bad in ["", "@daily", "0 2 * *", "0 0 2 * * *"] {
            assert!(schedule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_is_an_absolute_directory_or_a_bucket() {
        for good in ["file:///var/backups", "s3://bucket", "s3://bucket/a/b"] {
            assert!(store(good).is_ok(), "{good}");
        }
        for bad in ["", "/var/backups", "file://relative", "s3://", "s3:///x", "gs://bucket"] {
            assert!(store(bad).is_err(), "{bad}");
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
