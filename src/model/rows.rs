//! Tables as a backup sees them: how their rows are hashed, what was found, and who else is connected meanwhile.
//!
//! Pure values, made by `postgres::contents`, judged by `plan::reuse`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::names::{Ident, TableName};

/// How rows are hashed. Both sides of a comparison use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the hash functions of the columns' types: fast, for types whose hash says the same on every server.
    Record,
    /// By the row's text: for any type.
    Text,
}

/// Rows of one table and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many rows.
    pub rows: u64,
    /// The sum of the hashes of all rows, whatever their order.
    pub hash: String,
    /// How it was made.
    pub method: Method,
}

/// A table or chunk whose rows a logical dump holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpTable {
    /// Its object id.
    pub oid: u32,
    /// Its name.
    pub name: TableName,
    /// The hypertable it is a chunk of.
    pub hypertable: Option<TableName>,
    /// Its size on disk, without indexes and without what TimescaleDB keeps compressed elsewhere.
    pub bytes: u64,
    /// Its columns, by name.
    pub columns: Vec<Ident>,
    /// How its rows are to be hashed.
    pub method: Method,
}

/// Somebody else's connection, by how long ago what happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackendSeen {
    /// It was opened.
    pub connected: Duration,
    /// It became idle, and still is; `None`: it is not idle, or nobody can tell.
    pub idle: Option<Duration>,
    /// Its transaction began; `None`: it is in none.
    pub in_transaction: Option<Duration>,
}

impl Method {
    const ALL: [Self; 2] = [Self::Record, Self::Text];

    /// The word before the hash.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Text => "text",
        }
    }

    /// The method of a hash as [`Fingerprint::tagged`] writes it.
    pub fn of(tagged: &str) -> Option<Self> {
        let (word, _) = tagged.split_once(':')?;
        Self::ALL.into_iter().find(|method| method.word() == word)
    }
}

impl Fingerprint {
    /// Method and hash in one text: `record:…`.
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.method.word(), self.hash)
    }

    /// A fingerprint from that text.
    pub fn from_tagged(rows: u64, tagged: &str) -> Option<Self> {
        let (_, hash) = tagged.split_once(':')?;
        Some(Self { rows, hash: hash.to_owned(), method: Method::of(tagged)? })
    }
}

/// The name of an exported snapshot: what `pg_export_snapshot()` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotName(String);

/// A text is no name of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a snapshot: hexadecimal digits and `-`")]
pub struct SnapshotNameError(String);

impl SnapshotName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotName {
    type Err = SnapshotNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_good = (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_good { Ok(Self(text.to_owned())) } else { Err(SnapshotNameError(text.to_owned())) }
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_fingerprint_survives_its_text(rows in 0_u64..1000, hash in "-?[0-9]{1,30}", is_text: bool) {
            let method = if is_text { Method::Text } else { Method::Record };
            let made = Fingerprint { rows, hash, method };
            prop_assert_eq!(Fingerprint::from_tagged(rows, &made.tagged()), Some(made));
        }
    }

    #[test]
    fn a_method_nobody_knows_is_none() {
        assert_eq!(Fingerprint::from_tagged(1, "md5:1"), None);
        assert_eq!(Fingerprint::from_tagged(1, "1"), None);
    }

    #[test]
    fn a_snapshot_is_named_by_the_server_only() {
        assert!("00000004-0000001B-1".parse::<SnapshotName>().is_ok());
        for bad in ["", "x", "1'; drop table t"] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad}");
        }
    }
}
