//! Who takes the writes when the primary cannot: stay, wait, restart in place, promote a replica, or ask the operator.
//!
//! In: a [`Policy`] and a [`Situation`]. Out: a [`Decision`] with a named reason. Nothing here does I/O, reads a clock, or
//! decides upon what is not known. How a promotion is carried out is `sequence`.
//!
//! # Guarantees
//! - A promotion is decided only where no [`veto`] stands and the replica is eligible. Of a logical replica that is so when the promotion
//!   itself can find out what nobody can know before.
//! - With the same facts, waiting ends as time goes on.
//! - A primary that answers is never replaced; that takes an operator's `switchover`.

pub mod candidate;
pub mod condition;
pub mod loss;
pub mod reason;
pub mod request;
pub mod seen;
pub mod sequence;
pub mod situation;
pub mod straggler;
pub mod veto;
pub mod watch;

mod outage;

use std::time::Duration;

use crate::model::desired::{Desired, Failover, Prefer, Synchronous};
use crate::model::names::NodeName;
use condition::{Condition, Diagnosis};
use loss::{Accepted, Loss, Salvage};
use outage::Outage;
use reason::{Calm, PromoteWhy, Question, Waiting, Way};
use situation::{NoPrimary, Situation};

/// How long a condition has to last before anything is done about it.
const fn patience(condition: &Condition) -> Duration {
    match condition {
        // An ended process does not come back by itself, and a server that speaks is believed.
        Condition::Ended(_) | Condition::Answers | Condition::DiskFull | Condition::LockedOut => Duration::ZERO,
        // A connection that is refused may be a server between two of its own restarts.
        Condition::NobodyListens => Duration::from_secs(2),
        // Longer than a checkpoint, a full run queue or a short loss of packets takes an answer.
        Condition::Hung | Condition::CutOff => Duration::from_secs(5),
        // Somebody may be replacing container, network or volume, or taking a snapshot of a paused one.
        Condition::Frozen
        | Condition::Detached
        | Condition::NeverStarted
        | Condition::Removed
        | Condition::VolumeGone
        | Condition::VolumeUnreadable => Duration::from_secs(10),
        // A clean shutdown writes a checkpoint and waits for its standbys.
        Condition::ShuttingDown | Condition::Changing => Duration::from_mins(1),
        // Recovery replays all log since the last checkpoint.
        Condition::Starting => Duration::from_mins(10),
        // Nothing is decided meanwhile; afterwards somebody is told.
        Condition::EngineSilent | Condition::Unknown(_) => Duration::from_secs(30),
    }
}

/// A server that recovers may be overtaken by a replica that has everything, after so long.
const RECOVERY_MAY_LAST: Duration = Duration::from_secs(10);

/// What an operator has configured, and whether failover is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// hypertide acts by itself.
    pub automatic: bool,
    /// What it rather does.
    pub prefer: Prefer,
    /// Loss that it may decide on by itself, in bytes of log.
    pub max_loss_bytes: u64,
    /// Which commits wait for replicas.
    pub synchronous: Synchronous,
    /// Failover is paused for maintenance.
    pub is_paused: bool,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Stay {
        /// Why.
        why: Calm,
    },
    /// Look again; facts that do not change give another answer at that moment.
    Wait {
        /// For what.
        why: Waiting,
        /// Until then at most.
        until: Duration,
    },
    /// End what is left of the primary's container and start it again on its volume.
    RestartInPlace {
        /// The primary.
        node: NodeName,
        /// What is the matter with it.
        why: Condition,
    },
    /// Fence the primary, then make this replica the primary.
    Promote {
        /// The replica.
        node: NodeName,
        /// Why the primary is not restarted.
        why: PromoteWhy,
        /// What that loses.
        loss: Loss,
        /// Log that it is fed first.
        salvage: Option<Salvage>,
    },
    /// Fence the primary, then find out from its volume what this logical replica lacks, and make it the primary if it then lacks nothing
    /// that was not agreed to.
    PromoteIfComplete {
        /// The replica.
        node: NodeName,
        /// Why the primary is not restarted.
        why: PromoteWhy,
    },
    /// Somebody has to decide.
    AskOperator {
        /// What about.
        why: Question,
        /// What could be done.
        ways: Vec<Way>,
    },
}

impl Policy {
    /// What the configuration says.
    pub const fn new(desired: &Desired, is_paused: bool) -> Self {
        let Failover { automatic, prefer, max_loss_bytes } = desired.failover;
        Self { automatic, prefer, max_loss_bytes, synchronous: desired.synchronous, is_paused }
    }

    /// The loss it agrees to.
    pub const fn accepted(&self) -> Accepted {
        Accepted::Bytes(self.max_loss_bytes)
    }
}

impl Decision {
    /// It changes something.
    pub const fn acts(&self) -> bool {
        matches!(self, Self::RestartInPlace { .. } | Self::Promote { .. } | Self::PromoteIfComplete { .. })
    }
}

/// Decides what to do about the primary.
pub fn decide(policy: &Policy, situation: &Situation) -> Decision {
    if policy.is_paused {
        return Decision::Stay { why: Calm::Paused };
    }
    let primary = match situation.primary() {
        Ok(primary) => primary,
        Err(NoPrimary::Nobody) => {
            return Decision::AskOperator { why: Question::NoPrimary, ways: vec![Way::LookAtNodes] };
        }
        Err(NoPrimary::TwoClaims(one, other)) => {
            let ways = vec![Way::Stop(one.clone()), Way::Stop(other.clone())];
            return Decision::AskOperator { why: Question::TwoPrimaries(one, other), ways };
        }
    };
    let diagnosis = situation.diagnosis(&situation.members[primary]);
    let decision = about(policy, situation, primary, &diagnosis);
    if decision.acts() && !policy.automatic {
        let way = match &decision {
            Decision::Promote { node, loss, .. } => Way::Promote(node.clone(), loss.needs()),
            Decision::PromoteIfComplete { node, .. } => Way::Promote(node.clone(), None),
            _ => Way::Restart(primary.clone()),
        };
        return Decision::AskOperator { why: Question::NotAutomatic(diagnosis.condition), ways: vec![way] };
    }
    decision
}

fn about(policy: &Policy, situation: &Situation, primary: &NodeName, diagnosis: &Diagnosis) -> Decision {
    let outage = Outage { policy, situation, primary, diagnosis };
    let condition = &diagnosis.condition;
    let patience = patience(condition);
    let until = diagnosis.since + patience;
    match condition {
        Condition::Answers => return Decision::Stay { why: Calm::PrimaryAnswers },
        Condition::DiskFull | Condition::LockedOut => {
            return outage.ask(Question::Alive(condition.clone()));
        }
        Condition::Starting => return starting(&outage, until),
        _ => {}
    }
    if situation.now < until {
        let why = if condition.is_unknown() { Waiting::Known } else { Waiting::Lasting };
        return Decision::Wait { why: why(condition.clone()), until };
    }
    match condition {
        Condition::EngineSilent | Condition::Unknown(_) => outage.ask(Question::Unknown(condition.clone())),
        // The engine itself is stuck: it would not do what it is told either.
        Condition::Changing => outage.ask(Question::EngineStuck),
        _ => outage.corroborated().unwrap_or_else(|| outage.end()),
    }
}

/// A server that recovers loses nothing, so only what loses nothing either may overtake it.
fn starting(outage: &Outage<'_>, until: Duration) -> Decision {
    let now = outage.situation.now;
    let overtaken = outage.diagnosis.since + RECOVERY_MAY_LAST;
    let lossless = outage.promotable().filter(|chosen| chosen.loss.is_nothing());
    match lossless.filter(|_| outage.policy.prefer != Prefer::Restart) {
        Some(_) if now < overtaken => Decision::Wait { why: Waiting::Lasting(Condition::Starting), until: overtaken },
        Some(chosen) => chosen.promote(PromoteWhy::RecoversTooLong),
        None if now < until => Decision::Wait { why: Waiting::Lasting(Condition::Starting), until },
        None => outage.ask(Question::StartsTooLong),
    }
}

#[cfg(test)]
pub(crate) mod tests;
