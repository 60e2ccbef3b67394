//! What is on record about jobs that run at times: which are known, what they did, and who has the right to run one.
//!
//! Backups and data jobs each have a ledger of their own; both are kept in the same way. Runs on the primary.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::rows::backups::BackupsRow;
use super::session::{PostgresError, Session};
use crate::model::backup_runs::BackupsSeen;
use crate::model::finding::Findings;

/// Statements of a ledger.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// What its jobs are called in errors.
    what: &'static str,
    /// The name of its kind of lock.
    lock: &'static str,
    know: &'static str,
    forget: &'static str,
    read: &'static str,
    begin: &'static str,
    end: &'static str,
}

/// Backup jobs.
pub const BACKUPS: Ledger = Ledger {
    what: "backup job",
    lock: "hypertide.backup",
    know: "insert into hypertide.backup_job (job) select unnest($1::text[]) on conflict do nothing",
    forget: "delete from hypertide.backup_job where job <> all ($1::text[])",
    read: "select hypertide.backup_jobs()::text",
    begin: include_str!("../../sql/backup/begin_run.sql"),
    end: include_str!("../../sql/backup/end_run.sql"),
};

/// Data jobs.
pub const JOBS: Ledger = Ledger {
    what: "job",
    lock: "hypertide.job",
    know: "insert into hypertide.job (job) select unnest($1::text[]) on conflict do nothing",
    forget: "delete from hypertide.job where job <> all ($1::text[])",
    read: "select hypertide.data_jobs()::text",
    begin: include_str!("../../sql/jobs/begin_run.sql"),
    end: include_str!("../../sql/jobs/end_run.sql"),
};

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunEnd {
    /// The backup it made.
    pub backup: Option<String>,
    /// Bytes it stored.
    pub stored_bytes: Option<u64>,
    /// Rows in it.
    pub rows: Option<u64>,
    /// Why it failed; `None`: it did not.
    pub error: Option<String>,
    /// What else there is to say of a data job.
    pub details: Option<serde_json::Value>,
    /// What a data job found; `None`: it tells no findings.
    pub findings: Option<Findings>,
}

impl Ledger {
    /// Jobs that are wanted are known from now on; those that are not are forgotten.
    pub async fn know_jobs(&self, session: &Session, jobs: &[String]) -> Result<(), PostgresError> {
        let failed = |source| session.failed(&format!("write down the {}s", self.what), source);
        session.client().execute(self.know, &[&jobs]).await.map_err(failed)?;
        session.client().execute(self.forget, &[&jobs]).await.map_err(failed)?;
        Ok(())
    }

    /// What is on record about the jobs.
    pub async fn read(&self, session: &Session) -> Result<BackupsSeen, PostgresError> {
        let row = session
            .client()
            .query_one(self.read, &[])
            .await
            .map_err(|source| session.failed(&format!("read what {}s did", self.what), source))?;
        let row: BackupsRow = serde_json::from_str(row.get(0)).map_err(|error| PostgresError::Unexpected {
            node: session.node.to_string(),
            because: error.to_string(),
        })?;
        Ok(row.into_model())
    }

    /// Takes the right to run a job, for as long as the session lives; `false` when somebody else has it.
    pub async fn try_lock(&self, session: &Session, job: &str) -> Result<bool, PostgresError> {
        let row = session
            .client()
            .query_one("select pg_try_advisory_lock(hashtext($1), hashtext($2))", &[&self.lock, &job])
            .await
            .map_err(|source| session.failed(&format!("take the lock on a {}", self.what), source))?;
        Ok(row.get(0))
    }

    /// Puts an attempt on record and gives its number.
    pub async fn begin_run(
        &self,
        session: &Session,
        job: &str,
        scheduled_for: Option<DateTime<Utc>>,
        attempt: u32,
    ) -> Result<i64, PostgresError> {
        #[allow(clippy::cast_precision_loss)] // seconds since 1970
        let scheduled_for = scheduled_for.map(|time| time.timestamp() as f64);
        let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
        let row = session
            .client()
            .query_one(self.begin, &[&job, &scheduled_for, &attempt])
            .await
            .map_err(|source| session.failed(&format!("put the run of a {} on record", self.what), source))?;
        Ok(row.get(0))
    }

    /// Puts on record how it ended.
    pub async fn end_run(&self, session: &Session, run: i64, end: &RunEnd) -> Result<(), PostgresError> {
        let json = serde_json::to_string(end).expect("keys are text");
        session
            .client()
            .execute(self.end, &[&run, &json])
            .await
            .map_err(|source| session.failed(&format!("put the end of a {}'s run on record", self.what), source))?;
        Ok(())
    }
}
