//! What earlier comparisons came to, kept on the primary, and the lock under which it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::lsn::Lsn;
use crate::model::names::{NodeName, TableName};
use crate::plan::verify::{Last, OnRecord};
use crate::postgres::look::odd;
use crate::postgres::session::{PostgresError, Session};

/// One comparison to be put on record.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Which table.
    pub table: &'a TableName,
    /// At this position of the primary's log.
    pub lsn: Lsn,
    /// Whether it was equal.
    pub is_equal: bool,
    /// Rows on the primary and on the replica.
    pub rows: (u64, u64),
    /// Activity on the primary and on the replica, read before the rows.
    pub activity: (Option<&'a str>, Option<&'a str>),
}

/// A finished verification.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// How long it took.
    pub took: Duration,
    /// The primary's position when it began.
    pub lsn: Lsn,
    /// Tables compared.
    pub compared: usize,
    /// Tables not compared since nothing changed them.
    pub unchanged: usize,
    /// Tables that could not be compared.
    pub left_out: usize,
    /// Rows read on the primary.
    pub rows: u64,
    /// Nothing was skipped.
    pub is_full: bool,
}

/// Takes the right to compare this replica; `false` while somebody else has it. Belongs to the session.
pub async fn try_lock(session: &Session, replica: &NodeName) -> Result<bool, PostgresError> {
    let row = session
        .client()
        .query_one("select pg_try_advisory_lock(hashtext('hypertide.verify'), hashtext($1))", &[&replica.as_str()])
        .await
        .map_err(|source| session.failed("take the lock on comparing", source))?;
    Ok(row.get(0))
}

/// Gives that right back.
pub async fn unlock(session: &Session, replica: &NodeName) -> Result<(), PostgresError> {
    let unlock = "select pg_advisory_unlock(hashtext('hypertide.verify'), hashtext($1))";
    session
        .client()
        .execute(unlock, &[&replica.as_str()])
        .await
        .map_err(|source| session.failed("release the lock on comparing", source))?;
    Ok(())
}

/// What is on record about a replica's tables.
pub async fn read(session: &Session, replica: &NodeName) -> Result<BTreeMap<TableName, OnRecord>, PostgresError> {
    let rows = session
        .client()
        .query(include_str!("../../../sql/observe/compared.sql"), &[&replica.as_str()])
        .await
        .map_err(|source| session.failed("read earlier comparisons", source))?;
    rows.iter()
        .map(|row| {
            let known = OnRecord {
                is_equal: row.get(2),
                age: Duration::from_secs(row.get::<_, i64>(3).unsigned_abs()),
                activity_primary: row.get(4),
                activity_replica: row.get(5),
            };
            Ok((TableName::new(row.get(0), row.get(1)).map_err(|error| odd(session, &error))?, known))
        })
        .collect()
}

/// Puts comparisons on record, all in one statement.
pub async fn write(session: &Session, replica: &NodeName, entries: &[Entry<'_>]) -> Result<(), PostgresError> {
    if entries.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = entries
        .iter()
        .map(|entry| {
            serde_json::json!({
                "schema_name": entry.table.schema, "table_name": entry.table.table, "lsn": entry.lsn,
                "is_equal": entry.is_equal, "rows_primary": entry.rows.0, "rows_replica": entry.rows.1,
                "activity_primary": entry.activity.0, "activity_replica": entry.activity.1,
            })
        })
        .collect();
    let list = serde_json::Value::Array(list).to_string();
    session
        .client()
        .execute(include_str!("../../../sql/setup/record_comparisons.sql"), &[&replica.as_str(), &list])
        .await
        .map_err(|source| session.failed("put comparisons on record", source))?;
    Ok(())
}

/// Puts a finished verification on record, and takes tables off it that are published no more.
pub async fn finish(
    session: &Session,
    replica: &NodeName,
    finished: Finished,
    published: impl Iterator<Item = &TableName>,
) -> Result<(), PostgresError> {
    let failed = |source| session.failed("put the verification on record", source);
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        published.map(|table| (table.schema.as_str(), table.table.as_str())).unzip();
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    session
        .client()
        .execute(include_str!("../../../sql/setup/prune_comparisons.sql"), &[&replica.as_str(), &schemas, &names])
        .await
        .map_err(failed)?;
    session
        .client()
        .execute(
            include_str!("../../../sql/setup/record_verification.sql"),
            &[
                &replica.as_str(),
                &finished.took.as_secs_f64(),
                &finished.lsn.to_string(),
                &count(finished.compared),
                &count(finished.unchanged),
                &count(finished.left_out),
                &i64::try_from(finished.rows).unwrap_or(i64::MAX),
                &finished.is_full,
            ],
        )
        .await
        .map_err(failed)?;
    Ok(())
}

/// Takes everything about a replica off the record: it is copied afresh, or goes. Does nothing where there is no record
/// yet.
pub async fn forget(session: &Session, replica: &NodeName) -> Result<(), PostgresError> {
    let failed = |source| session.failed("forget earlier comparisons", source);
    let there = session
        .client()
        .query_one("select to_regclass('hypertide.verification') is not null", &[])
        .await
        .map_err(failed)?;
    if there.get(0) {
        for forget in [
            "delete from hypertide.comparison where replica = $1",
            "delete from hypertide.verification where replica = $1",
        ] {
            session.client().execute(forget, &[&replica.as_str()]).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// The last finished verification of each replica.
pub async fn last(session: &Session) -> Result<BTreeMap<String, Last>, PostgresError> {
    let rows = session
        .client()
        .query(
            "select replica, greatest(0, extract(epoch from now() - finished_at))::bigint, left_out
             from hypertide.verification",
            &[],
        )
        .await
        .map_err(|source| session.failed("read earlier verifications", source))?;
    let last = |row: &tokio_postgres::Row| Last {
        age: Duration::from_secs(row.get::<_, i64>(1).unsigned_abs()),
        left_out: u64::from(row.get::<_, i32>(2).unsigned_abs()),
    };
    Ok(rows.iter().map(|row| (row.get(0), last(row))).collect())
}
