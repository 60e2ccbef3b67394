//! What the collectors have brought of every node, and what of it still counts. Time is an argument.
//!
//! An answer counts until the next one has to be there, and not at all once a later question has failed, or once the server does
//! not even say that it is there: then all that it tells is absent, and `hypertide_collector_success` is 0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::collectors::SERVER;
use super::disk::DISK;
use super::families::{Families, Sample};
use super::names;
use crate::model::names::NodeName;

/// The last outcomes by node and collector.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    nodes: BTreeMap<NodeName, BTreeMap<&'static str, Outcome>>,
    /// Of the agent's own process, and until when it counts.
    own: Option<(Vec<Sample>, Instant)>,
}

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
        self.nodes =
            nodes.into_iter().map(|node| (node.clone(), self.nodes.remove(node).unwrap_or_default())).collect();
    }

    /// Takes in an answer.
    pub fn gathered(&mut self, node: &NodeName, collector: &'static str, answer: Gathered) {
        let outcome = Outcome { has_failed: false, answer: Some(answer) };
        self.nodes.entry(node.clone()).or_default().insert(collector, outcome);
    }

    /// A question failed.
    pub fn missed(&mut self, node: &NodeName, collector: &'static str) {
        self.nodes.entry(node.clone()).or_default().entry(collector).or_default().has_failed = true;
    }

    /// There is nothing to ask for: it is not told of.
    pub fn spared(&mut self, node: &NodeName, collector: &'static str) {
        self.nodes.entry(node.clone()).or_default().remove(collector);
    }

    /// Takes in how the agent's own process is, which counts until then.
    pub fn own(&mut self, samples: Vec<Sample>, until: Instant) {
        self.own = Some((samples, until));
    }

    /// Tells what counts now.
    pub(super) fn tell(&self, now: Instant, families: &mut Families) {
        let own = self.own.iter().filter(|(_, until)| now <= *until);
        own.flat_map(|(samples, _)| samples).for_each(|sample| families.push(sample.clone()));
        for (node, collectors) in &self.nodes {
            let (node, server) = (node.as_str(), collectors.get(SERVER));
            let is_up = server.is_some_and(|server| server.fresh(now).is_some());
            if server.is_some() {
                families.add(names::PG_UP, [node], flag(is_up));
            }
            for (collector, outcome) in collectors {
                let fresh = outcome.fresh(now).filter(|_| is_up || *collector == DISK);
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
