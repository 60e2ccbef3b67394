//! What the collectors have brought of every node, and what of it still counts. Time is an argument.
//!
//! An answer counts until the next one has to be there, and not at all once a later question has failed, or once the server does
//! not even say that it is there: then all of its metrics are absent, and `hypertide_collector_success` is 0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::collectors::{Collector, SERVER};
use super::families::{Families, Sample};
use super::names;
use crate::model::names::NodeName;

/// The last outcomes by node and collector.
#[derive(Clone, Debug, Default)]
pub struct Collected(BTreeMap<NodeName, BTreeMap<&'static str, Outcome>>);

/// What a collector came to on one node.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// The last question failed.
    has_failed: bool,
    /// The last answer, whether it still counts or not.
    answer: Option<Gathered>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// When it was asked for; it is at least as old.
    pub began: Instant,
    /// When it was there, by the host's clock.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How long it counts, from when it was asked for.
    pub holds_for: Duration,
    /// What it said.
    pub samples: Arc<Vec<Sample>>,
}

impl Outcome {
    fn fresh(&self, now: Instant) -> Option<&Gathered> {
        let answer = self.answer.as_ref().filter(|_| !self.has_failed)?;
        (now.saturating_duration_since(answer.began) <= answer.holds_for).then_some(answer)
    }
}

impl Collected {
    /// From now on it is these nodes that are asked; the others are forgotten.
    pub fn ask<'a>(&mut self, nodes: impl IntoIterator<Item = &'a NodeName>) {
        self.0 = nodes.into_iter().map(|node| (node.clone(), self.0.remove(node).unwrap_or_default())).collect();
    }

    /// Takes in an answer.
    pub fn gathered(&mut self, node: &NodeName, collector: &Collector, answer: Gathered) {
        let outcome = Outcome { has_failed: false, answer: Some(answer) };
        self.0.entry(node.clone()).or_default().insert(collector.name, outcome);
    }

    /// A question failed.
    pub fn missed(&mut self, node: &NodeName, collector: &Collector) {
        self.0.entry(node.clone()).or_default().entry(collector.name).or_default().has_failed = true;
    }

    /// Tells what counts now.
    pub(super) fn tell(&self, now: Instant, families: &mut Families) {
        for (node, collectors) in &self.0 {
            let (node, server) = (node.as_str(), collectors.get(SERVER));
            let is_up = server.is_some_and(|server| server.fresh(now).is_some());
            if server.is_some() {
                families.add(names::PG_UP, [node], flag(is_up));
            }
            for (collector, outcome) in collectors {
                let fresh = outcome.fresh(now).filter(|_| is_up);
                families.add(names::COLLECTOR_SUCCESS, [node, collector], flag(fresh.is_some()));
                if let Some(answer) = &outcome.answer {
                    let at = answer.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                    families.add(names::COLLECTOR_LAST_SUCCESS_TIMESTAMP_SECONDS, [node, collector], at);
                }
                let Some(answer) = fresh else { continue };
                families.add(names::COLLECTOR_DURATION_SECONDS, [node, collector], answer.took.as_secs_f64());
                for sample in answer.samples.iter() {
                    families.push(sample.clone());
                }
            }
        }
    }
}

const fn flag(is_it: bool) -> f64 {
    if is_it { 1.0 } else { 0.0 }
}
