//! What the agent tells Prometheus: names are constants (`names`), values come from the published look (`collect`).
//!
//! In: the passes as they end, and a [`Latest`](crate::status::latest::Latest). Out: text in Prometheus' own format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). What is not known is absent, never 0.

mod collect;
pub mod names;

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, Registry};

pub use collect::scrape;

/// What the passes of an agent count. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct PassMetrics {
    registry: Registry,
    total: IntCounter,
    errors: IntCounter,
    duration: Histogram,
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
        let it = Self {
            registry: Registry::new(),
            total: counter(names::AGENT_PASSES_TOTAL),
            errors: counter(names::AGENT_PASS_ERRORS_TOTAL),
            duration: Histogram::with_opts(duration).expect(VALID),
        };
        it.registry.register(Box::new(it.total.clone())).expect(VALID);
        it.registry.register(Box::new(it.errors.clone())).expect(VALID);
        it.registry.register(Box::new(it.duration.clone())).expect(VALID);
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
}

#[cfg(test)]
mod tests;
