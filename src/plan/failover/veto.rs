//! Everything that forbids a promotion.
//!
//! In: a situation, the primary, a replica and what promoting it loses. Out: all vetoes; none: it may be. Whether it *should* be
//! is not asked here. What an unplanned promotion and a switchover both need is `common`; each adds its own.

use std::fmt;

use super::condition::Condition;
use super::loss::{Accepted, Loss};
use super::situation::{Member, Situation};
use crate::model::names::NodeName;
use crate::model::seen::Seen;
use crate::plan::readiness::Ineligible;

/// Log that a replica may be behind when a switchover begins: clients wait while it is applied.
pub const SWITCHOVER_MAX_LAG_BYTES: u64 = 16 * 1024 * 1024;

/// Why a promotion must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Veto {
    /// The engine does not answer, so the old primary cannot be fenced.
    CannotFence,
    /// What is the matter with the primary is not known.
    PrimaryUnknown(Condition),
    /// The primary's server lives: that takes a switchover.
    PrimaryLives(Condition),
    /// The primary's server does not answer: that takes a promotion.
    PrimaryDoesNotAnswer(Condition),
    /// Another node takes writes, or may.
    OtherWriter(NodeName),
    /// A node's epoch is not known, so it may have been the primary since.
    EpochUnknown(NodeName),
    /// A node follows a newer epoch than the primary (which, its epoch).
    NewerEpoch(NodeName, u64),
    /// With this replica more would be lost than was agreed to.
    Loss(NodeName, Loss),
    /// The replica itself speaks against it.
    Ineligible(NodeName, Vec<Ineligible>),
    /// The replica is too far behind, in bytes; `None`: how far is not known.
    TooFarBehind(Option<u64>),
    /// No node of that name.
    NoSuchNode(NodeName),
    /// It is the primary.
    IsThePrimary(NodeName),
    /// No node is known to be the primary, so nobody can tell what would be lost, or whom to fence.
    NoPrimary,
    /// The cluster has no replica.
    NoReplica,
    /// Nodes that could not follow it.
    LeavesBehind(Vec<NodeName>),
    /// What is published for and subscribed from the outside would stay on the old primary.
    OutsideStays,
}

impl Veto {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::CannotFence => "cannot_fence",
            Self::PrimaryUnknown(_) => "primary_unknown",
            Self::PrimaryLives(_) => "primary_lives",
            Self::PrimaryDoesNotAnswer(_) => "primary_does_not_answer",
            Self::OtherWriter(_) => "other_writer",
            Self::EpochUnknown(_) => "epoch_unknown",
            Self::NewerEpoch(..) => "newer_epoch",
            Self::Loss(..) => "data_loss",
            Self::Ineligible(..) => "ineligible",
            Self::TooFarBehind(_) => "too_far_behind",
            Self::NoSuchNode(_) => "no_such_node",
            Self::IsThePrimary(_) => "is_the_primary",
            Self::NoPrimary => "no_primary",
            Self::NoReplica => "no_replica",
            Self::LeavesBehind(_) => "leaves_behind",
            Self::OutsideStays => "outside_stays",
        }
    }

    /// What somebody would have to agree to for it to fall; `None`: no agreement helps.
    pub fn needs(&self) -> Option<Accepted> {
        match self {
            Self::Loss(_, loss) => loss.needs(),
            Self::Ineligible(_, reasons) => reasons.iter().all(Ineligible::is_about_rows).then_some(Accepted::Any),
            _ => None,
        }
    }
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotFence => {
                f.write_str("the Docker engine does not answer, so the old primary cannot be kept from writing")
            }
            Self::PrimaryUnknown(condition) => write!(f, "of the primary, {condition}"),
            Self::PrimaryLives(condition) => write!(f, "the primary lives ({condition}); use `hypertide switchover`"),
            Self::PrimaryDoesNotAnswer(condition) => {
                write!(f, "the primary does not answer ({condition}); use `hypertide promote`")
            }
            Self::OtherWriter(node) => write!(f, "{node} takes writes too, or may"),
            Self::EpochUnknown(node) => {
                write!(f, "the epoch of {node} is not known; it may have been the primary since")
            }
            Self::NewerEpoch(node, epoch) => {
                write!(f, "{node} follows epoch {epoch}, which is newer than the primary's")
            }
            Self::Loss(replica, loss) => write!(f, "with {replica}, {loss}"),
            Self::Ineligible(node, reasons) => {
                let said: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                write!(f, "{node} cannot be promoted: {}", said.join(", "))
            }
            Self::TooFarBehind(Some(bytes)) => {
                write!(f, "it is {bytes} bytes behind, and clients would wait for all of them")
            }
            Self::TooFarBehind(None) => f.write_str("how far it is behind is not known"),
            Self::NoSuchNode(node) => write!(f, "there is no node {node}"),
            Self::IsThePrimary(node) => write!(f, "{node} is the primary"),
            Self::NoPrimary => f.write_str("no node is known to be the primary"),
            Self::NoReplica => f.write_str("there is no replica"),
            Self::LeavesBehind(nodes) => {
                let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                write!(f, "{} would not follow; `hypertide replica remove` takes a replica away", names.join(", "))
            }
            Self::OutsideStays => {
                f.write_str("what is published for and subscribed from the outside would not come along")
            }
        }
    }
}

/// What forbids putting any replica in this primary's place, whatever the replica.
pub fn common(situation: &Situation, primary: &NodeName, replica: &NodeName) -> Vec<Veto> {
    let mut vetoes = Vec::new();
    let container_known =
        situation.members.get(primary).is_some_and(|member| !member.health.container.seen.is_unknown());
    if !situation.engine.seen.is_present() || !container_known {
        vetoes.push(Veto::CannotFence);
    }
    let newest = situation.members.get(primary).and_then(|member| member.health.epoch.present());
    for (name, member) in &situation.members {
        let is_concerned = name == primary || name == replica;
        if name != primary && member.health.may_write() {
            vetoes.push(Veto::OtherWriter(name.clone()));
        }
        match &member.health.epoch {
            // What a fenced node believes in does not matter: it cannot act upon it.
            Seen::Unknown { .. } if !member.health.is_fenced() => vetoes.push(Veto::EpochUnknown(name.clone())),
            Seen::Absent if is_concerned => vetoes.push(Veto::EpochUnknown(name.clone())),
            Seen::Present(epoch) if newest.is_some_and(|newest| epoch > newest) => {
                vetoes.push(Veto::NewerEpoch(name.clone(), *epoch));
            }
            _ => {}
        }
    }
    vetoes
}

/// What forbids an unplanned promotion.
pub fn of_promotion(
    situation: &Situation,
    (primary, condition): (&NodeName, &Condition),
    (replica, objections): (&NodeName, Vec<Ineligible>),
    loss: &Loss,
    accepted: Accepted,
) -> Vec<Veto> {
    let mut vetoes = common(situation, primary, replica);
    if condition.is_unknown() {
        vetoes.push(Veto::PrimaryUnknown(condition.clone()));
    } else if *condition == Condition::Answers {
        vetoes.push(Veto::PrimaryLives(condition.clone()));
    }
    if !loss.is_within(accepted) {
        vetoes.push(Veto::Loss(replica.clone(), loss.clone()));
    }
    let standing: Vec<Ineligible> =
        objections.into_iter().filter(|reason| !(accepted == Accepted::Any && reason.is_about_rows())).collect();
    if !standing.is_empty() {
        vetoes.push(Veto::Ineligible(replica.clone(), standing));
    }
    vetoes
}

/// What forbids a planned one. Nothing is lost in it, so nothing can be agreed to.
pub fn of_switchover(
    situation: &Situation,
    (primary, condition): (&NodeName, &Condition),
    (name, replica): (&NodeName, &Member),
    objections: Vec<Ineligible>,
    lag_bytes: Option<u64>,
) -> Vec<Veto> {
    let mut vetoes = common(situation, primary, name);
    if *condition != Condition::Answers {
        vetoes.push(Veto::PrimaryDoesNotAnswer(condition.clone()));
    }
    if replica.answers() && lag_bytes.is_none_or(|bytes| bytes > SWITCHOVER_MAX_LAG_BYTES) {
        vetoes.push(Veto::TooFarBehind(lag_bytes));
    }
    if !objections.is_empty() {
        vetoes.push(Veto::Ineligible(name.clone(), objections));
    }
    vetoes
}
