//! How far the archived log leads from a backup, along which timeline. Pure.
//!
//! Segment names and timelines: <https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-TIMELINES>.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use super::Refusal;
use crate::model::lsn::Lsn;
pub use crate::model::segment::{SEGMENT_BYTES, Segment};

/// Where a timeline left another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The one that was left.
    pub timeline: u32,
    /// Where.
    pub at: Lsn,
}

/// The log in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// Every segment, and when it was stored.
    pub segments: BTreeMap<Segment, DateTime<Utc>>,
    /// What each later timeline comes from, oldest first, as its history file says.
    pub histories: BTreeMap<u32, Vec<Fork>>,
}

/// How far one gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Everything before this position is there.
    pub end: Lsn,
    /// When the last segment of it was stored: no transaction in it is later.
    pub written: Option<DateTime<Utc>>,
    /// The first segment that is missing although later ones are there.
    pub missing: Option<String>,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.written {
            Some(written) => write!(f, "{} ({})", written.format("%Y-%m-%dT%H:%M:%SZ"), self.end),
            None => write!(f, "{}", self.end),
        }
    }
}

impl Archive {
    /// The newest timeline that a backup which ends there can be followed on.
    ///
    /// # Errors
    /// The newest of all left the backup's own before the backup was made: what is later is not this backup's future.
    pub fn line(&self, backup: u32, end: Lsn) -> Result<u32, Refusal> {
        let of_segments = self.segments.keys().map(|segment| segment.timeline);
        let newest = of_segments.chain(self.histories.keys().copied()).max().unwrap_or(backup);
        if newest <= backup {
            return Ok(backup);
        }
        let fork = self.histories.get(&newest).and_then(|forks| forks.iter().find(|fork| fork.timeline == backup));
        match fork {
            Some(fork) if fork.at >= end => Ok(newest),
            fork => Err(Refusal::Forked { backup, newest, at: fork.map(|fork| fork.at.to_string()) }),
        }
    }

    /// How far the log leads along a timeline from a backup that holds everything from `start` to `end` itself.
    pub fn reach(&self, timeline: u32, start: Lsn, end: Lsn) -> Reach {
        let number = |lsn: Lsn| lsn.0 / SEGMENT_BYTES;
        let on_the_way: Vec<u32> =
            self.histories.get(&timeline).into_iter().flatten().map(|fork| fork.timeline).chain([timeline]).collect();
        let stored = |number: u64| {
            on_the_way.iter().rev().find_map(|timeline| self.segments.get(&Segment { timeline: *timeline, number }))
        };
        // The backup's own last segment may hold more in the archive than in the backup.
        let mut next = number(start);
        let mut written = None;
        loop {
            match stored(next) {
                Some(at) => written = written.max(Some(*at)),
                None if next < number(end) => {}
                None => break,
            }
            next += 1;
        }
        let later = self.segments.keys().any(|it| on_the_way.contains(&it.timeline) && it.number > next);
        let missing = later.then(|| Segment { timeline, number: next }.to_string());
        Reach { end: Lsn(next * SEGMENT_BYTES).max(end), written, missing }
    }
}
