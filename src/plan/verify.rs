//! Comparing a logical replica with its primary: what is compared, what is skipped, what came of it, and at which pace.
//!
//! In: lists of tables from both sides, what is on record, and what was read. Out: verdicts. Reads no clock and no
//! rows.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::topology;
use crate::model::cluster::Mode;
use crate::model::desired::{Desired, DesiredNode, VerifySchedule};
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::Observed;

/// How long an equal comparison is believed although nothing changed since: what no server counts (a broken disk, a
/// superuser's own `track_counts = off`) is found within this time all the same.
pub const TRUST: Duration = Duration::from_hours(7 * 24);

/// Tables that are read in one statement: few enough that their locks fit into the lock table several times over.
pub const TABLES_AT_ONCE: usize = 64;

/// Rows that are read in one statement, about; a larger table is read alone.
pub const ROWS_AT_ONCE: u64 = 200_000;

/// After this many tables in a row for which the replica did not catch up, the rest need not be tried.
pub const BEHIND_AT_MOST: usize = 3;

/// How soon a verification that had to leave tables out is tried again.
const SECOND_TRY: Duration = Duration::from_mins(5);

/// What an agent leaves to the start of a cluster before it compares anything again.
const START_UP: Duration = Duration::from_mins(3);

/// Who is compared with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The node that takes the writes; it was seen to.
    pub primary: DesiredNode,
    /// Logical replicas.
    pub replicas: Vec<DesiredNode>,
    /// Standbys, which are equal by construction.
    pub standbys: Vec<NodeName>,
}

/// Who is to be compared with whom; `None` while no primary answers.
pub fn sides(desired: &Desired, observed: &Observed) -> Option<Sides> {
    let nodes = topology::nodes(desired, observed);
    let name = topology::primary(&nodes, observed).ok()?;
    observed.nodes.get(&name).filter(|seen| topology::writer_epoch(seen).is_some())?;
    let subscribes = |node: &&DesiredNode| topology::following(&nodes, node, Some(&name)) == Some(Mode::Logical);
    Some(Sides {
        replicas: nodes.iter().filter(subscribes).cloned().collect(),
        standbys: topology::standbys(&nodes, &name).cloned().collect(),
        primary: nodes.iter().find(|node| node.name == name)?.clone(),
    })
}

/// A table whose rows are published, as the primary lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name on both sides.
    pub name: TableName,
    /// The columns that are replicated, in the order of their names.
    pub columns: Vec<Ident>,
    /// It is read with everything that inherits from it: chunks and partitioned tables.
    pub is_tree: bool,
    /// Only rows for which this SQL condition is true are published.
    pub filter: Option<String>,
    /// Rows in it, about.
    pub rows: u64,
    /// Equal texts mean that nothing was changed in between; `None` when that cannot be told (`hypertide.activity`).
    pub activity: Option<String>,
}

/// The same table on the replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// A table of that name is there.
    pub is_there: bool,
    /// The state of its subscription (`pg_subscription_rel.srsubstate`); `None` when it is not subscribed to.
    pub state: Option<char>,
    /// As on the other side.
    pub activity: Option<String>,
}

/// What is on record about a table of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnRecord {
    /// It was equal.
    pub is_equal: bool,
    /// How long ago.
    pub age: Duration,
    /// The primary's activity just before.
    pub activity_primary: Option<String>,
    /// The replica's activity just before.
    pub activity_replica: Option<String>,
}

/// Rows of a table and their order-independent hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many.
    pub rows: u64,
    /// Sum of their hashes.
    pub hash: String,
}

/// Why a table has no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Somebody holds a lock on it.
    Locked,
    /// It is not there.
    NoTable,
    /// A column is not there.
    NoColumn,
}

/// What came of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Both sides hold the same rows.
    Equal,
    /// It was equal at the last comparison, and neither side changed it since.
    Unchanged,
    /// The sides hold different rows.
    Differs,
    /// It could not be compared now.
    Busy(Busy),
    /// It is not replicated completely yet, so it cannot be equal.
    Unsynced,
    /// The replica does not have it, or lacks a column of it.
    MissingHere,
}

/// Why a table could not be compared now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Busy {
    /// Somebody holds a lock on it for long.
    Locked,
    /// The replica did not apply in time what it had to.
    Behind,
    /// Its columns changed meanwhile.
    Altered,
}

/// What came of all tables of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every table is equal.
    Equal,
    /// Some table differs.
    Differs,
    /// None differs, and some could not be compared.
    Incomplete,
}

impl Verdict {
    /// The stable word for it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Unchanged => "unchanged",
            Self::Differs => "differs",
            Self::Busy(_) => "busy",
            Self::Unsynced => "unsynced",
            Self::MissingHere => "missing_here",
        }
    }

    /// It was compared in this run.
    pub const fn is_compared(self) -> bool {
        matches!(self, Self::Equal | Self::Differs)
    }

    /// Nothing was found out about it.
    pub const fn is_left_out(self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unsynced | Self::MissingHere)
    }

    /// Why nothing was found out about it.
    pub const fn because(self) -> Option<&'static str> {
        match self {
            Self::Equal | Self::Unchanged | Self::Differs => None,
            Self::Busy(Busy::Locked) => Some("somebody holds a lock on it"),
            Self::Busy(Busy::Behind) => Some("the replica did not catch up in time"),
            Self::Busy(Busy::Altered) => Some("its columns changed meanwhile"),
            Self::Unsynced => Some("the subscription is still copying it, or does not know it yet"),
            Self::MissingHere => Some("the replica lacks it, or a column of it"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

impl Serialize for Verdict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// What to compare, and what is settled without.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Positions in the list of published tables, those that differed last time first.
    pub compare: Vec<usize>,
    /// Positions with their verdicts.
    pub settled: Vec<(usize, Verdict)>,
}

/// Chooses what to compare. `subscribed` has one entry for each of `published`, in the same order.
pub fn choose(
    published: &[Published],
    subscribed: &[Subscribed],
    record: &BTreeMap<TableName, OnRecord>,
    is_full: bool,
) -> Choice {
    let mut choice = Choice::default();
    let mut rest = Vec::new();
    for (place, (theirs, ours)) in published.iter().zip(subscribed).enumerate() {
        let known = record.get(&theirs.name);
        if !ours.is_there {
            choice.settled.push((place, Verdict::MissingHere));
        } else if ours.state != Some('r') {
            choice.settled.push((place, Verdict::Unsynced));
        } else if !is_full && known.is_some_and(|known| is_unchanged(known, theirs, ours)) {
            choice.settled.push((place, Verdict::Unchanged));
        } else if known.is_some_and(|known| !known.is_equal) {
            choice.compare.push(place);
        } else {
            rest.push(place);
        }
    }
    choice.compare.append(&mut rest);
    choice
}

/// It was equal, neither side did anything to it since, and that was not long ago.
fn is_unchanged(known: &OnRecord, theirs: &Published, ours: &Subscribed) -> bool {
    let is_same = |then: &Option<String>, now: &Option<String>| then.is_some() && then == now;
    known.is_equal
        && known.age < TRUST
        && is_same(&known.activity_primary, &theirs.activity)
        && is_same(&known.activity_replica, &ours.activity)
}

/// Judges what was read on both sides. `None`: the primary has dropped the table meanwhile, so there is nothing to say.
///
/// [`Verdict::Differs`] is final only when both sides stood still at one position; otherwise it is a suspicion.
pub fn judge(theirs: &Result<Fingerprint, Problem>, ours: &Result<Fingerprint, Problem>) -> Option<Verdict> {
    Some(match (theirs, ours) {
        (Ok(theirs), Ok(ours)) if theirs == ours => Verdict::Equal,
        (Ok(_), Ok(_)) => Verdict::Differs,
        (Err(Problem::NoTable), _) => return None,
        (Err(Problem::NoColumn), _) => Verdict::Busy(Busy::Altered),
        (Err(Problem::Locked), _) | (_, Err(Problem::Locked)) => Verdict::Busy(Busy::Locked),
        (_, Err(Problem::NoTable | Problem::NoColumn)) => Verdict::MissingHere,
    })
}

/// What a replica's verdicts come to.
pub fn outcome(verdicts: impl IntoIterator<Item = Verdict>) -> Outcome {
    verdicts.into_iter().fold(Outcome::Equal, |so_far, verdict| match verdict {
        Verdict::Differs => Outcome::Differs,
        _ if so_far == Outcome::Equal && verdict.is_left_out() => Outcome::Incomplete,
        _ => so_far,
    })
}

/// Cuts a list into stretches that are read in one statement each: `rows` gives the size of each entry.
pub fn batches(places: &[usize], rows: impl Fn(usize) -> u64, most_rows: u64) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut rows_in_last = 0;
    for &place in places {
        let size = rows(place);
        match batches.last_mut() {
            Some(last) if last.len() < TABLES_AT_ONCE && size.saturating_add(rows_in_last) <= most_rows => {
                last.push(place);
                rows_in_last += size;
            }
            _ => {
                batches.push(vec![place]);
                rows_in_last = size;
            }
        }
    }
    batches
}

/// How long to rest after reading this many rows in this time, to stay within a budget.
pub fn rest(rows: u64, took: Duration, rows_per_second: u64) -> Duration {
    #[allow(clippy::cast_precision_loss)] // a rest need not be exact
    let wanted = rows as f64 / rows_per_second.max(1) as f64;
    Duration::try_from_secs_f64(wanted).unwrap_or(Duration::MAX).saturating_sub(took)
}

/// The last finished verification of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// How long ago.
    pub age: Duration,
    /// Tables that it had to leave out.
    pub left_out: u64,
}

/// A verification is due. `running` is for how long the agent has been running.
pub fn is_due(last: Option<Last>, schedule: &VerifySchedule, running: Duration) -> bool {
    match last {
        None => true,
        Some(last) => {
            let pause = if last.left_out > 0 { schedule.every.min(SECOND_TRY) } else { schedule.every };
            last.age >= pause && running >= START_UP.min(schedule.every)
        }
    }
}

#[cfg(test)]
mod tests;
