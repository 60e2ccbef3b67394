//! Everything but rows that has to be equal after a restore, by a stable name, as text.

use std::collections::BTreeMap;

use super::Inner;
use crate::postgres::session::{PostgresError, Session};

/// How much of a database comes back with a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Definitions: no chunks, and sequences begin anew.
    Schema,
    /// A dump: chunks too, and how far sequences are.
    Dump,
    /// A data directory: chunks; sequences may be ahead, since the log counts them in strides.
    Files,
}

macro_rules! query {
    (own $file:literal) => {
        (
            $file,
            concat!(
                include_str!("../../../sql/backup/objects/own.sql"),
                include_str!(concat!("../../../sql/backup/objects/", $file, ".sql"))
            ),
        )
    };
    ($file:literal) => {
        ($file, include_str!(concat!("../../../sql/backup/objects/", $file, ".sql")))
    };
}

/// For every database.
const PLAIN: [(&str, &str); 10] = [
    query!("extensions"),
    query!(own "relations"),
    query!(own "indexes"),
    query!(own "constraints"),
    query!(own "triggers"),
    query!(own "functions"),
    query!(own "types"),
    query!(own "sequences"),
    query!(own "grants"),
    query!(own "comments"),
];

/// For those with TimescaleDB.
const TIMESCALEDB: [(&str, &str); 4] =
    [query!(own "hypertables"), query!("compression"), query!("aggregates"), query!("jobs")];

const VALUES: (&str, &str) = query!(own "values");
const CHUNKS: (&str, &str) = query!("chunks");

/// What a sequence's value is called among the objects.
pub const SEQUENCE_VALUE: &str = "sequence value ";

/// Reads them. How far sequences are belongs to no snapshot: see [`sequence_values`].
pub async fn objects(
    session: &Session,
    inner: &Inner,
    depth: Depth,
) -> Result<BTreeMap<String, String>, PostgresError> {
    let mut all = BTreeMap::new();
    for query in PLAIN {
        read(session, query, &inner.left_out, &mut all).await?;
    }
    if inner.has_timescaledb {
        for query in TIMESCALEDB {
            read(session, query, &inner.left_out, &mut all).await?;
        }
        if depth != Depth::Schema {
            read(session, CHUNKS, &inner.chunks, &mut all).await?;
        }
    }
    if depth == Depth::Dump {
        all.append(&mut sequence_values(session, inner).await?);
    }
    Ok(all)
}

/// How far each sequence is at this moment.
pub async fn sequence_values(session: &Session, inner: &Inner) -> Result<BTreeMap<String, String>, PostgresError> {
    let mut values = BTreeMap::new();
    read(session, VALUES, &inner.left_out, &mut values).await?;
    Ok(values)
}

/// Where this version of TimescaleDB keeps its jobs; part of the statements' text.
pub(super) async fn job_table(session: &Session) -> Result<&'static str, PostgresError> {
    let row = session
        .client()
        .query_one("select to_regclass('_timescaledb_catalog.bgw_job') is not null", &[])
        .await
        .map_err(|source| session.failed("find the jobs", source))?;
    Ok(if row.get(0) { "_timescaledb_catalog.bgw_job" } else { "_timescaledb_config.bgw_job" })
}

async fn read(
    session: &Session,
    (what, sql): (&str, &str),
    oids: &Vec<u32>,
    into: &mut BTreeMap<String, String>,
) -> Result<(), PostgresError> {
    let failed = |source| session.failed(&format!("read the {what}"), source);
    let rows = if sql.contains("{bgw_job}") {
        let sql = sql.replace("{bgw_job}", job_table(session).await?);
        session.client().query(&sql, &[oids]).await
    } else {
        session.client().query(sql, &[oids]).await
    };
    into.extend(rows.map_err(failed)?.iter().map(|row| (row.get(0), row.get(1))));
    Ok(())
}
