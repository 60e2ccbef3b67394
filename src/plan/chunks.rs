//! The chunk mirror: which chunks a subscriber lacks, which ones the publication misses, and how complete it all is.
//!
//! Compares two catalogs that were both read. A side that could not be read never gets here.

use std::collections::BTreeSet;

use serde::Serialize;

use super::hold::Reason;
use super::scope;
use crate::model::chunk::ChunkToMirror;
use crate::model::desired::DesiredNode;
use crate::model::names::{NodeName, TableName};
use crate::model::observed::{DatabaseSeen, Observed, PublicationSeen};

/// Chunks a subscriber is to get.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    /// In the order of their names.
    pub chunks: Vec<ChunkToMirror>,
    /// Chunks of the same hypertables that the subscriber has and the publisher no longer has.
    pub stale: BTreeSet<TableName>,
    /// Some chunk is lacking and cannot be made yet.
    pub is_incomplete: bool,
}

/// The chunks of the publisher that the subscriber lacks.
pub fn mirror(theirs: &DatabaseSeen, ours: &DatabaseSeen, held: &mut Vec<Reason>) -> Mirror {
    let mut mirror = Mirror::default();
    for (name, hypertable) in lacking(theirs, ours) {
        let is_mirrorable = theirs.hypertables.get(hypertable).is_some_and(|known| known.dimensions == 1)
            && ours.hypertables.contains_key(hypertable);
        match theirs.ranges.get(name) {
            Some(range) if is_mirrorable => mirror.chunks.push(ChunkToMirror {
                name: name.clone(),
                hypertable: hypertable.clone(),
                range: range.clone(),
            }),
            None if is_mirrorable => {
                mirror.is_incomplete = true;
                held.push(Reason::Unknown(format!("the range of chunk {name} was not read")));
            }
            // Held already: the hypertable has more dimensions, or does not exist on the subscriber.
            _ => mirror.is_incomplete = true,
        }
    }
    let is_affected = |hypertable: &TableName| mirror.chunks.iter().any(|chunk| chunk.hypertable == *hypertable);
    let gone = lacking(ours, theirs).filter(|(_, hypertable)| is_affected(hypertable));
    mirror.stale = gone.map(|(name, _)| name.clone()).collect();
    mirror
}

/// Chunks of the publisher that the subscriber lacks, with their hypertables.
pub fn lacking<'a>(
    theirs: &'a DatabaseSeen,
    ours: &'a DatabaseSeen,
) -> impl Iterator<Item = (&'a TableName, &'a TableName)> {
    theirs.chunks.iter().filter(|(name, _)| !ours.chunks.contains_key(*name))
}

/// Chunks of the primary that some logical replica lacks: those whose ranges are worth reading.
pub fn lacking_somewhere(nodes: &[DesiredNode], primary: &NodeName, observed: &Observed) -> BTreeSet<TableName> {
    let server = |name: &NodeName| observed.nodes.get(name)?.server.present();
    let Some(theirs) = server(primary).and_then(|server| server.database.present()) else { return BTreeSet::new() };
    nodes
        .iter()
        .filter(|node| node.name != *primary)
        .filter_map(|node| server(&node.name))
        .filter(|server| !server.in_recovery)
        .filter_map(|server| server.database.present())
        .flat_map(|ours| lacking(theirs, ours).map(|(name, _)| name.clone()))
        .collect()
}

/// Chunks that the publication does not cover, by schema or by name.
pub fn unpublished(database: Option<&DatabaseSeen>, publication: &PublicationSeen) -> BTreeSet<TableName> {
    let is_covered = |chunk: &TableName| {
        publication.all_tables
            || publication.members.contains(chunk)
            || (publication.schemas.contains(&chunk.schema) && !scope::is_timescale_own(&chunk.schema))
    };
    database
        .into_iter()
        .flat_map(|database| database.chunks.keys())
        .filter(|chunk| !is_covered(chunk))
        .cloned()
        .collect()
}

/// How complete a subscriber's mirror is, in chunks of the publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// Chunks the publication covers.
    pub published: usize,
    /// Chunks the publication does not cover: their rows never leave the publisher.
    pub unpublished: usize,
    /// Published chunks that the subscription does not know: their rows do not arrive.
    pub unsubscribed: usize,
    /// Chunks the subscription knows and is still copying.
    pub not_ready: usize,
}

/// Counts how complete a subscriber is.
pub fn completeness(theirs: &DatabaseSeen, ours: &DatabaseSeen) -> Completeness {
    let none = PublicationSeen::default();
    let publication = theirs.publication.as_ref().unwrap_or(&none);
    let unpublished = unpublished(Some(theirs), publication);
    let mut counts = Completeness { unpublished: unpublished.len(), ..Completeness::default() };
    for chunk in theirs.chunks.keys().filter(|chunk| !unpublished.contains(*chunk)) {
        counts.published += 1;
        match ours.subscription.as_ref().and_then(|subscription| subscription.tables.get(chunk)) {
            None => counts.unsubscribed += 1,
            Some('r') => {}
            Some(_) => counts.not_ready += 1,
        }
    }
    counts
}

impl Completeness {
    /// Every chunk is published, subscribed and copied.
    pub fn is_complete(&self) -> bool {
        self.unpublished == 0 && self.unsubscribed == 0 && self.not_ready == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::chunk::{ChunkRange, Hypertable};
    use crate::model::observed::SubscriptionSeen;
    use crate::plan::simulate::world::{ident, table};

    /// A chunk of the publisher: its schema, whether it is a member by name, its state in the subscription, whether the
    /// subscriber has it, whether its range was read.
    type ChunkCase = (&'static str, bool, Option<char>, bool, bool);

    fn any_chunk() -> impl Strategy<Value = ChunkCase> {
        let schema = prop_oneof![Just("published"), Just("other"), Just("_timescaledb_internal")];
        let state = prop::option::of(prop::sample::select(vec!['i', 'd', 'f', 's', 'r']));
        (schema, any::<bool>(), state, any::<bool>(), any::<bool>())
    }

    /// Both sides of a mirror. Chunks belong to two hypertables in turn; the second one has `dimensions`.
    fn catalogs(cases: &[ChunkCase], dimensions: u16) -> (DatabaseSeen, DatabaseSeen) {
        let (mut theirs, mut ours) = (DatabaseSeen::default(), DatabaseSeen::default());
        let schemas = ["published", "_timescaledb_internal"].map(ident).into();
        let mut publication = PublicationSeen { schemas, ..PublicationSeen::default() };
        let mut subscription = SubscriptionSeen::default();
        for (name, dimensions) in [("trading.a", 1), ("trading.b", dimensions)] {
            let name = table(name);
            let hypertable =
                Hypertable { name: name.clone(), chunk_schema: ident("published"), dimensions, compressed: false };
            theirs.hypertables.insert(name.clone(), hypertable.clone());
            ours.hypertables.insert(name, hypertable);
        }
        for (number, (schema, is_member, state, is_here, has_range)) in cases.iter().enumerate() {
            let name = table(&format!("{schema}.chunk_{number}"));
            let root = table(if number.is_multiple_of(2) { "trading.a" } else { "trading.b" });
            theirs.chunks.insert(name.clone(), root.clone());
            if *is_member {
                publication.members.insert(name.clone());
            }
            if *has_range {
                theirs.ranges.insert(name.clone(), ChunkRange { start: number.to_string(), end: String::new() });
            }
            if *is_here {
                ours.chunks.insert(name.clone(), root);
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

    proptest! {
        #[test]
        fn every_chunk_counts_once(cases in prop::collection::vec(any_chunk(), 0..20)) {
            let (theirs, ours) = catalogs(&cases, 1);
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
        fn a_mirror_has_every_lacking_chunk_or_says_that_it_is_incomplete(
            cases in prop::collection::vec(any_chunk(), 0..20), dimensions in 1..3_u16,
        ) {
            let (theirs, ours) = catalogs(&cases, dimensions);
            let mut held = Vec::new();
            let mirror = mirror(&theirs, &ours, &mut held);
            let lacking = cases.iter().enumerate().filter(|(_, case)| !case.3);
            let is_mirrorable = |number: usize| number.is_multiple_of(2) || dimensions == 1;
            let can_be_made = |(number, case): &(usize, &ChunkCase)| is_mirrorable(*number) && case.4;
            prop_assert_eq!(mirror.chunks.len(), lacking.clone().filter(can_be_made).count());
            prop_assert_eq!(mirror.is_incomplete, !lacking.clone().all(|chunk| can_be_made(&chunk)));
            let unread = lacking.filter(|(number, case)| is_mirrorable(*number) && !case.4).count();
            prop_assert_eq!(held.len(), unread, "an unread range is told, the rest is held with the hypertable");
            prop_assert!(mirror.stale.is_empty());
        }
    }

    #[test]
    fn chunks_that_the_publisher_dropped_are_named_with_new_ones_of_their_hypertable() {
        let there: ChunkCase = ("published", true, Some('r'), true, true);
        let (mut theirs, ours) = catalogs(&[there; 4], 1);
        let gone = table("published.chunk_0");
        theirs.chunks.remove(&gone);
        assert_eq!(mirror(&theirs, &ours, &mut Vec::new()), Mirror::default(), "nothing is in their way");
        let new = table("published.chunk_9");
        theirs.chunks.insert(new.clone(), table("trading.a"));
        theirs.ranges.insert(new, ChunkRange { start: "0".into(), end: "1".into() });
        assert_eq!(mirror(&theirs, &ours, &mut Vec::new()).stale, BTreeSet::from([gone]));
    }

    #[test]
    fn all_tables_covers_every_chunk() {
        let (theirs, _) = catalogs(&[("other", false, None, false, false)], 1);
        let everything = PublicationSeen { all_tables: true, ..PublicationSeen::default() };
        assert!(unpublished(Some(&theirs), &everything).is_empty());
        assert!(unpublished(None, &PublicationSeen::default()).is_empty());
    }
}
