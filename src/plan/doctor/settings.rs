//! Do the servers run with the settings that are wanted? Values are compared as PostgreSQL reads them, with units.

use super::facts::{NodeExam, SettingSeen};
use super::{Check, Finding};
use crate::model::desired::Setting;

/// Where a value that holds only for our own session comes from; it says nothing about the server.
const OF_OUR_SESSION: &str = "client";

/// Judged by name elsewhere, with what its absence does.
const PRELOAD: &str = "shared_preload_libraries";

/// Units of memory in bytes, of time in microseconds:
/// <https://www.postgresql.org/docs/17/config-setting.html#CONFIG-SETTING-NAMES-VALUES>.
const UNITS: [(&str, f64); 11] = [
    ("B", 1.0),
    ("kB", 1024.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
    ("us", 1.0),
    ("ms", 1e3),
    ("s", 1e6),
    ("min", 6e7),
    ("h", 3.6e9),
    ("d", 8.64e10),
];

/// Settings that differ from what is wanted, node by node; one line of praise when none does.
pub fn drift(nodes: &[NodeExam], wanted: &[Setting]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked = 0;
    for node in nodes {
        let Some(server) = node.server.present() else { continue };
        asked += 1;
        for setting in wanted.iter().filter(|setting| setting.name != PRELOAD) {
            let there = server.facts.settings.get(&setting.name.to_lowercase());
            findings.extend(compare(node.name.as_str(), setting, there));
        }
    }
    if findings.is_empty() && asked > 0 {
        findings.push(Finding::ok(Check::Settings, format!("all {} settings are as configured", wanted.len())));
    }
    findings
}

fn compare(node: &str, wanted: &Setting, there: Option<&SettingSeen>) -> Option<Finding> {
    let Setting { name, value, why } = wanted;
    let help = "`hypertide restart` the node if it was changed with `up` still pending; else look for \
                `ALTER DATABASE … SET` and `ALTER ROLE … SET`";
    let Some(there) = there else {
        // An extension's own: this build of it has no such setting, or is not loaded yet.
        let is_extensions = name.contains('.');
        return (!is_extensions).then(|| {
            let text = format!("{node}: this server knows no setting `{name}`, which the configuration sets");
            Finding::warning(Check::Settings, text, "take it out of `preset`")
        });
    };
    if there.source == OF_OUR_SESSION || is_same(value, there) {
        return None;
    }
    let is = with_unit(there);
    let text = format!("{node}: {name} is {is} (from {}), not {value}: {why}", there.source);
    Some(match name.as_str() {
        "wal_level" => Finding::problem(Check::Settings, text, "`hypertide up` starts the node with its own settings"),
        _ => Finding::warning(Check::Settings, text, help),
    })
}

fn with_unit(there: &SettingSeen) -> String {
    match &there.unit {
        Some(unit) if unit.starts_with(|first: char| first.is_ascii_digit()) => format!("{} x {unit}", there.value),
        Some(unit) => format!("{}{unit}", there.value),
        None if there.value.is_empty() => "empty".to_owned(),
        None => there.value.clone(),
    }
}

fn is_same(wanted: &str, there: &SettingSeen) -> bool {
    if wanted == there.value {
        return true;
    }
    let unit = there.unit.as_deref().unwrap_or_default();
    match there.kind.as_str() {
        "bool" => is_on(wanted).is_some() && is_on(wanted) == is_on(&there.value),
        "enum" => {
            let is_word = wanted.eq_ignore_ascii_case(&there.value);
            is_word || (is_on(wanted).is_some() && is_on(wanted) == is_on(&there.value))
        }
        "integer" => match (in_units(wanted, unit), there.value.parse::<f64>()) {
            // PostgreSQL rounds to whole units; and -1 often stands for a value that the server works out.
            (Some(wanted), Ok(there)) => (wanted.round() - there).abs() < 0.5 || wanted < 0.0,
            _ => false,
        },
        "real" => match (in_units(wanted, unit), there.value.parse::<f64>()) {
            (Some(wanted), Ok(there)) => (wanted - there).abs() <= 1e-6 * wanted.abs().max(there.abs()),
            _ => false,
        },
        _ => false,
    }
}

/// Any beginning of these words will do for PostgreSQL; configurations use the whole ones.
fn is_on(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A number with or without a unit, counted in `base`.
fn in_units(text: &str, base: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.trim().parse().ok()?;
    if unit.is_empty() {
        return Some(number);
    }
    Some(number * factor(unit)? / factor(base)?)
}

/// Bytes or microseconds of a unit such as `kB`, `8kB` or `min`.
fn factor(unit: &str) -> Option<f64> {
    let name = unit.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: f64 = if name.len() == unit.len() { 1.0 } else { unit[..unit.len() - name.len()].parse().ok()? };
    UNITS.iter().find(|(known, _)| *known == name).map(|(_, factor)| count * factor)
}

/// Bytes of a setting's value; a bare number counts `base`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // no memory is that large, and none is negative
pub fn bytes(value: &str, base: &str) -> Option<u64> {
    let counted = in_units(value, base)? * factor(base)?;
    (counted >= 0.0 && counted.is_finite()).then_some(counted as u64)
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{Ok, Problem, Warning};
    use super::super::testing::{desired, node};
    use super::*;

    fn seen(value: &str, unit: &str, kind: &str) -> SettingSeen {
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        SettingSeen { value: value.into(), unit, kind: kind.into(), source: "command line".into() }
    }

    fn judged(name: &str, wanted: &str, there: Option<SettingSeen>) -> Vec<Finding> {
        let mut node = node("n-1", &desired(""));
        let server = node.server.present_mut().expect("the fixture has one");
        server.facts.settings.extend(there.map(|there| (name.to_lowercase(), there)));
        let wanted = Setting { name: name.into(), value: wanted.into(), why: "because".into() };
        drift(&[node], &[wanted])
    }

    #[test]
    fn values_are_compared_as_postgresql_reads_them() {
        let table = [
            ("256MB", seen("32768", "8kB", "integer"), true),
            ("256MB", seen("16384", "8kB", "integer"), false),
            ("32768", seen("32768", "8kB", "integer"), true),
            ("1GB", seen("1024", "MB", "integer"), true),
            ("1.5GB", seen("1536", "MB", "integer"), true),
            ("1500kB", seen("1", "MB", "integer"), true),
            ("4 MB", seen("4096", "kB", "integer"), true),
            ("200ms", seen("200", "ms", "integer"), true),
            ("5s", seen("5000", "ms", "integer"), true),
            ("1h", seen("60", "min", "integer"), true),
            ("1d", seen("86400", "s", "integer"), true),
            ("100", seen("100", "", "integer"), true),
            ("100", seen("200", "", "integer"), false),
            ("-1", seen("2048", "8kB", "integer"), true),
            ("many", seen("100", "", "integer"), false),
            ("5parsec", seen("5", "ms", "integer"), false),
            ("1.1", seen("1.1", "", "real"), true),
            ("1.10", seen("1.1", "", "real"), true),
            ("1.2", seen("1.1", "", "real"), false),
            ("20ms", seen("20", "ms", "real"), true),
            ("true", seen("on", "", "bool"), true),
            ("off", seen("on", "", "bool"), false),
            ("odd", seen("on", "", "bool"), false),
            ("Logical", seen("logical", "", "enum"), true),
            ("true", seen("on", "", "enum"), true),
            ("replica", seen("logical", "", "enum"), false),
            ("UTC", seen("UTC", "", "string"), true),
            ("UTC", seen("Europe/Berlin", "", "string"), false),
        ];
        for (wanted, there, same) in table {
            assert_eq!(is_same(wanted, &there), same, "{wanted} {there:?}");
        }
    }

    #[test]
    fn a_difference_names_both_values_the_source_and_the_reason() {
        let found = judged(
            "work_mem",
            "4MB",
            Some(SettingSeen { source: "database".into(), ..seen("65536", "kB", "integer") }),
        );
        assert_eq!(found[0].severity, Warning);
        assert_eq!(found[0].text, "n-1: work_mem is 65536kB (from database), not 4MB: because");
        assert!(found[0].help.as_ref().expect("help").contains("ALTER DATABASE"));
        let found = judged("shared_buffers", "1GB", Some(seen("16384", "8kB", "integer")));
        assert!(found[0].text.contains("is 16384 x 8kB"), "{found:?}");
    }

    #[test]
    fn another_wal_level_is_a_problem() {
        assert_eq!(judged("wal_level", "logical", Some(seen("replica", "", "enum")))[0].severity, Problem);
    }

    #[test]
    fn what_cannot_be_known_is_no_drift() {
        let ours = SettingSeen { source: "client".into(), ..seen("UTC", "", "string") };
        for (name, wanted, there) in [
            ("timescaledb.telemetry_level", "off", None),
            ("timezone", "Europe/Berlin", Some(ours)),
            ("shared_preload_libraries", "timescaledb", Some(seen("", "", "string"))),
        ] {
            assert_eq!(judged(name, wanted, there)[0].severity, Ok, "{name}");
        }
    }

    #[test]
    fn a_setting_unknown_to_the_server_is_told() {
        let found = judged("wal_bufers", "16MB", None);
        assert!(found[0].text.contains("knows no setting `wal_bufers`"), "{found:?}");
    }

    #[test]
    fn nothing_is_said_while_no_server_answers() {
        assert_eq!(drift(&[], &[]), []);
    }

    #[test]
    fn memory_is_read_with_and_without_a_unit() {
        for (text, wanted) in [
            ("256MB", Some(256 << 20)),
            ("1.5 GB", Some(1536 << 20)),
            ("2", Some(16384)),
            ("1TB", Some(1 << 40)),
            ("512B", Some(512)),
            ("-1", None),
            ("much", None),
            ("1gb", None),
        ] {
            assert_eq!(bytes(text, "8kB"), wanted, "{text}");
        }
    }
}
