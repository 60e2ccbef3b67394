//! What a check came to: kept beside the backup, shown.
//!
//! Pure values. Written once, never changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::backup::BackupId;

/// The format this version writes.
pub const FORMAT: u32 = 1;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Every object is what was stored.
    Good,
    /// At least one is not.
    Damaged,
}

/// Something is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The object's name below the backup's own key.
    pub object: String,
    /// What is wrong.
    pub reason: String,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// See [`FORMAT`].
    pub format: u32,
    /// The backup.
    pub backup: BackupId,
    /// When it was begun.
    pub began: DateTime<Utc>,
    /// When it was over.
    pub finished: DateTime<Utc>,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Objects that were looked at.
    pub objects: u64,
    /// Their bytes in the store.
    pub stored_bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// One that begins.
    pub fn new(backup: BackupId, began: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            backup,
            began,
            finished: began,
            outcome: CheckOutcome::Good,
            objects: 0,
            stored_bytes: 0,
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self, now: DateTime<Utc>) {
        self.finished = now;
        self.outcome = if self.problems.is_empty() { CheckOutcome::Good } else { CheckOutcome::Damaged };
    }

    /// The document as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("keys are text and numbers are finite")
    }
}
