//! Taking things away on request: one replica, one replica's rows for a fresh copy, or the whole cluster's containers.
//!
//! Each function plans for one verb; none of these steps is ever planned by `plan` on its own account.

use std::collections::{BTreeMap, BTreeSet};

use super::endpoint::step::EndpointStep;
use super::hold::{Hold, Reason};
use super::monitoring::step::MonitorStep;
use super::provision::NOTHING_SEEN;
use super::scope;
use super::step::{Plan, Step};
use super::synchronous;
use crate::model::cluster::Mode;
use crate::model::desired::DesiredNode;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::{ContainerSeen, Observed, RunState};
use crate::model::seen::Seen;

/// Removes a replica with its volume, and its slot on the primary. What does not carry the cluster's label, or could not
/// be looked at, is no one's to remove.
pub fn replica(node: &NodeName, primary: &NodeName, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let seen = observed.nodes.get(node).unwrap_or(&NOTHING_SEEN);
    let mut hold = |reason| plan.holds.push(Hold::new(node.as_str(), reason));
    match &seen.container {
        Seen::Unknown { because } => hold(Reason::Unknown(because.clone())),
        Seen::Present(container) if !container.ours => hold(Reason::NotOurs("container")),
        Seen::Present(_) | Seen::Absent => {}
    }
    match &seen.volume {
        Seen::Unknown { because } => hold(Reason::Unknown(because.clone())),
        Seen::Present(volume) if !volume.ours => hold(Reason::NotOurs("volume")),
        Seen::Present(_) | Seen::Absent => {}
    }
    // A slot that stays behind would keep WAL until the primary's disk is full.
    if !observed.nodes.get(primary).is_some_and(|seen| seen.server.is_present()) {
        hold(Reason::AwaitsPrimary);
    }
    if !plan.holds.is_empty() {
        return plan;
    }
    let mut lane = Vec::new();
    // Dropping the subscription takes the slots of unfinished copies with it; nobody else knows their names.
    let database = seen.server.present().and_then(|server| server.database.present());
    if database.is_some_and(|database| database.subscription.is_some()) {
        lane.push(Step::Unsubscribe { node: node.clone() });
    }
    if let Some(container) = seen.container.present() {
        if container.state.is_running() {
            lane.push(Step::StopNode { node: node.clone() });
        }
        lane.push(Step::RemoveContainer { node: node.clone() });
    }
    plan.then(synchronous::without(node, primary, observed));
    plan.then(lane);
    plan.then(slot_away(node, primary, observed));
    if seen.volume.is_present() {
        plan.then(vec![Step::RemoveVolume { node: node.clone() }]);
    }
    plan
}

/// Throws away what a replica holds, so that the next plan copies it afresh.
///
/// A logical replica keeps its schema and is emptied; a standby is cloned anew.
pub fn resync(node: &NodeName, mode: Mode, primary: &NodeName, observed: &Observed) -> Plan {
    if mode == Mode::Physical {
        return replica(node, primary, observed);
    }
    let mut plan = Plan::default();
    let Some(database) =
        observed.nodes.get(node).and_then(|seen| seen.server.present()).and_then(|server| server.database.present())
    else {
        return plan;
    };
    let mut lane = Vec::new();
    if database.subscription.is_some() {
        lane.push(Step::Unsubscribe { node: node.clone() });
    }
    lane.push(Step::EmptyReplica { node: node.clone(), tables: emptiable(&database.tables) });
    plan.then(synchronous::without(node, primary, observed));
    plan.then(lane);
    plan.then(slot_away(node, primary, observed));
    plan
}

fn emptiable<T>(tables: &BTreeMap<TableName, T>) -> BTreeSet<TableName> {
    tables.keys().filter(|table| !scope::is_timescale_own(&table.schema)).cloned().collect()
}

/// Stops what runs: endpoints and monitoring first, then replicas, then the primary. Removes nothing but the agent.
pub fn stop_all(nodes: &[DesiredNode], primary: Option<&NodeName>, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    if observed.agent.present().is_some_and(|agent| agent.ours) {
        plan.then(vec![Step::RemoveAgent]);
    }
    // One that Docker is about to restart is stopped as well.
    let is_up = |container: &Seen<ContainerSeen>| {
        container.present().is_some_and(|it| it.ours && !matches!(it.state, RunState::Created | RunState::Exited))
    };
    let of_endpoints = observed.endpoints.iter().filter(|(_, seen)| is_up(&seen.container));
    let stop_endpoint = |access| vec![Step::Endpoint { access, step: EndpointStep::Stop }];
    let of_monitors = observed.monitors.iter().filter(|(_, seen)| is_up(&seen.container));
    let stop_monitor = |monitor| vec![Step::Monitor { monitor, step: MonitorStep::Stop }];
    let beside = of_monitors.map(|(monitor, _)| stop_monitor(*monitor));
    plan.then_side_by_side(of_endpoints.map(|(access, _)| stop_endpoint(*access)).chain(beside).collect());
    let is_running = |name: &NodeName| {
        observed
            .nodes
            .get(name)
            .and_then(|seen| seen.container.present())
            .is_some_and(|container| container.ours && container.state.is_running())
    };
    let stop = |name: &NodeName| vec![Step::StopNode { node: name.clone() }];
    let replicas = nodes.iter().map(|node| &node.name).filter(|name| Some(*name) != primary && is_running(name));
    plan.then_side_by_side(replicas.map(stop).collect());
    plan.then_side_by_side(primary.into_iter().filter(|name| is_running(name)).map(stop).collect());
    plan
}

fn slot_away(node: &NodeName, primary: &NodeName, observed: &Observed) -> Vec<Step> {
    let slot: Ident = node.slot();
    let has_slot = observed
        .nodes
        .get(primary)
        .and_then(|seen| seen.server.present())
        .is_some_and(|server| server.slots.contains_key(&slot));
    if has_slot { vec![Step::DropSlot { node: primary.clone(), slot }] } else { Vec::new() }
}
