//! What retention reads and drops.

use chrono::DateTime;
use serde::Deserialize;
use tokio_postgres::error::SqlState;

use super::session::{PostgresError, Session};
use crate::model::expiry::{ChunkSeen, ExpirySeen, HypertableSeen, Unchanged};
use crate::model::names::{NameError, TableName};
use crate::plan::expiry::Drop;

/// How long writers may keep a chunk from being dropped: whoever comes after us waits behind us.
const LOCK_TIMEOUT: &str = "2s";

/// What became of a chunk that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is gone.
    Yes {
        /// Rows in it.
        rows: u64,
        /// Bytes on disk.
        bytes: u64,
    },
    /// Somebody wrote into it after all.
    Changed,
    /// Somebody held a lock on it.
    Busy,
}

#[derive(Deserialize)]
struct SeenRow {
    now: i64,
    proofs: Vec<i64>,
    hypertables: Vec<HypertableRow>,
}

#[derive(Deserialize)]
struct HypertableRow {
    schema: String,
    table: String,
    is_time: bool,
    chunks: Vec<ChunkRow>,
}

#[derive(Deserialize)]
struct ChunkRow {
    schema: String,
    table: String,
    end: String,
    bytes: u64,
    since: Option<i64>,
    since_xid: Option<String>,
}

/// Takes note of what changed in these hypertables, and reads what is known of them.
pub async fn look(session: &Session, hypertables: &[&TableName]) -> Result<ExpirySeen, PostgresError> {
    let doing = "look for chunks that are old enough to go";
    let failed = |source| session.failed(doing, source);
    let names: Vec<[&str; 2]> = hypertables.iter().map(|name| [name.schema.as_str(), name.table.as_str()]).collect();
    let names = serde_json::to_string(&names).expect("names are text");
    let client = session.client();
    client.execute(include_str!("../../sql/retention/forget.sql"), &[]).await.map_err(failed)?;
    client.execute(include_str!("../../sql/retention/note.sql"), &[&names]).await.map_err(failed)?;
    let row = client.query_one(include_str!("../../sql/retention/look.sql"), &[&names]).await.map_err(failed)?;
    let unexpected = |because: String| PostgresError::Unexpected { node: session.node.to_string(), because };
    let row: SeenRow = serde_json::from_str(row.get(0)).map_err(|error| unexpected(error.to_string()))?;
    row.into_model().map_err(|error| unexpected(error.to_string()))
}

/// Drops a chunk, unless it was changed or somebody is at it.
pub async fn drop_chunk(session: &Session, drop: &Drop) -> Result<Dropped, PostgresError> {
    let since = drop.unchanged.map(|unchanged| unchanged.since_xid.to_string());
    let set = format!("select set_config('lock_timeout', '{LOCK_TIMEOUT}', false)");
    let failed = |source| session.failed(&format!("drop chunk {}", drop.chunk), source);
    session.client().execute(&set, &[]).await.map_err(failed)?;
    let sql = "select dropped, rows, bytes from hypertide.drop_old_chunk(to_regclass($1), $2::text::xid8)";
    match session.client().query_one(sql, &[&drop.chunk.quoted(), &since]).await {
        Ok(row) if row.get(0) => {
            let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
            Ok(Dropped::Yes { rows: count(1), bytes: count(2) })
        }
        Ok(_) => Ok(Dropped::Changed),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(Dropped::Busy),
        Err(error) => Err(failed(error)),
    }
}

impl SeenRow {
    fn into_model(self) -> Result<ExpirySeen, NameError> {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let chunk = |row: ChunkRow| {
            Ok(ChunkSeen {
                name: TableName::new(&row.schema, &row.table)?,
                // What is not understood ends never.
                end: row.end.parse().unwrap_or(i64::MAX),
                bytes: row.bytes,
                unchanged: row
                    .since
                    .zip(row.since_xid.and_then(|xid| xid.parse().ok()))
                    .map(|(since, since_xid)| Unchanged { since: time(since), since_xid }),
            })
        };
        let hypertable = |row: HypertableRow| {
            Ok(HypertableSeen {
                name: TableName::new(&row.schema, &row.table)?,
                is_time: row.is_time,
                chunks: row.chunks.into_iter().map(chunk).collect::<Result<_, NameError>>()?,
            })
        };
        Ok(ExpirySeen {
            now: time(self.now),
            proofs: self.proofs.into_iter().map(time).collect(),
            hypertables: self.hypertables.into_iter().map(hypertable).collect::<Result<_, NameError>>()?,
        })
    }
}
