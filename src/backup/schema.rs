//! A backup of the schema: an archive without rows that restores to equal hypertables, and the same as readable text.

pub mod ddl;
mod order;

use super::source::Reading;
use crate::backup::tools::Tool;
use crate::model::names::{Ident, NameError};
use crate::postgres::contents::ddl::schemas;
use crate::postgres::session::PostgresError;

/// TimescaleDB's tables with rows of users; the rest of its tables says what hypertables are, and stays.
const INNER_ROWS: [&str; 3] =
    ["_timescaledb_internal._hyper_*", "_timescaledb_internal._materialized*", "_timescaledb_internal.*compress*"];

/// The tool that writes the archive.
pub async fn archive(reading: &Reading, database: &Ident) -> Result<Tool, PostgresError> {
    let names: Result<Vec<Ident>, NameError> =
        schemas(reading.session()).await?.iter().map(|schema| Ident::new(schema)).collect();
    // A schema that exists has a name that fits.
    let own = names.unwrap_or_default().into_iter().map(|schema| format!("{}.*", schema.quoted()));
    let patterns = own.chain(INNER_ROWS.into_iter().map(str::to_owned));
    Ok(super::full::dump(reading, database).args(patterns.map(|pattern| format!("--exclude-table-data={pattern}"))))
}
