//! What an operator asks for: `promote NODE` and `switchover`.
//!
//! In: the request and the situation. Out: what will be done, or every reason against it and the flag that would accept it.
//! Whether hypertide would do so by itself does not matter here; whether it is safe does.

use std::time::Duration;

use super::Policy;
use super::candidate;
use super::condition::Condition;
use super::loss::{self, Accepted, Loss, Salvage};
use super::situation::{NoPrimary, Situation};
use super::veto::{self, Veto};
use crate::model::cluster::Mode;
use crate::model::desired::{Desired, DesiredNode};
use crate::model::lsn::Lsn;
use crate::model::names::NodeName;

/// A promotion that may be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The primary so far.
    pub from: NodeName,
    /// The one to come.
    pub to: NodeName,
    /// How it followed.
    pub mode: Mode,
    /// What is lost; `None` in a switchover, which drains.
    pub loss: Option<Loss>,
    /// Log that it is fed first.
    pub salvage: Option<Salvage>,
}

/// Every reason against it. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reasons.
    pub vetoes: Vec<Veto>,
}

impl Refusal {
    /// The agreement under which it would be done; `None`: none helps.
    pub fn accepted_by(&self) -> Option<Accepted> {
        let needs: Option<Vec<Accepted>> = self.vetoes.iter().map(Veto::needs).collect();
        needs?.into_iter().max()
    }

    fn of(veto: Veto) -> Self {
        Self { vetoes: vec![veto] }
    }
}

/// `promote NODE [--accept-data-loss BYTES]`. Without the flag, what the configuration agrees to counts.
///
/// # Errors
/// Every reason against it.
pub fn promotion(
    policy: &Policy,
    situation: &Situation,
    to: &NodeName,
    accepted: Option<Accepted>,
) -> Result<Choice, Refusal> {
    let Named { from, condition, since } = named(situation, Some(to))?;
    let replica = &situation.members[to];
    let objections = candidate::objections(situation, from, replica);
    let accepted = accepted.unwrap_or(policy.accepted());
    let refused =
        |loss: &Loss| veto::of_promotion(situation, (from, &condition), (to, objections.clone()), loss, accepted);
    let Some(mode) = replica.mode() else {
        return Err(Refusal { vetoes: refused(&Loss::Unknown(loss::LossUnknown::Replica)) });
    };
    let old = (from, &situation.members[from]);
    let (loss, salvage) = loss::of(situation, policy.synchronous, old, (replica, mode), since);
    let vetoes = refused(&loss);
    if vetoes.is_empty() {
        Ok(Choice { from: from.clone(), to: to.clone(), mode, loss: Some(loss), salvage })
    } else {
        Err(Refusal { vetoes })
    }
}

/// `switchover [--to NODE]`: to that node, else to the best.
///
/// # Errors
/// Every reason against it; of all replicas, when none was named.
pub fn switchover(situation: &Situation, to: Option<&NodeName>) -> Result<Choice, Refusal> {
    let Named { from, condition, .. } = named(situation, to)?;
    let found = candidate::candidates(situation, from);
    let best = found.eligible.first().map(|candidate| candidate.name);
    let Some(to) = to.or(best) else {
        let mut vetoes = veto::common(situation, from, from);
        let ineligible = found.ineligible.into_iter();
        vetoes.extend(ineligible.map(|(name, reasons)| Veto::Ineligible(name.clone(), reasons)));
        if vetoes.is_empty() {
            vetoes.push(Veto::NoReplica);
        }
        return Err(Refusal { vetoes });
    };
    let replica = &situation.members[to];
    let written = situation.members[from].health.written.seen.present().copied();
    let position = replica.health.position(replica.mode() == Some(Mode::Physical)).present().copied();
    let lag = written.zip(position).map(|(written, position): (Lsn, Lsn)| written.bytes_since(position));
    let objections = candidate::objections(situation, from, replica);
    let vetoes = veto::of_switchover(situation, (from, &condition), (to, replica), objections, lag);
    match replica.mode() {
        Some(mode) if vetoes.is_empty() => {
            Ok(Choice { from: from.clone(), to: to.clone(), mode, loss: None, salvage: None })
        }
        _ => Err(Refusal { vetoes }),
    }
}

/// The same choice, where nothing that belongs to the cluster would be left behind by it. All follow a standby that takes the place: it has
/// the old primary's log, and the slots of its subscribers. A logical replica has neither, so only the old primary can follow it.
///
/// # Errors
/// What would be.
pub fn leaving_nothing_behind(choice: Choice, desired: &Desired, nodes: &[DesiredNode]) -> Result<Choice, Refusal> {
    let others = nodes.iter().filter(|node| node.name != choice.from && node.name != choice.to);
    let is_physical = choice.mode == Mode::Physical;
    let left: Vec<NodeName> = others.filter(|_| !is_physical).map(|node| node.name.clone()).collect();
    let stays = (choice.mode == Mode::Logical && !desired.outside.is_empty()).then_some(Veto::OutsideStays);
    let vetoes: Vec<Veto> = (!left.is_empty()).then_some(Veto::LeavesBehind(left)).into_iter().chain(stays).collect();
    if vetoes.is_empty() { Ok(choice) } else { Err(Refusal { vetoes }) }
}

/// The primary, and what is the matter with it.
struct Named<'a> {
    from: &'a NodeName,
    condition: Condition,
    since: Duration,
}

fn named<'a>(situation: &'a Situation, to: Option<&NodeName>) -> Result<Named<'a>, Refusal> {
    let from = situation.primary().map_err(|no_primary| {
        Refusal::of(match no_primary {
            NoPrimary::Nobody => Veto::NoPrimary,
            NoPrimary::TwoClaims(_, other) => Veto::OtherWriter(other),
        })
    })?;
    if let Some(to) = to {
        if to == from {
            return Err(Refusal::of(Veto::IsThePrimary(to.clone())));
        }
        if !situation.members.contains_key(to) {
            return Err(Refusal::of(Veto::NoSuchNode(to.clone())));
        }
    }
    let diagnosis = situation.diagnosis(&situation.members[from]);
    Ok(Named { from, condition: diagnosis.condition, since: diagnosis.since })
}
