//! What a server is, where its log is, and who else is connected to it.

use std::time::Duration;

use serde::Deserialize;

use crate::model::rows::BackendSeen;
use crate::postgres::look::odd;
use crate::postgres::session::{PostgresError, Session};

/// `sql/backup/source.sql`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServerFacts {
    /// The database connected to.
    pub database: String,
    /// It replays a log.
    pub is_in_recovery: bool,
    /// Which data directory it is, copies included.
    pub system_identifier: String,
    /// PostgreSQL's version.
    pub postgres: String,
    /// Its major version.
    pub postgres_major: u32,
    /// TimescaleDB's version in the database.
    pub timescaledb: Option<String>,
    /// `apache` or `timescale`.
    pub edition: Option<String>,
    /// `shared_preload_libraries`; empty where we may not read it.
    pub preload: String,
    /// The log's timeline.
    pub timeline: u32,
    /// How far the log is written, or replayed.
    pub lsn: String,
    /// We may do anything there.
    pub is_superuser: bool,
    /// hypertide keeps fingerprints in this database.
    pub has_catalog: bool,
}

/// Asks the server what it is.
pub async fn facts(session: &Session) -> Result<ServerFacts, PostgresError> {
    let row = session
        .client()
        .query_one(include_str!("../../../sql/backup/source.sql"), &[])
        .await
        .map_err(|source| session.failed("ask which server it is", source))?;
    serde_json::from_str(row.get(0)).map_err(|error| odd(session, &error))
}

/// Everybody else who could have changed rows.
pub async fn backends(session: &Session) -> Result<Vec<BackendSeen>, PostgresError> {
    let failed = |source| session.failed("ask who else is connected", source);
    // Within a transaction the list would stay the same.
    session.client().query_one("select pg_stat_clear_snapshot()::text", &[]).await.map_err(failed)?;
    let rows = session.client().query(include_str!("../../../sql/backup/backends.sql"), &[]).await.map_err(failed)?;
    let seconds = |value: f64| Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX);
    let backends = rows.iter().map(|row| BackendSeen {
        connected: seconds(row.get(0)),
        idle: row.get::<_, Option<f64>>(1).map(seconds),
        in_transaction: row.get::<_, Option<f64>>(2).map(seconds),
    });
    Ok(backends.collect())
}
