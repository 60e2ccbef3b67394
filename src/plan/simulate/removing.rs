//! Taking a replica away, or its rows, harms nobody else.

use proptest::prelude::*;

use super::convergence::{finish, finished, live};
use super::events::{Event, replica};
use super::generate::{any_cluster, any_life};
use super::world::{World, node_name};
use super::{Action, Cluster, Order};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::Synchronous;
use crate::model::names::NodeName;
use crate::plan::hold::{Hold, Reason};
use crate::plan::removal;
use crate::plan::step::{Plan, Step, Subject};

fn primary(cluster: &Cluster) -> NodeName {
    cluster.desired.preferred_primary().name.clone()
}

/// Volume and container of every other node, and every slot that is not this node's.
fn others(world: &World, node: &NodeName) -> World {
    let mut world = world.clone();
    world.volumes.remove(node);
    world.containers.remove(node);
    for server in world.volumes.values_mut().filter_map(|volume| volume.data.as_mut()) {
        server.slots.remove(&node.slot());
        // Who waits for whom is `waiting`'s to say.
        (server.synchronous_names, server.synchronized_slots) = (String::new(), String::new());
    }
    world.counter = 0;
    world
}

fn resync_plan(cluster: &Cluster, node: &NodeName) -> Plan {
    let node = cluster.desired.node(node).expect("a configured replica");
    let mode = node.seat.mode().expect("a replica");
    removal::resync(&node.name, mode, &primary(cluster), &cluster.observe())
}

/// Runs a resync that is killed on the way, `up`, which must not make it worse, and a resync to its end.
fn resync(cluster: &mut Cluster, node: &NodeName, cut: Option<usize>) -> Result<(), String> {
    let plan = resync_plan(cluster, node);
    cluster.run(&plan, Order::LINEAR, cut, false)?;
    let holds = cluster.converge(Order::LINEAR)?;
    let is_expected = |hold: &Hold| {
        let is_its_own = matches!(hold.reason, Reason::HoldsRows | Reason::SlotLost);
        // Whoever waits for it, or would.
        is_its_own || matches!(hold.reason, Reason::NotSynchronous | Reason::CommitsWait(_) | Reason::NotAwaited)
    };
    if !holds.iter().all(is_expected) {
        return Err(format!("held: {holds:?}"));
    }
    let (theirs, ours) = (cluster.world.database(&primary(cluster)), cluster.world.database(node));
    if let (Some(theirs), Some(ours)) = (theirs, ours)
        && let Some((table, rows)) =
            ours.rows.iter().find(|(table, rows)| theirs.has(table) && **rows > theirs.rows(table))
    {
        return Err(format!("{table} has {rows} rows: some of them twice"));
    }
    let rest = resync_plan(cluster, node);
    cluster.run(&rest, Order::LINEAR, None, false)
}

proptest! {
    #[test]
    fn removing_a_replica_leaves_the_others_alone(
        mut cluster in any_cluster(), life in any_life(), which in 0..9_usize, cut in prop::option::of(0..5_usize),
    ) {
        live(&mut cluster, &life).map_err(TestCaseError::fail)?;
        let Some(node) = replica(&cluster, which) else { return Ok(()) };
        let before = others(&cluster.world, &node);
        let observed = cluster.observe();
        let plan = removal::replica(&node, &primary(&cluster), &observed);
        let is_primary_up = observed.nodes[&primary(&cluster)].server.is_present();
        prop_assert_eq!(plan.holds.is_empty(), is_primary_up, "its slot would stay behind");
        prop_assert!(is_primary_up || plan.stages.is_empty());
        if !is_primary_up {
            return Ok(());
        }
        for step in plan.steps() {
            let is_its_own = step.subject() == Subject::Node(&node);
            let is_relief = matches!(step, Step::SetStandbys { is_relief: true, .. });
            let is_slot = matches!(step, Step::DropSlot { slot, .. } if *slot == node.slot());
            prop_assert!(is_its_own || is_relief || is_slot, "{step}");
        }
        cluster.run(&plan, Order::LINEAR, cut, false).map_err(TestCaseError::fail)?;
        let rest = removal::replica(&node, &primary(&cluster), &cluster.observe());
        cluster.run(&rest, Order::LINEAR, None, false).map_err(TestCaseError::fail)?;
        prop_assert_eq!(others(&cluster.world, &node), before);
        prop_assert!(!cluster.world.volumes.contains_key(&node) && !cluster.world.containers.contains_key(&node));
        prop_assert!(removal::replica(&node, &primary(&cluster), &cluster.observe()).stages.is_empty());

        cluster.desired.nodes.retain(|known| known.name != node);
        if cluster.desired.nodes.len() == 1 {
            // Nobody is left to wait for, which would be told.
            cluster.desired.synchronous = Synchronous::Off;
        }
        finish(&mut cluster, Order::LINEAR).map_err(TestCaseError::fail)?;
        let slots = &cluster.world.data(&primary(&cluster)).expect("it runs").slots;
        prop_assert!(!slots.contains_key(&node.slot()), "no slot keeps WAL for a node that is gone");
    }

    #[test]
    fn a_resync_repairs_a_replica_whatever_is_wrong_with_it(
        mut cluster in any_cluster(), life in any_life(), which in 0..9_usize, wrong in 0..4_u8,
        cut in prop::option::of(0..5_usize), order: u64,
    ) {
        live(&mut cluster, &life).map_err(TestCaseError::fail)?;
        finish(&mut cluster, Order::LINEAR).map_err(TestCaseError::fail)?;
        let Some(node) = replica(&cluster, which) else { return Ok(()) };
        // Something must be there to lose or to double.
        Event::CreateChunk(which).happen(&mut cluster);
        Event::Write(which).happen(&mut cluster);
        finish(&mut cluster, Order::LINEAR).map_err(TestCaseError::fail)?;
        match wrong {
            0 => Event::DropSlot(which).happen(&mut cluster),
            1 => Event::LoseSlot(which).happen(&mut cluster),
            2 => lose_rows(&mut cluster, &node),
            _ => {}
        }
        Event::CreateChunk(which).happen(&mut cluster);
        Event::Write(which).happen(&mut cluster);
        resync(&mut cluster, &node, cut).map_err(TestCaseError::fail)?;
        finish(&mut cluster, Order(order)).map_err(TestCaseError::fail)?;
    }
}

fn lose_rows(cluster: &mut Cluster, node: &NodeName) {
    let standby = cluster.desired.node(node).is_some_and(|node| node.seat == Seat::Replica(Mode::Physical));
    if let Some(database) = cluster.world.database_mut(node).filter(|_| !standby) {
        database.rows.values_mut().for_each(|rows| *rows = 0);
    }
}

#[test]
fn a_replica_with_rows_and_no_subscription_is_not_subscribed_but_named() {
    let mut cluster = finished(&[Mode::Logical], &["trading"]);
    let node = node_name("replica-1");
    Event::CreateChunk(0).happen(&mut cluster);
    finish(&mut cluster, Order::LINEAR).expect("it converges");
    let plan = resync_plan(&cluster, &node);
    cluster.run(&plan, Order::LINEAR, Some(1), false).expect("it is unsubscribed");
    let plan = cluster.plan();
    assert!(plan.stages.is_empty(), "{plan:#?}");
    assert_eq!(plan.holds, [Hold::new("replica-1", Reason::HoldsRows)]);
    let rest = resync_plan(&cluster, &node);
    cluster.run(&rest, Order::LINEAR, None, false).expect("it is emptied");
    finish(&mut cluster, Order::LINEAR).expect("and copied afresh");
}

#[test]
fn what_is_not_ours_is_not_removed() {
    for foreign in [super::events::Foreign::Volume(1), super::events::Foreign::Container(1)] {
        let mut cluster = finished(&[Mode::Logical], &["trading"]);
        Event::Foreign(foreign).happen(&mut cluster);
        let plan = removal::replica(&node_name("replica-1"), &primary(&cluster), &cluster.observe());
        assert!(plan.stages.is_empty() && plan.refusals().next().is_some(), "{plan:#?}");
    }
}

#[test]
fn the_agent_is_taken_away_and_replicas_stop_before_the_primary() {
    let mut cluster = finished(&[Mode::Logical, Mode::Physical], &["trading"]);
    cluster.agent = Some("agent-0".into());
    finish(&mut cluster, Order::LINEAR).expect("it converges");
    let plan = removal::stop_all(&cluster.desired.nodes, Some(&primary(&cluster)), &cluster.observe());
    let steps: Vec<String> = plan.steps().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        ["remove the agent's container", "stop replica-1 cleanly", "stop replica-2 cleanly", "stop primary-1 cleanly"]
    );
    cluster.run(&plan, Order::LINEAR, None, false).expect("it stops");
    cluster.act(&Action::Settle).expect("time passes");
    finish(&mut cluster, Order::LINEAR).expect("and starts again");
}
