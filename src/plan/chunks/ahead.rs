//! Chunks made before the first row needs them, so that ingest in the order of time never waits for the mirror.
//!
//! Out: points (one value per dimension) that no chunk holds yet, from the present moment on.

use crate::model::chunk::{Hypertable, Partitioning};
use crate::model::names::TableName;
use crate::model::observed::DatabaseSeen;

/// 2^31 - 1: hashes of space dimensions lie in 0..=this.
const MAX_HASH: i64 = 2_147_483_647;

/// A chunk to be made on the publisher: the one that holds this point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ChunkAhead {
    /// The hypertable.
    pub hypertable: TableName,
    /// One value per dimension, in TimescaleDB's own unit.
    pub point: Vec<i64>,
}

/// What is lacking between now and `intervals` intervals ahead, in all slices of the other dimensions.
///
/// A hypertable without a notion of now gets none: nobody knows where its next rows will be. Nor does one that no rows have
/// come to lately, or an idle cluster would fill with empty chunks.
pub fn lacking(database: &DatabaseSeen, intervals: u32) -> Vec<ChunkAhead> {
    let is_published = |name: &TableName| database.publication.as_ref().is_some_and(|there| there.covers(name));
    database
        .hypertables
        .values()
        .filter(|hypertable| is_published(&hypertable.name) && hypertable.is_fed && !hypertable.compressed)
        .flat_map(|hypertable| {
            let chunks = database.chunks.values().filter(|chunk| chunk.hypertable == hypertable.name);
            let chunks: Vec<_> = chunks.collect();
            points(hypertable, intervals)
                .into_iter()
                .filter(move |point| !chunks.iter().any(|chunk| chunk.holds(point)))
                .map(|point| ChunkAhead { hypertable: hypertable.name.clone(), point })
        })
        .collect()
}

/// One point in each chunk that should exist: the present one and those ahead, times the slices of every hash dimension.
fn points(hypertable: &Hypertable, intervals: u32) -> Vec<Vec<i64>> {
    let Some(now) = hypertable.now else { return Vec::new() };
    let mut points = vec![Vec::new()];
    for (place, dimension) in hypertable.dimensions.iter().enumerate() {
        let values: Vec<i64> = match dimension.partitioning {
            Partitioning::Range { interval } if place == 0 => {
                (0..=intervals).filter_map(|ahead| now.checked_add(interval.checked_mul(i64::from(ahead))?)).collect()
            }
            // Where rows will be in a second dimension of ranges, nobody knows.
            Partitioning::Range { .. } => return Vec::new(),
            Partitioning::Hash { partitions } => {
                let length = MAX_HASH / i64::from(partitions.max(1));
                (0..i64::from(partitions)).map(|place| place * length).collect()
            }
        };
        points = points
            .into_iter()
            .flat_map(|point| values.iter().map(move |value| [point.as_slice(), &[*value]].concat()))
            .collect();
    }
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::chunk::{Chunk, Dimension, Slice};
    use crate::model::observed::PublicationSeen;
    use crate::plan::simulate::world::{ident, table};

    /// A published hypertable with chunks of `interval`, and perhaps a hash dimension.
    fn database(now: Option<i64>, interval: i64, partitions: Option<u16>) -> DatabaseSeen {
        let dimension =
            |column, partitioning| Dimension { column: ident(column), column_type: "bigint".into(), partitioning };
        let time = dimension("at", Partitioning::Range { interval });
        let space = partitions.map(|partitions| dimension("symbol", Partitioning::Hash { partitions }));
        let name = table("trading.bars");
        let hypertable = Hypertable {
            name: name.clone(),
            chunk_schema: ident("trading_chunks"),
            chunk_prefix: "_hyper_1".into(),
            dimensions: [time].into_iter().chain(space).collect(),
            compressed: false,
            now,
            is_fed: true,
        };
        let schemas = ["trading"].map(ident).into();
        DatabaseSeen {
            hypertables: [(name, hypertable)].into(),
            publication: Some(PublicationSeen { schemas, ..PublicationSeen::default() }),
            ..DatabaseSeen::default()
        }
    }

    /// The chunk TimescaleDB would make for a point, aligned to the interval.
    fn chunk_at(point: &[i64], interval: i64, partitions: Option<u16>) -> Chunk {
        let start = point[0].div_euclid(interval) * interval;
        let mut slices = vec![Slice { start, end: start + interval }];
        if let Some(partitions) = partitions {
            let length = MAX_HASH / i64::from(partitions);
            let place = (point[1] / length).min(i64::from(partitions) - 1);
            slices.push(Slice {
                start: if place == 0 { i64::MIN } else { place * length },
                end: if place == i64::from(partitions) - 1 { i64::MAX } else { (place + 1) * length },
            });
        }
        Chunk { hypertable: table("trading.bars"), slices, compressed: false }
    }

    proptest! {
        #[test]
        fn making_what_lacks_leaves_nothing_lacking_and_covers_every_coming_row(
            now in -1_000_000_i64..1_000_000, interval in 1_i64..50_000, partitions in prop::option::of(1_u16..9),
            intervals in 0_u32..5, offset in 0_i64..200_000, hash in 0..=MAX_HASH,
        ) {
            let mut database = database(Some(now), interval, partitions);
            let mut made = 0;
            for ahead in lacking(&database, intervals) {
                let chunk = chunk_at(&ahead.point, interval, partitions);
                let name = table(&format!("trading_chunks.c{made}"));
                prop_assert!(!database.chunks.values().any(|there| there.overlaps(&chunk.slices)), "made twice");
                database.chunks.insert(name, chunk);
                made += 1;
            }
            prop_assert_eq!(made, (intervals as usize + 1) * usize::from(partitions.unwrap_or(1)));
            prop_assert_eq!(lacking(&database, intervals), vec![]);
            let row: Vec<i64> = [now + offset % (i64::from(intervals) * interval + 1)]
                .into_iter()
                .chain(partitions.map(|_| hash))
                .collect();
            prop_assert!(database.chunks.values().any(|chunk| chunk.holds(&row)), "{:?} waits for the mirror", row);
        }
    }

    #[test]
    fn nothing_is_made_where_now_means_nothing_or_nothing_is_published() {
        assert_eq!(lacking(&database(None, 10, None), 2), []);
        let mut unpublished = database(Some(5), 10, None);
        assert_eq!(lacking(&unpublished, 2).len(), 3);
        unpublished.publication = None;
        assert_eq!(lacking(&unpublished, 2), []);
        let mut idle = database(Some(5), 10, None);
        idle.hypertables.values_mut().for_each(|hypertable| hypertable.is_fed = false);
        assert_eq!(lacking(&idle, 2), []);
        assert_eq!(lacking(&database(Some(i64::MAX - 5), 10, None), 2).len(), 1, "time ends");
    }
}
