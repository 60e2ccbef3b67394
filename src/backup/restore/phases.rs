//! What takes how long, as it is told and as it is kept.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// A stretch of work and how long it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// Seconds.
    pub seconds: f64,
}

/// Measures one after the other.
pub struct Phases<'a> {
    done: Vec<Phase>,
    current: Option<(String, Instant)>,
    told: &'a dyn Fn(&str),
}

impl std::fmt::Debug for Phases<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phases").field("done", &self.done).field("current", &self.current).finish_non_exhaustive()
    }
}

impl<'a> Phases<'a> {
    /// Tells this whenever one begins.
    pub fn new(told: &'a dyn Fn(&str)) -> Self {
        Self { done: Vec::new(), current: None, told }
    }

    /// The one before is over.
    pub fn begin(&mut self, name: &str) {
        self.end();
        (self.told)(name);
        self.current = Some((name.to_owned(), Instant::now()));
    }

    fn end(&mut self) {
        if let Some((name, began)) = self.current.take() {
            self.done.push(Phase { name, seconds: began.elapsed().as_secs_f64() });
        }
    }

    /// All of them; the last is over.
    pub fn finish(mut self) -> Vec<Phase> {
        self.end();
        self.done
    }
}
