//! The chunk mirror: what makes a subscriber's chunks equal to the publisher's, and how complete it all is.
//!
//! Compares two catalogs that were both read. A side that could not be read never gets here.

pub mod ahead;
pub mod strategy;

use std::collections::BTreeSet;

use serde::Serialize;

use super::hold::Reason;
use super::scope;
use crate::model::chunk::{Chunk, ChunkToMirror, Dimension, Hypertable, Partitioning};
use crate::model::lsn::Lsn;
use crate::model::names::{Ident, TableName};
use crate::model::observed::{DatabaseSeen, PublicationSeen};

/// Types of time dimensions whose values can be told from TimescaleDB's own unit.
const TIME_TYPES: [&str; 6] =
    ["bigint", "date", "integer", "smallint", "timestamp with time zone", "timestamp without time zone"];

/// How many compressed chunks are named; more would say no more.
const NAMED: usize = 20;

/// Places that are kept at a time besides the one that is needed.
const PLACES: usize = 50;

/// What makes a subscriber's chunks equal to the publisher's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    /// Hypertables whose new chunks would be cut differently here.
    pub align: Vec<Hypertable>,
    /// Chunks the publisher dropped: to be dropped here, each with a table left in its place. Before `make`.
    pub retire: BTreeSet<TableName>,
    /// Chunks to make here, in the order of their names.
    pub make: Vec<ChunkToMirror>,
    /// Chunks that were made and dropped again before anybody looked, and their hypertable: a table is needed in the place of
    /// the first for the changes on their way, which stop all others, and then perhaps of those with the next numbers.
    pub keep: Option<(BTreeSet<TableName>, TableName)>,
    /// Retired chunks whose last changes have arrived.
    pub forget: BTreeSet<TableName>,
    /// Some chunk is lacking and cannot be made now.
    pub is_incomplete: bool,
    /// Why something is not done.
    pub held: Vec<Reason>,
}

/// Compares the chunks of hypertables that are on both sides.
pub fn mirror(theirs: &DatabaseSeen, ours: &DatabaseSeen) -> Mirror {
    let mut mirror = Mirror { forget: settled(ours), ..Mirror::default() };
    for (name, hypertable) in &theirs.hypertables {
        mirror.held.extend(strange_time(hypertable).map(|column_type| Reason::TimeType(name.clone(), column_type)));
        match ours.hypertables.get(name) {
            Some(here) if !has_same_dimensions(hypertable, here) => {
                mirror.held.push(Reason::DimensionsDiffer(name.clone()));
            }
            Some(here) if here.dimensions != hypertable.dimensions => mirror.align.push(hypertable.clone()),
            None if ours.tables.contains_key(name) => mirror.held.push(Reason::DimensionsDiffer(name.clone())),
            // One that does not exist here is missed as a table.
            _ => {}
        }
    }
    let is_mirrored = |name: &TableName| match (theirs.hypertables.get(name), ours.hypertables.get(name)) {
        (Some(there), Some(here)) => has_same_dimensions(there, here) && strange_time(there).is_none(),
        _ => false,
    };
    for (name, _) in ours.chunks.iter().filter(|(name, chunk)| {
        // Of hypertables that the publisher still has; one that is gone altogether is not a chunk's matter.
        is_mirrored(&chunk.hypertable) && !theirs.chunks.contains_key(*name)
    }) {
        if is_being_copied(ours, name) {
            continue;
        }
        mirror.retire.insert(name.clone());
    }
    for (name, chunk) in &theirs.chunks {
        match ours.chunks.get(name) {
            Some(here) if here.hypertable != chunk.hypertable => mirror.hold(Reason::NameClash(name.clone())),
            Some(here) if here.slices != chunk.slices => mirror.hold(Reason::ChunkDiffers(name.clone())),
            Some(_) => {}
            None if !is_mirrored(&chunk.hypertable) => mirror.is_incomplete = true,
            None if ours.tables.contains_key(name) || ours.strangers.contains(name) => {
                mirror.hold(Reason::NameClash(name.clone()));
            }
            // Of another primary's, which gave its numbers anew.
            None if ours.retired.contains_key(name) && !mirror.forget.contains(name) => {
                mirror.hold(Reason::NameClash(name.clone()));
            }
            None => match in_the_way(theirs, ours, chunk, &mirror.retire) {
                Some(reason) => mirror.hold(reason),
                None => mirror.make.push(ChunkToMirror {
                    name: name.clone(),
                    hypertable: chunk.hypertable.clone(),
                    slices: chunk.slices.clone(),
                }),
            },
        }
    }
    if let Some(wanting) = wanting(theirs, ours) {
        let hypertable = theirs.hypertables.values().find(|hypertable| hypertable.could_name(wanting));
        match hypertable.filter(|hypertable| ours.hypertables.contains_key(&hypertable.name)) {
            Some(hypertable) => {
                mirror.keep = Some((passed(theirs, ours, hypertable, wanting), hypertable.name.clone()));
            }
            None => mirror.held.push(Reason::WantsDropped(wanting.clone())),
        }
    }
    mirror
}

/// Retired chunks for which nothing is on its way any more; without a subscription nothing ever is.
fn settled(ours: &DatabaseSeen) -> BTreeSet<TableName> {
    let applied = ours.subscription.as_ref().and_then(|subscription| subscription.applied);
    let is_settled = |gone: &Lsn| ours.subscription.is_none() || applied.is_some_and(|applied| applied >= *gone);
    ours.retired.iter().filter(|(_, gone)| is_settled(gone)).map(|(name, _)| name.clone()).collect()
}

impl Mirror {
    fn hold(&mut self, reason: Reason) {
        self.is_incomplete = true;
        self.held.push(reason);
    }
}

/// What the apply worker does not find, and neither side has. Whatever the publisher has is mirrored, or missed by name.
fn wanting<'a>(theirs: &DatabaseSeen, ours: &'a DatabaseSeen) -> Option<&'a TableName> {
    let wanting = ours.subscription.as_ref()?.wanting.as_ref()?;
    let is_somewhere = [theirs, ours].into_iter().any(|side| side.has(wanting) || side.strangers.contains(wanting));
    (!is_somewhere && !ours.retired.contains_key(wanting)).then_some(wanting)
}

/// The wanted chunk, and names that chunks of this hypertable had if those that came next went the same way. Numbers are given
/// once, so a name that the publisher has not is one it never has again, and a place that nothing comes for is soon cleared.
fn passed(
    theirs: &DatabaseSeen,
    ours: &DatabaseSeen,
    hypertable: &Hypertable,
    first: &TableName,
) -> BTreeSet<TableName> {
    let taken: BTreeSet<u64> = theirs.chunks.keys().filter_map(number).collect();
    let past = number(first).map_or(u64::MAX, |number| number + 1);
    let last = taken.last().copied().unwrap_or_default();
    let names = (past..=last).filter(|number| !taken.contains(number)).filter_map(|number| {
        let name = Ident::new(&format!("{}_{number}_chunk", hypertable.chunk_prefix)).ok()?;
        Some(TableName { schema: hypertable.chunk_schema.clone(), table: name })
    });
    let is_free =
        |name: &TableName| !ours.has(name) && !ours.retired.contains_key(name) && !ours.strangers.contains(name);
    std::iter::once(first.clone()).chain(names.filter(is_free).take(PLACES)).collect()
}

/// The number in the name of a chunk.
fn number(chunk: &TableName) -> Option<u64> {
    let (_, number) = chunk.table.as_str().strip_suffix("_chunk")?.rsplit_once('_')?;
    number.parse().ok()
}

/// The type of a dimension of ranges that `hypertide.time_literal` does not know.
fn strange_time(hypertable: &Hypertable) -> Option<String> {
    let of_ranges = |dimension: &&Dimension| matches!(dimension.partitioning, Partitioning::Range { .. });
    let mut types = hypertable.dimensions.iter().filter(of_ranges).map(|dimension| &dimension.column_type);
    types.find(|column_type| !TIME_TYPES.contains(&column_type.as_str())).cloned()
}

/// The same columns in the same order, partitioned in the same manner; interval and number of partitions may differ.
fn has_same_dimensions(there: &Hypertable, here: &Hypertable) -> bool {
    there.dimensions.len() == here.dimensions.len()
        && there.dimensions.iter().zip(&here.dimensions).all(|(there, here)| {
            let is_same_kind = matches!(
                (there.partitioning, here.partitioning),
                (Partitioning::Range { .. }, Partitioning::Range { .. })
                    | (Partitioning::Hash { .. }, Partitioning::Hash { .. })
            );
            is_same_kind && there.column == here.column && there.column_type == here.column_type
        })
}

/// PostgreSQL drops no table while it copies it.
fn is_being_copied(ours: &DatabaseSeen, name: &TableName) -> bool {
    let state = ours.subscription.as_ref().and_then(|subscription| subscription.tables.get(name));
    state.is_some_and(|state| *state != 'r')
}

/// What keeps this chunk of the publisher from being made here.
fn in_the_way(
    theirs: &DatabaseSeen,
    ours: &DatabaseSeen,
    chunk: &Chunk,
    retired: &BTreeSet<TableName>,
) -> Option<Reason> {
    let others = ours.chunks.iter().filter(|(_, here)| here.hypertable == chunk.hypertable);
    let (name, _) = others.into_iter().find(|(name, here)| here.overlaps(&chunk.slices) && !retired.contains(*name))?;
    Some(if theirs.chunks.contains_key(name) {
        Reason::ChunkDiffers(name.clone())
    } else {
        Reason::DroppedWhileCopying(name.clone())
    })
}

/// Chunks whose rows are compressed; the first of them.
pub fn compressed(database: &DatabaseSeen) -> impl Iterator<Item = &TableName> {
    database.chunks.iter().filter(|(_, chunk)| chunk.compressed).map(|(name, _)| name).take(NAMED)
}

/// Chunks that the publication does not cover, by schema or by name.
pub fn unpublished(database: Option<&DatabaseSeen>, publication: &PublicationSeen) -> BTreeSet<TableName> {
    database
        .into_iter()
        .flat_map(|database| database.chunks.keys())
        .filter(|chunk| !publication.covers(chunk))
        .cloned()
        .collect()
}

impl PublicationSeen {
    /// Rows of this table or chunk are published. TimescaleDB's own schemas are published chunk by chunk, whatever somebody
    /// wrote into the publication.
    pub fn covers(&self, table: &TableName) -> bool {
        self.all_tables
            || self.members.contains(table)
            || (self.schemas.contains(&table.schema) && !scope::is_timescale_own(&table.schema))
    }
}

/// Tables, roots and chunks of the publisher that this publication covers.
pub fn published<'a>(
    theirs: &'a DatabaseSeen,
    publication: &'a PublicationSeen,
) -> impl Iterator<Item = &'a TableName> {
    theirs.tables.keys().chain(theirs.chunks.keys()).filter(|table| publication.covers(table))
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
    let mut counts = Completeness::default();
    for chunk in theirs.chunks.keys() {
        if !publication.covers(chunk) {
            counts.unpublished += 1;
            continue;
        }
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
mod tests;
