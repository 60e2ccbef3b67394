//! Figures for people: bytes and spans of time, as the command line and the status page tell them.

/// Bytes, to a tenth of the largest unit that fits.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    }
}

/// A span of time in its largest unit, rounded down: what is shown of an age need not change each second.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = UNITS.iter().find(|(unit, _)| seconds >= *unit).unwrap_or(&UNITS[3]);
    match seconds / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

/// A count, its digits in groups of three.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let grouped: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    grouped.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_told_in_their_largest_unit() {
        for (bytes, told) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_610_612_736, "1.5 GiB")] {
            assert_eq!(size(bytes), told);
        }
        for (number, told) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), told);
        }
        assert!(size(u64::MAX).ends_with(" TiB"));
        for (seconds, told) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (119, "1 minute"),
            (7199, "1 hour"),
            (86_399, "23 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(seconds), told);
        }
    }
}
