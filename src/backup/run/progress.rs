//! How far a run is: counted by the streams, told at intervals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::backup::pipeline;
use crate::model::backup::{BackupId, Kind};

/// What is told about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// It has a name.
    Began {
        /// The backup's.
        id: BackupId,
        /// What it holds.
        kind: Kind,
    },
    /// Bytes flow.
    Moved {
        /// Bytes the programs gave.
        raw_bytes: u64,
        /// Bytes in the store.
        stored_bytes: u64,
        /// Bytes of tables whose rows were hashed.
        hashed_bytes: u64,
        /// Bytes of all tables on disk: about what there is to do.
        table_bytes: u64,
    },
    /// It is whole and listed.
    Done {
        /// Bytes in the store.
        stored_bytes: u64,
    },
}

/// Counts.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    raw: Arc<AtomicU64>,
    stored: Arc<AtomicU64>,
    hashed: Arc<AtomicU64>,
    expected: Arc<AtomicU64>,
}

/// One stream's part in the counts.
#[derive(Debug)]
pub struct Stream {
    meter: Meter,
    raw: AtomicU64,
    stored: AtomicU64,
}

impl Meter {
    /// So much there is to do.
    pub fn expect(&self, bytes: u64) {
        self.expected.store(bytes, Ordering::Relaxed);
    }

    /// So much more was hashed.
    pub fn read(&self, bytes: u64) {
        self.hashed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One more stream.
    pub fn stream(&self) -> Stream {
        Stream { meter: self.clone(), raw: AtomicU64::new(0), stored: AtomicU64::new(0) }
    }

    /// How far all of it is.
    pub fn progress(&self) -> Progress {
        Progress::Moved {
            raw_bytes: self.raw.load(Ordering::Relaxed),
            stored_bytes: self.stored.load(Ordering::Relaxed),
            hashed_bytes: self.hashed.load(Ordering::Relaxed),
            table_bytes: self.expected.load(Ordering::Relaxed),
        }
    }
}

impl Stream {
    /// This stream has come so far.
    pub fn at(&self, at: pipeline::Progress) {
        let add = |sum: &AtomicU64, own: &AtomicU64, now: u64| {
            sum.fetch_add(now.saturating_sub(own.swap(now, Ordering::Relaxed)), Ordering::Relaxed);
        };
        add(&self.meter.raw, &self.raw, at.raw_bytes);
        add(&self.meter.stored, &self.stored, at.stored_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_add_up() {
        let meter = Meter::default();
        let (one, other) = (meter.stream(), meter.stream());
        one.at(pipeline::Progress { raw_bytes: 10, stored_bytes: 4 });
        other.at(pipeline::Progress { raw_bytes: 5, stored_bytes: 2 });
        one.at(pipeline::Progress { raw_bytes: 20, stored_bytes: 8 });
        let Progress::Moved { raw_bytes, stored_bytes, .. } = meter.progress() else { panic!("bytes moved") };
        assert_eq!((raw_bytes, stored_bytes), (25, 10));
    }
}
