//! What a verification came to, as a value that the command line, its JSON and the agent's log all print from.

use serde::Serialize;

use super::Outcome;
use crate::model::lsn::Lsn;
use crate::model::names::{NodeName, TableName};
use crate::plan::verify::{self as plan, Verdict};
use crate::postgres::compare::repair::Repair;
use crate::site::ReachError;

/// A verification could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A side cannot be reached, or refused a statement.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// Nobody streams from the replica's slot.
    #[error("{replica} does not follow {primary} now, so what it holds says nothing")]
    NotFollowing {
        /// The replica.
        replica: NodeName,
        /// The primary.
        primary: NodeName,
    },
    /// It does not apply what the primary commits.
    #[error("{replica} has not applied within {patience_secs} s what its primary had committed before")]
    Behind {
        /// The replica.
        replica: NodeName,
        /// How long was waited.
        patience_secs: u64,
    },
    /// Somebody else compares this replica, or copies it afresh.
    #[error("another hypertide is comparing or copying {replica}")]
    UnderWay {
        /// The replica.
        replica: NodeName,
    },
    /// A node was provisioned by an older hypertide.
    #[error("hypertide's schema on {node} is too old for comparing")]
    OldCatalog {
        /// The node.
        node: NodeName,
    },
}

impl VerifyError {
    /// What the user can do, where the error is not another module's.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Reach(_) => None,
            Self::NotFollowing { .. } | Self::Behind { .. } => {
                Some("`hypertide status` says why it does not follow, or how far it is behind; then try again".into())
            }
            Self::UnderWay { .. } => Some("wait for it to finish, then try again".into()),
            Self::OldCatalog { .. } => Some("run `hypertide up`, which brings it up to date".into()),
        }
    }

    /// Trying again later may be all that is needed.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::NotFollowing { .. } | Self::Behind { .. } | Self::UnderWay { .. })
    }
}

/// Rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// On the primary.
    pub primary: u64,
    /// On the replica.
    pub replica: u64,
}

/// One table about which there is something to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its name.
    pub table: TableName,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it could not be compared, or why a repair failed.
    pub because: Option<String>,
    /// Rows on both sides, where they were counted.
    pub rows: Option<Rows>,
    /// The position at which both sides were compared.
    pub lsn: Option<Lsn>,
    /// What a repair changed.
    pub repair: Option<Repair>,
}

/// What came of one replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub replica: NodeName,
    /// In one word.
    pub outcome: plan::Outcome,
    /// It had applied everything the primary had committed before this position when it was compared.
    pub lsn: Lsn,
    /// Tables that were compared.
    pub compared: usize,
    /// Tables that were not, since nothing had changed them since they were equal.
    pub unchanged: usize,
    /// Tables that could not be compared.
    pub left_out: usize,
    /// Rows read on the primary.
    pub rows: u64,
    /// How long it took.
    pub seconds: f64,
    /// Tables that are not equal, and those that were repaired.
    pub tables: Vec<Finding>,
}

impl Report {
    pub(super) fn new(replica: NodeName, lsn: Lsn) -> Self {
        Self {
            replica,
            outcome: plan::Outcome::Equal,
            lsn,
            compared: 0,
            unchanged: 0,
            left_out: 0,
            rows: 0,
            seconds: 0.0,
            tables: Vec::new(),
        }
    }

    /// Takes a table in.
    pub(super) fn add(&mut self, table: &TableName, outcome: &Outcome) {
        let verdict = outcome.verdict;
        self.compared += usize::from(verdict.is_compared());
        self.unchanged += usize::from(verdict == Verdict::Unchanged);
        self.left_out += usize::from(verdict.is_left_out());
        let is_plain = matches!(verdict, Verdict::Equal | Verdict::Unchanged) && outcome.repair.is_none();
        if !is_plain {
            self.tables.push(Finding {
                table: table.clone(),
                verdict,
                because: outcome.trouble.clone().or_else(|| verdict.because().map(str::to_owned)),
                rows: outcome.rows,
                lsn: outcome.rows.map(|_| outcome.lsn),
                repair: outcome.repair.clone(),
            });
            self.outcome = plan::outcome(self.tables.iter().map(|finding| finding.verdict));
        }
    }

    /// Tables of this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.tables.iter().filter(|finding| finding.verdict == verdict).count()
    }
}
