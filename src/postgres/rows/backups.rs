//! What is on record about backup jobs, as `hypertide.backup_jobs()` answers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::model::backup_runs::{
    BackupsSeen, DrillSeen, FindingsSeen, JobSeen, RunOutcome, RunSeen, ScheduledSeen, SuccessSeen, WalSeen,
};
use crate::model::finding::{Finding, Findings};

/// All jobs. Times are seconds since 1970.
#[derive(Debug, Deserialize)]
pub(in crate::postgres) struct BackupsRow {
    now: i64,
    jobs: BTreeMap<String, JobRow>,
    wal: Option<WalRow>,
}

#[derive(Debug, Deserialize)]
struct WalRow {
    job: String,
    phase: String,
    because: Option<String>,
    gap: Option<String>,
    archived_at: Option<i64>,
    seen_at: i64,
    rpo_bytes: Option<u64>,
    rpo_millis: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct JobRow {
    known_since: i64,
    last: Option<LastRow>,
    scheduled: Option<ScheduledRow>,
    succeeded: Option<SuccessRow>,
    verified: Option<i64>,
    drill: Option<DrillRow>,
    #[serde(default)]
    findings: Option<FindingsRow>,
}

#[derive(Debug, Deserialize)]
struct FindingsRow {
    found: i64,
    list: Vec<Finding>,
    left_out: u64,
}

#[derive(Debug, Deserialize)]
struct DrillRow {
    finished: i64,
    is_equal: bool,
    millis: Option<u64>,
    rows: Option<u64>,
    differences: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct LastRow {
    began: i64,
    finished: Option<i64>,
    outcome: String,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ScheduledRow {
    occurrence: i64,
    attempt: u32,
    began: i64,
    finished: Option<i64>,
    outcome: String,
}

#[derive(Debug, Deserialize)]
struct SuccessRow {
    began: i64,
    finished: Option<i64>,
    backup: Option<String>,
    stored_bytes: Option<u64>,
    rows: Option<u64>,
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// A word of a version to come counts as a run that was cut off.
fn outcome(word: &str) -> RunOutcome {
    RunOutcome::from_word(word).unwrap_or(RunOutcome::Interrupted)
}

impl BackupsRow {
    /// The same as values.
    pub(in crate::postgres) fn into_model(self) -> BackupsSeen {
        let jobs = self.jobs.into_iter().map(|(name, row)| (name, row.into_model())).collect();
        let wal = self.wal.map(|row| WalSeen {
            job: row.job,
            phase: row.phase,
            because: row.because,
            gap: row.gap,
            archived_at: row.archived_at.map(time),
            seen_at: time(row.seen_at),
            rpo_bytes: row.rpo_bytes,
            // A clock that was set back makes nothing younger than new.
            rpo_millis: row.rpo_millis.map(|millis| u64::try_from(millis).unwrap_or_default()),
        });
        BackupsSeen { now: time(self.now), jobs, wal }
    }
}

impl JobRow {
    fn into_model(self) -> JobSeen {
        JobSeen {
            known_since: time(self.known_since),
            last: self.last.map(|row| RunSeen {
                began: time(row.began),
                finished: row.finished.map(time),
                outcome: outcome(&row.outcome),
                error: row.error,
            }),
            scheduled: self.scheduled.map(|row| ScheduledSeen {
                occurrence: time(row.occurrence),
                attempt: row.attempt,
                began: time(row.began),
                finished: row.finished.map(time),
                outcome: outcome(&row.outcome),
            }),
            succeeded: self.succeeded.map(|row| SuccessSeen {
                began: time(row.began),
                finished: time(row.finished.unwrap_or(row.began)),
                backup: row.backup,
                stored_bytes: row.stored_bytes,
                rows: row.rows,
            }),
            verified: self.verified.map(time),
            drill: self.drill.map(|row| DrillSeen {
                finished: time(row.finished),
                is_equal: row.is_equal,
                millis: row.millis,
                rows: row.rows,
                differences: row.differences,
            }),
            findings: self.findings.map(|row| FindingsSeen {
                found: time(row.found),
                findings: Findings { list: row.list, left_out: row.left_out },
            }),
        }
    }
}
