//! The primary's log as its archiver sees it: where it is, and the slot that keeps it.

use std::time::Duration;

use crate::model::lsn::Lsn;
use crate::model::wal::{LogNow, SLOT};
use crate::postgres::session::{PostgresError, Session};

/// What [`look`] saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `pg_control_system().system_identifier`.
    pub system_identifier: String,
    /// The log.
    pub log: LogNow,
    /// `wal_segment_size`, as the server prints it.
    pub segment_size: String,
    /// The slot.
    pub slot: SlotState,
}

/// The archive's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// There is none.
    Absent,
    /// It keeps the log.
    Good,
    /// It lost what it was to keep, and is of no use any more.
    Lost,
}

/// Looks at the primary; `archived` is where the archive ends.
pub async fn look(session: &Session, archived: Option<Lsn>) -> Result<Seen, PostgresError> {
    let archived = archived.map(|lsn| lsn.to_string());
    let row = session
        .client()
        .query_one(include_str!("../../sql/backup/wal_now.sql"), &[&archived])
        .await
        .map_err(|source| session.failed("read where the log is", source))?;
    let odd = |because: String| PostgresError::Unexpected { node: session.node.to_string(), because };
    let insert = row.get::<_, &str>(2);
    let age = |index: usize| {
        row.get::<_, Option<f64>>(index).and_then(|secs| Duration::try_from_secs_f64(secs.max(0.0)).ok())
    };
    let log = LogNow {
        timeline: u32::try_from(row.get::<_, i64>(1)).map_err(|error| odd(error.to_string()))?,
        insert: insert.parse().map_err(|error: crate::model::lsn::LsnError| odd(error.to_string()))?,
        open_age: age(4),
        unarchived_age: age(5),
    };
    let slot = match (row.get(6), row.get(7)) {
        (false, _) => SlotState::Absent,
        (true, false) => SlotState::Good,
        (true, true) => SlotState::Lost,
    };
    Ok(Seen { system_identifier: row.get(0), log, segment_size: row.get(3), slot })
}

/// Makes the slot; the log is kept from now on.
pub async fn create_slot(session: &Session) -> Result<(), PostgresError> {
    let create = "select pg_create_physical_replication_slot($1, true)";
    session
        .client()
        .execute(create, &[&SLOT])
        .await
        .map_err(|source| session.failed("create the slot of the log's archive", source))?;
    Ok(())
}

/// Drops the slot unless somebody streams from it; tells whether it did.
pub async fn drop_slot(session: &Session) -> Result<bool, PostgresError> {
    let drop =
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active";
    let rows = session.client().execute(drop, &[&SLOT]).await;
    Ok(rows.map_err(|source| session.failed("drop the slot of the log's archive", source))? > 0)
}

/// Closes the open segment.
pub async fn switch(session: &Session) -> Result<(), PostgresError> {
    session.run("close the open segment of the log", "select pg_switch_wal()").await
}

/// How far the archive is, for `status` and everybody who asks in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The job.
    pub job: String,
    /// Where it goes.
    pub store: String,
    /// The timeline and the position up to which the log is archived.
    pub archived: Option<(u32, Lsn)>,
    /// What it does, in a word: `archiving`, `waiting`, `resting` or `failing`.
    pub phase: &'static str,
    /// Why it does not go on.
    pub because: Option<String>,
    /// The newest hole.
    pub gap: Option<String>,
    /// What waits here.
    pub spool_bytes: u64,
}

/// Writes that down.
pub async fn record(session: &Session, record: &Record) -> Result<(), PostgresError> {
    let archived = record.archived.map(|(_, lsn)| lsn.to_string());
    let timeline = record.archived.map(|(timeline, _)| i64::from(timeline));
    let spool_bytes = i64::try_from(record.spool_bytes).unwrap_or(i64::MAX);
    session
        .client()
        .execute(
            include_str!("../../sql/backup/record_wal.sql"),
            &[
                &record.job,
                &record.store,
                &timeline,
                &archived,
                &record.phase,
                &record.because,
                &record.gap,
                &spool_bytes,
            ],
        )
        .await
        .map_err(|source| session.failed("write down how far the log is archived", source))?;
    Ok(())
}

/// There is no archive any more.
pub async fn forget(session: &Session) -> Result<(), PostgresError> {
    session.run("forget the archive of the log", "delete from hypertide.wal_archive").await
}
