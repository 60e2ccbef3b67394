//! The latest look of a process that looks again and again: what it saw, when, and whether it still looks.
//!
//! Published by the agent's passes; everything the agent tells others is read from here. Time is an argument.

use std::time::{Duration, Instant, SystemTime};

use super::Status;

/// What was seen older than this counts as not known: ten passes have failed or hung since.
pub const FRESH_FOR: Duration = Duration::from_secs(10);

/// A loop that has not turned for this long hangs. One turn may wait for an engine that does not answer, for two minutes.
pub const TURNS_WITHIN: Duration = Duration::from_mins(3);

/// What is known of the cluster, and of the one who looks.
#[derive(Clone, Debug)]
pub struct Latest {
    /// The last look that succeeded; `None` before the first.
    pub look: Option<Look>,
    /// Why the last look failed; `None` when it did not.
    pub failure: Option<String>,
    /// When the loop last turned.
    turned: Instant,
}

/// One look.
#[derive(Clone, Debug)]
pub struct Look {
    /// What it saw.
    pub status: Status,
    /// When it began; what it saw is at least as old.
    pub began: Instant,
    /// The same by the host's clock.
    pub at: SystemTime,
}

impl Look {
    /// How old it is.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

impl Latest {
    /// Nothing yet.
    pub const fn new(now: Instant) -> Self {
        Self { look: None, failure: None, turned: now }
    }

    /// Takes in a look that succeeded.
    pub fn saw(&mut self, look: Look) {
        self.look = Some(look);
        self.failure = None;
    }

    /// A look failed.
    pub fn missed(&mut self, because: String) {
        self.failure = Some(because);
    }

    /// The loop turned: a pass, or a look within one, ended in whatever way.
    pub const fn turn(&mut self, now: Instant) {
        self.turned = now;
    }

    /// The last look, unless it is too old to count.
    pub fn fresh(&self, now: Instant) -> Option<&Look> {
        self.look.as_ref().filter(|look| look.age(now) <= FRESH_FOR)
    }

    /// The loop still turns.
    pub fn is_turning(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.turned) <= TURNS_WITHIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_fresh_for_a_while_and_the_loop_turns_for_longer() {
        let began = Instant::now();
        let mut latest = Latest::new(began);
        assert!(latest.fresh(began).is_none());
        assert!(latest.is_turning(began + TURNS_WITHIN));
        assert!(!latest.is_turning(began + TURNS_WITHIN + Duration::from_secs(1)));

        let status = crate::status::tests::status(&crate::status::tests::healthy());
        latest.saw(Look { status, began, at: SystemTime::now() });
        latest.turn(began);
        assert!(latest.fresh(began + FRESH_FOR).is_some());
        let later = began + FRESH_FOR + Duration::from_secs(1);
        assert!(latest.fresh(later).is_none());
        assert_eq!(latest.look.as_ref().map(|look| look.age(later)), Some(FRESH_FOR + Duration::from_secs(1)));

        // A look that fails turns the loop and leaves the last one as it is.
        latest.missed("no engine".to_owned());
        latest.turn(later);
        assert_eq!(latest.failure.as_deref(), Some("no engine"));
        assert!(latest.fresh(later).is_none() && latest.is_turning(later + TURNS_WITHIN));
        let look = latest.look.clone().expect("it was seen");
        latest.saw(Look { began: later, ..look });
        assert!(latest.failure.is_none() && latest.fresh(later).is_some());
    }
}
