//! What hypertide keeps about backups in the database besides the attempts (`ledger`): drills, and a mirror of the manifests.
//!
//! The stores have the truth. What is written here can be lost without losing a backup. Runs on the primary.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::session::{PostgresError, Session};

/// A row of `hypertide.backup_metadata` that mirrors a manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The backup's name.
    pub backup_id: String,
    /// What it holds.
    pub kind: &'static str,
    /// The job that made it.
    pub job: Option<String>,
    /// Whose it is.
    pub scope: String,
    /// The store's address and the manifest's key.
    pub file_path: String,
    /// Of the manifest.
    pub checksum_sha256: String,
    /// The moment its rows are of.
    pub data_end_date: DateTime<Utc>,
    /// Rows in it.
    pub record_count: u64,
    /// Bytes in the store.
    pub file_size_bytes: u64,
    /// Bytes before compression.
    pub raw_size_bytes: u64,
    /// An object is compressed.
    pub is_compressed: bool,
    /// An object is encrypted.
    pub is_encrypted: bool,
    /// The backup it builds upon.
    pub parent_id: Option<String>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When all of it was stored.
    pub finished_at: DateTime<Utc>,
    /// `validated` or `failed`; `None` while no drill was held.
    pub validation_status: Option<&'static str>,
    /// When the last drill ended.
    pub validated_at: Option<DateTime<Utc>>,
    /// Share of tables and objects that it found, in percent.
    pub completeness_pct: Option<f64>,
    /// Share of those that were equal.
    pub quality_score: Option<f64>,
    /// More from the manifest.
    pub details: serde_json::Value,
}

/// How a drill ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillEnd {
    /// `equal`, `differs` or `failed`.
    pub outcome: String,
    /// How long it took.
    pub millis: Option<u64>,
    /// Rows that it compared.
    pub rows: Option<u64>,
    /// Differences that it found.
    pub differences: Option<u64>,
}

/// Puts a drill of a run's backup on record.
pub async fn record_drill(session: &Session, backup: &str, end: &DrillEnd) -> Result<(), PostgresError> {
    let sql = "update hypertide.backup_run set drilled_at = clock_timestamp(), drill = $2, drill_millis = $3, drill_rows = $4, \
               drill_differences = $5 where backup_id = $1";
    session
        .client()
        .execute(sql, &[&backup, &end.outcome, &count(end.millis), &count(end.rows), &count(end.differences)])
        .await
        .map_err(|source| session.failed("put a drill on record", source))?;
    Ok(())
}

fn count(count: Option<u64>) -> Option<i64> {
    count.map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

/// Mirrors a manifest, and its last drill.
pub async fn record(session: &Session, record: &Record) -> Result<(), PostgresError> {
    let json = serde_json::to_string(record).expect("keys are text and numbers are finite");
    session
        .client()
        .execute(include_str!("../../sql/backup/record.sql"), &[&json])
        .await
        .map_err(|source| session.failed("mirror a backup's manifest", source))?;
    Ok(())
}

/// Takes note of which backups are there; `below` is the store's address and the scope.
pub async fn keep_active(session: &Session, below: &str, there: &[String]) -> Result<(), PostgresError> {
    session
        .client()
        .execute(include_str!("../../sql/backup/deactivate.sql"), &[&below, &there])
        .await
        .map_err(|source| session.failed("take note of backups that are gone", source))?;
    Ok(())
}
