//! The statements of TimescaleDB's that `pg_dump --schema-only` does not know: hypertables, continuous aggregates, policies.

use super::Inner;
use super::objects::job_table;
use crate::model::names::TableName;
use crate::postgres::look::odd;
use crate::postgres::session::{PostgresError, Session};

/// Statements by what they make, each in an order in which they work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// Plain tables become hypertables.
    pub hypertables: Vec<String>,
    /// Continuous aggregates, empty.
    pub aggregates: Vec<String>,
    /// Policies and jobs, off.
    pub jobs: Vec<String>,
}

/// What a plain dump has to leave out, since it comes another way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// Patterns for `--exclude-table`.
    pub patterns: Vec<String>,
    /// Views that need a continuous aggregate.
    pub dependents: Vec<TableName>,
}

/// Reads the statements; none without TimescaleDB.
pub async fn statements(session: &Session, inner: &Inner) -> Result<Statements, PostgresError> {
    if !inner.has_timescaledb {
        return Ok(Statements::default());
    }
    let jobs = include_str!("../../../sql/backup/ddl/jobs.sql")
        .replace("{bgw_job}", job_table(session).await?)
        .replace("{start}", &span("config -> 'start_offset'"))
        .replace("{end}", &span("config -> 'end_offset'"))
        .replace("{key}", &span("config -> key"));
    Ok(Statements {
        hypertables: lines(session, include_str!("../../../sql/backup/ddl/hypertables.sql")).await?,
        aggregates: lines(session, include_str!("../../../sql/backup/ddl/aggregates.sql")).await?,
        jobs: lines(session, &jobs).await?,
    })
}

/// A stretch of time in a policy's configuration, as an argument: an interval, a number or nothing.
fn span(value: &str) -> String {
    format!(
        "case when {value} is null or {value} = 'null' then 'NULL' \
         when jsonb_typeof({value}) = 'number' then ({value})::text \
         else format('INTERVAL %L', ({value}) #>> '{{}}') end"
    )
}

async fn lines(session: &Session, sql: &str) -> Result<Vec<String>, PostgresError> {
    let rows = session
        .client()
        .query(sql, &[])
        .await
        .map_err(|source| session.failed("read TimescaleDB's definitions", source))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Finds what has to be left out.
pub async fn apart(session: &Session, inner: &Inner) -> Result<Apart, PostgresError> {
    if !inner.has_timescaledb {
        return Ok(Apart::default());
    }
    let failed = |source| session.failed("find continuous aggregates", source);
    let hidden: Vec<u32> = inner.chunks.iter().chain(&inner.compressed).copied().collect();
    let patterns =
        session.client().query(include_str!("../../../sql/backup/ddl/apart.sql"), &[&hidden]).await.map_err(failed)?;
    let dependents = session
        .client()
        .query(include_str!("../../../sql/backup/ddl/dependents.sql"), &[&inner.aggregates])
        .await
        .map_err(failed)?;
    let name = |row: &tokio_postgres::Row| TableName::new(row.get(0), row.get(1)).map_err(|error| odd(session, &error));
    Ok(Apart {
        patterns: patterns.iter().map(|row| row.get(0)).collect(),
        dependents: dependents.iter().map(name).collect::<Result<_, _>>()?,
    })
}

/// The columns a table is copied by; `None`: there is no such table.
pub async fn copied(session: &Session, table: &TableName) -> Result<Option<Vec<String>>, PostgresError> {
    let row = session
        .client()
        .query_opt(include_str!("../../../sql/backup/copied.sql"), &[&table.schema.as_str(), &table.table.as_str()])
        .await
        .map_err(|source| session.failed("find the table", source))?;
    Ok(row.map(|row| row.get(1)))
}

/// Schemas of users.
pub async fn schemas(session: &Session) -> Result<Vec<String>, PostgresError> {
    lines(
        session,
        "select nspname::text from pg_namespace where nspname !~ '^(pg_|_timescaledb_|timescaledb_)' \
         and nspname <> 'information_schema' order by 1",
    )
    .await
}

/// Settings of databases and of the server, as statements.
pub async fn settings(session: &Session) -> Result<Vec<String>, PostgresError> {
    lines(session, include_str!("../../../sql/backup/settings.sql")).await
}
