//! The chunk mirror: which chunks a subscriber lacks, which ones the publication misses, and how complete it all is.
//!
//! Compares two catalogs that were both read. A side that could not be read never gets here.

use std::collections::BTreeSet;

use serde::Serialize;

use super::hold::Reason;
use super::scope;
use crate::model::chunk::ChunkToMirror;
use crate::model::names::TableName;
use crate::model::observed::{DatabaseSeen, PublicationSeen};

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
