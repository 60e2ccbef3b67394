//! A segment of the write-ahead log: its name, and where its bytes are.
//!
//! Names follow <https://www.postgresql.org/docs/17/wal-internals.html>. Segments are 16 MiB, PostgreSQL's default and the only size that
//! hypertide initialises a server with.

use std::fmt;
use std::str::FromStr;

use super::lsn::Lsn;

/// A segment's size.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Segments that share the middle part of their names.
const PER_LOG: u64 = (1 << 32) / SEGMENT_BYTES;

/// A segment, by timeline and place. Sorts by timeline first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The timeline it was written on.
    pub timeline: u32,
    /// How many segments lie before it, on any timeline.
    pub number: u64,
}

/// The text names no segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no segment of the log: 24 hexadecimal digits")]
pub struct SegmentError(String);

impl Segment {
    /// The segment that holds a position.
    pub const fn at(timeline: u32, lsn: Lsn) -> Self {
        Self { timeline, number: lsn.0 / SEGMENT_BYTES }
    }

    /// Its first byte.
    pub const fn from(self) -> Lsn {
        Lsn(self.number.saturating_mul(SEGMENT_BYTES))
    }

    /// The first byte after it.
    pub const fn to(self) -> Lsn {
        Lsn(self.number.saturating_add(1).saturating_mul(SEGMENT_BYTES))
    }

    /// The one after it on its timeline.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}{:08X}{:08X}", self.timeline, self.number / PER_LOG, self.number % PER_LOG)
    }
}

impl FromStr for Segment {
    type Err = SegmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 24 && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        let part = |from: usize| u32::from_str_radix(&text[from..from + 8], 16).ok();
        let parsed = || Some((part(0)?, u64::from(part(8)?), u64::from(part(16)?)));
        match is_hex.then(parsed).flatten() {
            Some((timeline, log, place)) if timeline > 0 && place < PER_LOG => {
                Ok(Self { timeline, number: log * PER_LOG + place })
            }
            _ => Err(SegmentError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_postgresqls_own() {
        for (timeline, lsn, name) in [
            (1, "0/0", "000000010000000000000000"),
            (1, "0/9000028", "000000010000000000000009"),
            (1, "0/FFFFFFFF", "0000000100000000000000FF"),
            (2, "1/0", "000000020000000100000000"),
            (255, "16/B374D848", "000000FF00000016000000B3"),
        ] {
            assert_eq!(Segment::at(timeline, lsn.parse().expect("valid")).to_string(), name);
        }
    }

    #[test]
    fn what_is_no_segment_is_refused() {
        for text in [
            "",
            "00000001000000000000000",
            "0000000100000000000000001",
            "00000001000000000000000g",
            "00000001000000000000000a",
            "000000010000000000000100",
            "000000000000000000000001",
            "000000010000000000000001.partial",
            "00000002.history",
        ] {
            assert!(text.parse::<Segment>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_segment_holds_its_positions_and_comes_back_from_its_name(timeline in 1_u32.., bytes: u64) {
            let segment = Segment::at(timeline, Lsn(bytes));
            prop_assert_eq!(segment.to_string().parse(), Ok(segment));
            prop_assert!(segment.from().0 <= bytes && bytes <= segment.to().0);
            prop_assert_eq!(Segment::at(timeline, segment.from()), segment);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<Segment>();
        }
    }
}
