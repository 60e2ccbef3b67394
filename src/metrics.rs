//! What the agent tells Prometheus: names are constants (`names`, `groups`), values come from the published look and from what
//! the collectors asked the servers (`collect`).
//!
//! In: the passes as they end, a [`Latest`](crate::status::latest::Latest), and a [`Collected`]. Out: text in Prometheus' own format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). What is not known is absent, never 0.

mod collect;
pub mod collected;
pub mod collectors;
pub mod documented;
pub mod families;
pub mod groups;
pub mod names;
pub mod rows;
pub mod settings;
pub mod steady;

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

pub use collect::scrape;
pub use collected::Collected;

/// What the passes and the backup jobs of an agent count. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct PassMetrics {
    registry: Registry,
    total: IntCounter,
    errors: IntCounter,
    duration: Histogram,
    backup_runs: IntCounterVec,
    backup_failures: IntCounterVec,
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
        let by_job = |metric: names::Metric| {
            IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(VALID)
        };
        let it = Self {
            registry: Registry::new(),
            total: counter(names::AGENT_PASSES_TOTAL),
            errors: counter(names::AGENT_PASS_ERRORS_TOTAL),
            duration: Histogram::with_opts(duration).expect(VALID),
            backup_runs: by_job(names::BACKUP_RUNS_TOTAL),
            backup_failures: by_job(names::BACKUP_FAILURES_TOTAL),
        };
        it.registry.register(Box::new(it.total.clone())).expect(VALID);
        it.registry.register(Box::new(it.errors.clone())).expect(VALID);
        it.registry.register(Box::new(it.duration.clone())).expect(VALID);
        it.registry.register(Box::new(it.backup_runs.clone())).expect(VALID);
        it.registry.register(Box::new(it.backup_failures.clone())).expect(VALID);
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

    /// Counts a run of a backup job that ended.
    pub fn count_backup(&self, job: &str, is_error: bool) {
        self.backup_runs.with_label_values(&[job]).inc();
        if is_error {
            self.backup_failures.with_label_values(&[job]).inc();
        }
    }
}

#[cfg(test)]
mod tests;
