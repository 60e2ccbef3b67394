//! A backup of named tables, hypertables included: one `COPY` text with a header line for each, beside an archive of the schema.
//!
//! To restore one by hand: make the table, for a hypertable as a hypertable, then
//! `COPY schema.table (the columns of the header line) FROM STDIN WITH (HEADER)`. Rows find their chunks by themselves.

use super::error::BackupError;
use super::full::Piece;
use super::source::Reading;
use crate::backup::manifest::Part;
use crate::backup::tools::Tool;
use crate::model::names::{Ident, TableName};
use crate::postgres::contents::ddl::copied;

/// What has to run for these tables.
pub async fn pieces(reading: &Reading, database: &Ident, tables: &[TableName]) -> Result<Vec<Piece>, BackupError> {
    let mut pieces = Vec::new();
    for (place, table) in tables.iter().enumerate() {
        let columns = copied(reading.session(), table).await?;
        let columns = columns.ok_or_else(|| BackupError::NoTable { table: table.to_string() })?;
        pieces.push(Piece {
            name: format!("table-{}.copy", place + 1),
            part: Part::Table,
            table: Some(table.to_string()),
            tool: copy(reading, database, table, &columns),
        });
    }
    Ok(pieces)
}

/// `COPY table TO` of a hypertable gives nothing, and a chunk's gives what is not compressed; a SELECT gives all rows.
fn copy(reading: &Reading, database: &Ident, table: &TableName, columns: &[String]) -> Tool {
    let columns: Vec<String> =
        columns.iter().filter_map(|column| Ident::new(column).ok()).map(|column| column.quoted()).collect();
    let copy = format!("copy (select {} from {}) to stdout with (header)", columns.join(", "), table.quoted());
    let snapshot = format!("set transaction snapshot '{}'", reading.snapshot);
    let begin = "begin transaction isolation level repeatable read, read only";
    Tool::new("psql").args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]).connected_to(database).args([
        "--command",
        begin,
        "--command",
        &snapshot,
        "--command",
        &copy,
    ])
}
