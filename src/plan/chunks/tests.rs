//! What the mirror does, over all kinds of chunks on both sides.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::chunk::Slice;
use crate::model::lsn::Lsn;
use crate::model::observed::{SubscriptionSeen, TableSeen};
use crate::plan::simulate::world::{ident, table};

/// A chunk of one hypertable: its schema, whether it is a member by name, its state in the subscription, and on which sides
/// it is: `(publisher, subscriber)`.
type ChunkCase = (&'static str, bool, Option<char>, (bool, bool));

fn any_chunk() -> impl Strategy<Value = ChunkCase> {
    let schema = prop_oneof![Just("published"), Just("other"), Just("_timescaledb_internal")];
    let state = prop::option::of(prop::sample::select(vec!['i', 'd', 'f', 's', 'r']));
    let sides = prop::sample::select(vec![(true, true), (true, false), (false, true)]);
    (schema, any::<bool>(), state, sides)
}

fn hypertable(name: &str) -> Hypertable {
    let time = Dimension {
        column: ident("at"),
        column_type: "bigint".into(),
        partitioning: Partitioning::Range { interval: 1 },
    };
    Hypertable {
        name: table(name),
        chunk_schema: ident("published"),
        chunk_prefix: "_hyper_1".into(),
        dimensions: vec![time],
        compressed: false,
        now: None,
        is_fed: true,
    }
}

fn chunk(start: i64) -> Chunk {
    let slices = vec![Slice { start, end: start + 1 }];
    Chunk { hypertable: table("trading.bars"), slices, compressed: false }
}

/// Both sides of a mirror with one hypertable. The subscriber's chunks hold the same stretch under the same name.
fn catalogs(cases: &[ChunkCase]) -> (DatabaseSeen, DatabaseSeen) {
    let (mut theirs, mut ours) = (DatabaseSeen::default(), DatabaseSeen::default());
    let schemas = ["published", "_timescaledb_internal"].map(ident).into();
    let mut publication = PublicationSeen { schemas, ..PublicationSeen::default() };
    let mut subscription = SubscriptionSeen { applied: Some(Lsn(100)), ..SubscriptionSeen::default() };
    for side in [&mut theirs, &mut ours] {
        side.hypertables.insert(table("trading.bars"), hypertable("trading.bars"));
    }
    for (number, (schema, is_member, state, (is_there, is_here))) in (0_i64..).zip(cases) {
        let name = table(&format!("{schema}.chunk_{number}"));
        if *is_there {
            theirs.chunks.insert(name.clone(), chunk(number));
        }
        if *is_here {
            ours.chunks.insert(name.clone(), chunk(number));
        }
        if *is_member {
            publication.members.insert(name.clone());
        }
        subscription.tables.extend(state.map(|state| (name, state)));
    }
    theirs.publication = Some(publication);
    ours.subscription = Some(subscription);
    (theirs, ours)
}

fn is_published((schema, is_member, ..): &ChunkCase) -> bool {
    // TimescaleDB's own schema is published chunk by chunk, whatever somebody wrote into the publication.
    *schema == "published" || *is_member
}

/// What the steps of a mirror do to the subscriber.
fn take(mirror: &Mirror, ours: &mut DatabaseSeen) {
    for name in &mirror.retire {
        ours.chunks.remove(name);
        ours.retired.insert(name.clone(), Lsn(100));
        if let Some(subscription) = &mut ours.subscription {
            subscription.tables.remove(name);
        }
    }
    for name in &mirror.forget {
        ours.retired.remove(name);
    }
    for new in &mirror.make {
        assert!(!ours.retired.contains_key(&new.name), "{} is taken", new.name);
        let made = Chunk { hypertable: new.hypertable.clone(), slices: new.slices.clone(), compressed: false };
        assert!(!ours.chunks.values().any(|there| there.overlaps(&made.slices)), "{} has no place", new.name);
        ours.chunks.insert(new.name.clone(), made);
    }
}

proptest! {
    #[test]
    fn every_chunk_counts_once(cases in prop::collection::vec(any_chunk(), 0..20)) {
        let (theirs, ours) = catalogs(&cases);
        let cases: Vec<&ChunkCase> = cases.iter().filter(|case| case.3.0).collect();
        let counts = completeness(&theirs, &ours);
        let count = |is: &dyn Fn(&ChunkCase) -> bool| cases.iter().filter(|case| is(case)).count();
        prop_assert_eq!(counts.published, count(&|case| is_published(case)));
        prop_assert_eq!(counts.unpublished, count(&|case| !is_published(case)));
        prop_assert_eq!(counts.unsubscribed, count(&|case| is_published(case) && case.2.is_none()));
        let is_copied = |case: &ChunkCase| is_published(case) && case.2.is_some_and(|state| state != 'r');
        prop_assert_eq!(counts.not_ready, count(&is_copied));
        prop_assert_eq!(counts.is_complete(), cases.iter().all(|case| is_published(case) && case.2 == Some('r')));
        let none = completeness(&theirs, &DatabaseSeen::default());
        prop_assert_eq!((none.unsubscribed, none.not_ready), (none.published, 0), "without a subscription");
    }

    #[test]
    fn taking_the_steps_makes_both_sides_equal(cases in prop::collection::vec(any_chunk(), 0..20)) {
        let (theirs, mut ours) = catalogs(&cases);
        let first = mirror(&theirs, &ours);
        prop_assert!(first.held.is_empty() && !first.is_incomplete, "{:?}", first.held);
        take(&first, &mut ours);
        let is_copied = |case: &ChunkCase| !case.3.0 && case.2.is_some_and(|state| state != 'r');
        let kept = cases.iter().filter(|case| is_copied(case)).count();
        prop_assert_eq!(ours.chunks.len(), theirs.chunks.len() + kept, "what is being copied cannot be dropped yet");
        take(&mirror(&theirs, &ours), &mut ours);
        prop_assert!(ours.retired.is_empty(), "places are cleared once all is applied");
        prop_assert_eq!(mirror(&theirs, &ours), Mirror::default(), "and then there is nothing to do");
    }

    #[test]
    fn a_place_is_kept_until_everything_before_is_applied(gone in 0_u64..200, applied in prop::option::of(0_u64..200)) {
        let (theirs, mut ours) = catalogs(&[]);
        let name = table("published.chunk_0");
        ours.retired = BTreeMap::from([(name.clone(), Lsn(gone))]);
        ours.subscription = Some(SubscriptionSeen { applied: applied.map(Lsn), ..SubscriptionSeen::default() });
        let forgets = mirror(&theirs, &ours).forget.contains(&name);
        prop_assert_eq!(forgets, applied.is_some_and(|applied| applied >= gone));
        ours.subscription = None;
        prop_assert!(mirror(&theirs, &ours).forget.contains(&name), "nothing is on its way");
    }

    /// As a primary does that was promoted before it had them.
    #[test]
    fn a_name_that_is_given_anew_waits_for_its_place(gone in 0_u64..200, applied in 0_u64..200) {
        let (mut theirs, mut ours) = catalogs(&[]);
        let name = table("published.chunk_0");
        theirs.chunks = BTreeMap::from([(name.clone(), chunk(0))]);
        ours.retired = BTreeMap::from([(name.clone(), Lsn(gone))]);
        ours.subscription = Some(SubscriptionSeen { applied: Some(Lsn(applied)), ..SubscriptionSeen::default() });
        let mut found = mirror(&theirs, &ours);
        prop_assert_eq!(found.is_incomplete, applied < gone);
        prop_assert_eq!(found.held.pop(), (applied < gone).then(|| Reason::NameClash(name.clone())));
        take(&found, &mut ours);
        prop_assert_eq!(ours.chunks.contains_key(&name), applied >= gone);
    }
}

proptest! {
    /// The publisher's root makes chunks called `published._hyper_1_<n>_chunk`.
    #[test]
    fn a_place_is_kept_for_a_chunk_that_nobody_has_and_for_nothing_else(
        name in "published\\._hyper_[12]_([0-9]{1,3}|x)_(chunk|chonk)", where_it_is in 0..5,
    ) {
        let (mut theirs, mut ours) = catalogs(&[BOTH]);
        let wanting = table(&name);
        ours.subscription.as_mut().expect("it is there").wanting = Some(wanting.clone());
        match where_it_is {
            1 => drop(theirs.tables.insert(wanting.clone(), TableSeen::default())),
            2 => drop(theirs.chunks.insert(wanting.clone(), chunk(50))),
            3 => drop(ours.tables.insert(wanting.clone(), TableSeen::default())),
            4 => drop(ours.retired.insert(wanting.clone(), Lsn(200))),
            _ => {}
        }
        let mirror = mirror(&theirs, &ours);
        let is_of_the_root = name.starts_with("published._hyper_1_") && !name.contains('x') && name.ends_with("_chunk");
        let kept = (where_it_is == 0 && is_of_the_root).then(|| (wanting.clone(), table("trading.bars")));
        let places = mirror.keep.clone().map(|(places, root)| (places.contains(&wanting), root));
        prop_assert_eq!(places, kept.map(|(_, root)| (true, root)));
        for place in mirror.keep.iter().flat_map(|(places, _)| places) {
            prop_assert!(!theirs.has(place) && !ours.has(place) && !ours.retired.contains_key(place), "{}", place);
        }
        let is_told = mirror.held.contains(&Reason::WantsDropped(wanting));
        prop_assert_eq!(is_told, where_it_is == 0 && !is_of_the_root, "{:?}", mirror.held);
    }
}

const BOTH: ChunkCase = ("published", false, Some('r'), (true, true));

fn reasons(mirror: &Mirror) -> Vec<&'static str> {
    mirror.held.iter().map(Reason::label).collect()
}

#[test]
fn a_new_chunk_takes_the_place_of_a_dropped_one() {
    let (mut theirs, mut ours) = catalogs(&[BOTH; 2]);
    let (old, new) = (table("published.chunk_0"), table("published.chunk_9"));
    theirs.chunks.remove(&old);
    theirs.chunks.insert(new.clone(), chunk(0));
    let mirror = super::mirror(&theirs, &ours);
    assert_eq!(mirror.retire, BTreeSet::from([old.clone()]));
    assert_eq!(mirror.make.iter().map(|chunk| &chunk.name).collect::<Vec<_>>(), [&new]);
    // PostgreSQL would not drop it now.
    ours.subscription.iter_mut().for_each(|subscription| {
        subscription.tables.insert(old.clone(), 'd');
    });
    let mirror = super::mirror(&theirs, &ours);
    assert_eq!((mirror.retire.len(), mirror.make.len()), (0, 0));
    assert_eq!(mirror.held, [Reason::DroppedWhileCopying(old)]);
    assert!(mirror.is_incomplete);
}

#[test]
fn what_is_not_the_publishers_chunk_is_held_by_name() {
    let (theirs, mut ours) = catalogs(&[BOTH; 2]);
    let name = table("published.chunk_0");
    ours.chunks.insert(name.clone(), chunk(7));
    assert_eq!(mirror(&theirs, &ours).held, [Reason::ChunkDiffers(name.clone())]);
    // The same stretch under another name that the publisher has elsewhere.
    ours.chunks.remove(&name);
    ours.chunks.insert(table("published.chunk_1"), chunk(0));
    assert_eq!(reasons(&mirror(&theirs, &ours)), ["chunk_differs", "chunk_differs"]);
    let (theirs, mut ours) = catalogs(&[BOTH; 2]);
    ours.chunks.remove(&name);
    ours.tables.insert(name.clone(), TableSeen::default());
    let mirror = mirror(&theirs, &ours);
    assert_eq!(mirror.held, [Reason::NameClash(name)]);
    assert!(mirror.is_incomplete && mirror.make.is_empty());
}

#[test]
fn hypertables_are_divided_alike_or_held() {
    let (theirs, mut ours) = catalogs(&[("published", false, None, (true, false))]);
    let root = table("trading.bars");
    let partitioning = |ours: &mut DatabaseSeen, partitioning| {
        ours.hypertables.get_mut(&root).expect("it is there").dimensions[0].partitioning = partitioning;
    };
    partitioning(&mut ours, Partitioning::Range { interval: 5 });
    let aligned = mirror(&theirs, &ours);
    assert_eq!(aligned.align, [hypertable("trading.bars")]);
    assert_eq!(aligned.make.len(), 1);
    partitioning(&mut ours, Partitioning::Hash { partitions: 2 });
    let held = mirror(&theirs, &ours);
    assert_eq!((reasons(&held), held.make.len()), (vec!["dimensions_differ"], 0));
    assert!(held.is_incomplete);
    ours.hypertables.clear();
    assert_eq!(reasons(&mirror(&theirs, &ours)), Vec::<&str>::new(), "a table that is not here is missed as a table");
    ours.tables.insert(root, TableSeen::default());
    assert_eq!(reasons(&mirror(&theirs, &ours)), ["dimensions_differ"]);
}

#[test]
fn a_time_column_of_a_strange_type_is_held() {
    let (mut theirs, mut ours) = catalogs(&[("published", false, None, (true, false))]);
    for side in [&mut theirs, &mut ours] {
        side.hypertables.values_mut().for_each(|hypertable| hypertable.dimensions[0].column_type = "uuid".into());
    }
    let held = mirror(&theirs, &ours);
    assert_eq!((reasons(&held), held.make.len(), held.is_incomplete), (vec!["unsupported_time_type"], 0, true));
}

#[test]
fn chunks_of_a_hypertable_that_is_gone_are_left_alone() {
    let (mut theirs, ours) = catalogs(&[BOTH; 3]);
    theirs.hypertables.clear();
    theirs.chunks.clear();
    assert_eq!(mirror(&theirs, &ours), Mirror::default());
}

#[test]
fn all_tables_covers_every_chunk() {
    let (theirs, _) = catalogs(&[("other", false, None, (true, false))]);
    let everything = PublicationSeen { all_tables: true, ..PublicationSeen::default() };
    assert!(unpublished(Some(&theirs), &everything).is_empty());
    assert!(unpublished(None, &PublicationSeen::default()).is_empty());
}
