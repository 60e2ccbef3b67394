//! What is lost when a replica becomes the primary in the old one's place.
//!
//! In: what is known of both. Out: a [`Loss`], and the part of the log that has to be fed to the replica first. What is
//! not known is never taken for nothing.

use std::fmt;
use std::time::Duration;

use super::situation::{Member, Situation};
use crate::model::cluster::Mode;
use crate::model::desired::Synchronous;
use crate::model::health::{ContainerState, NodeHealth, SynchronousState, VolumeState};
use crate::model::lsn::Lsn;
use crate::model::names::NodeName;
use crate::model::seen::Seen;

/// Acknowledged writes that would be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// None, for this reason.
    Nothing(Lossless),
    /// The end of the old primary's log is known.
    Exactly {
        /// Log that the replica lacks.
        bytes: u64,
        /// Commits in it, where they were counted.
        transactions: Option<u64>,
    },
    /// Log that the replica lacks of what was last seen of the primary. What it wrote afterwards comes on top.
    AtLeast {
        /// That log.
        bytes: u64,
        /// For so long nobody saw what it wrote.
        unseen: Duration,
    },
    /// Nobody can tell.
    Unknown(LossUnknown),
}

/// Why nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lossless {
    /// Each acknowledged commit waited for it.
    Synchronous,
    /// It has the log up to its end.
    AtTheEnd,
    /// No commit is in the log it lacks.
    NoCommitLacks,
    /// What it lacks is read from the old primary's volume and fed to it first.
    Salvaged,
}

/// Why nobody can tell what would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossUnknown {
    /// How far the primary wrote was never read.
    Primary,
    /// How far the replica is was never read.
    Replica,
}

/// Loss that somebody agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accepted {
    /// So many bytes of log. With 0, an estimate is not enough: nothing may be lost for certain.
    Bytes(u64),
    /// Whatever it is.
    Any,
}

/// The part of the old primary's log that the replica is fed before it is promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    /// On whose volume it is.
    pub from: NodeName,
    /// The replica has everything up to here.
    pub start: Lsn,
    /// The log ends here.
    pub end: Lsn,
}

impl Loss {
    /// Somebody agreed to as much.
    pub const fn is_within(&self, accepted: Accepted) -> bool {
        match (self, accepted) {
            (Self::Nothing(_), _) | (_, Accepted::Any) => true,
            (Self::Exactly { bytes, .. }, Accepted::Bytes(most)) => *bytes <= most,
            (Self::AtLeast { bytes, .. }, Accepted::Bytes(most)) => most > 0 && *bytes <= most,
            (Self::Unknown(_), Accepted::Bytes(_)) => false,
        }
    }

    /// What somebody would have to agree to; `None`: nothing is lost.
    pub fn needs(&self) -> Option<Accepted> {
        match self {
            Self::Nothing(_) => None,
            Self::Exactly { bytes, .. } => Some(Accepted::Bytes(*bytes)),
            Self::AtLeast { bytes, .. } => Some(Accepted::Bytes((*bytes).max(1))),
            Self::Unknown(_) => Some(Accepted::Any),
        }
    }

    /// Nothing is lost.
    pub const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }

    /// The smaller, the better; certain before estimated, and both before unknown.
    pub const fn rank(&self) -> (u8, u64) {
        match self {
            Self::Nothing(_) => (0, 0),
            Self::Exactly { bytes, .. } => (1, *bytes),
            Self::AtLeast { bytes, .. } => (1, bytes.saturating_add(1)),
            Self::Unknown(_) => (2, 0),
        }
    }

    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Nothing(Lossless::Synchronous) => "synchronous",
            Self::Nothing(Lossless::AtTheEnd) => "at_the_end",
            Self::Nothing(Lossless::NoCommitLacks) => "no_commit_lacks",
            Self::Nothing(Lossless::Salvaged) => "salvaged",
            Self::Exactly { .. } => "exactly",
            Self::AtLeast { .. } => "at_least",
            Self::Unknown(LossUnknown::Primary) => "primary_position_unknown",
            Self::Unknown(LossUnknown::Replica) => "replica_position_unknown",
        }
    }

    /// Bytes of log, where they are known.
    pub const fn bytes(&self) -> Option<u64> {
        match self {
            Self::Nothing(_) => Some(0),
            Self::Exactly { bytes, .. } | Self::AtLeast { bytes, .. } => Some(*bytes),
            Self::Unknown(_) => None,
        }
    }
}

/// What promoting `replica` in place of `primary` loses. `failed_since`: since then nobody knows what the primary wrote.
pub fn of(
    situation: &Situation,
    synchronous: Synchronous,
    primary: (&NodeName, &Member),
    replica: (&Member, Mode),
    failed_since: Duration,
) -> (Loss, Option<Salvage>) {
    let (name, old) = (primary.0, &primary.1.health);
    let (replica, mode) = replica;
    let Seen::Present(position) = replica.health.position(mode == Mode::Physical) else {
        return (Loss::Unknown(LossUnknown::Replica), None);
    };
    if is_synchronous(situation, synchronous, name, replica, position) {
        return (Loss::Nothing(Lossless::Synchronous), None);
    }
    if let Some(tail) = old.tail.present().filter(|_| is_at_rest(old)) {
        let bytes = tail.bytes_after(position);
        let transactions = tail.transactions_after(position);
        // A subscriber cannot be fed log.
        let can_feed =
            mode == Mode::Physical && tail.reaches(position) && replica.health.timeline == Seen::Present(tail.timeline);
        return match (bytes, transactions) {
            (0, _) => (Loss::Nothing(Lossless::AtTheEnd), None),
            _ if can_feed => {
                let salvage = Salvage { from: name.clone(), start: position, end: tail.end };
                (Loss::Nothing(Lossless::Salvaged), Some(salvage))
            }
            (_, Some(0)) => (Loss::Nothing(Lossless::NoCommitLacks), None),
            _ => (Loss::Exactly { bytes, transactions }, None),
        };
    }
    let loss = old.written.seen.present().map_or(Loss::Unknown(LossUnknown::Primary), |written| Loss::AtLeast {
        bytes: written.bytes_since(position),
        unseen: failed_since.saturating_sub(old.written.since),
    });
    (loss, None)
}

/// Nothing writes on its volume, and it can be read.
pub fn is_at_rest(node: &NodeHealth) -> bool {
    let is_ended = match &node.container.seen {
        Seen::Absent => true,
        Seen::Present(state) => !ContainerState::has_processes(state),
        Seen::Unknown { .. } => false,
    };
    is_ended && node.volume.seen == Seen::Present(VolumeState::Intact)
}

/// Whether each acknowledged commit is on this replica. Whoever else commits wait for, or may have waited for since the last look, must
/// be there to compare with, and not further.
fn is_synchronous(
    situation: &Situation,
    synchronous: Synchronous,
    primary: &NodeName,
    replica: &Member,
    position: Lsn,
) -> bool {
    let is_waited_for =
        matches!(replica.health.synchronous, Seen::Present(SynchronousState::Sync | SynchronousState::Quorum));
    if synchronous == Synchronous::Off || !is_waited_for {
        return false;
    }
    situation.others(primary).all(|(_, other)| match &other.health.synchronous {
        Seen::Unknown { .. } => false,
        Seen::Absent | Seen::Present(SynchronousState::Async) => true,
        Seen::Present(SynchronousState::Sync | SynchronousState::Potential | SynchronousState::Quorum) => {
            let theirs = other.health.position(other.mode() == Some(Mode::Physical));
            other.answers() && theirs.present().is_some_and(|theirs| *theirs <= position)
        }
    })
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing(because) => {
                let because = match because {
                    Lossless::Synchronous => "each commit waited for it",
                    Lossless::AtTheEnd => "it has the whole log",
                    Lossless::NoCommitLacks => "no commit is in the log it lacks",
                    Lossless::Salvaged => "what it lacks is read from the old primary's volume",
                };
                write!(f, "nothing is lost: {because}")
            }
            Self::Exactly { bytes, transactions: Some(count) } => {
                write!(f, "{bytes} bytes of log with {count} transactions are lost")
            }
            Self::Exactly { bytes, transactions: None } => write!(f, "{bytes} bytes of log are lost"),
            Self::AtLeast { bytes, unseen } => write!(
                f,
                "{bytes} bytes of log are lost, and what was written in the {} ms before the primary failed",
                unseen.as_millis()
            ),
            Self::Unknown(LossUnknown::Primary) => {
                f.write_str("how much is lost is not known: the primary was never asked")
            }
            Self::Unknown(LossUnknown::Replica) => {
                f.write_str("how much is lost is not known: how far the replica is cannot be told")
            }
        }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "--accept-data-loss {bytes}"),
            Self::Any => f.write_str("--accept-data-loss all"),
        }
    }
}
