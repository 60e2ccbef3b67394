//! Whether an archive of the log has holes.
//!
//! In: the segments that are there, and where timelines come from. Out: the stretches without a hole, and the holes by name. Pure.

use std::collections::BTreeMap;
use std::fmt;

use super::history::History;
use super::segment::Segment;
use crate::model::lsn::Lsn;

/// Segments without a hole, on one timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: Segment,
    /// The last.
    pub last: Segment,
}

/// Log that is missing: nothing can be recovered past it from a backup before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last segment before it.
    pub after: Segment,
    /// The first one behind it.
    pub before: Segment,
}

/// What an archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By timeline and place.
    pub ranges: Vec<Range>,
    /// Between them.
    pub gaps: Vec<Gap>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, before } = self;
        if after.timeline == before.timeline {
            write!(f, "{} to {} are missing", after.next(), Segment { number: before.number - 1, ..*before })
        } else {
            write!(f, "{after} and {before} do not join: timeline {} was left later", after.timeline)
        }
    }
}

impl Gap {
    /// Where backups have to begin, or later, for the hole not to matter.
    pub const fn behind(&self) -> Lsn {
        self.before.from()
    }
}

impl Range {
    /// Both ends as positions.
    pub const fn bounds(&self) -> (Lsn, Lsn) {
        (self.first.from(), self.last.to())
    }
}

impl Coverage {
    /// Of these segments, in any order.
    pub fn of(segments: impl IntoIterator<Item = Segment>, histories: &BTreeMap<u32, History>) -> Self {
        let mut sorted: Vec<Segment> = segments.into_iter().collect();
        sorted.sort_unstable();
        let mut ranges: Vec<Range> = Vec::new();
        for segment in sorted {
            match ranges.last_mut() {
                Some(range) if range.last == segment => {}
                Some(range) if range.last.next() == segment => range.last = segment,
                _ => ranges.push(Range { first: segment, last: segment }),
            }
        }
        let mut gaps = Vec::new();
        for (range, next) in ranges.iter().zip(ranges.iter().skip(1)) {
            if range.last.timeline == next.first.timeline {
                gaps.push(Gap { after: range.last, before: next.first });
            }
        }
        for (timeline, history) in histories {
            gaps.extend(gap_between(&ranges, *timeline, history));
        }
        gaps.sort_unstable_by_key(|gap| (gap.before, gap.after));
        Self { ranges, gaps }
    }

    /// The last segment of the newest timeline.
    pub fn last(&self) -> Option<Segment> {
        self.ranges.last().map(|range| range.last)
    }

    /// The holes that keep backups which begin at these positions from being recovered to the newest segment; none when there is
    /// no backup before them.
    pub fn gaps_behind(&self, backup: Lsn) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(move |gap| gap.behind() > backup)
    }
}

/// The hole where a timeline was left for the next, when there is one. The segment in which it happened is on both.
fn gap_between(ranges: &[Range], timeline: u32, history: &History) -> Option<Gap> {
    let (parent, left_at) = history.parent()?;
    let before = ranges.iter().find(|range| range.first.timeline == timeline)?.first;
    let branch = Segment::at(timeline, left_at).number;
    // Of the parent only what lies before the branch counts; it may have gone on.
    let on_parent = ranges.iter().filter(|range| range.first.timeline == parent && range.first.number <= branch);
    let after = on_parent.map(|range| range.last).max()?;
    let is_joined = after.number + 1 >= branch && before.number <= branch;
    (!is_joined).then_some(Gap { after, before })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::super::segment::SEGMENT_BYTES;
    use super::*;

    fn on(timeline: u32, numbers: impl IntoIterator<Item = u64>) -> Vec<Segment> {
        numbers.into_iter().map(|number| Segment { timeline, number }).collect()
    }

    #[test]
    fn a_hole_is_named_by_what_is_missing() {
        let coverage = Coverage::of(on(1, [3, 4, 7, 8]), &BTreeMap::new());
        let named: Vec<String> = coverage.gaps.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["000000010000000000000005 to 000000010000000000000006 are missing"]);
        assert_eq!(coverage.gaps_behind(Lsn(4 * SEGMENT_BYTES)).count(), 1);
        assert_eq!(coverage.gaps_behind(Lsn(7 * SEGMENT_BYTES)).count(), 0);
    }

    #[test]
    fn timelines_join_in_the_segment_where_one_was_left() {
        let left_at = Lsn(5 * SEGMENT_BYTES + 100);
        let histories = BTreeMap::from([(2, History { ancestors: vec![(1, left_at)] })]);
        let gaps = |one: &[u64], two: &[u64]| {
            let segments = on(1, one.iter().copied()).into_iter().chain(on(2, two.iter().copied()));
            Coverage::of(segments, &histories).gaps.len()
        };
        assert_eq!(gaps(&[3, 4], &[5, 6]), 0);
        // The old primary went on for a while before it was stopped.
        assert_eq!(gaps(&[3, 4, 5, 6], &[5, 6]), 0);
        assert_eq!(gaps(&[3], &[5, 6]), 1);
        assert_eq!(gaps(&[3, 4], &[6]), 1);
        assert_eq!(gaps(&[3, 4, 5], &[6]), 1);
        // An archive that begins on the new timeline misses nothing.
        assert_eq!(gaps(&[], &[6]), 0);
    }

    proptest! {
        #[test]
        fn ranges_and_gaps_tell_each_number_between_the_ends_once(numbers in btree_set(0_u64..60, 1..30)) {
            let coverage = Coverage::of(on(1, numbers.iter().rev().copied()), &BTreeMap::new());
            let covered = coverage.ranges.iter().flat_map(|range| range.first.number..=range.last.number);
            prop_assert_eq!(covered.collect::<BTreeSet<_>>(), numbers.clone());
            let missing = coverage.gaps.iter().flat_map(|gap| gap.after.number + 1..gap.before.number);
            let (first, last) = (*numbers.first().unwrap(), *numbers.last().unwrap());
            let expected: BTreeSet<u64> = (first..=last).filter(|number| !numbers.contains(number)).collect();
            prop_assert_eq!(missing.collect::<BTreeSet<_>>(), expected);
            prop_assert_eq!(coverage.gaps.len() + 1, coverage.ranges.len());
        }
    }
}
