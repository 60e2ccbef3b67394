//! Runs one data job on the primary: on record, alone of its job, within its time, and as the role that it names.
//!
//! The session that does the work holds the job's lock, and the server ends it within a second when this process is gone: whoever
//! gets the lock afterwards runs alone. What a job did is one transaction, unless its statements say otherwise.

pub mod retention;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use tokio_postgres::{NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::error::in_one_line;
use crate::model::finding::{self, Findings};
use crate::model::job::{DataJob, Task};
use crate::postgres::attempt::Attempt;
use crate::postgres::ledger::{JOBS, RunEnd};
use crate::postgres::session::{PostgresError, Session, Target};
use crate::site::{ReachError, Site};

/// How long a server may take to end what it is told to end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// A job did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Nobody could be asked.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// A statement failed; nothing of its transaction stays.
    #[error(transparent)]
    Failed(#[from] PostgresError),
    /// Its time was over.
    #[error("job {job} took longer than {} s (`timeout`), and was ended", after.as_secs())]
    TooLong {
        /// Which job.
        job: String,
        /// Its time.
        after: Duration,
    },
    /// Somebody asked us to end.
    #[error("job {0} was ended in the middle")]
    Stopped(String),
}

/// What came of being asked to run a job.
#[derive(Debug)]
pub enum Ran {
    /// It did its work.
    Done(Work),
    /// Somebody else is at it.
    Elsewhere,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Rows that the last statement gave or changed.
    pub rows: u64,
    /// What else there is to say.
    pub details: Option<serde_json::Value>,
    /// What it found; `None`: its last statement tells no findings.
    pub findings: Option<Findings>,
}

/// Which run of a job.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// The time of its schedule; `None` when somebody asked for it.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// 0 for the first attempt for that time.
    pub attempt: u32,
}

/// Runs it; `target` is the primary as superuser. Told to stop, it ends soon; on record it then reads as interrupted.
pub async fn run(
    site: &Site,
    target: &Target,
    job: &DataJob,
    which: Which,
    stop: &CancellationToken,
) -> Result<Ran, JobError> {
    let worker = worker(site, target, job).await?;
    let begun = Attempt::begin_in(&worker, JOBS, target, &job.name, which.scheduled_for, which.attempt).await?;
    let Some(attempt) = begun else { return Ok(Ran::Elsewhere) };
    let work = async {
        match &job.task {
            Task::Sql { sql, .. } => statements(&worker, &job.name, sql).await,
            Task::Retention(rules) => retention::run(&worker, rules).await,
        }
    };
    let done = bounded(&worker, job, stop, work).await;
    if matches!(done, Err(JobError::Stopped(_))) {
        return done.map(Ran::Done);
    }
    let end = match &done {
        Ok(Work { rows, details, findings }) => {
            RunEnd { rows: Some(*rows), details: details.clone(), findings: findings.clone(), ..RunEnd::default() }
        }
        Err(error) => RunEnd { error: Some(in_one_line(error)), ..RunEnd::default() },
    };
    attempt.end(&end).await?;
    done.map(Ran::Done)
}

/// A session of the job's role, which the server ends when nobody is there any more.
async fn worker(site: &Site, target: &Target, job: &DataJob) -> Result<Session, JobError> {
    let session = Session::connect(&site.target_as(job.role(), target)?).await?;
    let sql = format!(
        "set application_name = 'hypertide job {}'; set client_connection_check_interval = '1s'; set statement_timeout = 0",
        // A label, so nothing in it needs quoting.
        job.name
    );
    session.run("prepare a session for the job", &sql).await?;
    Ok(session)
}

async fn statements(worker: &Session, name: &str, sql: &str) -> Result<Work, JobError> {
    let failed = |source| worker.failed(&format!("run job {name}"), source);
    let mut answers = pin!(worker.client().simple_query_raw(sql).await.map_err(failed)?);
    let mut work = Work::default();
    // What the statement that answers just now finds.
    let mut found = None;
    // Rows are not kept, but for a few that tell findings: a job may select as many as it likes.
    while let Some(answer) = answers.try_next().await.map_err(failed)? {
        match answer {
            SimpleQueryMessage::RowDescription(columns) => {
                let has = |name: &&str| columns.iter().any(|column| column.name() == *name);
                found = finding::COLUMNS.iter().all(has).then(Findings::default);
            }
            SimpleQueryMessage::Row(row) => {
                if let Some(found) = &mut found {
                    let [finding, object, value] = finding::COLUMNS;
                    found.add(row.get(finding), row.get(object), row.get(value));
                }
            }
            SimpleQueryMessage::CommandComplete(rows) => {
                work.rows = rows;
                work.findings = found.take();
            }
            _ => {}
        }
    }
    Ok(work)
}

/// Within the job's time, and until told to stop; what is cut off is ended on the server as well.
async fn bounded(
    worker: &Session,
    job: &DataJob,
    stop: &CancellationToken,
    work: impl Future<Output = Result<Work, JobError>>,
) -> Result<Work, JobError> {
    let mut work = pin!(work);
    let why = tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(job.timeout) => JobError::TooLong { job: job.name.clone(), after: job.timeout },
        () = stop.cancelled() => JobError::Stopped(job.name.clone()),
    };
    let cancel = async {
        if let Err(error) = worker.client().cancel_token().cancel_query(NoTls).await {
            tracing::debug!(job = job.name, %error, "cannot ask the server to end it; it notices by itself");
        }
        // One that was done just then is done.
        work.await
    };
    match tokio::time::timeout(CANCEL_PATIENCE, cancel).await {
        Ok(Ok(done)) => Ok(done),
        _ => Err(why),
    }
}
