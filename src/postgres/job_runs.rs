//! The history of data jobs, as `sql/jobs/history.sql` answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::session::{PostgresError, Session};

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRun {
    /// Counts up.
    pub run_id: i64,
    /// The job.
    pub job: String,
    /// The time of its schedule that it was for; `None` when somebody asked for it.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// 0 for the first attempt for that time.
    pub attempt: u32,
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// `running`, `succeeded`, `failed` or `interrupted`.
    pub outcome: String,
    /// Rows that its last statement gave or changed.
    pub rows: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// What else there is to say.
    pub details: Option<serde_json::Value>,
}

/// The last attempts of a job, or of all.
pub async fn read(session: &Session, job: Option<&str>, limit: u32) -> Result<Vec<JobRun>, PostgresError> {
    let row = session
        .client()
        .query_one(include_str!("../../sql/jobs/history.sql"), &[&job, &i64::from(limit)])
        .await
        .map_err(|source| session.failed("read what data jobs did", source))?;
    serde_json::from_str(row.get(0))
        .map_err(|error| PostgresError::Unexpected { node: session.node.to_string(), because: error.to_string() })
}
