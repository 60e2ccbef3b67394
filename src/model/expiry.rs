//! Retention of rows: which hypertables lose what is old, and what is known of their chunks.

use chrono::{DateTime, Days, Months, TimeDelta, Utc};
use serde::Serialize;

use super::names::TableName;

/// A rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryRule {
    /// Whose chunks go.
    pub hypertable: TableName,
    /// A chunk goes when its last moment is this old.
    pub drop_after: Age,
    /// What has to hold what goes.
    pub floor: Floor,
}

/// What has to hold rows before they may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Floor {
    /// A backup that was restored and found equal, and that began after the chunk changed last.
    #[default]
    Backup,
    /// Nothing: somebody said so.
    None,
}

/// An age in units of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// How many; never 0.
    pub count: u32,
    /// Of what.
    pub unit: AgeUnit,
}

/// A unit of an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeUnit {
    /// 3600 seconds.
    Hour,
    /// A day in UTC.
    Day,
    /// Seven of these.
    Week,
    /// A month of the calendar.
    Month,
    /// Twelve of these.
    Year,
}

impl Age {
    /// The moment that is this old; `None` when there is none so early.
    pub fn before(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let count = u64::from(self.count);
        match self.unit {
            AgeUnit::Hour => now.checked_sub_signed(TimeDelta::hours(i64::from(self.count))),
            AgeUnit::Day => now.checked_sub_days(Days::new(count)),
            AgeUnit::Week => now.checked_sub_days(Days::new(count.checked_mul(7)?)),
            AgeUnit::Month => now.checked_sub_months(Months::new(self.count)),
            AgeUnit::Year => now.checked_sub_months(Months::new(self.count.checked_mul(12)?)),
        }
    }
}

/// What is known when it is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpirySeen {
    /// The server's time.
    pub now: DateTime<Utc>,
    /// When each backup of the whole database began that is there and was found equal.
    pub proofs: Vec<DateTime<Utc>>,
    /// The hypertables of the rules that exist.
    pub hypertables: Vec<HypertableSeen>,
}

/// A hypertable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HypertableSeen {
    /// Which.
    pub name: TableName,
    /// It is partitioned by a time or date, and not by a number.
    pub is_time: bool,
    /// Its chunks, the oldest first.
    pub chunks: Vec<ChunkSeen>,
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSeen {
    /// Its table.
    pub name: TableName,
    /// The first moment after it, in microseconds since 1970.
    pub end: i64,
    /// What it takes on disk.
    pub bytes: u64,
    /// Since when it is known to be unchanged.
    pub unchanged: Option<Unchanged>,
}

/// Since when a chunk is known to be unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Unchanged {
    /// Its present state was seen first then.
    pub since: DateTime<Utc>,
    /// Transactions before this one had ended.
    #[serde(skip)]
    pub since_xid: u64,
}
