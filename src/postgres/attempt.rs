//! One attempt of a job, on record from its beginning to its end, and the only one of its job meanwhile.
//!
//! The right to run a job is a lock on the primary that a session holds: when the process is killed, the server gives it free,
//! and everybody sees that the attempt was cut off.

use chrono::{DateTime, Utc};

use super::ledger::{Ledger, RunEnd};
use super::session::{PostgresError, Session, Target};

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt {
    ledger: Ledger,
    session: Session,
    target: Target,
    run: i64,
}

impl Attempt {
    /// Begins one; `None` when somebody else is at the job.
    pub async fn begin(
        ledger: Ledger,
        target: &Target,
        job: &str,
        scheduled_for: Option<DateTime<Utc>>,
        number: u32,
    ) -> Result<Option<Self>, PostgresError> {
        let session = Session::watch(target).await?;
        if !ledger.try_lock(&session, job).await? {
            return Ok(None);
        }
        Self::put_on_record(ledger, session, target, job, scheduled_for, number).await.map(Some)
    }

    /// The same where the work is one session's, which holds the lock as long as the server is at it.
    pub async fn begin_in(
        worker: &Session,
        ledger: Ledger,
        target: &Target,
        job: &str,
        scheduled_for: Option<DateTime<Utc>>,
        number: u32,
    ) -> Result<Option<Self>, PostgresError> {
        if !ledger.try_lock(worker, job).await? {
            return Ok(None);
        }
        let session = Session::watch(target).await?;
        Self::put_on_record(ledger, session, target, job, scheduled_for, number).await.map(Some)
    }

    async fn put_on_record(
        ledger: Ledger,
        session: Session,
        target: &Target,
        job: &str,
        scheduled_for: Option<DateTime<Utc>>,
        number: u32,
    ) -> Result<Self, PostgresError> {
        let run = ledger.begin_run(&session, job, scheduled_for, number).await?;
        Ok(Self { ledger, session, target: target.clone(), run })
    }

    /// Puts its end on record, over a new connection when the old one is gone.
    pub async fn end(self, end: &RunEnd) -> Result<(), PostgresError> {
        if self.session.is_closed() {
            let session = Session::watch(&self.target).await?;
            return self.ledger.end_run(&session, self.run, end).await;
        }
        self.ledger.end_run(&self.session, self.run, end).await
    }
}
