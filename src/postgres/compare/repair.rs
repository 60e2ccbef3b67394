//! Making a replica's table equal to the primary's: its rows are copied beside it, and only what differs is changed.

use futures_util::{SinkExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::model::names::Ident;
use crate::plan::verify::Published;
use crate::postgres::look::odd;
use crate::postgres::session::{PostgresError, Session};

/// What a repair changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Rows with the same key on both sides and different contents.
    pub changed: u64,
    /// Rows that only the primary had: inserted.
    pub only_on_primary: u64,
    /// Rows that only the replica had: deleted.
    pub only_on_replica: u64,
    /// Keys of up to five such rows; none when the table has no key.
    pub examples: Vec<Example>,
}

/// A row that differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// `changed`, `only_on_primary` or `only_on_replica`.
    pub difference: String,
    /// Its key columns as text; other columns may be nobody's business.
    pub key: serde_json::Value,
}

/// Copies the primary's rows beside the replica's table, then makes the table equal to them.
///
/// Both sessions are in a transaction: `theirs` sees the rows to copy, `ours` keeps everybody else off the table.
/// Nothing is committed here.
pub async fn repair(theirs: &Session, ours: &Session, table: &Published) -> Result<Repair, PostgresError> {
    copy(theirs, ours, table).await?;
    let columns: Vec<&str> = table.columns.iter().map(Ident::as_str).collect();
    let (schema, name) = (table.name.schema.as_str(), table.name.table.as_str());
    let row = ours
        .client()
        .query_one(
            "select deleted, inserted, changed, examples from hypertide.take_over($1, $2, $3, $4)",
            &[&schema, &name, &columns, &table.is_tree],
        )
        .await
        .map_err(|source| ours.failed(&format!("repair {}", table.name), source))?;
    let count = |place: usize| row.get::<_, i64>(place).unsigned_abs();
    let (deleted, inserted, changed) = (count(0), count(1), count(2));
    Ok(Repair {
        changed,
        only_on_primary: inserted.saturating_sub(changed),
        only_on_replica: deleted.saturating_sub(changed),
        examples: serde_json::from_str(row.get(3)).map_err(|error| odd(ours, &error))?,
    })
}

/// Streams the rows through this process into `pg_temp.hypertide_theirs`.
async fn copy(theirs: &Session, ours: &Session, table: &Published) -> Result<(), PostgresError> {
    let fields = table.columns.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ");
    let (name, only) = (table.name.quoted(), if table.is_tree { "" } else { "only" });
    let condition = table.filter.as_deref().unwrap_or("true");
    let temporary = format!(
        "drop table if exists pg_temp.hypertide_theirs; \
         create temp table hypertide_theirs on commit drop as select {fields} from {name} limit 0"
    );
    ours.run(&format!("make room for the rows of {}", table.name), &temporary).await?;
    let doing = format!("copy the rows of {}", table.name);
    let rows = theirs
        .client()
        .copy_out(&format!("copy (select {fields} from {only} {name} where {condition}) to stdout"))
        .await
        .map_err(|source| theirs.failed(&doing, source))?;
    let sink = ours
        .client()
        .copy_in(&format!("copy pg_temp.hypertide_theirs ({fields}) from stdin"))
        .await
        .map_err(|source| ours.failed(&doing, source))?;
    let (mut rows, mut sink) = (std::pin::pin!(rows), std::pin::pin!(sink));
    while let Some(chunk) = rows.try_next().await.map_err(|source| theirs.failed(&doing, source))? {
        sink.feed(chunk).await.map_err(|source| ours.failed(&doing, source))?;
    }
    sink.finish().await.map_err(|source| ours.failed(&doing, source))?;
    Ok(())
}
