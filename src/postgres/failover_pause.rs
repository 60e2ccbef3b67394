//! Failover paused for maintenance, and resumed. Written on the primary, so that standbys have it too; read back with everything
//! else that is observed (`sql/observe/database.sql`).

use std::time::Duration;

use super::look::{odd, one_json};
use super::session::{PostgresError, Session};
use crate::model::promotion::{By, FailoverPause};

/// Pauses failover for so long, else until it is resumed. Paused already, it gets this end.
pub async fn pause(primary: &Session, lasting: Option<Duration>, by: By) -> Result<FailoverPause, PostgresError> {
    let seconds = lasting.map(|lasting| lasting.as_secs_f64());
    let sql = include_str!("../../sql/setup/pause_failover.sql");
    let json = one_json(primary, "pause failover", sql, &[&seconds, &by.word()]).await?;
    serde_json::from_str(&json).map_err(|error| odd(primary, &error))
}

/// Resumes it, paused or not.
pub async fn resume(primary: &Session) -> Result<(), PostgresError> {
    primary.run("resume failover", "delete from hypertide.failover_pause").await
}
