//! How the chunks of a hypertable come into the publication.

use std::fmt;

use serde::Serialize;

use crate::model::chunk::Hypertable;
use crate::model::observed::{DatabaseSeen, PublicationSeen};
use crate::plan::scope;

/// How the chunks of a hypertable come into the publication, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Its chunks have a schema of their own, which is published: a chunk is published in the transaction that makes it.
    Schema,
    /// TimescaleDB adds each new chunk to the publications of its hypertable (2.25 and later), in the same transaction.
    Auto,
    /// hypertide adds each new chunk as soon as it sees it; rows that came earlier are copied then.
    Polling,
}

/// Which strategy is in force for a hypertable.
pub fn of(hypertable: &Hypertable, publication: &PublicationSeen, database: &DatabaseSeen) -> Strategy {
    let is_own = !scope::is_timescale_own(&hypertable.chunk_schema);
    if is_own && publication.schemas.contains(&hypertable.chunk_schema) {
        Strategy::Schema
    } else if database.auto_publication == Some(true) && publication.members.contains(&hypertable.name) {
        Strategy::Auto
    } else {
        Strategy::Polling
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema => "chunk schema published",
            Self::Auto => "published by TimescaleDB",
            Self::Polling => "added one by one",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::simulate::world::{ident, table};

    #[test]
    fn the_strongest_that_is_in_force_is_shown() {
        let hypertable = |chunk_schema| Hypertable {
            name: table("trading.bars"),
            chunk_schema: ident(chunk_schema),
            chunk_prefix: "_hyper_1".into(),
            dimensions: Vec::new(),
            compressed: false,
            now: None,
            is_fed: true,
        };
        let schemas = ["trading", "trading_chunks", "_timescaledb_internal"].map(ident).into();
        let mut publication = PublicationSeen { schemas, ..PublicationSeen::default() };
        let database = |auto_publication| DatabaseSeen { auto_publication, ..DatabaseSeen::default() };
        assert_eq!(of(&hypertable("trading_chunks"), &publication, &database(Some(true))), Strategy::Schema);
        assert_eq!(of(&hypertable("elsewhere"), &publication, &database(Some(true))), Strategy::Polling);
        let internal = hypertable("_timescaledb_internal");
        assert_eq!(of(&internal, &publication, &database(Some(true))), Strategy::Polling);
        publication.members.insert(internal.name.clone());
        assert_eq!(of(&internal, &publication, &database(Some(true))), Strategy::Auto);
        for off in [Some(false), None] {
            assert_eq!(of(&internal, &publication, &database(off)), Strategy::Polling);
        }
    }
}
