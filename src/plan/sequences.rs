//! How far the sequences of a logical replica must be, so that nothing it gives out after a promotion was given out
//! before: logical replication copies rows and leaves sequences where they were.
//!
//! In: the sequences of both sides. Out: which ones to set, and to what. Nothing is ever set backwards.
//!
//! Positions are compared in the direction a sequence counts in. All arithmetic is in `i128`, where no two `i64` can
//! overflow.

use std::collections::BTreeMap;

use crate::model::names::TableName;
use crate::model::sequence::Sequence;

/// How many values ahead of the publisher a sequence is set. What the publisher gives out between the last look and its
/// death is not known: with a look every ten seconds this covers 3,200 values a second, and a sequence that is used less
/// is seldom set at all. A thousand times the 32 values that PostgreSQL itself may skip after a crash (`SEQ_LOG_VALS`).
const MARGIN: i128 = 32_000;

/// The same at a promotion, when the publisher gives out nothing any more.
const FINAL_MARGIN: i128 = 32;

/// A margin takes at most this part of what a sequence has left: one over `smallint` must not run out through us.
const MOST_OF_WHAT_IS_LEFT: i128 = 1000;

/// When sequences are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// From time to time, while the publisher goes on giving out values.
    Periodic,
    /// Once, after the publisher took its last write.
    Final,
}

/// A sequence to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceToSet {
    /// Which one.
    pub name: TableName,
    /// Its last value from now on.
    pub last_value: i64,
    /// That value counts as given out.
    pub is_called: bool,
}

/// The sequences of a subscriber that must be set, by comparison with the publisher's.
///
/// # Guarantees
/// - Afterwards a sequence that does not cycle gives out nothing that the publisher had given out when it was read.
/// - A sequence that cycles is less than half a round ahead of the publisher's.
/// - Nothing is to be set again until the publisher has used up half the margin.
///
/// # Caveats
/// One that exists on one side only, or counts in the other direction there, is another sequence and left alone.
pub fn to_set(
    theirs: &BTreeMap<TableName, Sequence>,
    ours: &BTreeMap<TableName, Sequence>,
    occasion: Occasion,
) -> Vec<SequenceToSet> {
    let both = theirs.iter().filter_map(|(name, theirs)| Some((name, theirs, ours.get(name)?)));
    both.filter_map(|(name, theirs, ours)| {
        let (last_value, is_called) = target(*theirs, *ours, occasion)?;
        Some(SequenceToSet { name: name.clone(), last_value, is_called })
    })
    .collect()
}

/// Last value and whether it counts as given out; `None` when the subscriber's sequence is well where it is.
fn target(theirs: Sequence, ours: Sequence, occasion: Occasion) -> Option<(i64, bool)> {
    let step = i128::from(theirs.increment);
    if step.signum() != i128::from(ours.increment).signum() {
        return None;
    }
    let margin = if theirs.is_called { margin(theirs, occasion) } else { 0 };
    let least = match occasion {
        Occasion::Periodic => margin / 2,
        Occasion::Final => margin,
    };
    let ahead = ahead(theirs, ours);
    let is_ahead = ahead >= least * step.abs() && (!theirs.cycles || ahead <= span(theirs) / 2);
    if is_ahead {
        return None;
    }
    let wanted = wrapped(theirs, i128::from(theirs.last_value) + margin * step);
    let possible = wanted.clamp(ours.min.into(), ours.max.into());
    let last_value = i64::try_from(possible).expect("both bounds are 64 bits wide");
    // At a bound of its own that is not the publisher's it has nothing left to give, which is loud.
    let is_called = theirs.is_called || possible != wanted;
    let is_there_already = (last_value, is_called) == (ours.last_value, ours.is_called);
    (!is_there_already).then_some((last_value, is_called))
}

/// Steps to be ahead of the publisher.
fn margin(theirs: Sequence, occasion: Occasion) -> i128 {
    let wanted = match occasion {
        Occasion::Periodic => MARGIN,
        Occasion::Final => FINAL_MARGIN,
    };
    let left = if theirs.cycles {
        span(theirs)
    } else if theirs.increment > 0 {
        i128::from(theirs.max) - i128::from(theirs.last_value)
    } else {
        i128::from(theirs.last_value) - i128::from(theirs.min)
    };
    let steps = left.max(0) / i128::from(theirs.increment).abs();
    wanted.min(steps / MOST_OF_WHAT_IS_LEFT)
}

/// How far the subscriber's next value is ahead of the publisher's; below 0 when behind. Of one that cycles it cannot be
/// told which is ahead, so it is the way from the publisher's to the subscriber's, once round at most.
fn ahead(theirs: Sequence, ours: Sequence) -> i128 {
    let ahead = (next(ours) - next(theirs)) * i128::from(theirs.increment).signum();
    if theirs.cycles { ahead.rem_euclid(span(theirs)) } else { ahead }
}

/// The value that `nextval` gives, beyond the bounds when it has none left.
fn next(sequence: Sequence) -> i128 {
    let last = i128::from(sequence.last_value);
    if !sequence.is_called {
        return last;
    }
    let next = last + i128::from(sequence.increment);
    let (min, max) = (i128::from(sequence.min), i128::from(sequence.max));
    match sequence.cycles {
        // Whatever is left of the step, PostgreSQL begins at the bound.
        true if next > max => min,
        true if next < min => max,
        _ => next,
    }
}

/// How many whole numbers a sequence ranges over.
fn span(sequence: Sequence) -> i128 {
    (i128::from(sequence.max) - i128::from(sequence.min)).max(0) + 1
}

/// The same value, within the bounds of a sequence that cycles.
fn wrapped(sequence: Sequence, value: i128) -> i128 {
    let min = i128::from(sequence.min);
    if sequence.cycles { min + (value - min).rem_euclid(span(sequence)) } else { value }
}

#[cfg(test)]
mod tests;
