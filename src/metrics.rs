//! What the agent tells Prometheus: names are constants (`names`, `groups`), values come from the published look and from what
//! the collectors asked the servers (`collect`).
//!
//! In: the passes as they end, a [`Latest`](crate::status::latest::Latest), and a [`Collected`]. Out: text in Prometheus' own format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). What is not known is absent, never 0.

mod collect;
pub mod collected;
pub mod collectors;
pub mod disk;
pub mod documented;
pub mod families;
pub mod ground;
pub mod groups;
pub mod names;
pub mod openmetrics;
pub mod process;
pub mod rows;
pub mod settings;
pub mod steady;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::model::backup_runs::{BackupsSeen, FindingsSeen, SuccessSeen};

use crate::status::events::Happening;
pub use collect::{families, of_look, scrape};
pub use collected::Collected;

/// What data jobs found, by the job's name.
pub type JobFindings = BTreeMap<String, FindingsSeen>;

/// What the passes and the jobs of an agent count. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct PassMetrics {
    registry: Registry,
    total: IntCounter,
    errors: IntCounter,
    duration: Histogram,
    backup_runs: IntCounterVec,
    backup_failures: IntCounterVec,
    job_runs: IntCounterVec,
    job_failures: IntCounterVec,
    job_success: IntGaugeVec,
    job_duration: IntGaugeVec,
    job_rows: IntGaugeVec,
    findings: Arc<Mutex<JobFindings>>,
    events: IntCounterVec,
}

/// The media type of a scrape.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// A look takes tens of milliseconds; a pass that starts a server lasts until it answers, two minutes at most.
const DURATION_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

impl Default for PassMetrics {
    fn default() -> Self {
        const VALID: &str = "names are valid and differ, as a test says";
        let counter = |metric: names::Metric| IntCounter::new(metric.name, metric.help).expect(VALID);
        let duration =
            HistogramOpts::new(names::AGENT_PASS_DURATION_SECONDS.name, names::AGENT_PASS_DURATION_SECONDS.help)
                .buckets(DURATION_BUCKETS.to_vec());
        let by_label = |metric: names::Metric| {
            IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(VALID)
        };
        let of_job =
            |metric: names::Metric| IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(VALID);
        let it = Self {
            registry: Registry::new(),
            total: counter(names::AGENT_PASSES_TOTAL),
            errors: counter(names::AGENT_PASS_ERRORS_TOTAL),
            duration: Histogram::with_opts(duration).expect(VALID),
            backup_runs: by_label(names::BACKUP_RUNS_TOTAL),
            backup_failures: by_label(names::BACKUP_FAILURES_TOTAL),
            job_runs: by_label(names::JOB_RUNS_TOTAL),
            job_failures: by_label(names::JOB_FAILURES_TOTAL),
            job_success: of_job(names::JOB_LAST_SUCCESS_TIMESTAMP_SECONDS),
            job_duration: of_job(names::JOB_LAST_DURATION_SECONDS),
            job_rows: of_job(names::JOB_LAST_ROWS),
            findings: Arc::default(),
            events: by_label(names::EVENTS_TOTAL),
        };
        it.registry.register(Box::new(it.total.clone())).expect(VALID);
        it.registry.register(Box::new(it.errors.clone())).expect(VALID);
        it.registry.register(Box::new(it.duration.clone())).expect(VALID);
        it.registry.register(Box::new(it.backup_runs.clone())).expect(VALID);
        it.registry.register(Box::new(it.backup_failures.clone())).expect(VALID);
        for counters in [&it.job_runs, &it.job_failures] {
            it.registry.register(Box::new(counters.clone())).expect(VALID);
        }
        for gauges in [&it.job_success, &it.job_duration, &it.job_rows] {
            it.registry.register(Box::new(gauges.clone())).expect(VALID);
        }
        it.registry.register(Box::new(it.events.clone())).expect(VALID);
        for happening in Happening::ALL {
            it.events.with_label_values(&[happening.word()]);
        }
        it
    }
}

impl PassMetrics {
    /// Counts a pass that ended.
    pub fn count(&self, took: Duration, is_error: bool) {
        self.total.inc();
        if is_error {
            self.errors.inc();
        }
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts from 0 on what the runs of a backup job come to: a counter that begins with a failure would not be seen to grow.
    pub fn expect_backup(&self, job: &str) {
        self.backup_runs.with_label_values(&[job]);
        self.backup_failures.with_label_values(&[job]);
    }

    /// Counts something that happened.
    pub fn count_event(&self, happening: Happening) {
        self.events.with_label_values(&[happening.word()]).inc();
    }

    /// Counts a run of a backup job that ended.
    pub fn count_backup(&self, job: &str, is_error: bool) {
        self.backup_runs.with_label_values(&[job]).inc();
        if is_error {
            self.backup_failures.with_label_values(&[job]).inc();
        }
    }

    /// Counts from 0 on what the runs of a data job come to.
    pub fn expect_job(&self, job: &str) {
        self.job_runs.with_label_values(&[job]);
        self.job_failures.with_label_values(&[job]);
    }

    /// Counts a run of a data job that ended.
    pub fn count_job(&self, job: &str, is_error: bool) {
        self.job_runs.with_label_values(&[job]).inc();
        if is_error {
            self.job_failures.with_label_values(&[job]).inc();
        }
    }

    /// Takes over what all data jobs found, and forgets what was found before.
    pub fn saw_findings(&self, seen: &BackupsSeen) {
        let found = seen.jobs.iter().filter_map(|(name, job)| Some((name.clone(), job.findings.clone()?))).collect();
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// What data jobs found.
    pub fn findings(&self) -> JobFindings {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what is on record about a data job's last success, whoever ran it.
    pub fn saw_job(&self, job: &str, success: Option<&SuccessSeen>) {
        let Some(SuccessSeen { began, finished, rows, .. }) = success else { return };
        self.job_success.with_label_values(&[job]).set(finished.timestamp());
        self.job_duration.with_label_values(&[job]).set((*finished - *began).num_seconds());
        let rows = rows.map_or(0, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
        self.job_rows.with_label_values(&[job]).set(rows);
    }
}

#[cfg(test)]
mod tests;
