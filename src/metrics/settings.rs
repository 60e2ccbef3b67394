//! Settings as metrics: their names, and their values in base units, as postgres_exporter has them. Pure.

use serde::Deserialize;

use super::families::Sample;
use super::names::Kind;
use super::rows::AnswerError;

/// How the metrics' names begin.
pub const PREFIX: &str = "pg_settings_";

/// `sql/observe/metrics/settings.sql`.
#[derive(Debug, Deserialize)]
struct SettingsRow {
    pg_settings: Vec<SettingRow>,
}

#[derive(Debug, Deserialize)]
struct SettingRow {
    name: String,
    setting: String,
    unit: String,
    is_bool: bool,
}

/// Reads all of them.
pub(super) fn read(node: &str, json: &str, samples: &mut Vec<Sample>) -> Result<(), AnswerError> {
    let answer: SettingsRow = serde_json::from_str(json)?;
    for row in answer.pg_settings {
        let (name, value) = metric(&row)?;
        samples.push(Sample {
            name: name.into(),
            help: format!("The setting {}.", row.name).into(),
            kind: Kind::Gauge,
            labels: vec![("node", node.to_owned())],
            value,
        });
    }
    Ok(())
}

fn metric(row: &SettingRow) -> Result<(String, f64), AnswerError> {
    let name = format!("{PREFIX}{}", row.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    if row.is_bool {
        return Ok((name, f64::from(u8::from(row.setting == "on"))));
    }
    let no_number = |_| AnswerError::NoNumber { metric: row.name.clone(), value: row.setting.clone() };
    let number: f64 = row.setting.parse().map_err(no_number)?;
    if row.unit.is_empty() {
        return Ok((name, number));
    }
    let unknown = || AnswerError::Unit { setting: row.name.clone(), unit: row.unit.clone() };
    let (base, factor) = unit(&row.unit).ok_or_else(unknown)?;
    // -1 means "off" or "as another setting says", whatever the unit.
    let is_special = number < 0.0;
    Ok((format!("{name}_{base}"), if is_special { number } else { number * factor }))
}

/// The base unit, and how many of it there are in this one: <https://www.postgresql.org/docs/current/config-setting.html>.
fn unit(unit: &str) -> Option<(&'static str, f64)> {
    let time = match unit {
        "us" => Some(0.000_001),
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    if let Some(seconds) = time {
        return Some(("seconds", seconds));
    }
    // "8kB": blocks are a unit too.
    let digits = unit.trim_end_matches(|c: char| !c.is_ascii_digit());
    let many: f64 = if digits.is_empty() { 1.0 } else { digits.parse().ok()? };
    let bytes = match &unit[digits.len()..] {
        "B" => 1.0,
        "kB" => 1024.0,
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        "TB" => 1_099_511_627_776.0,
        _ => return None,
    };
    Some(("bytes", many * bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, setting: &str, unit: &str, is_bool: bool) -> Result<(String, f64), AnswerError> {
        metric(&SettingRow { name: name.into(), setting: setting.into(), unit: unit.into(), is_bool })
    }

    #[test]
    fn names_and_values_are_those_of_postgres_exporter() {
        for (name, setting, unit, is_bool, wanted, value) in [
            ("shared_buffers", "16384", "8kB", false, "pg_settings_shared_buffers_bytes", 134_217_728.0),
            ("max_wal_size", "1024", "MB", false, "pg_settings_max_wal_size_bytes", 1_073_741_824.0),
            ("track_activity_query_size", "1024", "B", false, "pg_settings_track_activity_query_size_bytes", 1024.0),
            ("wal_segment_size", "2", "16MB", false, "pg_settings_wal_segment_size_bytes", 33_554_432.0),
            ("bgwriter_delay", "200", "ms", false, "pg_settings_bgwriter_delay_seconds", 0.2),
            ("log_rotation_age", "2", "min", false, "pg_settings_log_rotation_age_seconds", 120.0),
            ("log_min_duration_statement", "-1", "ms", false, "pg_settings_log_min_duration_statement_seconds", -1.0),
            ("random_page_cost", "1.1", "", false, "pg_settings_random_page_cost", 1.1),
            ("fsync", "on", "", true, "pg_settings_fsync", 1.0),
            ("timescaledb.restoring", "off", "", true, "pg_settings_timescaledb_restoring", 0.0),
        ] {
            assert_eq!(told(name, setting, unit, is_bool).expect("it is known"), (wanted.to_owned(), value));
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_no_value() {
        assert_eq!(
            told("a", "1", "furlong", false).expect_err("no unit").to_string(),
            "the unit furlong of a is not known"
        );
        assert_eq!(told("a", "many", "s", false).expect_err("no number").to_string(), "a is many, which is no number");
    }
}
