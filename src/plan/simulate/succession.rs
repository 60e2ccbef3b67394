//! Changes of the primary that are cut off anywhere: one node takes writes in the end, and all others follow it.

use proptest::prelude::*;

use super::act::{Run, simulate};
use super::{Cluster, Order, finished, time};
use crate::model::cluster::{Mode, Seat};
use crate::model::names::{NodeName, TableName};
use crate::model::observed::SeatRow;
use crate::plan::step::Step;
use crate::plan::topology;

/// How far a change comes before whoever carries it out is gone.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Marked,
    Promoted,
    Raised,
}

#[derive(Clone, Debug)]
struct Change {
    /// Which of the standbys.
    to: usize,
    cut: Cut,
    /// Whose process ends at that moment, by the place of the node.
    dies: [bool; 4],
    order: u64,
}

fn any_change() -> impl Strategy<Value = Change> {
    let cut = prop_oneof![Just(Cut::Marked), Just(Cut::Promoted), Just(Cut::Raised)];
    (0..3_usize, cut, any::<[bool; 4]>(), any::<u64>()).prop_map(|(to, cut, dies, order)| Change {
        to,
        cut,
        dies,
        order,
    })
}

fn primary(cluster: &Cluster) -> NodeName {
    let observed = cluster.observe();
    topology::primary(&topology::nodes(&cluster.desired, &observed), &observed).expect("there is one")
}

/// Begins a change, as `tasks::switchover` does, and tells who is to take writes in the end.
fn begin(cluster: &mut Cluster, change: &Change) -> NodeName {
    let from = primary(cluster);
    let nodes = cluster.desired.nodes.clone();
    let standbys: Vec<NodeName> = topology::standbys(&nodes, &from).cloned().collect();
    let to = standbys[change.to % standbys.len()].clone();
    cluster.world.data_mut(&from).expect("it runs").yields_to = Some(to.clone());
    let epoch = cluster.world.data(&from).and_then(|data| data.seat()).expect("it is provisioned").epoch;
    if matches!(change.cut, Cut::Promoted | Cut::Raised) {
        // It has kept the slots of those that subscribe.
        let slots = cluster.world.data(&from).expect("it runs").slots.clone();
        let data = cluster.world.data_mut(&to).expect("it runs");
        data.slots.extend(slots.into_iter().filter(|(_, slot)| slot.is_logical));
        data.standby_of = None;
        data.is_streaming = false;
    }
    if matches!(change.cut, Cut::Raised) {
        let run = Run { desired: &cluster.desired.clone(), packs: &[], is_published: false, salt: 0 };
        let raise = Step::RaiseEpoch { node: to.clone(), epoch: epoch + 1 };
        simulate(&mut cluster.world, &raise, &run).expect("it takes writes");
    }
    for (node, _) in cluster.desired.nodes.clone().iter().zip(change.dies).filter(|(_, dies)| *dies) {
        cluster.world.process_ends(&node.name);
    }
    if matches!(change.cut, Cut::Marked) { from } else { to }
}

proptest! {
    #[test]
    fn a_change_of_the_primary_that_is_cut_off_ends_with_one_writer_whom_all_follow(
        standbys in 1..4_usize, has_subscriber: bool, changes in prop::collection::vec(any_change(), 1..5),
    ) {
        let mut modes = vec![Mode::Physical; standbys];
        modes.extend(has_subscriber.then_some(Mode::Logical));
        let mut cluster = finished(&modes, &["trading"]);
        for change in &changes {
            let wanted = begin(&mut cluster, change);
            let writers = cluster.world.writers();
            prop_assert!(writers.len() <= 1, "{:?} at {:?}", writers, change);
            let holds = cluster.converge(Order(change.order)).map_err(TestCaseError::fail)?;
            prop_assert_eq!(holds, Vec::new(), "after {:?}", change);
            prop_assert_eq!(cluster.world.writers(), vec![wanted.clone()]);
            for node in &cluster.desired.nodes {
                let data = cluster.world.data(&node.name).expect("it is there");
                prop_assert!(data.yields_to.is_none());
                prop_assert!(cluster.world.is_running(&node.name));
                let is_subscriber = node.seat.mode() == Some(Mode::Logical);
                let follows = (node.name != wanted && !is_subscriber).then_some(&wanted);
                prop_assert_eq!(data.standby_of.as_ref(), follows, "{} after {:?}", node.name, change);
            }
            time::settle(&mut cluster.world);
            prop_assert!(cluster.plan().is_empty(), "{:#?}", cluster.plan());
            goes_on(&cluster, &wanted)?;
            // Rows come between two changes.
            let database = cluster.world.database_mut(&wanted).expect("it is provisioned");
            let root = database.tables.iter().find(|(_, table)| table.hypertable.is_some()).map(|(name, _)| name.clone());
            let _ = root.map(|root| database.insert_into_new_chunk(&root));
            cluster.converge(Order(change.order)).map_err(TestCaseError::fail)?;
            time::settle(&mut cluster.world);
        }
    }
}

/// Whoever subscribes has every row of the primary's, and each once.
fn goes_on(cluster: &Cluster, primary: &NodeName) -> Result<(), TestCaseError> {
    let theirs = cluster.world.database(primary).expect("it is there");
    for node in cluster.desired.nodes.iter().filter(|node| node.seat.mode() == Some(Mode::Logical)) {
        let ours = cluster.world.database(&node.name).expect("it is there");
        let subscription = ours.subscription.as_ref().expect("it subscribes");
        prop_assert_eq!(&subscription.publisher, primary);
        prop_assert_eq!(ours.catalog.as_ref().map(|row| row.epoch), theirs.catalog.as_ref().map(|row| row.epoch));
        for table in theirs.members(&cluster.desired.publication.name) {
            prop_assert_eq!(ours.rows(&table), theirs.rows(&table), "{}", table);
        }
    }
    Ok(())
}

/// How far a change to a logical replica comes. What makes it the primary is one transaction.
#[derive(Clone, Copy, Debug)]
enum LogicalCut {
    Marked,
    Published,
    Taken,
}

#[derive(Clone, Debug)]
struct LogicalChange {
    cut: LogicalCut,
    /// Whose process ends at that moment: the primary's, the replica's.
    dies: [bool; 2],
    /// The old primary's container is gone; its volume is there.
    is_removed: bool,
    /// Passes that are cut off afterwards, after so many steps.
    passes: Vec<usize>,
    /// What comes to the new primary in the meantime.
    traffic: Vec<Traffic>,
    order: u64,
}

/// What applications and retention do; the number chooses among hypertables, or chunks.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    NewChunk(usize),
    Row(usize),
    DropChunk(usize),
}

impl Traffic {
    fn come(self, cluster: &mut Cluster, primary: &NodeName) {
        // What is just being copied is dropped later: that has a hold of its own.
        let is_copied = |chunk: &TableName| super::events::is_being_copied(&cluster.world, chunk);
        let database = cluster.world.database(primary).expect("it is provisioned");
        let chunks: Vec<TableName> = database.chunks.keys().filter(|chunk| !is_copied(chunk)).cloned().collect();
        let database = cluster.world.database_mut(primary).expect("it is provisioned");
        let roots = database.tables.iter().filter(|(_, table)| table.hypertable.is_some());
        let roots: Vec<TableName> = roots.map(|(name, _)| name.clone()).collect();
        match self {
            Self::NewChunk(which) => {
                let _ = database.insert_into_new_chunk(&roots[which % roots.len()]);
            }
            Self::Row(_) | Self::DropChunk(_) if chunks.is_empty() => {}
            Self::Row(which) => *database.rows.entry(chunks[which % chunks.len()].clone()).or_default() += 1,
            Self::DropChunk(which) => super::events::forget_chunk(database, &chunks[which % chunks.len()]),
        }
    }
}

fn any_traffic() -> impl Strategy<Value = Traffic> {
    let which = || 0..100_usize;
    prop_oneof![
        which().prop_map(Traffic::NewChunk),
        which().prop_map(Traffic::Row),
        which().prop_map(Traffic::DropChunk)
    ]
}

fn any_logical_change() -> impl Strategy<Value = LogicalChange> {
    let cut = prop_oneof![Just(LogicalCut::Marked), Just(LogicalCut::Published), Just(LogicalCut::Taken)];
    let traffic = prop::collection::vec(any_traffic(), 0..4);
    let passes = prop::collection::vec(0..6_usize, 0..3);
    (cut, any::<[bool; 2]>(), prop::bool::weighted(0.3), passes, traffic, any::<u64>()).prop_map(
        |(cut, dies, is_removed, passes, traffic, order)| LogicalChange {
            cut,
            dies,
            is_removed,
            passes,
            traffic,
            order,
        },
    )
}

/// Begins a change, as `tasks::switchover` does, and tells who is to take writes in the end.
fn begin_logical(cluster: &mut Cluster, change: &LogicalChange) -> NodeName {
    let from = primary(cluster);
    let mut others = cluster.desired.nodes.iter().map(|node| node.name.clone()).filter(|name| *name != from);
    let to = others.next().expect("there are two");
    let publication = cluster.desired.publication.name.clone();
    cluster.world.data_mut(&from).expect("it runs").yields_to = Some(to.clone());
    let theirs = cluster.world.database(&from).expect("it is provisioned").clone();
    let server = cluster.world.data_mut(&to).expect("it runs");
    if matches!(change.cut, LogicalCut::Published | LogicalCut::Taken) {
        let slot = super::world::Slot { is_logical: true, lost: false };
        server.slots.insert(from.slot(), slot);
        let ours = server.database.as_mut().expect("it is provisioned");
        ours.publications.insert(publication.clone(), theirs.publications[&publication].clone());
    }
    if matches!(change.cut, LogicalCut::Taken) {
        let ours = server.database.as_mut().expect("it is provisioned");
        let epoch = theirs.catalog.expect("it is provisioned").epoch;
        ours.subscription = None;
        ours.is_read_only = false;
        ours.catalog = Some(SeatRow::new(to.as_str(), Seat::Primary, epoch + 1));
    }
    for (node, _) in [&from, &to].into_iter().zip(change.dies).filter(|(_, dies)| *dies) {
        cluster.world.process_ends(node);
    }
    if change.is_removed {
        cluster.world.process_ends(&from);
        cluster.world.containers.remove(&from);
    }
    if matches!(change.cut, LogicalCut::Taken) { to } else { from }
}

proptest! {
    #[test]
    fn a_change_to_a_logical_replica_that_is_cut_off_ends_with_one_writer_and_a_replica_that_lacks_nothing(
        changes in prop::collection::vec(any_logical_change(), 1..5),
    ) {
        let mut cluster = finished(&[Mode::Logical], &["trading"]);
        for change in &changes {
            // It is only begun when the replica has everything.
            time::settle(&mut cluster.world);
            let wanted = begin_logical(&mut cluster, change);
            prop_assert!(cluster.world.writers().len() <= 1, "{:?} at {:?}", cluster.world.writers(), change);
            for cut in &change.passes {
                let plan = cluster.plan();
                cluster.run(&plan, Order(change.order), Some(*cut), false).map_err(TestCaseError::fail)?;
                let writers = cluster.world.writers();
                prop_assert!(writers.len() <= 1, "{:?} at {:?}", writers, change);
                if cluster.world.is_running(&wanted) && writers == [wanted.clone()] {
                    change.traffic.iter().for_each(|traffic| traffic.come(&mut cluster, &wanted));
                }
            }
            let holds = cluster.converge(Order(change.order)).map_err(TestCaseError::fail)?;
            prop_assert_eq!(holds, Vec::new(), "after {:?}", change);
            prop_assert_eq!(cluster.world.writers(), vec![wanted.clone()]);
            time::settle(&mut cluster.world);
            prop_assert!(cluster.plan().is_empty(), "{:#?}", cluster.plan());
            let published = &cluster.desired.publication.name;
            let theirs = cluster.world.database(&wanted).expect("it is there");
            prop_assert!(!theirs.is_read_only && theirs.guarded.is_empty());
            for node in cluster.desired.nodes.iter().filter(|node| node.name != wanted) {
                let ours = cluster.world.database(&node.name).expect("it is there");
                prop_assert!(ours.is_read_only);
                for table in theirs.members(published) {
                    prop_assert_eq!(ours.rows(&table), theirs.rows(&table), "{} after {:?}", table, change);
                    prop_assert!(ours.chunks.contains_key(&table) || ours.guarded.contains(&table), "{}", table);
                }
            }
        }
    }
}
