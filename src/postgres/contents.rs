//! Reading what is in a database, for backups and for the proof that one came back: tables, fingerprints, definitions.
//!
//! Needs nothing installed: it works on any PostgreSQL, with or without TimescaleDB, on a standby too. Changes nothing.

pub mod ddl;
pub mod described;
pub mod known;
pub mod objects;
pub mod source;
pub mod tables;

use super::look::odd;
use super::session::{PostgresError, Session};
use crate::model::rows::SnapshotName;

/// What a session needs that reads rows for a comparison: the same texts everywhere, names always with their schema, no bound on
/// time, nothing remembered of what counters and sessions were, and an end soon after we are gone.
const SETTINGS: &str = "set search_path = pg_catalog; set timezone = 'UTC'; set datestyle = 'ISO, YMD'; \
    set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex'; set lc_monetary = 'C'; \
    set xmloption = 'content'; set statement_timeout = 0; set lock_timeout = '10s'; \
    set idle_in_transaction_session_timeout = 0; set max_parallel_workers_per_gather = 0; set jit = off; \
    set synchronize_seqscans = off; set row_security = off; set client_connection_check_interval = '2s'; \
    set stats_fetch_consistency = none; set client_min_messages = error";

/// Relations of TimescaleDB's own making, by object id.
#[derive(Clone, Debug, Default)]
pub struct Inner {
    /// Hypertables, those behind continuous aggregates included.
    pub roots: Vec<u32>,
    /// Tables with compressed rows, which are read through their chunks.
    pub compressed: Vec<u32>,
    /// Chunks.
    pub chunks: Vec<u32>,
    /// Views of continuous aggregates.
    pub aggregates: Vec<u32>,
    /// Everything that is no object of a user's: chunks, compressed rows, materializations, views of aggregates.
    pub left_out: Vec<u32>,
    /// TimescaleDB is there.
    pub has_timescaledb: bool,
}

/// Prepares a session of one's own.
pub async fn prepare(session: &Session) -> Result<(), PostgresError> {
    session.run("prepare to read", SETTINGS).await
}

/// Begins a transaction whose view of the rows stays the same, and exports it.
pub async fn begin(session: &Session) -> Result<SnapshotName, PostgresError> {
    session.run("begin a snapshot", "begin transaction isolation level repeatable read, read only").await?;
    let row = session
        .client()
        .query_one("select pg_export_snapshot()", &[])
        .await
        .map_err(|source| session.failed("export a snapshot", source))?;
    row.get::<_, &str>(0).parse().map_err(|error| odd(session, &error))
}

/// Begins a transaction that sees what another session exported.
pub async fn join(session: &Session, snapshot: &SnapshotName) -> Result<(), PostgresError> {
    let begin =
        format!("begin transaction isolation level repeatable read, read only; set transaction snapshot '{snapshot}'");
    session.run("join the snapshot", &begin).await
}

/// What TimescaleDB made in this database; nothing where it is not installed.
pub async fn inner(session: &Session) -> Result<Inner, PostgresError> {
    let failed = |source| session.failed("list what TimescaleDB made", source);
    let there = "select exists (select from pg_extension where extname = 'timescaledb')";
    if !session.client().query_one(there, &[]).await.map_err(failed)?.get::<_, bool>(0) {
        return Ok(Inner::default());
    }
    let rows = session.client().query(include_str!("../../sql/backup/inner.sql"), &[]).await.map_err(failed)?;
    let mut inner = Inner { has_timescaledb: true, ..Inner::default() };
    for row in &rows {
        let oid: u32 = row.get(0);
        match row.get::<_, &str>(1) {
            "hypertable" => inner.roots.push(oid),
            "materialized" => {
                inner.roots.push(oid);
                inner.left_out.push(oid);
            }
            "chunk" => {
                inner.chunks.push(oid);
                inner.left_out.push(oid);
            }
            "compressed" | "compressed_root" => {
                inner.compressed.push(oid);
                inner.left_out.push(oid);
            }
            _ => {
                inner.aggregates.push(oid);
                inner.left_out.push(oid);
            }
        }
    }
    Ok(inner)
}
