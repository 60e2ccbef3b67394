//! Hypertables and their chunks, as one node's catalog shows them.

use serde::Serialize;

use super::names::{Ident, TableName};

/// A hypertable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hypertable {
    /// The root table.
    pub name: TableName,
    /// The schema its chunks are made in (`associated_schema_name`).
    pub chunk_schema: Ident,
    /// How many dimensions it is partitioned by; 1 is time only.
    pub dimensions: u16,
    /// Compression or columnstore is enabled on it.
    pub compressed: bool,
}

/// The stretch of the time dimension a chunk holds, as literals of the dimension's type in UTC; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChunkRange {
    /// First value in the chunk.
    pub start: String,
    /// First value after the chunk.
    pub end: String,
}

/// A chunk that a subscriber must have, exactly as the publisher has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChunkToMirror {
    /// The publisher's name for it.
    pub name: TableName,
    /// The hypertable it belongs to.
    pub hypertable: TableName,
    /// Where it begins and ends.
    pub range: ChunkRange,
}
