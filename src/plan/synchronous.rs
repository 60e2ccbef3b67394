//! Who waits for which replicas on the primary: commits (`synchronous_standby_names`), and the senders of logical replicas
//! (`synchronized_standby_slots`).
//!
//! In: what is wanted, and what the primary says of everybody who streams from it. Out: what the two settings are to be now, and holds.
//! Nobody is waited for before it has caught up, so that no commit waits for a first copy. Of what is to be taken away and what is to be
//! added, the former comes first and alone: it sets free who waits in vain.

pub mod certain;
mod slots;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::hold::{Hold, Reason};
use super::readiness::{self, Ineligible};
use super::step::{StandbySetting, Step};
use super::topology;
use crate::model::cluster::Mode;
use crate::model::desired::{Desired, DesiredNode, Synchronous, WhenLost};
use crate::model::lsn::Lsn;
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed, RunState, SenderSeen, ServerSeen};

/// Log that a replica may lack when others begin to wait for it: a segment, which is sent in a fraction of a second.
const CLOSE_BYTES: u64 = 16 * 1024 * 1024;

/// A replica that lacks log and has said nothing for so long is lost, although its connection stands. One that works answers as soon as
/// log has arrived, and log arrives each second.
const SILENT_MILLIS: u64 = 5_000;

/// What is to be done about both settings, on all nodes.
#[derive(Debug, Default)]
pub struct Waits {
    /// Sets free who waits in vain; safe whatever else is the matter.
    pub relief: Vec<Step>,
    /// Everything else.
    pub steps: Vec<Step>,
    /// What is wanted and not so.
    pub holds: Vec<Hold>,
}

/// A replica, as the primary has it.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// It streams and answers.
    is_alive: bool,
    /// It has everything but the last moments' log, so that others may begin to wait for it.
    is_close: bool,
}

/// The name under which a replica streams: a standby's own, a subscription's slot.
pub fn sender_name(node: &NodeName, mode: Mode) -> String {
    match mode {
        Mode::Physical => node.to_string(),
        Mode::Logical => node.slot().to_string(),
    }
}

/// What both settings are to be on every node.
pub fn plan(desired: &Desired, nodes: &[DesiredNode], primary: &NodeName, observed: &Observed) -> Waits {
    let mut waits = Waits::default();
    for node in nodes {
        let seen = observed.nodes.get(&node.name);
        let Some(server) = seen.and_then(settled_server) else { continue };
        if node.name == *primary {
            continue;
        }
        // Came with the copy of a primary. It counts for nothing until the node is one itself, and then names others' replicas.
        let is_other_writer = seen.is_some_and(|seen| topology::writer_epoch(seen).is_some());
        let has_any = !server.synchronous_names.is_empty() || !server.synchronized_slots.is_empty();
        if has_any && !is_other_writer && topology::following(nodes, node, Some(primary)).is_some() {
            for setting in [StandbySetting::SynchronousNames, StandbySetting::SynchronizedSlots] {
                waits.set(&node.name, server, setting, String::new(), true);
            }
        }
    }
    let Some(server) = observed.nodes.get(primary).and_then(settled_server) else { return waits };
    // What recovers takes no commits; it shows the settings of its next life.
    if server.in_recovery {
        return waits;
    }
    if let Some((value, is_relief)) = names(desired, nodes, primary, observed, server) {
        waits.set(primary, server, StandbySetting::SynchronousNames, value, is_relief);
    } else {
        waits.holds.extend(hold(desired, nodes, primary, observed, server));
    }
    slots::plan(nodes, primary, observed, server, &mut waits);
    waits
}

/// Of a node that cannot be seen whole, nothing is changed.
fn settled_server(seen: &NodeSeen) -> Option<&ServerSeen> {
    seen.server.present().filter(|_| !seen.volume.is_unknown() && !seen.container.is_unknown())
}

/// Nobody waits any more for a replica that is to be taken away, or emptied.
pub fn without(node: &NodeName, primary: &NodeName, observed: &Observed) -> Vec<Step> {
    let Some(server) = observed.nodes.get(primary).and_then(|seen| seen.server.present()) else { return Vec::new() };
    let (slot, names) = (node.slot(), &server.synchronous_names);
    let is_other = |name: &&str| *name != node.as_str() && *name != slot.as_str();
    let left: Vec<String> = quoted(names).filter(is_other).map(str::to_owned).collect();
    let method = names.split('(').next().unwrap_or_default();
    let is_quorum = method.trim_start().starts_with("ANY");
    let slots: Vec<&str> = server.synchronized_slots.split(',').map(str::trim).filter(is_other).collect();
    let mut waits = Waits::default();
    if left.len() < quoted(names).count() {
        let left = value(if is_quorum { Synchronous::Quorum } else { Synchronous::On }, &left);
        waits.set(primary, server, StandbySetting::SynchronousNames, left, true);
    }
    waits.set(primary, server, StandbySetting::SynchronizedSlots, slots.join(", "), true);
    waits.relief
}

impl Waits {
    fn set(&mut self, node: &NodeName, server: &ServerSeen, setting: StandbySetting, value: String, is_relief: bool) {
        if *setting.of(server) == value {
            return;
        }
        let step = Step::SetStandbys { node: node.clone(), setting, value, is_relief };
        if is_relief { self.relief.push(step) } else { self.steps.push(step) }
    }
}

/// The value that `synchronous_standby_names` is to have now, and whether that only takes names away; `None`: as it is.
fn names(
    desired: &Desired,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
    server: &ServerSeen,
) -> Option<(String, bool)> {
    let now = listed(&server.synchronous_names);
    let standings: Vec<(String, Standing)> = in_order(nodes, primary)
        .into_iter()
        .map(|(node, mode)| (sender_name(&node.name, mode), standing(&node.name, mode, observed, server)))
        .collect();
    let is_left = standings.iter().any(|(name, standing)| standing.is_alive && now.contains(name));
    // Where another one is left, a lost one would only have commits wait until its connection times out.
    let is_strict = desired.when_lost == WhenLost::Wait && !is_left;
    let stays = |(name, standing): &&(String, Standing)| now.contains(name) && (standing.is_alive || is_strict);
    let joins = |(_, standing): &&(String, Standing)| standing.is_close;
    let named = |(name, _): &(String, Standing)| name.clone();
    let mut stay: Vec<String> = standings.iter().filter(stays).map(named).collect();
    let mut all: Vec<String> = standings.iter().filter(|it| stays(it) || joins(it)).map(named).collect();
    if desired.synchronous == Synchronous::Off {
        (stay, all) = (Vec::new(), Vec::new());
    }
    let (wanted, is_relief) = if stay.len() < now.len() { (stay, true) } else { (all, false) };
    let value = value(desired.synchronous, &wanted);
    // Somebody else's value lists nobody that is known here.
    let is_relief = is_relief || wanted.is_empty();
    (value != server.synchronous_names).then_some((value, is_relief))
}

/// As PostgreSQL reads it: <https://www.postgresql.org/docs/17/runtime-config-replication.html#GUC-SYNCHRONOUS-STANDBY-NAMES>.
fn value(synchronous: Synchronous, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let method = if synchronous == Synchronous::Quorum { "ANY" } else { "FIRST" };
    let names: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    format!("{method} 1 ({})", names.join(", "))
}

/// The names in a value of ours. Names of nodes and of slots have no quotes in them.
fn listed(value: &str) -> BTreeSet<String> {
    quoted(value).map(str::to_owned).collect()
}

fn quoted(value: &str) -> impl Iterator<Item = &str> {
    value.split('"').skip(1).step_by(2)
}

/// Followers, those first that are rather promoted: a standby has all there is, not only rows.
fn in_order<'a>(nodes: &'a [DesiredNode], primary: &'a NodeName) -> Vec<(&'a DesiredNode, Mode)> {
    let follows = |node: &'a DesiredNode| Some((node, topology::following(nodes, node, Some(primary))?));
    let mut followers: Vec<_> = nodes.iter().filter_map(follows).collect();
    followers.sort_by_key(|(node, mode)| (*mode == Mode::Logical, Reverse(node.priority), &node.name));
    followers
}

fn standing(name: &NodeName, mode: Mode, observed: &Observed, primary: &ServerSeen) -> Standing {
    let none = NodeSeen::default();
    let seen = observed.nodes.get(name).unwrap_or(&none);
    let is_frozen = seen.container.present().is_some_and(|container| container.state == RunState::Paused);
    let sender = primary.senders.get(&sender_name(name, mode)).filter(|sender| sender.is_streaming && !is_frozen);
    let Some(sender) = sender.filter(|sender| answers(sender, primary.lsn)) else {
        return Standing { is_alive: false, is_close: false };
    };
    let is_near = sender.flushed.is_some_and(|flushed| primary.lsn.bytes_since(flushed) <= CLOSE_BYTES);
    let is_whole = mode == Mode::Physical || {
        let objections = readiness::objections(name, mode, seen, Some(primary));
        // What was found to differ before says nothing of the commits to come.
        let subscription = seen.server.present().and_then(|it| it.database.present()?.subscription.as_ref());
        objections.iter().all(|objection| matches!(objection, Ineligible::Differs(_)))
            // Without, a commit would wait for the moment when the replica's server flushes anyhow.
            && subscription.is_some_and(|it| it.flushes)
    };
    // One that may be frozen is not to be waited for from now on.
    Standing { is_alive: true, is_close: is_near && is_whole && !seen.container.is_unknown() }
}

fn answers(sender: &SenderSeen, written: Lsn) -> bool {
    let lacks_log = sender.flushed.is_none_or(|flushed| flushed < written);
    !lacks_log || sender.silent_millis.is_none_or(|millis| millis < SILENT_MILLIS)
}

/// What is told while nothing is to be changed: commits that wait in vain, and commits that do not wait.
fn hold(
    desired: &Desired,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
    server: &ServerSeen,
) -> Option<Hold> {
    if desired.synchronous == Synchronous::Off {
        return None;
    }
    let now = listed(&server.synchronous_names);
    if now.is_empty() {
        return Some(Hold::new(primary.as_str(), Reason::NotSynchronous));
    }
    let listed: Vec<_> = in_order(nodes, primary)
        .into_iter()
        .filter(|(node, mode)| now.contains(&sender_name(&node.name, *mode)))
        .collect();
    let is_alive = |(node, mode): &(&DesiredNode, Mode)| standing(&node.name, *mode, observed, server).is_alive;
    if listed.iter().any(is_alive) {
        return None;
    }
    let lost = listed.iter().map(|(node, _)| node.name.clone()).collect();
    Some(Hold::new(primary.as_str(), Reason::CommitsWait(lost)))
}

#[cfg(test)]
mod tests;
