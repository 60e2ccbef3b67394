//! What is done about a primary that is known to serve nobody: restarted, replaced, or somebody is asked.
//!
//! Restarting on an intact volume loses nothing, so it comes first, unless the policy says otherwise or a replica loses nothing
//! either and is there sooner.

use std::time::Duration;

use super::candidate::{self, Candidate};
use super::condition::{Condition, Diagnosis};
use super::loss::{self, Accepted, Loss, Salvage};
use super::reason::{PromoteWhy, Question, Waiting, Way};
use super::situation::Situation;
use super::veto::{self, Veto};
use super::{Decision, Policy};
use crate::model::cluster::Mode;
use crate::model::desired::Prefer;
use crate::model::health::VolumeState;
use crate::model::names::NodeName;
use crate::model::seen::Seen;
use crate::plan::readiness::Ineligible;

/// So many failed restarts within [`CRASH_LOOP_WINDOW`] show that another one will not help.
pub const CRASH_LOOP_ATTEMPTS: usize = 3;

/// Older attempts say nothing about the next one.
pub const CRASH_LOOP_WINDOW: Duration = Duration::from_mins(2);

/// Reading the end of a log takes a helper container and some files; when it takes longer, it goes on without.
const READING_TAIL: Duration = Duration::from_secs(5);

/// A sign of life that is no older than this is one: the agent writes a heartbeat each second.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// When replicas hear the primary and we do not for so long, somebody has to find out why.
const HEARD_TOO_LONG: Duration = Duration::from_mins(1);

/// What a start costs beside recovery, measured: `docker start` to the first accepted write.
const START_MILLIS: u64 = 600;

/// Log that recovery replays in a millisecond, on modest disks.
const REDO_BYTES_PER_MILLI: u64 = 50 * 1024;

/// Fence, promote, re-point; for a subscriber also sequences, guards and its mirror.
const PROMOTE_MILLIS: [(Mode, u64); 2] = [(Mode::Physical, 700), (Mode::Logical, 1_500)];

/// A primary that serves nobody, and everything that is known.
#[derive(Clone, Copy)]
pub struct Outage<'a> {
    pub policy: &'a Policy,
    pub situation: &'a Situation,
    pub primary: &'a NodeName,
    pub diagnosis: &'a Diagnosis,
}

/// A replica with what promoting it means.
pub struct Chosen<'a> {
    pub candidate: Candidate<'a>,
    pub loss: Loss,
    salvage: Option<Salvage>,
    vetoes: Vec<Veto>,
}

impl Chosen<'_> {
    pub fn promote(self, why: PromoteWhy) -> Decision {
        Decision::Promote { node: self.candidate.name.clone(), why, loss: self.loss, salvage: self.salvage }
    }
}

impl<'a> Outage<'a> {
    /// A server that only we cannot reach may serve everybody else.
    pub fn corroborated(&self) -> Option<Decision> {
        let (situation, condition) = (self.situation, &self.diagnosis.condition);
        if !condition.is_hearsay() {
            return None;
        }
        if let Some(until) = situation.last_heard(self.primary).map(|heard| heard + SIGN_OF_LIFE)
            && situation.now < until
        {
            if situation.now < self.diagnosis.since + HEARD_TOO_LONG {
                return Some(Decision::Wait { why: Waiting::Heard(condition.clone()), until });
            }
            return Some(self.ask(Question::StillHeard));
        }
        // Nobody else can be reached either, so the cut may be on our side.
        let is_alone = *condition == Condition::CutOff && !situation.others(self.primary).any(|(_, it)| it.answers());
        is_alone.then(|| self.ask(Question::WatcherCutOff))
    }

    /// Restart, promote or ask.
    pub fn end(&self) -> Decision {
        let condition = &self.diagnosis.condition;
        let failed = self.restart_fails();
        let has_volume = !matches!(condition, Condition::VolumeGone | Condition::VolumeUnreadable);
        let can_restart = has_volume && failed.is_none();
        let best = self.promotable();
        let is_lossless = best.as_ref().is_some_and(|chosen| chosen.loss.is_nothing());
        let wants_promotion = self.policy.prefer == Prefer::Promote || !can_restart;
        let why = match (condition, failed) {
            (Condition::VolumeGone | Condition::VolumeUnreadable, _) => PromoteWhy::Volume(condition.clone()),
            (_, Some(failed)) => PromoteWhy::RestartsFail(failed),
            _ if self.policy.prefer == Prefer::Promote => PromoteWhy::Preferred(condition.clone()),
            _ => PromoteWhy::Sooner(condition.clone()),
        };
        if wants_promotion && !is_lossless {
            if let Some(node) = self.provable() {
                return Decision::PromoteIfComplete { node: node.clone(), why };
            }
            if let Some(wait) = self.reading_tail() {
                return wait;
            }
        }
        match best {
            Some(chosen) if wants_promotion => chosen.promote(why),
            Some(chosen) if self.is_better(&chosen) => chosen.promote(why),
            _ if can_restart => Decision::RestartInPlace { node: self.primary.clone(), why: condition.clone() },
            _ => self.ask(match failed {
                Some(failed) => Question::RestartsFail(failed, self.vetoes()),
                None => Question::CannotPromote(condition.clone(), self.vetoes()),
            }),
        }
    }

    /// The replica that may be promoted and loses least; the best of those that lose the same.
    pub fn promotable(&self) -> Option<Chosen<'a>> {
        self.chosen().into_iter().filter(|chosen| chosen.vetoes.is_empty()).min_by_key(|chosen| chosen.loss.rank())
    }

    /// Asks, and tells every way that is open.
    pub fn ask(&self, why: Question) -> Decision {
        let mut ways = Vec::new();
        let node = || self.primary.clone();
        ways.extend(match &self.diagnosis.condition {
            Condition::DiskFull => Some(Way::MakeRoom(node())),
            Condition::LockedOut => Some(Way::RepairLogin(node())),
            Condition::EngineSilent | Condition::Changing => Some(Way::RepairEngine),
            Condition::Frozen => Some(Way::Unpause(node())),
            Condition::VolumeGone | Condition::VolumeUnreadable => Some(Way::Restore),
            Condition::Unknown(_) => Some(Way::LookAtNodes),
            _ => Some(Way::Restart(node())),
        });
        for chosen in self.chosen() {
            // A veto that no agreement lifts leaves no way.
            let needs: Vec<_> = chosen.vetoes.iter().map(Veto::needs).collect();
            if needs.iter().all(Option::is_some) {
                ways.push(Way::Promote(chosen.candidate.name.clone(), needs.into_iter().flatten().max()));
            }
        }
        ways.extend(self.unproven().map(|node| Way::Promote(node.clone(), Some(Accepted::Any))));
        Decision::AskOperator { why, ways }
    }

    /// The logical replica of which a promotion finds out itself what nobody can know before: the primary's volume is there to ask.
    fn provable(&self) -> Option<&'a NodeName> {
        let volume = &self.situation.members[self.primary].health.volume.seen;
        let (name, reasons) = self.only_subscriber()?;
        let can_be = *volume == Seen::Present(VolumeState::Intact) && reasons.iter().all(Ineligible::is_found_out);
        can_be.then_some(name)
    }

    /// The logical replica of which a promotion could not find that out.
    fn unproven(&self) -> Option<&'a NodeName> {
        let (name, reasons) = self.only_subscriber()?;
        let is_it = reasons.iter().any(|reason| matches!(reason, Ineligible::Unproven(_)));
        (is_it && reasons.iter().all(Ineligible::is_about_rows)).then_some(name)
    }

    /// A logical replica that nothing but itself speaks against, and what does. No other replica could follow it, so none would be left
    /// behind.
    fn only_subscriber(&self) -> Option<(&'a NodeName, Vec<Ineligible>)> {
        let (situation, primary) = (self.situation, self.primary);
        let mut others = situation.others(primary);
        let (name, member) = others.next()?;
        let is_only = others.next().is_none() && member.mode() == Some(Mode::Logical);
        let nothing = Loss::Nothing(loss::Lossless::AtTheEnd);
        let vetoes = || {
            let about = (primary, &self.diagnosis.condition);
            veto::of_promotion(situation, about, (name, Vec::new()), &nothing, self.policy.accepted())
        };
        if !is_only || !vetoes().is_empty() {
            return None;
        }
        let ineligible = candidate::candidates(situation, primary).ineligible.into_iter();
        Some((name, ineligible.flat_map(|(_, reasons)| reasons).collect()))
    }

    /// Every eligible replica, the best first.
    fn chosen(&self) -> Vec<Chosen<'a>> {
        let (situation, primary) = (self.situation, self.primary);
        let old = (primary, &situation.members[primary]);
        let eligible = candidate::candidates(situation, primary).eligible;
        let judged = eligible.into_iter().map(|candidate| {
            let replica = (candidate.member, candidate.mode);
            let (loss, salvage) = loss::of(situation, self.policy.synchronous, old, replica, self.diagnosis.since);
            let vetoes = veto::of_promotion(
                situation,
                (primary, &self.diagnosis.condition),
                (candidate.name, Vec::new()),
                &loss,
                self.policy.accepted(),
            );
            Chosen { candidate, loss, salvage, vetoes }
        });
        judged.collect()
    }

    /// Every veto against every replica, each once.
    fn vetoes(&self) -> Vec<Veto> {
        let candidates = candidate::candidates(self.situation, self.primary);
        let ineligible = candidates.ineligible.into_iter();
        let ineligible = ineligible.map(|(name, reasons)| Veto::Ineligible(name.clone(), reasons));
        let mut all = Vec::new();
        for veto in self.chosen().into_iter().flat_map(|chosen| chosen.vetoes).chain(ineligible) {
            if !all.contains(&veto) {
                all.push(veto);
            }
        }
        all
    }

    /// How many restarts failed lately, when those are too many.
    fn restart_fails(&self) -> Option<usize> {
        let now = self.situation.now;
        let is_recent = |at: &&Duration| now.saturating_sub(**at) < CRASH_LOOP_WINDOW;
        let failed = self.situation.failed_restarts.iter().filter(is_recent).count();
        (failed >= CRASH_LOOP_ATTEMPTS).then_some(failed)
    }

    /// The log on the volume may show that nothing is lost; it is worth a moment where there is somebody to promote.
    fn reading_tail(&self) -> Option<Decision> {
        let old = &self.situation.members[self.primary].health;
        // Restarts that did not help may have taken any time.
        let last_restart = self.situation.failed_restarts.iter().max().copied().unwrap_or_default();
        let began = last_restart.max(self.diagnosis.since + super::patience(&self.diagnosis.condition));
        let until = began + READING_TAIL;
        let is_worth_it = loss::is_at_rest(old) && old.tail.is_unknown() && self.situation.now < until;
        let has_candidate = !candidate::candidates(self.situation, self.primary).eligible.is_empty();
        (is_worth_it && has_candidate).then_some(Decision::Wait { why: Waiting::ReadingTail, until })
    }

    /// A replica that each commit waited for takes over before the primary would be back. What recovery takes must be known.
    fn is_better(&self, chosen: &Chosen<'_>) -> bool {
        if self.policy.prefer == Prefer::Restart || chosen.loss != Loss::Nothing(loss::Lossless::Synchronous) {
            return false;
        }
        let old = &self.situation.members[self.primary].health;
        let (Some(written), Some(redo)) = (old.written.seen.present(), old.redo.present()) else { return false };
        let restart = START_MILLIS + written.bytes_since(*redo) / REDO_BYTES_PER_MILLI;
        let promote = PROMOTE_MILLIS.iter().find(|(mode, _)| *mode == chosen.candidate.mode);
        promote.is_some_and(|(_, promote)| *promote < restart)
    }
}
