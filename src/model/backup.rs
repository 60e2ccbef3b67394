//! What a backup is, in words: its name, its kind, where it goes, how long it stays, and the jobs that make it.
//!
//! Each text is checked in its constructor. Nothing here acts, and nothing reads a clock.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names::{NodeName, TableName};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole database, by `pg_dump`.
    Full,
    /// Everything but rows: an archive that restores to equal hypertables, and readable DDL.
    Schema,
    /// The rows of named tables, hypertables included.
    Tables,
    /// Roles, tablespaces and settings of the server.
    Globals,
    /// The data directory, by `pg_basebackup`; whole, or what changed since an earlier one.
    Base,
}

impl Kind {
    /// All kinds, for messages and choices.
    pub const ALL: [Self; 5] = [Self::Full, Self::Schema, Self::Tables, Self::Globals, Self::Base];

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Schema => "schema",
            Self::Tables => "tables",
            Self::Globals => "globals",
            Self::Base => "base",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

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

/// How an S3 store is reached, beyond its bucket; credentials come from the SDK's standard chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Options {
    /// Another service than Amazon's, `http://host:port`.
    pub endpoint: Option<String>,
    /// The region; `None`: what the SDK's chain says, `us-east-1` where it says nothing and an endpoint is given.
    pub region: Option<String>,
    /// The bucket in the path instead of the host name, as most services but Amazon's want it.
    pub path_style: bool,
    /// Encryption at rest by the service: `AES256`, `aws:kms`, or none asked for.
    pub encryption: Option<String>,
    /// The key of `aws:kms`.
    pub kms_key: Option<String>,
}

/// A store as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreChoice {
    /// Where.
    pub url: StoreUrl,
    /// How, when it is a bucket.
    pub s3: S3Options,
}

/// How rows become an object: compressed, then encrypted when anybody is to read them who has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// zstd's level, 1 to 19.
    pub level: i32,
    /// zstd's long-distance matching with a window of 128 MiB: smaller, at the price of that much memory on both ends.
    pub is_long: bool,
    /// age recipients (`age1…`); empty: not encrypted.
    pub recipients: Vec<String>,
}

impl Default for Sealing {
    fn default() -> Self {
        Self { level: 3, is_long: false, recipients: Vec::new() }
    }
}

/// What stays; everything else may go. Numbers count the newest of each period.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Keep {
    /// The last so many.
    pub last: u32,
    /// The newest of each of the last so many hours that have one.
    pub hourly: u32,
    /// The same for days.
    pub daily: u32,
    /// The same for ISO weeks.
    pub weekly: u32,
    /// The same for months.
    pub monthly: u32,
    /// The same for years.
    pub yearly: u32,
    /// Nothing younger goes.
    pub min_age: Duration,
}

/// How often a job's newest backup is restored and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillEvery {
    /// Never by itself.
    Never,
    /// After each backup.
    Backup,
    /// When the last good drill is older.
    Days(u32),
}

/// From which server a backup is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A standby when there is one that follows, else the primary.
    Auto,
    /// The primary.
    Primary,
    /// This node, a logical replica with a complete mirror included.
    Node(NodeName),
}

/// What a job makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A backup at each of its times.
    Backup(Kind),
    /// The log, all the time.
    Wal {
        /// A segment that has begun is closed and archived when it is older than this.
        max_age: Duration,
    },
}

/// What is told to others when a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A program and its arguments; the result is on its standard input as JSON.
    Command(Vec<String>),
    /// An address that the result is posted to as JSON.
    Webhook(String),
}

/// When a job runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A cron expression of five fields, or of six with seconds first.
    pub cron: String,
    /// The time zone it is read in, by its IANA name.
    pub zone: String,
    /// Up to this much later, by chance, so that many hosts do not begin at once.
    pub jitter: Duration,
    /// A time that passed while nobody was there is made up for.
    pub catch_up: bool,
}

/// A backup job as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupJob {
    /// Its name: a label of a-z, 0-9, `-` and `_`.
    pub name: String,
    /// What it makes.
    pub work: Work,
    /// When; `None`: only when somebody asks.
    pub timing: Option<Timing>,
    /// Where it goes.
    pub store: StoreChoice,
    /// The tables of [`Kind::Tables`].
    pub tables: Vec<TableName>,
    /// From where it is taken.
    pub source: Source,
    /// How objects are made.
    pub sealing: Sealing,
    /// A file with the age identity that drills and restores decrypt with.
    pub identity: Option<PathBuf>,
    /// Connections that copy rows at the same time, of [`Kind::Full`].
    pub parallel: u32,
    /// Incremental backups after each whole one, of [`Kind::Base`]; 0: all are whole.
    pub incrementals: u32,
    /// What stays.
    pub keep: Option<Keep>,
    /// How often it is proven.
    pub drill: DrillEvery,
    /// A run that takes longer is ended.
    pub timeout: Duration,
    /// Further attempts after a failed one.
    pub retries: u32,
    /// Before the first of them; each further one waits twice as long.
    pub backoff: Duration,
    /// Told after a run that succeeded.
    pub on_success: Vec<Hook>,
    /// Told after a run that failed for good.
    pub on_failure: Vec<Hook>,
}

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
