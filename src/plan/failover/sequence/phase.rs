//! The phases in which the primary is changed, and their order, as tables.
//!
//! The order is what makes it safe: nobody else can write before the replica may ([`Phase::Promote`]), and clients come only when the new
//! epoch is written down.

use std::fmt;

use serde::Serialize;
use serde::ser::Serializer;

/// One thing that is done. Can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Write a checkpoint on the old primary, so that its shutdown and the promotion have little left to write.
    Checkpoint,
    /// Publish on the logical replica what the primary publishes.
    Publish,
    /// Have the endpoint hold its clients.
    PauseEndpoint,
    /// Have the old primary refuse every write, also after a restart, and end the sessions that could.
    FenceWrites,
    /// Kill the old primary, and mark its data so that no start of it takes writes.
    Fence,
    /// Wait until the replica has the old primary's log to its exact end.
    Drain,
    /// Feed the standby what it lacks from the old primary's volume.
    SalvageTail,
    /// See that the logical replica has every published table in full.
    AwaitMirror,
    /// Put sequences and identity columns behind the data.
    AdvanceSequences,
    /// Make a slot for the old primary on the new one, from before its first write.
    KeepChanges,
    /// Let the replica take writes: `pg_promote`, or the end of its subscription. From here on there is no way back.
    Promote,
    /// Write the new epoch down where every node can see it. A logical replica does so in the transaction that promotes it.
    RaiseEpoch,
    /// Point the endpoint to the new primary.
    RepointEndpoint,
    /// Let the endpoint's clients go on.
    ResumeEndpoint,
}

/// A standby takes over from a primary that answers.
pub const PHYSICAL_SWITCHOVER: &[Phase] = &[
    Phase::Checkpoint,
    Phase::PauseEndpoint,
    Phase::FenceWrites,
    Phase::Drain,
    Phase::Promote,
    Phase::RaiseEpoch,
    Phase::RepointEndpoint,
    Phase::ResumeEndpoint,
];

/// A standby takes over from a primary that does not.
pub const PHYSICAL_FAILOVER: &[Phase] =
    &[Phase::Fence, Phase::SalvageTail, Phase::Promote, Phase::RaiseEpoch, Phase::RepointEndpoint];

/// A subscriber takes over from a primary that answers.
pub const LOGICAL_SWITCHOVER: &[Phase] = &[
    Phase::Checkpoint,
    Phase::Publish,
    Phase::PauseEndpoint,
    Phase::FenceWrites,
    Phase::Drain,
    Phase::AwaitMirror,
    Phase::AdvanceSequences,
    Phase::KeepChanges,
    Phase::Promote,
    Phase::RepointEndpoint,
    Phase::ResumeEndpoint,
];

/// A subscriber takes over from a primary that does not. Killed and marked, the old one is started once more: it takes no writes then,
/// and tells what it has.
pub const LOGICAL_FAILOVER: &[Phase] = &[
    Phase::Fence,
    Phase::Drain,
    Phase::Publish,
    Phase::AwaitMirror,
    Phase::AdvanceSequences,
    Phase::KeepChanges,
    Phase::Promote,
    Phase::RepointEndpoint,
];

impl Phase {
    /// It is the endpoint's, so without one there is nothing to do.
    pub const fn is_of_endpoint(self) -> bool {
        matches!(self, Self::PauseEndpoint | Self::RepointEndpoint | Self::ResumeEndpoint)
    }

    /// The stable word, in reports and in the history.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Publish => "publish",
            Self::PauseEndpoint => "pause_endpoint",
            Self::FenceWrites => "fence_writes",
            Self::Fence => "fence",
            Self::Drain => "drain",
            Self::SalvageTail => "salvage_tail",
            Self::AwaitMirror => "await_mirror",
            Self::AdvanceSequences => "advance_sequences",
            Self::KeepChanges => "keep_changes",
            Self::Promote => "promote",
            Self::RaiseEpoch => "raise_epoch",
            Self::RepointEndpoint => "repoint_endpoint",
            Self::ResumeEndpoint => "resume_endpoint",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

impl Serialize for Phase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}
