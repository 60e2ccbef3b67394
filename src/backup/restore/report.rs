//! What a restore came to, for people and for JSON.

use serde::Serialize;

use super::jobs::ScheduledJob;
use super::phases::Phase;
use crate::backup::contents::Difference;
use crate::model::backup::BackupId;

/// How a restore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It is there, and equal.
    Restored,
    /// What came back is not what was there; nothing was put in anybody's place.
    Differs,
}

/// One restore.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// The backup.
    pub backup: BackupId,
    /// Where it went.
    pub into: String,
    /// How it ended.
    pub outcome: Ended,
    /// The database in it.
    pub database: String,
    /// Host and port it is reached at; null for a database of the primary.
    pub address: Option<String>,
    /// The container.
    pub container: Option<String>,
    /// Tables and chunks that were compared.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// All of them.
    pub difference_count: u64,
    /// Jobs that were scheduled when the backup was taken, retention last.
    pub jobs: Vec<ScheduledJob>,
    /// They are on again.
    pub jobs_enabled: bool,
    /// What could not be compared.
    pub notes: Vec<String>,
    /// What took how long.
    pub phases: Vec<Phase>,
}
