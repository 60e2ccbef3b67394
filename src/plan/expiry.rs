//! Which chunks are old enough to go, and which of these stay because nothing else holds their rows.
//!
//! In: rules, and what is known of hypertables, chunks and backups. Out: for each rule what goes and what stays, with the reason.
//! Reads no clock. Whatever is not known speaks for keeping.
//!
//! A chunk is covered by a backup of the whole database that is still there, was restored and found equal, and began after the
//! moment since which the chunk is known to be unchanged. Replicas do not count: what the primary drops, they drop.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::model::expiry::{ChunkSeen, ExpiryRule, ExpirySeen, Floor, HypertableSeen, Unchanged};
use crate::model::names::TableName;

/// A backup's time comes from another clock than a chunk's.
const CLOCKS: TimeDelta = TimeDelta::minutes(1);

/// What becomes of one hypertable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablePlan {
    /// Which.
    pub hypertable: TableName,
    /// Chunks that end no later than this are old enough; `None` when the rule cannot be followed.
    pub cutoff: Option<DateTime<Utc>>,
    /// Why it cannot.
    pub refused: Option<Refused>,
    /// What goes, the oldest first.
    pub drops: Vec<Drop>,
    /// What is old enough and stays.
    pub kept: Vec<Kept>,
}

/// A chunk that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// Its table.
    pub chunk: TableName,
    /// What it takes on disk.
    pub bytes: u64,
    /// It goes only when no row was written since; `None`: it goes in any case.
    pub unchanged: Option<Unchanged>,
}

/// A chunk that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its table.
    pub chunk: TableName,
    /// Why.
    pub because: Because,
}

/// Why a chunk stays that is old enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// No backup that was found equal began after it changed last.
    NotCovered,
    /// Since when it is unchanged cannot be told: it is compressed, or nothing is counted.
    Unknown,
    /// It was changed while it was to go.
    Changed,
    /// Somebody held a lock on it for too long.
    Busy,
}

/// Why a rule cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// There is no such hypertable.
    NoHypertable,
    /// It is partitioned by numbers, which have no age.
    NotByTime,
    /// Nothing is that old.
    NoSuchTime,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCovered => "no verified backup began after it changed last",
            Self::Unknown => "since when it is unchanged cannot be told",
            Self::Changed => "it was changed just now",
            Self::Busy => "somebody held a lock on it",
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHypertable => "there is no such hypertable",
            Self::NotByTime => "it is not partitioned by a time or date",
            Self::NoSuchTime => "no time is that long ago",
        })
    }
}

/// What becomes of each rule's hypertable, in the order of the rules.
pub fn plan(rules: &[ExpiryRule], seen: &ExpirySeen) -> Vec<TablePlan> {
    rules.iter().map(|rule| of_rule(rule, seen)).collect()
}

fn of_rule(rule: &ExpiryRule, seen: &ExpirySeen) -> TablePlan {
    let name = || rule.hypertable.clone();
    let refused = |refused| TablePlan {
        hypertable: name(),
        cutoff: None,
        refused: Some(refused),
        drops: Vec::new(),
        kept: Vec::new(),
    };
    let Some(HypertableSeen { is_time, chunks, .. }) =
        seen.hypertables.iter().find(|table| table.name == rule.hypertable)
    else {
        return refused(Refused::NoHypertable);
    };
    if !is_time {
        return refused(Refused::NotByTime);
    }
    let Some(cutoff) = rule.drop_after.before(seen.now) else { return refused(Refused::NoSuchTime) };
    let mut plan =
        TablePlan { hypertable: name(), cutoff: Some(cutoff), refused: None, drops: Vec::new(), kept: Vec::new() };
    for chunk in chunks.iter().filter(|chunk| chunk.end <= cutoff.timestamp_micros()) {
        let (name, bytes) = (chunk.name.clone(), chunk.bytes);
        match judge(chunk, rule.floor, &seen.proofs) {
            Ok(unchanged) => plan.drops.push(Drop { chunk: name, bytes, unchanged }),
            Err(because) => plan.kept.push(Kept { chunk: name, because }),
        }
    }
    plan
}

/// Whether a chunk may go, and upon what that rests.
fn judge(chunk: &ChunkSeen, floor: Floor, proofs: &[DateTime<Utc>]) -> Result<Option<Unchanged>, Because> {
    if floor == Floor::None {
        return Ok(None);
    }
    let unchanged = chunk.unchanged.ok_or(Because::Unknown)?;
    let is_covered = proofs.iter().any(|began| *began > unchanged.since + CLOCKS);
    if is_covered { Ok(Some(unchanged)) } else { Err(Because::NotCovered) }
}

#[cfg(test)]
mod tests;
