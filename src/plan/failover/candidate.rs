//! Who could become the primary, in which order, and why the others could not.
//!
//! In: a situation and its primary. Out: replicas, the best first, and named reasons for the rest. What promoting one of them
//! costs, and whether it may be, is decided elsewhere.

use std::cmp::Reverse;

use super::situation::{Member, Situation};
use crate::model::cluster::Mode;
use crate::model::names::NodeName;
use crate::model::seen::Seen;
use crate::plan::readiness::Ineligible;

/// A replica that could become the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a NodeName,
    /// What is known of it.
    pub member: &'a Member,
    /// How it follows the primary.
    pub mode: Mode,
}

/// Every other node, sorted into those that could and those that could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// The best first.
    pub eligible: Vec<Candidate<'a>>,
    /// In the order of their names, each with all its reasons.
    pub ineligible: Vec<(&'a NodeName, Vec<Ineligible>)>,
}

/// Sorts all other nodes.
pub fn candidates<'a>(situation: &'a Situation, primary: &'a NodeName) -> Candidates<'a> {
    let mut found = Candidates::default();
    for (name, member) in situation.others(primary) {
        let mut objections = objections(situation, primary, member);
        if member.priority == 0 {
            objections.push(Ineligible::NeverPromoted);
        }
        if let Some(because) = situation.unproven.get(name) {
            objections.retain(|reason| !reason.is_found_out());
            objections.push(Ineligible::Unproven(because.clone()));
        }
        match member.mode() {
            Some(mode) if objections.is_empty() => found.eligible.push(Candidate { name, member, mode }),
            _ => found.ineligible.push((name, objections)),
        }
    }
    // Exact copies first, then the higher epoch, the longer log, the higher priority. Names only make it the same each time.
    found.eligible.sort_by_key(|candidate| {
        let health = &candidate.member.health;
        (
            Reverse(candidate.mode),
            Reverse(health.epoch.present().copied()),
            Reverse(health.position(candidate.mode == Mode::Physical).present().copied()),
            Reverse(candidate.member.priority),
            candidate.name,
        )
    });
    found
}

/// Every reason for which a replica cannot take the place of this primary.
pub fn objections(situation: &Situation, primary: &NodeName, replica: &Member) -> Vec<Ineligible> {
    let health = &replica.health;
    let old = situation.members.get(primary).map(|member| &member.health);
    if !replica.answers() {
        return vec![Ineligible::Unreachable];
    }
    let Some(mode) = replica.mode() else { return vec![Ineligible::NotAReplica] };
    let mut objections = Vec::new();
    if !health.fence_mark.is_absent() {
        objections.push(Ineligible::Fenced);
    }
    match (old.and_then(|old| old.epoch.present()), &health.epoch) {
        (Some(theirs), Seen::Present(ours)) if theirs == ours => {}
        (Some(theirs), Seen::Present(ours)) => objections.push(Ineligible::OtherEpoch(*theirs, *ours)),
        _ => objections.push(Ineligible::EpochUnknown),
    }
    if !health.position(mode == Mode::Physical).is_present() {
        objections.push(Ineligible::PositionUnknown);
    }
    match mode {
        Mode::Physical => {
            let timeline = old.and_then(|old| old.timeline.present());
            if timeline.is_none() || timeline != health.timeline.present() {
                objections.push(Ineligible::OtherTimeline);
            }
        }
        // A copy of every block lacks nothing but its lag.
        Mode::Logical => match &replica.objections {
            Seen::Present(found) => objections.extend(found.iter().cloned()),
            Seen::Absent | Seen::Unknown { .. } => objections.push(Ineligible::CompletenessUnknown),
        },
    }
    objections
}
