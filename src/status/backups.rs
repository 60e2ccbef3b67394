//! Backups in the status: each job, its last runs and proofs, and when it runs next.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::model::backup::{BackupJob, Work};
use crate::model::backup_runs::{BackupsSeen, DrillSeen, JobSeen};
use crate::plan::backups;

/// Times of backups, RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Backups {
    /// The last one that was made by a job.
    pub last_success: Option<String>,
    /// The last time that one was restored and compared.
    pub last_verified: Option<String>,
    /// The jobs of the configuration.
    pub jobs: Vec<JobStatus>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// What it makes; `wal` for the log.
    pub kind: &'static str,
    /// Where it goes.
    pub store: String,
    /// When it ran last, by schedule or by hand.
    pub last_run: Option<String>,
    /// How that ended: `running`, `succeeded`, `failed`, `interrupted`.
    pub last_result: Option<&'static str>,
    /// When it last succeeded.
    pub last_success: Option<String>,
    /// When a backup of it was last restored and found equal.
    pub last_verified: Option<String>,
    /// When it runs next by its schedule.
    pub next_run: Option<String>,
    /// The log: how old the first of it is that is not archived yet; null for other kinds.
    pub rpo_seconds: Option<f64>,
    /// The same in bytes.
    pub rpo_bytes: Option<u64>,
    /// The same for the metrics.
    #[serde(skip)]
    pub figures: Figures,
}

/// A job in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// When it last succeeded, in seconds since 1970.
    pub success_secs: Option<u64>,
    /// When it was last verified.
    pub verified_secs: Option<u64>,
    /// How long the last run that succeeded took.
    pub duration_secs: Option<u64>,
    /// Bytes that it stored.
    pub size_bytes: Option<u64>,
    /// The last drill of a backup of it.
    pub drill: Option<DrillSeen>,
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn secs(at: DateTime<Utc>) -> Option<u64> {
    u64::try_from(at.timestamp()).ok()
}

impl Backups {
    /// Of the jobs and what is on record; without a primary that answers, of the jobs alone.
    pub fn of(jobs: &[BackupJob], seen: Option<&BackupsSeen>) -> Self {
        let nothing = JobSeen::default();
        let known = |job: &BackupJob| seen.and_then(|seen| seen.jobs.get(&job.name));
        let all = || jobs.iter().filter_map(known);
        let success = all().filter_map(|job| job.succeeded.as_ref()).map(|success| success.finished).max();
        Self {
            last_success: success.map(shown),
            last_verified: all().filter_map(|job| job.verified).max().map(shown),
            jobs: jobs.iter().map(|job| JobStatus::of(job, known(job).unwrap_or(&nothing), seen)).collect(),
        }
    }
}

impl JobStatus {
    fn of(job: &BackupJob, known: &JobSeen, seen: Option<&BackupsSeen>) -> Self {
        let wal = seen.and_then(|seen| seen.wal.as_ref()).filter(|wal| wal.job == job.name);
        let success = known.succeeded.as_ref();
        let duration = success.map(|success| (success.finished - success.began).num_seconds());
        let is_known = seen.filter(|seen| seen.jobs.contains_key(&job.name));
        Self {
            name: job.name.clone(),
            kind: match job.work {
                Work::Backup(kind) => kind.word(),
                Work::Wal { .. } => "wal",
            },
            store: job.store.url.to_string(),
            last_run: known.last.as_ref().map(|last| shown(last.began)),
            last_result: known.last.as_ref().map(|last| last.outcome.word()),
            last_success: success.map(|success| success.finished).or_else(|| wal?.archived_at).map(shown),
            last_verified: known.verified.map(shown),
            next_run: is_known.and_then(|seen| backups::next_run(job, known, seen.now)).map(shown),
            #[allow(clippy::cast_precision_loss)] // milliseconds of lag stay far below 2^52
            rpo_seconds: wal.and_then(|wal| wal.rpo_millis).map(|millis| millis as f64 / 1000.0),
            rpo_bytes: wal.and_then(|wal| wal.rpo_bytes),
            figures: Figures {
                success_secs: success.and_then(|success| secs(success.finished)),
                verified_secs: known.verified.and_then(secs),
                duration_secs: duration.and_then(|seconds| u64::try_from(seconds).ok()),
                size_bytes: success.and_then(|success| success.stored_bytes),
                drill: known.drill,
            },
        }
    }
}
