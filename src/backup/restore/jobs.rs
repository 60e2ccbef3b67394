//! Scheduled jobs of a restored database: off before TimescaleDB's scheduler can see them, on again one by one, retention last.
//!
//! A retention policy drops the rows of an old backup within seconds after its restore, so a job is never on by itself.
//!
//! In: a session to the restored database. Out: the jobs that were scheduled. Never removes a job.

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use crate::postgres::session::{PostgresError, Session};

/// A job that was scheduled when the backup was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledJob {
    /// TimescaleDB's number for it.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// What it runs.
    pub runs: String,
    /// It removes rows.
    pub is_retention: bool,
}

/// The table of jobs: it moved to the catalog with 2.29. `None`: no TimescaleDB here.
pub async fn table(session: &Session) -> Result<Option<&'static str>, PostgresError> {
    const PLACES: [&str; 2] = ["_timescaledb_catalog.bgw_job", "_timescaledb_config.bgw_job"];
    for place in PLACES {
        let found = session.client().query_one("select to_regclass($1) is not null", &[&place]).await;
        if found.and_then(|row| row.try_get(0)).map_err(|error| session.failed("look for the table of jobs", error))? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Turns off every job that a user or a policy made; tells which were on.
pub async fn turn_off(session: &Session) -> Result<Vec<ScheduledJob>, PostgresError> {
    let Some(table) = table(session).await? else { return Ok(Vec::new()) };
    let sql = include_str!("../../../sql/restore/jobs_off.sql").replace("%jobs%", table);
    let failed = |error| session.failed("turn scheduled jobs off", error);
    let rows = session.client().query(&sql, &[]).await.map_err(failed)?;
    let mut jobs = rows
        .iter()
        .map(|row| {
            Ok(ScheduledJob {
                id: row.try_get(0)?,
                name: row.try_get(1)?,
                runs: row.try_get(2)?,
                is_retention: row.try_get(3)?,
            })
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    jobs.sort_by_key(|job| (job.is_retention, job.id));
    Ok(jobs)
}

/// Turns one on again, as a user would; where the licence has no such call, as the call would.
pub async fn turn_on(session: &Session, job: &ScheduledJob) -> Result<(), PostgresError> {
    let doing = format!("turn job {} on", job.id);
    let called = session.client().execute("select public.alter_job($1, scheduled => true)", &[&job.id]).await;
    match called {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::UNDEFINED_FUNCTION)) =>
        {
            let Some(table) = table(session).await? else { return Ok(()) };
            let sql = format!("update {table} set scheduled = true where id = $1");
            session.client().execute(&sql, &[&job.id]).await.map_err(|error| session.failed(&doing, error))?;
            Ok(())
        }
        Err(error) => Err(session.failed(&doing, error)),
    }
}
