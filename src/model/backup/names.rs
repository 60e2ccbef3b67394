//! What names a backup, whose it is, its objects and its store. Each text is checked in its constructor.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Kind;

/// A text that was meant to name something of a backup and does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupNameError {
    /// See [`BackupId`].
    #[error("`{0}` is no backup: its name looks like `20261121T021500Z-full-3f9a`")]
    Id(String),
    /// See [`Scope`].
    #[error("`{0}` is no name for a store: 1 to 63 of a-z, 0-9, `-` and `_`, beginning with a letter or digit")]
    Scope(String),
    /// See [`ObjectKey`].
    #[error("`{0}` is no object: parts of a-z, A-Z, 0-9, `.`, `_` and `-`, joined by `/`, none beginning with `.`")]
    Key(String),
    /// See [`StoreUrl`].
    #[error("`{0}` is no store: `file:///an/absolute/directory` or `s3://bucket/prefix`")]
    Store(String),
}

/// The name of one backup: when it began (UTC), its kind, and four random hexadecimal digits. Sorts by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(String);

impl BackupId {
    const TIME: &'static str = "%Y%m%dT%H%M%SZ";

    /// A name for a backup that begins now; `random` makes two of the same second differ.
    pub fn new(began: DateTime<Utc>, kind: Kind, random: u16) -> Self {
        Self(format!("{}-{kind}-{random:04x}", began.format(Self::TIME)))
    }

    /// When the backup began, to the second.
    pub fn began(&self) -> DateTime<Utc> {
        let time = self.0.split('-').next().unwrap_or_default();
        NaiveDateTime::parse_from_str(time, Self::TIME).expect("checked in the constructor").and_utc()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupId {
    type Err = BackupNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex =
            |digits: &str| digits.len() == 4 && digits.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        match text.split('-').collect::<Vec<_>>().as_slice() {
            [time, kind, random]
                if NaiveDateTime::parse_from_str(time, Self::TIME)
                    .is_ok_and(|parsed| parsed.format(Self::TIME).to_string() == *time)
                    && Kind::ALL.iter().any(|known| known.word() == *kind)
                    && is_hex(random) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(BackupNameError::Id(text.to_owned())),
        }
    }
}

/// The first part of every key of one cluster or database in a store, so that several can share it: the cluster's name, or
/// for a database without a cluster the name it was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

impl FromStr for Scope {
    type Err = BackupNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let is_good = (1..=63).contains(&text.len())
            && text.chars().all(is_inner)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if is_good { Ok(Self(text.to_owned())) } else { Err(BackupNameError::Scope(text.to_owned())) }
    }
}

/// The name of an object in a store: a relative path of plain parts. What reaches a directory or a bucket is one of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// Longest key: with any prefix it stays below what S3 (1024 bytes) and file systems (4096) take.
const LONGEST_KEY: usize = 512;

impl ObjectKey {
    /// This key with one more part, or several joined by `/`.
    pub fn join(&self, more: &str) -> Result<Self, BackupNameError> {
        format!("{}/{more}", self.0).parse()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is that key or lies below it.
    pub fn is_within(&self, above: &Self) -> bool {
        self.0.strip_prefix(&above.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Its last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = BackupNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_part =
            |part: &str| (1..=255).contains(&part.len()) && part.chars().all(is_plain) && !part.starts_with('.');
        if text.len() <= LONGEST_KEY && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BackupNameError::Key(text.to_owned()))
        }
    }
}

/// Where backups are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreUrl {
    /// An absolute directory.
    Disk(PathBuf),
    /// A bucket, and what every key in it begins with (without slashes at its ends; may be empty).
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
}

impl FromStr for StoreUrl {
    type Err = BackupNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || BackupNameError::Store(text.to_owned());
        if let Some(path) = text.strip_prefix("file://") {
            let is_plain = path.starts_with('/') && !path.contains('\0') && !path.split('/').any(|part| part == "..");
            return if is_plain { Ok(Self::Disk(Path::new(path).components().collect())) } else { Err(refused()) };
        }
        let rest = text.strip_prefix("s3://").ok_or_else(refused)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'));
        if !is_bucket || !(prefix.is_empty() || ObjectKey::from_str(prefix).is_ok()) {
            return Err(refused());
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(path) => write!(f, "file://{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

macro_rules! shown_as_is {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

shown_as_is!(BackupId, Scope, ObjectKey);
as_text!(BackupId, Scope, ObjectKey, StoreUrl);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_backup_is_named_after_its_beginning_and_kind() {
        let began = DateTime::from_timestamp(1_795_227_300, 0).expect("in range");
        let id = BackupId::new(began, Kind::Full, 0x3f9a);
        assert_eq!(id.as_str(), "20261121T021500Z-full-3f9a");
        assert_eq!(id.began(), began);
        for bad in [
            "",
            "x",
            "20261121T021500Z-full",
            "20261121T021500Z-fool-3f9a",
            "20261121T021500Z-full-3F9A",
            "20261321T021500Z-full-3f9a",
            "20261121T021500Z-full-3f9a-1",
            "../20261121T021500Z-full-3f9a",
        ] {
            assert!(bad.parse::<BackupId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_never_leaves_its_store() {
        for good in ["a", "trading/20261121T021500Z-full-3f9a/manifest.json", "a.b/c_d-e"] {
            assert!(good.parse::<ObjectKey>().is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "a/.b", "a b", "a\\b", "ä", &"x".repeat(600)] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_is_an_absolute_directory_or_a_bucket() {
        for (given, shown) in [
            ("file:///var/backups/", "file:///var/backups"),
            ("file:///", "file:///"),
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ] {
            assert_eq!(given.parse::<StoreUrl>().map(|url| url.to_string()).as_deref(), Ok(shown));
        }
        for bad in [
            "",
            "/var/backups",
            "file://relative",
            "file:///a/../b",
            "s3://",
            "s3:///x",
            "s3://Bucket",
            "gs://bucket",
            "s3://bucket/a b",
        ] {
            assert!(bad.parse::<StoreUrl>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back_from_their_text(secs in 0_i64..4_000_000_000, kind in 0_usize..5, random: u16) {
            let id = BackupId::new(DateTime::from_timestamp(secs, 0).expect("in range"), Kind::ALL[kind], random);
            prop_assert_eq!(id.as_str().parse(), Ok(id.clone()));
            prop_assert_eq!(id.began().timestamp(), secs);
        }

        #[test]
        fn no_text_makes_a_constructor_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<BackupId>();
            let _ = text.parse::<StoreUrl>();
            let _ = text.parse::<ObjectKey>();
            let _ = text.parse::<Scope>();
        }
    }
}
