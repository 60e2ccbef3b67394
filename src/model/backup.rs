//! What a backup is, in words: its kind, where it goes, how long it stays, and the jobs that make it.
//!
//! Nothing here acts, and nothing reads a clock.

mod names;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use names::{BackupId, BackupNameError, ObjectKey, Scope, StoreUrl};

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
    /// What becomes of a time that comes while the run before it is still under way.
    pub overlap: Overlap,
}

/// What becomes of a time that comes while the run before it is still under way. Two runs of a job never run at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It is run for as soon as that run has ended; of several such times the last.
    Queue,
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
