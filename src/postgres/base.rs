//! What a base backup asks of servers: what they are, slots that hold the log while it runs, the fenced mark after it, and the
//! bytes of a few segments.

use std::time::Duration;

use serde::Deserialize;
use tokio_postgres::error::SqlState;

use crate::model::lsn::{Lsn, LsnError};
use crate::model::segment::Segment;
use crate::postgres::look::odd;
use crate::postgres::session::{PostgresError, Session};

/// How long writers may queue up behind our wait for one lock.
const LOCK_PATIENCE: &str = "100ms";

/// A process of ours that freezes while it holds writers off loses its session after this.
const HOLD_AT_MOST: &str = "5s";

/// `sql/backup/base_server.sql`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServerNow {
    /// It replays a log.
    pub is_in_recovery: bool,
    /// Which data directory it is, copies included.
    pub system_identifier: String,
    /// The log's timeline.
    pub timeline: u32,
    /// `wal_segment_size` in bytes.
    pub segment_bytes: u64,
    /// `summarize_wal`.
    pub summarizes: bool,
    /// Tablespaces besides PostgreSQL's own two.
    pub tablespaces: Vec<String>,
}

/// Asks a server what it is.
pub async fn server(session: &Session) -> Result<ServerNow, PostgresError> {
    let row = session
        .client()
        .query_one(include_str!("../../sql/backup/base_server.sql"), &[])
        .await
        .map_err(|source| session.failed("ask which server it is", source))?;
    serde_json::from_str(row.get(0)).map_err(|error| odd(session, &error))
}

/// From where on the server's log is summarized, on this timeline.
pub async fn summarized_from(session: &Session, timeline: u32) -> Result<Option<Lsn>, PostgresError> {
    let row = session
        .client()
        .query_one(include_str!("../../sql/backup/summarized.sql"), &[&i64::from(timeline)])
        .await
        .map_err(|source| session.failed("ask for summaries of the log", source))?;
    row.get::<_, Option<&str>>(0).map(str::parse).transpose().map_err(|error: LsnError| odd(session, &error))
}

/// Keeps the log from now on, as long as this session lives.
pub async fn hold_log(session: &Session, name: &str) -> Result<(), PostgresError> {
    let create = "select pg_create_physical_replication_slot($1, true, true)";
    session
        .client()
        .execute(create, &[&name])
        .await
        .map_err(|source| session.failed("keep the log while the backup runs", source))?;
    Ok(())
}

/// Writes a checkpoint and gives a position behind it.
pub async fn checkpoint(session: &Session) -> Result<Lsn, PostgresError> {
    session.run("let a checkpoint take as long as it takes", "set statement_timeout = 0").await?;
    session.run("write a checkpoint", "checkpoint").await?;
    position(session, "select pg_current_wal_lsn()::text").await
}

/// Up to where a standby has replayed the log.
pub async fn replayed(session: &Session) -> Result<Lsn, PostgresError> {
    position(session, "select coalesce(pg_last_wal_replay_lsn(), '0/0')::text").await
}

/// Closes the open segment; gives the position at which it was closed.
pub async fn switch(session: &Session) -> Result<Lsn, PostgresError> {
    position(session, "select pg_switch_wal()::text").await
}

async fn position(session: &Session, question: &str) -> Result<Lsn, PostgresError> {
    let row = session
        .client()
        .query_one(question, &[])
        .await
        .map_err(|source| session.failed("ask where the log is", source))?;
    row.get::<_, &str>(0).parse().map_err(|error: LsnError| odd(session, &error))
}

/// What came of keeping writers off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fencing {
    /// Nobody writes until the transaction ends. What tells whether tables came or went meanwhile.
    Up(String),
    /// Somebody writes, and kept a lock.
    Busy,
}

/// Begins a transaction that keeps writers off every table of a user's. Without all locks no transaction is left open.
pub async fn raise_fence(session: &Session) -> Result<Fencing, PostgresError> {
    let begin = format!(
        "begin; set local lock_timeout = '{LOCK_PATIENCE}'; \
         set local idle_in_transaction_session_timeout = '{HOLD_AT_MOST}'; {}",
        include_str!("../../sql/backup/fence_all.sql")
    );
    match session.run("keep writers off all tables", &begin).await {
        Ok(()) => Ok(Fencing::Up(tables_digest(session).await?)),
        Err(error) => {
            session.run("end the transaction", "rollback").await?;
            match error.code() {
                // A table that was dropped meanwhile is worth another attempt too.
                Some(code)
                    if [
                        SqlState::LOCK_NOT_AVAILABLE,
                        SqlState::T_R_DEADLOCK_DETECTED,
                        SqlState::UNDEFINED_TABLE,
                        SqlState::INVALID_SCHEMA_NAME,
                    ]
                    .contains(code) =>
                {
                    Ok(Fencing::Busy)
                }
                _ => Err(error),
            }
        }
    }
}

/// Tells two moments apart between which a table came or went.
pub async fn tables_digest(session: &Session) -> Result<String, PostgresError> {
    let row = session
        .client()
        .query_one(include_str!("../../sql/backup/fenced.sql"), &[])
        .await
        .map_err(|source| session.failed("list the tables", source))?;
    Ok(row.get(0))
}

/// Writes a named restore point and gives the position right behind it.
pub async fn restore_point(session: &Session, name: &str) -> Result<Lsn, PostgresError> {
    let row = session
        .client()
        .query_one("select pg_create_restore_point($1)::text", &[&name])
        .await
        .map_err(|source| session.failed("write a restore point", source))?;
    row.get::<_, &str>(0).parse().map_err(|error: LsnError| odd(session, &error))
}

/// Ends the fence.
pub async fn lift_fence(session: &Session) -> Result<(), PostgresError> {
    session.run("let writers go on", "commit").await
}

/// Tables whose rows are gone after a crash, and so after a recovery.
pub async fn unlogged(session: &Session) -> Result<Vec<String>, PostgresError> {
    let list = "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                where c.relkind = 'r' and c.relpersistence = 'u'";
    let rows = session.client().query(list, &[]).await;
    let rows = rows.map_err(|source| session.failed("list unlogged tables", source))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A part of a segment that lies on the server.
pub async fn segment_bytes(
    session: &Session,
    segment: Segment,
    from: u64,
    length: u64,
) -> Result<Vec<u8>, PostgresError> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let row = session
        .client()
        .query_one(
            "select pg_read_binary_file('pg_wal/' || $1, $2, $3)",
            &[&segment.to_string(), &number(from), &number(length)],
        )
        .await
        .map_err(|source| session.failed(&format!("read the segment {segment} of the log"), source))?;
    Ok(row.get(0))
}

/// Between two attempts to keep writers off: long enough for a short transaction to end.
pub const FENCE_PAUSE: Duration = Duration::from_millis(400);
