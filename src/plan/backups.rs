//! How backup jobs are: when each runs next, and what is wrong with it.
//!
//! In: the jobs and what is on record about them. Out: schedules to ask, and [`Trouble`] that makes a cluster degraded until the
//! next success. Reads no clock: the time is the one at which the record was read.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::hold::{Hold, Reason};
use super::schedule::{Attempt, End, History, Schedule};
use crate::model::backup::{BackupJob, Work};
use crate::model::backup_runs::{BackupsSeen, JobSeen, RunOutcome, WalSeen};

/// The archive's record is renewed each minute.
const ATTENDED_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// What is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its last run failed; says why.
    Failed(String),
    /// It had two chances and no success; says since when.
    Overdue(Option<DateTime<Utc>>),
    /// Its last drill did not find the backup equal.
    NotProven,
    /// Log is missing in the archive, so that no moment after it can be restored from an earlier base backup; says which.
    Gap(String),
    /// Nobody has seen to the archive of the log since then.
    Unattended(DateTime<Utc>),
}

impl Trouble {
    /// All of them, for lists.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        vec![
            Self::Failed("cannot write s3://b12/p: no such bucket".into()),
            Self::Overdue(None),
            Self::NotProven,
            Self::Gap("000000010000000000000007 is missing".into()),
            Self::Unattended(DateTime::UNIX_EPOCH),
        ]
    }

    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Failed(_) => "backup_failed",
            Self::Overdue(_) => "backup_overdue",
            Self::NotProven => "backup_not_proven",
            Self::Gap(_) => "log_gap",
            Self::Unattended(_) => "log_not_archived",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Failed(_) => "mend what the message says, then `hypertide backup run` the job".into(),
            Self::Overdue(_) => "`hypertide status` says how its runs went; `hypertide logs agent` says more".into(),
            Self::Gap(_) => "take a base backup: from there on the log is whole again".into(),
            Self::Unattended(_) => "`hypertide up` starts the agent, which archives the log".into(),
            Self::NotProven => "`hypertide backup show` says what differs; an older backup may be sound".into(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(because) => write!(f, "the last run failed: {because}"),
            Self::Overdue(Some(since)) => {
                write!(f, "no run has succeeded since {}", since.format("%Y-%m-%d %H:%M UTC"))
            }
            Self::Overdue(None) => f.write_str("no run has ever succeeded, and two were due"),
            Self::Gap(gap) => write!(f, "the archived log has a gap: {gap}"),
            Self::Unattended(since) => {
                write!(f, "nobody has archived the log since {}", since.format("%Y-%m-%d %H:%M UTC"))
            }
            Self::NotProven => f.write_str("the last drill did not find its backup equal"),
        }
    }
}

/// The schedule of a job; `None` for one without times.
pub fn schedule(job: &BackupJob) -> Option<Schedule> {
    let timing = job.timing.as_ref()?;
    // Checked when the configuration was read.
    Schedule::new(&job.name, timing, job.retries, job.backoff).ok()
}

/// What is on record, as the schedule wants it.
pub fn history(seen: &JobSeen) -> History {
    let last = seen.scheduled.map(|last| Attempt {
        occurrence: last.occurrence,
        number: last.attempt,
        began: last.began,
        end: match (last.outcome, last.finished) {
            (RunOutcome::Succeeded, Some(ended)) => End::Succeeded(ended),
            (RunOutcome::Failed, Some(ended)) => End::Failed(ended),
            _ => End::Open,
        },
    });
    History { known_since: seen.known_since, last }
}

/// When a job runs next by its schedule; `None` when it has none, is not known yet, or never again.
pub fn next_run(job: &BackupJob, seen: &JobSeen, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    schedule(job)?.next(&history(seen), now)
}

/// What is wrong with a job.
pub fn troubles(job: &BackupJob, seen: &JobSeen, now: DateTime<Utc>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let last_end =
        seen.last.as_ref().filter(|last| matches!(last.outcome, RunOutcome::Failed | RunOutcome::Interrupted));
    let succeeded = seen.succeeded.as_ref();
    // A run that is under way does not make good for the one before it.
    let is_later = |began: DateTime<Utc>| succeeded.is_none_or(|success| success.began < began);
    if let Some(last) = last_end.filter(|last| is_later(last.began)) {
        let because = last.error.clone().unwrap_or_else(|| "it was ended in the middle".to_owned());
        troubles.push(Trouble::Failed(because));
    }
    let last_success = succeeded.map(|success| success.began);
    if schedule(job).is_some_and(|schedule| schedule.is_overdue(seen.known_since, last_success, now)) {
        troubles.push(Trouble::Overdue(last_success));
    }
    if seen.has_failed_drill() {
        troubles.push(Trouble::NotProven);
    }
    troubles
}

/// What is wrong with the archive of the log.
fn wal_troubles(wal: &WalSeen, now: DateTime<Utc>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if now - wal.seen_at > ATTENDED_WITHIN {
        troubles.push(Trouble::Unattended(wal.seen_at));
    } else if let ("failing" | "resting", Some(because)) = (wal.phase.as_str(), &wal.because) {
        troubles.push(Trouble::Failed(because.clone()));
    }
    troubles.extend(wal.gap.clone().map(Trouble::Gap));
    troubles
}

/// A hold for everything that is wrong with a job.
pub fn holds(jobs: &[BackupJob], seen: &BackupsSeen) -> Vec<Hold> {
    let of = |job: &BackupJob| {
        let troubles = match job.work {
            Work::Wal { .. } => {
                let wal = seen.wal.as_ref().filter(|wal| wal.job == job.name);
                wal.map(|wal| wal_troubles(wal, seen.now)).unwrap_or_default()
            }
            Work::Backup(_) => seen.jobs.get(&job.name).map(|known| troubles(job, known, seen.now)).unwrap_or_default(),
        };
        let name = format!("backup {}", job.name);
        troubles
            .into_iter()
            .map(move |trouble| Hold::new(name.clone(), Reason::Backup(Box::new(trouble))))
            .collect::<Vec<_>>()
    };
    jobs.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::model::backup_runs::{DrillSeen, RunSeen, ScheduledSeen, SuccessSeen};

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("2026-11-{text}:00Z")).expect("a time").to_utc()
    }

    fn job() -> BackupJob {
        let file = "backups: [{name: nightly, schedule: '0 2 * * *', store: 'file:///b', retries: 0}]";
        config::parse(file, Path::new("/")).expect("valid").backups.remove(0)
    }

    fn ran(began: &str, outcome: RunOutcome) -> JobSeen {
        let (began, finished) = (at(began), (outcome != RunOutcome::Running).then(|| at(began)));
        let error = (outcome == RunOutcome::Failed).then(|| "disk full".to_owned());
        JobSeen {
            known_since: at("01T00:00"),
            last: Some(RunSeen { began, finished, outcome, error }),
            scheduled: Some(ScheduledSeen { occurrence: began, attempt: 0, began, finished, outcome }),
            ..JobSeen::default()
        }
    }

    fn success(began: &str) -> SuccessSeen {
        let (began, finished) = (at(began), at(began));
        SuccessSeen { began, finished, backup: None, stored_bytes: None, rows: None }
    }

    fn told(seen: &JobSeen, now: &str) -> Vec<String> {
        let seen = BackupsSeen { now: at(now), jobs: [("nightly".to_owned(), seen.clone())].into(), wal: None };
        holds(&[job()], &seen).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_failure_is_told_until_the_next_success() {
        let failed = JobSeen { succeeded: Some(success("20T02:00")), ..ran("21T02:00", RunOutcome::Failed) };
        assert_eq!(told(&failed, "21T03:00"), ["backup nightly: the last run failed: disk full"]);
        let later = JobSeen { succeeded: Some(success("21T09:00")), ..failed.clone() };
        assert_eq!(told(&later, "21T10:00"), [""; 0]);
        let cut_off = JobSeen { succeeded: Some(success("20T02:00")), ..ran("21T02:00", RunOutcome::Interrupted) };
        assert_eq!(told(&cut_off, "21T03:00"), ["backup nightly: the last run failed: it was ended in the middle"]);
    }

    #[test]
    fn a_job_that_does_not_run_is_told_as_well() {
        let silent = JobSeen { succeeded: Some(success("19T02:00")), ..ran("19T02:00", RunOutcome::Succeeded) };
        assert_eq!(told(&silent, "21T01:00"), [""; 0]);
        assert_eq!(told(&silent, "21T02:00"), ["backup nightly: no run has succeeded since 2026-11-19 02:00 UTC"]);
        let never = JobSeen { known_since: at("18T00:00"), ..JobSeen::default() };
        assert_eq!(told(&never, "19T03:00"), ["backup nightly: no run has ever succeeded, and two were due"]);
        let unproven = JobSeen {
            drill: Some(DrillSeen {
                finished: at("21T02:10"),
                is_equal: false,
                millis: None,
                rows: None,
                differences: Some(1),
            }),
            succeeded: Some(success("21T02:00")),
            ..ran("21T02:00", RunOutcome::Succeeded)
        };
        assert_eq!(told(&unproven, "21T03:00"), ["backup nightly: the last drill did not find its backup equal"]);
    }

    #[test]
    fn an_archive_that_fails_has_a_gap_or_is_left_alone_is_told() {
        let file = "backups: [{name: log, kind: wal, store: 'file:///b'}]";
        let jobs = config::parse(file, Path::new("/")).expect("valid").backups;
        let told = |phase: &str, because: Option<&str>, gap: Option<&str>, seen_at: &str| {
            let wal = WalSeen {
                job: "log".into(),
                phase: phase.into(),
                because: because.map(str::to_owned),
                gap: gap.map(str::to_owned),
                seen_at: at(seen_at),
                ..WalSeen::default()
            };
            let seen = BackupsSeen { now: at("21T02:00"), wal: Some(wal), ..BackupsSeen::default() };
            holds(&jobs, &seen).iter().map(|hold| hold.reason.label()).collect::<Vec<_>>()
        };
        assert_eq!(told("archiving", None, None, "21T01:59"), [""; 0]);
        assert_eq!(told("waiting", Some("no primary"), None, "21T01:59"), [""; 0]);
        assert_eq!(told("failing", Some("disk full"), Some("7 is missing"), "21T01:59"), ["backup_failed", "log_gap"]);
        assert_eq!(told("failing", Some("disk full"), None, "21T01:00"), ["log_not_archived"]);
    }

    #[test]
    fn a_job_says_when_it_runs_next() {
        let done = JobSeen { succeeded: Some(success("21T02:00")), ..ran("21T02:00", RunOutcome::Succeeded) };
        assert_eq!(next_run(&job(), &done, at("21T03:00")), Some(at("22T02:00")));
        let by_hand = BackupJob { timing: None, ..job() };
        assert_eq!(next_run(&by_hand, &done, at("21T03:00")), None);
    }
}
