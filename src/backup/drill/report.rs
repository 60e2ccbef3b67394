//! What a drill came to: kept beside the backup for ever, shown, counted.
//!
//! Pure values. Written once, never changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::probe::Probe;
use crate::backup::contents::Difference;
pub use crate::backup::restore::phases::Phase;
use crate::model::backup::{BackupId, Kind};

/// The format this version writes.
pub const FORMAT: u32 = 1;

/// Differences that are named; all are counted.
pub const NAMED: usize = 50;

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was restored, and everything is as it was.
    Equal,
    /// It was restored, and something is not.
    Differs,
    /// It could not be restored.
    Failed,
}

impl Outcome {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Differs => "differs",
            Self::Failed => "failed",
        }
    }
}

/// A recovery beyond the backup's own moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// The position that was chosen by chance.
    pub lsn: String,
    /// The position that was reached.
    pub reached: String,
    /// Rows there.
    pub rows: u64,
}

/// One drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// See [`FORMAT`].
    pub format: u32,
    /// The backup.
    pub backup: BackupId,
    /// Its kind.
    pub kind: Kind,
    /// When it was begun.
    pub began: DateTime<Utc>,
    /// When it was over.
    pub finished: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
    /// Tables and chunks that were compared.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// Objects that were compared.
    pub objects: u64,
    /// The first [`NAMED`] differences.
    pub differences: Vec<Difference>,
    /// All of them.
    pub difference_count: u64,
    /// A row into every hypertable.
    pub inserts: Vec<Probe>,
    /// A base backup followed further along the log.
    pub later: Option<Later>,
    /// The image it ran on.
    pub image: String,
    /// What took how long.
    pub phases: Vec<Phase>,
    /// What could not be proven and is nobody's fault.
    pub notes: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl DrillReport {
    /// Reads one; `None`: not what this version knows.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The document as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("keys are text and numbers are finite")
    }

    /// How long it took.
    pub fn seconds(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let millis = (self.finished - self.began).num_milliseconds() as f64;
        millis / 1000.0
    }
}
