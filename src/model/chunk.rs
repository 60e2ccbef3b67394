//! Hypertables and their chunks, as one node's catalog shows them.

use serde::Serialize;

use super::names::{Ident, TableName};

/// A hypertable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hypertable {
    /// The root table.
    pub name: TableName,
    /// The schema its chunks are made in (`associated_schema_name`).
    pub chunk_schema: Ident,
    /// What the names of its chunks begin with (`associated_table_prefix`).
    pub chunk_prefix: String,
    /// How it is partitioned, in the order in which the dimensions were added; the first is time.
    pub dimensions: Vec<Dimension>,
    /// Compression or columnstore is enabled on it.
    pub compressed: bool,
    /// The present moment in the first dimension; `None` when it has no notion of now (integers without a function for it).
    pub now: Option<i64>,
    /// Rows have come lately: some of its newest chunks holds one, or it has few chunks.
    pub is_fed: bool,
}

/// One way a hypertable is partitioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The column.
    pub column: Ident,
    /// Its type, as PostgreSQL writes it.
    pub column_type: String,
    /// By ranges or by hash.
    pub partitioning: Partitioning,
}

/// How new chunks divide a dimension. Both numbers may change over time; chunks keep what they were made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioning {
    /// Chunks of this length in the dimension's own unit: microseconds for times and dates, else the number itself.
    Range {
        /// Never 0.
        interval: i64,
    },
    /// By hash, into this many slices.
    Hash {
        /// Never 0.
        partitions: u16,
    },
}

/// The stretch of one dimension that a chunk holds, in TimescaleDB's own unit; `end` is exclusive. A slice without an end
/// has `i64::MIN` or `i64::MAX` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Slice {
    /// First value in the chunk.
    pub start: i64,
    /// First value after the chunk.
    pub end: i64,
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The hypertable it belongs to.
    pub hypertable: TableName,
    /// One for each dimension, in the same order.
    pub slices: Vec<Slice>,
    /// Its rows, or some of them, are compressed.
    pub compressed: bool,
}

/// A chunk that a subscriber must have, exactly as the publisher has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChunkToMirror {
    /// The publisher's name for it.
    pub name: TableName,
    /// The hypertable it belongs to.
    pub hypertable: TableName,
    /// What it holds.
    pub slices: Vec<Slice>,
}

impl Hypertable {
    /// A chunk that TimescaleDB makes for this hypertable could have this name: `<prefix>_<number>_chunk`.
    pub fn could_name(&self, chunk: &TableName) -> bool {
        let number =
            || chunk.table.as_str().strip_prefix(&self.chunk_prefix)?.strip_prefix('_')?.strip_suffix("_chunk");
        chunk.schema == self.chunk_schema
            && number().is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

impl Slice {
    /// It holds this value.
    pub const fn holds(self, value: i64) -> bool {
        self.start <= value && value < self.end
    }

    const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

impl Chunk {
    /// It holds the point with these coordinates.
    pub fn holds(&self, point: &[i64]) -> bool {
        self.slices.len() == point.len() && self.slices.iter().zip(point).all(|(slice, value)| slice.holds(*value))
    }

    /// Both could hold the same row.
    pub fn overlaps(&self, slices: &[Slice]) -> bool {
        self.slices.len() == slices.len() && self.slices.iter().zip(slices).all(|(ours, other)| ours.overlaps(*other))
    }
}
