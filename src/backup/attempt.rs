//! One attempt of a backup job, on record from its beginning to its end, and the only one of its job meanwhile.
//!
//! The right to run a job is a lock on the primary that its session holds: when the process is killed, the server gives it free,
//! and everybody sees that the attempt was cut off.

use chrono::{DateTime, Utc};

use crate::postgres::backups::{self, RunEnd};
use crate::postgres::session::{PostgresError, Session, Target};

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt {
    session: Session,
    target: Target,
    run: i64,
}

impl Attempt {
    /// Begins one; `None` when somebody else is at the job.
    pub async fn begin(
        target: &Target,
        job: &str,
        scheduled_for: Option<DateTime<Utc>>,
        number: u32,
    ) -> Result<Option<Self>, PostgresError> {
        let session = Session::watch(target).await?;
        if !backups::try_lock(&session, job).await? {
            return Ok(None);
        }
        let run = backups::begin_run(&session, job, scheduled_for, number).await?;
        Ok(Some(Self { session, target: target.clone(), run }))
    }

    /// Puts its end on record, over a new connection when the old one is gone.
    pub async fn end(self, end: &RunEnd) -> Result<(), PostgresError> {
        if self.session.is_closed() {
            let session = Session::watch(&self.target).await?;
            return backups::end_run(&session, self.run, end).await;
        }
        backups::end_run(&self.session, self.run, end).await
    }
}
