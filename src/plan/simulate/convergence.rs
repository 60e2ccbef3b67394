//! From any start to what is wanted: nothing to do once it is there, and nothing missing.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::events::Event;
use super::generate::{any_cluster, any_life, any_trouble, cluster, full_packs};
use super::world::Database;
use super::{Action, Cluster, Order};
use crate::model::cluster::{Mode, Seat};
use crate::model::names::Ident;
use crate::model::observed::RunState;
use crate::plan::migrations::{self, Ground};
use crate::plan::{provision, topology};

/// Everything a finished cluster must have, said once more without the planner's help.
pub fn assert_finished(cluster: &Cluster) {
    let Cluster { world, desired, packs, agent } = cluster;
    let nodes = topology::nodes(desired, &cluster.observe());
    let primary = &desired.preferred_primary().name;
    assert_eq!(world.writers().as_slice(), std::slice::from_ref(primary), "one node takes writes");
    let theirs = world.database(primary).expect("the primary has its database");
    let has_logical_replica = nodes.iter().any(|node| node.seat == Seat::Replica(Mode::Logical));

    for node in &nodes {
        let container = world.containers.get(&node.name).expect("every wanted node has a container");
        assert_eq!(container.seen.state, RunState::Running, "{} runs", node.name);
        assert_eq!(Some(&container.seen.image_id), world.image.as_ref().map(|image| &image.id));
        let settings: Vec<_> = desired.settings.iter().map(|set| format!("{}={}", set.name, set.value)).collect();
        assert_eq!(container.spec.as_ref().map(|spec| &spec.settings), Some(&settings), "{} is current", node.name);
        let server = world.data(&node.name).expect("it runs");
        assert_eq!(server.roles, world.data(primary).expect("it runs").roles, "one verifier per role on every node");
        assert_eq!(server.roles.len(), provision::ROLES.len() + 1);
        let is_standby = node.seat == Seat::Replica(Mode::Physical);
        assert_eq!(server.standby_of.as_ref(), is_standby.then_some(primary));
        let ours = server.database.as_ref().expect("every node has the database");
        let ground = Ground { edition: Some(world.edition), has_logical_replica };
        let open = migrations::compare(packs, &ours.migrations, ground);
        assert!(open.to_apply.is_empty() && open.refused.is_empty(), "{} lacks {open:?}", node.name);
        match node.seat {
            Seat::Replica(Mode::Physical) => {
                assert!(server.is_streaming);
                assert_eq!(ours, theirs, "{} is a copy", node.name);
            }
            Seat::Replica(Mode::Logical) => {
                assert!(ours.is_read_only, "{} takes no writes of applications", node.name);
                let mut tables = ours.tables.keys().filter(|table| published(cluster).contains(&table.schema));
                assert!(tables.all(|table| ours.guarded.contains(table)), "{} refuses writes", node.name);
                assert!(ours.retired.is_empty(), "{} keeps no places", node.name);
                assert!(ours.chunks.keys().all(|chunk| theirs.chunks.contains_key(chunk)), "{} dropped too", node.name);
                assert_complete(cluster, theirs, ours);
            }
            Seat::Primary => assert!(!ours.is_read_only),
        }
    }
    super::endpoint::assert_finished(cluster);
    super::monitoring::assert_finished(cluster);
    super::waiting::assert_finished(cluster);
    if agent.is_some() {
        let there = world.agent.as_ref().expect("the agent is there");
        assert_eq!(agent.as_ref(), Some(&there.seen.spec));
        assert!(there.has_files && there.seen.state == RunState::Running);
    }
}

/// The schemas that are to be replicated.
fn published(cluster: &Cluster) -> BTreeSet<Ident> {
    let of_packs: BTreeSet<Ident> = cluster.packs.iter().flat_map(|pack| pack.published.clone()).collect();
    match &cluster.desired.publication.schemas {
        Some(schemas) => schemas.iter().cloned().collect(),
        None if of_packs.is_empty() => BTreeSet::from([super::world::ident("public")]),
        None => of_packs,
    }
}

/// Every table and every chunk is published, subscribed, copied, and holds exactly the rows the primary holds.
fn assert_complete(cluster: &Cluster, theirs: &Database, ours: &Database) {
    let schemas = published(cluster);
    let tables = theirs.tables.keys().filter(|table| schemas.contains(&table.schema));
    let chunks = theirs.chunks.iter().filter(|(_, chunk)| schemas.contains(&chunk.root.schema)).map(|(name, _)| name);
    let members = theirs.members(&cluster.desired.publication.name);
    let subscription = ours.subscription.as_ref().expect("it subscribes");
    for relation in tables.chain(chunks) {
        assert!(members.contains(relation), "{relation} is published");
        assert!(ours.has(relation), "{relation} is there");
        assert_eq!(subscription.tables.get(relation).map(|(state, _)| *state), Some('r'), "{relation} is copied");
        assert_eq!(ours.rows(relation), theirs.rows(relation), "rows of {relation}");
    }
    assert!(subscription.is_applying);
    assert_eq!(subscription.publication, cluster.desired.publication.name);
}

/// Lets everything happen; no step may fail on the way.
pub fn live(cluster: &mut Cluster, life: &[Action]) -> Result<(), String> {
    life.iter().try_for_each(|action| cluster.act(action).map_err(|why| format!("{action:?}: {why}")))
}

/// Converges to the end, with nothing held.
pub fn finish(cluster: &mut Cluster, order: Order) -> Result<(), String> {
    let holds = cluster.converge(order)?;
    if !holds.is_empty() {
        let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
        return Err(format!("held: {}", holds.join("; ")));
    }
    assert_finished(cluster);
    Ok(())
}

/// Used by neighbours that need a finished cluster to begin with.
pub fn finished(modes: &[Mode], packs: &[&str]) -> Cluster {
    let mut cluster = cluster(modes, packs.iter().filter_map(|name| full_packs(name)).collect());
    finish(&mut cluster, Order::LINEAR).expect("a fresh cluster converges");
    cluster
}

proptest! {
    #[test]
    fn any_start_converges_to_everything_that_is_wanted(
        mut cluster in any_cluster(), life in any_life(), order: u64,
    ) {
        live(&mut cluster, &life).map_err(TestCaseError::fail)?;
        finish(&mut cluster, Order(order)).map_err(TestCaseError::fail)?;
        prop_assert!(cluster.plan().is_empty(), "a second run changes nothing");
        // The agent looks at less, and finds nothing either.
        prop_assert!(cluster.agents_plan().is_empty(), "{:#?}", cluster.agents_plan());
    }

    #[test]
    fn trouble_is_named_and_touches_nothing_that_works(
        mut cluster in any_cluster(), trouble in any_trouble(), order: u64, which in 0..9_usize,
    ) {
        finish(&mut cluster, Order::LINEAR).map_err(TestCaseError::fail)?;
        Event::CreateChunk(which).happen(&mut cluster);
        finish(&mut cluster, Order::LINEAR).map_err(TestCaseError::fail)?;
        let before = cluster.world.clone();
        trouble.happen(&mut cluster);
        if cluster.world == before {
            return Ok(());
        }
        let holds = cluster.converge(Order(order)).map_err(TestCaseError::fail)?;
        prop_assert!(!holds.is_empty(), "{:?} is not told", trouble);
        prop_assert!(holds.iter().all(|hold| !hold.reason.is_refusal()), "{:?}", holds);
        prop_assert_eq!(cluster.world.writers(), before.writers());
        prop_assert!(cluster.plan().steps().next().is_none(), "and no pass tries in vain");
    }
}

/// A first run, killed after and within every single step, is finished by the next.
#[test]
fn the_first_run_may_be_killed_anywhere() {
    let start = cluster(
        &[Mode::Logical, Mode::Physical],
        ["trading", "metering"].iter().filter_map(|name| full_packs(name)).collect(),
    );
    let start = Cluster { agent: Some("agent-0".into()), ..start };
    let length = start.plan().steps().count();
    for cut in 0..=length {
        for is_halfway in [false, true] {
            let mut cluster = start.clone();
            let plan = cluster.plan();
            cluster.run(&plan, Order::LINEAR, Some(cut), is_halfway).expect("steps of a fresh plan succeed");
            finish(&mut cluster, Order::LINEAR).expect("the next run finishes it");
        }
    }
}

/// Servers, subscription; then protection of the tables and chunks ahead; then those chunks on the replica.
#[test]
fn three_passes_make_a_whole_cluster() {
    let mut cluster = cluster(&[Mode::Logical], full_packs("trading").into_iter().collect());
    for _ in 0..3 {
        let plan = cluster.plan();
        cluster.run(&plan, Order::LINEAR, None, false).expect("steps of a fresh plan succeed");
        super::time::settle(&mut cluster.world);
    }
    assert!(cluster.plan().is_empty(), "{:#?}", cluster.plan());
    assert_finished(&cluster);
}
