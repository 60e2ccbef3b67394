//! Values of server settings as PostgreSQL reads them: words for on and off, numbers with units.

use super::facts::SettingSeen;

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

/// A value as people write it: 16384 pages of `8kB` are `128MB`.
pub fn in_words(there: &SettingSeen) -> String {
    let SettingSeen { value, unit, .. } = there;
    let Some(unit) = unit.as_deref().filter(|_| !value.starts_with('-')) else {
        return if value.is_empty() { "empty".to_owned() } else { value.clone() };
    };
    let whole = bytes(value, unit).filter(|_| unit.ends_with('B'));
    let sizes = [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];
    let in_largest = |bytes: u64| sizes.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    match whole.and_then(|bytes| Some((bytes, in_largest(bytes)?))) {
        Some((bytes, (name, size))) => format!("{}{name}", bytes / size),
        None => format!("{value}{unit}"),
    }
}

/// Whether a wanted value is the one that is there.
pub fn is_same(wanted: &str, there: &SettingSeen) -> bool {
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
            // PostgreSQL rounds to whole units.
            (Some(wanted), Ok(there)) => (wanted.round() - there).abs() < 0.5,
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
    use super::*;

    fn seen(value: &str, unit: &str, kind: &str) -> SettingSeen {
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        SettingSeen { value: value.into(), unit, kind: kind.into(), source: "command line".into() }
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
            ("-1", seen("2048", "8kB", "integer"), false),
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
    fn values_are_shown_in_the_largest_unit_that_fits() {
        for (there, shown) in [
            (seen("16384", "8kB", "integer"), "128MB"),
            (seen("4096", "MB", "integer"), "4GB"),
            (seen("1025", "kB", "integer"), "1025kB"),
            (seen("0", "kB", "integer"), "0kB"),
            (seen("-1", "MB", "integer"), "-1"),
            (seen("5000", "ms", "integer"), "5000ms"),
            (seen("100", "", "integer"), "100"),
            (seen("", "", "string"), "empty"),
        ] {
            assert_eq!(in_words(&there), shown);
        }
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
