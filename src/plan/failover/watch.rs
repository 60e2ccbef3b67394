//! What an agent remembers from one look to the next: since when a fact is so, and what a server said that is silent now.
//!
//! In: one look after the other. Out: the [`Situation`] that each adds up to, and what is decided about it. No clock is read here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::condition::Condition;
use super::situation::Situation;
use super::{Decision, Policy, candidate, decide, seen};
use crate::model::desired::Desired;
use crate::model::health::{Aged, NodeHealth, SynchronousState};
use crate::model::lsn::Lsn;
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::seen::Seen;
use crate::plan::topology;

/// A primary that was restarted and answers for so long has come back to stay.
const STAYS: Duration = Duration::from_secs(2);

/// A change of whom commits wait for has reached every process of the server after so long, also one that writes a checkpoint.
const SETTLES: Duration = Duration::from_secs(30);

/// For whom commits wait, and since when.
#[derive(Clone, Debug)]
struct Waits {
    primary: NodeName,
    names: String,
    since: Duration,
    /// All commits from here on waited.
    from: Option<Lsn>,
}

/// What was seen so far. Lost with the agent: then everything begins to last anew, and what a dead primary wrote is read from its
/// volume instead.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    nodes: BTreeMap<NodeName, NodeHealth>,
    primary: Option<NodeName>,
    restarts: Vec<Duration>,
    is_restarting: bool,
    candidate: Option<NodeName>,
    waits: Option<Waits>,
    unproven: BTreeMap<NodeName, String>,
}

impl Watch {
    /// Adds a look, taken at `now`, and says what is to be done about the primary.
    pub fn take(&mut self, desired: &Desired, observed: &Observed, now: Duration) -> Decision {
        let mut situation = seen::at(desired, observed, now);
        for (name, member) in &mut situation.members {
            if let Some(before) = self.nodes.get(name) {
                remember(&mut member.health, before);
            }
        }
        self.vouch(&mut situation, observed);
        self.nodes = situation.members.iter().map(|(name, member)| (name.clone(), member.health.clone())).collect();
        // However long the attempt took, what it came to is seen only now.
        if std::mem::take(&mut self.is_restarting)
            && let Some(last) = self.restarts.last_mut()
        {
            *last = now;
        }
        let primary = situation.primary().ok().cloned();
        if self.has_come_back(&situation) || primary.is_some() && primary != self.primary {
            self.restarts.clear();
            self.unproven.clear();
        }
        situation.failed_restarts.clone_from(&self.restarts);
        situation.unproven.clone_from(&self.unproven);
        self.candidate = primary.as_ref().and_then(|primary| {
            let eligible = candidate::candidates(&situation, primary).eligible;
            eligible.first().map(|candidate| candidate.name.clone())
        });
        self.primary = primary.or(self.primary.take());
        let is_paused =
            self.primary.as_ref().is_some_and(|primary| topology::failover_pause(primary, observed).is_some());
        decide(&Policy::new(desired, is_paused), &situation)
    }

    /// The replica that would be the first to take the primary's place, as of the last look.
    pub fn candidate(&self) -> Option<NodeName> {
        self.candidate.clone()
    }

    /// How many restarts did not help so far.
    pub const fn restarts(&self) -> usize {
        self.restarts.len()
    }

    /// The primary is being restarted. That did not help, unless it answers for a while afterwards.
    pub fn restarted(&mut self, now: Duration) {
        self.restarts.push(now);
        self.is_restarting = true;
    }

    /// How commits wait for each replica, as the last look at the primary that answered showed it.
    pub fn synchronous(&self) -> BTreeMap<NodeName, Seen<SynchronousState>> {
        self.nodes.iter().map(|(name, health)| (name.clone(), health.synchronous.clone())).collect()
    }

    /// That commits wait for a replica now says nothing of those before: it has them as soon as it has one that waited. What the primary
    /// said last counts as long as it is silent.
    fn vouch(&mut self, situation: &mut Situation, observed: &Observed) {
        let Ok(primary) = situation.primary().cloned() else { return };
        let now = situation.now;
        let Some(server) = observed.nodes.get(&primary).and_then(|seen| seen.server.present()) else {
            if self.waits.as_ref().is_some_and(|waits| waits.primary == primary) {
                for (name, member) in &mut situation.members {
                    if let Some(before) = self.nodes.get(name) {
                        member.health.synchronous.clone_from(&before.synchronous);
                    }
                }
            }
            return;
        };
        let names = &server.synchronous_names;
        let before = self.waits.take().filter(|waits| waits.primary == primary && waits.names == *names);
        let mut waits = before.unwrap_or(Waits { primary, names: names.clone(), since: now, from: None });
        if waits.from.is_none() && now.saturating_sub(waits.since) >= SETTLES {
            waits.from = Some(server.lsn);
        }
        for (name, member) in &mut situation.members {
            let is_waited_for =
                matches!(member.health.synchronous, Seen::Present(SynchronousState::Sync | SynchronousState::Quorum));
            let slot = name.slot();
            let sender = server.senders.get(name.as_str()).or_else(|| server.senders.get(slot.as_str()));
            let flushed = sender.and_then(|sender| sender.flushed);
            if is_waited_for && waits.from.is_none_or(|from| flushed.is_none_or(|flushed| flushed < from)) {
                member.health.synchronous = Seen::Present(SynchronousState::Potential);
            }
        }
        self.waits = Some(waits);
    }

    /// A promotion of this logical replica could not find out what it lacks. It is not tried again before the primary has answered.
    pub fn could_not_prove(&mut self, node: NodeName, because: String) {
        self.unproven.insert(node, because);
    }

    fn has_come_back(&self, situation: &Situation) -> bool {
        let Ok(primary) = situation.primary() else { return false };
        let diagnosis = situation.diagnosis(&situation.members[primary]);
        let last = self.restarts.last().copied().unwrap_or_default();
        diagnosis.condition == Condition::Answers && situation.now.saturating_sub(last.max(diagnosis.since)) >= STAYS
    }
}

/// Completes what a look shows by what was known before.
fn remember(now: &mut NodeHealth, before: &NodeHealth) {
    lasts(&mut now.container, &before.container);
    lasts(&mut now.network, &before.network);
    lasts(&mut now.volume, &before.volume);
    lasts(&mut now.server, &before.server);
    if !now.written.seen.is_present() {
        now.written = before.written.clone();
    }
    if now.server.seen.is_present() && now.role.is_present() && now.epoch.is_present() {
        return;
    }
    outlives(&mut now.role, &before.role);
    outlives(&mut now.epoch, &before.epoch);
    outlives(&mut now.timeline, &before.timeline);
    outlives(&mut now.received, &before.received);
    outlives(&mut now.replayed, &before.replayed);
    outlives(&mut now.heard_primary, &before.heard_primary);
}

/// A fact that has not changed is as old as it was.
fn lasts<T: PartialEq>(now: &mut Aged<T>, before: &Aged<T>) {
    let is_same = now.seen == before.seen || (now.seen.is_unknown() && before.seen.is_unknown());
    if is_same {
        now.since = before.since;
    }
}

/// What was known stays known until something else is.
fn outlives<T: Clone>(now: &mut Seen<T>, before: &Seen<T>) {
    if !now.is_present() && before.is_present() {
        now.clone_from(before);
    }
}

#[cfg(test)]
mod tests;
