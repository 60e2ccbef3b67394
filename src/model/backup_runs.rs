//! What is on record about backup jobs, as observed on the primary.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::finding::Findings;

/// Every job that is known there.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BackupsSeen {
    /// The server's time when this was read.
    pub now: DateTime<Utc>,
    /// By the job's name.
    pub jobs: BTreeMap<String, JobSeen>,
    /// The archive of the log, when there is one.
    pub wal: Option<WalSeen>,
}

/// The archive of the log.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WalSeen {
    /// Its job.
    pub job: String,
    /// What it does, in its own words.
    pub phase: String,
    /// Why it does not simply go on.
    pub because: Option<String>,
    /// Log that is missing in it.
    pub gap: Option<String>,
    /// When the last segment was archived.
    pub archived_at: Option<DateTime<Utc>>,
    /// When somebody last saw to it.
    pub seen_at: DateTime<Utc>,
    /// Log that is not archived yet.
    pub rpo_bytes: Option<u64>,
    /// How old the first of that is.
    pub rpo_millis: Option<u64>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct JobSeen {
    /// Since when the job is known.
    pub known_since: DateTime<Utc>,
    /// Its last run, by schedule or by hand.
    pub last: Option<RunSeen>,
    /// The last attempt for a time of its schedule.
    pub scheduled: Option<ScheduledSeen>,
    /// The last run that succeeded.
    pub succeeded: Option<SuccessSeen>,
    /// When a backup of it was last restored and found equal.
    pub verified: Option<DateTime<Utc>>,
    /// The last drill of a backup of it.
    pub drill: Option<DrillSeen>,
    /// What a data job found when it succeeded last; `None` for one that tells no findings.
    pub findings: Option<FindingsSeen>,
}

/// What a data job found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingsSeen {
    /// When.
    pub found: DateTime<Utc>,
    /// What.
    pub findings: Findings,
}

/// A drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrillSeen {
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// It restored the backup and found no difference.
    pub is_equal: bool,
    /// How long it took.
    pub millis: Option<u64>,
    /// Rows that it compared.
    pub rows: Option<u64>,
    /// Differences that it found.
    pub differences: Option<u64>,
}

impl JobSeen {
    /// The last drill found a difference, or could not restore the backup.
    pub fn has_failed_drill(&self) -> bool {
        self.drill.is_some_and(|drill| !drill.is_equal)
    }
}

/// How a run ended, or that it did not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// It runs, or nobody has noticed that whoever ran it is gone.
    Running,
    /// It made a backup.
    Succeeded,
    /// It failed.
    Failed,
    /// Whoever ran it was ended in the middle.
    Interrupted,
}

impl RunOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Running, Self::Succeeded, Self::Failed, Self::Interrupted];

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Reads a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSeen {
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
    /// How.
    pub outcome: RunOutcome,
    /// Why it failed.
    pub error: Option<String>,
}

/// An attempt for a time of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledSeen {
    /// That time.
    pub occurrence: DateTime<Utc>,
    /// 0 for the first.
    pub attempt: u32,
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
    /// How.
    pub outcome: RunOutcome,
}

/// A run that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessSeen {
    /// When it began: its rows are no older.
    pub began: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// The backup it made.
    pub backup: Option<String>,
    /// Bytes in the store.
    pub stored_bytes: Option<u64>,
    /// Rows in it.
    pub rows: Option<u64>,
}
