//! Who waits for whom: nobody for a replica that is not there, unless that was asked for, and then it is told.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::generate::{any_cluster, any_hard_life};
use super::{Action, Cluster, Order};
use crate::model::cluster::Mode;
use crate::model::desired::{Synchronous, WhenLost};
use crate::model::names::NodeName;
use crate::model::observed::{Observed, ServerSeen};
use crate::plan::hold::Reason;
use crate::plan::{removal, topology};

/// Names in quotes.
fn names(server: &ServerSeen) -> BTreeSet<String> {
    server.synchronous_names.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn slots(server: &ServerSeen) -> BTreeSet<String> {
    server.synchronized_slots.split(", ").filter(|slot| !slot.is_empty()).map(str::to_owned).collect()
}

/// Every replica is waited for where that is wanted, on the primary and nowhere else.
pub fn assert_finished(cluster: &Cluster) {
    let observed = cluster.observe();
    let nodes = topology::nodes(&cluster.desired, &observed);
    let primary = &cluster.desired.preferred_primary().name;
    for node in &nodes {
        let server = observed.nodes[&node.name].server.present().expect("it runs");
        let (mut wanted_names, mut wanted_slots) = (BTreeSet::new(), BTreeSet::new());
        if node.name == *primary {
            let has_logical = nodes.iter().any(|node| node.seat.mode() == Some(Mode::Logical));
            for other in &nodes {
                match other.seat.mode() {
                    Some(Mode::Physical) => {
                        wanted_names.insert(other.name.to_string());
                        wanted_slots.extend(has_logical.then(|| other.name.slot().to_string()));
                    }
                    Some(Mode::Logical) => {
                        wanted_names.insert(other.name.slot().to_string());
                    }
                    None => {}
                }
            }
            if cluster.desired.synchronous == Synchronous::Off {
                wanted_names.clear();
            }
        }
        assert_eq!(names(server), wanted_names, "commits on {}", node.name);
        assert_eq!(slots(server), wanted_slots, "senders on {}", node.name);
    }
}

/// The primary that takes writes, and what it says.
fn writer(cluster: &Cluster, observed: &Observed) -> Option<(NodeName, ServerSeen)> {
    let nodes = topology::nodes(&cluster.desired, observed);
    let primary = topology::primary(&nodes, observed).ok()?;
    let server = observed.nodes.get(&primary)?.server.present()?.clone();
    (!server.in_recovery).then_some((primary, server))
}

proptest! {
    #[test]
    fn after_a_pass_of_the_agent_nobody_waits_in_vain_whatever_happened(
        mut cluster in any_cluster(), life in any_hard_life(), order: u64,
    ) {
        for action in &life {
            // Whether it succeeds is another property's matter.
            if cluster.act(action).is_err() {
                return Ok(());
            }
        }
        // A pass that starts the primary has not seen for whom it waits; the next one has.
        let passes = if writer(&cluster, &cluster.observe()).is_some() { 1 } else { 2 };
        for _ in 0..passes {
            cluster.act(&Action::AgentPass { order, cut: None }).map_err(TestCaseError::fail)?;
        }
        let observed = cluster.observe();
        let Some((primary, server)) = writer(&cluster, &observed) else { return Ok(()) };
        for slot in slots(&server) {
            let is_active = server.slots.iter().any(|(name, seen)| name.as_str() == slot && seen.active);
            prop_assert!(is_active, "logical replicas wait for {slot}");
        }
        let is_there = |name: &String| server.senders.contains_key(name);
        let is_strict = cluster.desired.when_lost == WhenLost::Wait && cluster.desired.synchronous != Synchronous::Off;
        if !is_strict {
            prop_assert!(names(&server).iter().all(is_there), "commits wait for {:?}", names(&server));
        } else if !names(&server).is_empty() && !names(&server).iter().any(is_there) {
            let plan = cluster.agents_plan();
            let is_told = plan.holds.iter().any(|hold| hold.what == primary.as_str() && matches!(hold.reason, Reason::CommitsWait(_)));
            let is_refused = plan.refusals().next().is_some();
            prop_assert!(is_told || is_refused, "nobody says that commits wait: {:?}", plan.holds);
        }
    }

    #[test]
    fn nobody_waits_for_a_replica_that_was_taken_away(
        mut cluster in any_cluster(), which in 0..9_usize, is_resync: bool,
    ) {
        super::convergence::finish(&mut cluster, Order::LINEAR).map_err(TestCaseError::fail)?;
        let Some(node) = super::events::replica(&cluster, which) else { return Ok(()) };
        let (primary, observed) = (cluster.desired.preferred_primary().name.clone(), cluster.observe());
        let mode = cluster.desired.node(&node).and_then(|node| node.seat.mode()).expect("a replica");
        let plan = if is_resync {
            removal::resync(&node, mode, &primary, &observed)
        } else {
            removal::replica(&node, &primary, &observed)
        };
        cluster.run(&plan, Order::LINEAR, None, false).map_err(TestCaseError::fail)?;
        let observed = cluster.observe();
        let server = observed.nodes[&primary].server.present().expect("it runs");
        prop_assert!(!names(server).contains(node.as_str()) && !names(server).contains(node.slot().as_str()));
        prop_assert!(!slots(server).contains(node.slot().as_str()));
    }
}
