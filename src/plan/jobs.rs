//! When data jobs run, and what there is to tell of them.
//!
//! In: the jobs and what is on record about them. Out: schedules to ask, and a line for each job. Reads no clock.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::backups::history;
use super::schedule::Schedule;
use crate::model::backup_runs::{BackupsSeen, JobSeen, RunOutcome};
use crate::model::job::{DataJob, Task};

/// One line of `jobs list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobLine {
    /// The job.
    pub name: String,
    /// The pack that brings it; null: the configuration has it.
    pub pack: Option<String>,
    /// Its cron expression.
    pub schedule: Option<String>,
    /// The time zone of that.
    pub timezone: Option<String>,
    /// As whom it works.
    pub role: &'static str,
    /// Its statements; null for retention.
    pub sql: Option<String>,
    /// How long a run may take.
    pub timeout_seconds: u64,
    /// When its last run began.
    pub last_run: Option<DateTime<Utc>>,
    /// How that ended: `running`, `succeeded`, `failed` or `interrupted`.
    pub last_result: Option<&'static str>,
    /// Why it failed.
    pub last_error: Option<String>,
    /// When a run last succeeded.
    pub last_success: Option<DateTime<Utc>>,
    /// When it runs next by its schedule; null also while no agent has seen it yet.
    pub next_run: Option<DateTime<Utc>>,
}

/// The schedule of a job; `None` for one without times.
pub fn schedule(job: &DataJob) -> Option<Schedule> {
    let timing = job.timing.as_ref()?;
    // Checked when the configuration was read.
    Schedule::new(&job.name, timing, job.retries, job.backoff).ok()
}

/// A line for each job, in the order of the configuration; those of packs come last.
pub fn lines(jobs: &[DataJob], seen: &BackupsSeen) -> Vec<JobLine> {
    jobs.iter().map(|job| line(job, seen.jobs.get(&job.name), seen.now)).collect()
}

fn line(job: &DataJob, seen: Option<&JobSeen>, now: DateTime<Utc>) -> JobLine {
    let last = seen.and_then(|seen| seen.last.as_ref());
    JobLine {
        name: job.name.clone(),
        pack: job.pack.clone(),
        schedule: job.timing.as_ref().map(|timing| timing.cron.clone()),
        timezone: job.timing.as_ref().map(|timing| timing.zone.clone()),
        role: job.role().word(),
        sql: match &job.task {
            Task::Sql { sql, .. } => Some(sql.clone()),
            Task::Retention(_) => None,
        },
        timeout_seconds: job.timeout.as_secs(),
        last_run: last.map(|last| last.began),
        last_result: last.map(|last| last.outcome.word()),
        last_error: last.filter(|last| last.outcome == RunOutcome::Failed).and_then(|last| last.error.clone()),
        last_success: seen.and_then(|seen| seen.succeeded.as_ref()).map(|success| success.finished),
        next_run: seen.and_then(|seen| schedule(job)?.next(&history(seen), now)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::model::backup_runs::{RunSeen, ScheduledSeen};

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("2026-11-{text}Z")).expect("a time").to_utc()
    }

    fn jobs() -> Vec<DataJob> {
        let file =
            "packs: []\njobs: [{name: hourly, schedule: '0 * * * *', sql: select 1}, {name: asked, sql: select 2}]";
        config::parse(file, Path::new("/")).expect("valid").jobs
    }

    #[test]
    fn a_job_that_nobody_has_seen_yet_has_no_history_and_no_next_run() {
        let lines = lines(&jobs(), &BackupsSeen::default());
        let told: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.last_run, line.next_run)).collect();
        assert_eq!(told, [("hourly", None, None), ("asked", None, None)]);
    }

    #[test]
    fn a_job_that_failed_says_why_and_runs_again_at_its_next_time() {
        let (began, ended) = (at("21T09:00:00"), at("21T09:00:05"));
        let seen = JobSeen {
            known_since: at("01T00:00:00"),
            last: Some(RunSeen {
                began,
                finished: Some(ended),
                outcome: RunOutcome::Failed,
                error: Some("division by zero".into()),
            }),
            scheduled: Some(ScheduledSeen {
                occurrence: began,
                attempt: 0,
                began,
                finished: Some(ended),
                outcome: RunOutcome::Failed,
            }),
            ..JobSeen::default()
        };
        let seen = BackupsSeen { now: at("21T09:20:00"), jobs: [("hourly".to_owned(), seen)].into(), wal: None };
        let line = &lines(&jobs(), &seen)[0];
        assert_eq!((line.last_result, line.last_error.as_deref()), (Some("failed"), Some("division by zero")));
        assert_eq!((line.last_success, line.next_run), (None, Some(at("21T10:00:00"))));
    }
}
