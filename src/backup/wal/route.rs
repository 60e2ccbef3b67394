//! Which segments lead from a backup to a later position, across timelines.
//!
//! In: what the archive holds, where timelines come from, and what is wanted. Out: the segments in the order in which they are
//! replayed, or what is missing on the way. Pure.

use std::collections::BTreeMap;

use super::history::{History, Stretch, way};
use super::segment::Segment;
use crate::model::lsn::Lsn;

/// Up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// As far as the archive goes.
    End,
    /// The log up to here.
    Lsn(Lsn),
}

/// What is wanted of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The first position that is needed; what a base backup brings itself lies before it.
    pub from: Lsn,
    /// The timeline of that position.
    pub timeline: u32,
    /// Up to where.
    pub until: Until,
    /// The timeline to end on; `None`: the newest that leads on from that position.
    pub target: Option<u32>,
}

/// The way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What to replay, in this order.
    pub segments: Vec<Segment>,
    /// The timeline it ends on.
    pub timeline: u32,
    /// The log is there up to here.
    pub reached: Lsn,
}

/// The archive does not hold what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// There is a hole on the way.
    #[error("the segment {segment} of the log is missing, and there are later ones")]
    Hole {
        /// The first one that is not there.
        segment: Segment,
    },
    /// It does not go that far.
    #[error("the archive of the log ends at {reached}, before {wanted}")]
    Short {
        /// Up to where it goes.
        reached: Lsn,
        /// What is wanted.
        wanted: Lsn,
    },
    /// The target does not come from there.
    #[error("timeline {target} does not come from {from} on timeline {timeline}")]
    Elsewhere {
        /// The timeline that is wanted.
        target: u32,
        /// The timeline of the backup.
        timeline: u32,
        /// Its position.
        from: Lsn,
    },
}

impl Missing {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::Hole { .. } => {
                "recover up to the hole (`--to-lsn`), or begin with a base backup that was taken behind it".into()
            }
            Self::Short { .. } => "the log of the last moments may still be with the agent: `hypertide status`".into(),
            Self::Elsewhere { .. } => "begin with a base backup of a timeline that leads there".into(),
        }
    }
}

/// Finds the way through these segments.
pub fn route(
    segments: impl DoubleEndedIterator<Item = Segment>,
    histories: &BTreeMap<u32, History>,
    order: &Order,
) -> Result<Route, Missing> {
    let there: std::collections::BTreeSet<Segment> = segments.collect();
    let leads_on = |timeline: u32| {
        let stretches = way(histories, timeline);
        let own = stretches.iter().find(|stretch| stretch.timeline == order.timeline);
        own.is_some_and(|own| own.from <= order.from && own.to.is_none_or(|to| order.from <= to)).then_some(stretches)
    };
    let timeline = match order.target {
        Some(target) => target,
        None => {
            histories.keys().rev().copied().find(|timeline| leads_on(*timeline).is_some()).unwrap_or(order.timeline)
        }
    };
    let Order { from, timeline: begins_on, .. } = *order;
    let stretches = leads_on(timeline).ok_or(Missing::Elsewhere { target: timeline, timeline: begins_on, from })?;
    let is_enough = |reached: Lsn| matches!(order.until, Until::Lsn(wanted) if wanted <= reached);

    let mut route = Route { segments: Vec::new(), timeline, reached: from };
    let mut number = Segment::at(begins_on, from).number;
    while !is_enough(route.reached) {
        let segment = on_way(&stretches, number);
        if !there.contains(&segment) {
            break;
        }
        route.segments.push(segment);
        route.reached = segment.to();
        number += 1;
    }
    let missing = on_way(&stretches, number);
    let goes_on = || there.iter().any(|later| later.number > number && on_way(&stretches, later.number) == *later);
    match order.until {
        Until::Lsn(wanted) if route.reached < wanted && !goes_on() => {
            Err(Missing::Short { reached: route.reached, wanted })
        }
        Until::Lsn(wanted) if wanted <= route.reached => Ok(route),
        _ if goes_on() => Err(Missing::Hole { segment: missing }),
        _ => Ok(route),
    }
}

/// The segment of this number that counts: on the newest timeline that reaches into it, which holds a copy of what lies before
/// the branch.
fn on_way(stretches: &[Stretch], number: u64) -> Segment {
    let end = Segment { timeline: 0, number }.to();
    let newest = stretches.iter().rfind(|stretch| stretch.from < end).or(stretches.first());
    Segment { timeline: newest.map_or(0, |stretch| stretch.timeline), number }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::super::segment::SEGMENT_BYTES;
    use super::*;

    const HALF: u64 = SEGMENT_BYTES / 2;

    fn lsn(number: u64) -> Lsn {
        Lsn(number * SEGMENT_BYTES + HALF)
    }

    fn order(from: u64, until: Until) -> Order {
        Order { from: lsn(from), timeline: 1, until, target: None }
    }

    fn on(timeline: u32, numbers: impl IntoIterator<Item = u64>) -> Vec<Segment> {
        numbers.into_iter().map(|number| Segment { timeline, number }).collect()
    }

    fn found(there: Vec<Segment>, histories: &BTreeMap<u32, History>, order: &Order) -> Result<String, Missing> {
        let route = route(there.into_iter(), histories, order)?;
        let names = route.segments.iter().map(|segment| format!("{}.{}", segment.timeline, segment.number));
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn follows_the_newest_timeline_from_the_segment_in_which_it_begins() {
        let histories = BTreeMap::from([
            (2, History { ancestors: vec![(1, lsn(5))] }),
            // A branch that was given up, and one that left before.
            (3, History { ancestors: vec![(1, lsn(2))] }),
        ]);
        let there = [on(1, 0..=9), on(2, 5..=7), on(3, 2..=3)].concat();
        let way = |order: Order| found(there.clone(), &histories, &order);
        assert_eq!(way(order(3, Until::End)).as_deref(), Ok("1.3 1.4 2.5 2.6 2.7"));
        assert_eq!(way(order(1, Until::End)).as_deref(), Ok("1.1 3.2 3.3"));
        assert_eq!(
            way(Order { target: Some(2), ..order(1, Until::Lsn(lsn(6))) }).as_deref(),
            Ok("1.1 1.2 1.3 1.4 2.5 2.6")
        );
        assert_eq!(way(Order { target: Some(1), ..order(8, Until::End) }).as_deref(), Ok("1.8 1.9"));
        assert_eq!(
            way(Order { target: Some(3), ..order(4, Until::End) }),
            Err(Missing::Elsewhere { target: 3, timeline: 1, from: lsn(4) })
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = BTreeMap::new();
        let hole = Missing::Hole { segment: Segment { timeline: 1, number: 4 } };
        assert_eq!(found(on(1, [2, 3, 5]), &none, &order(2, Until::End)), Err(hole.clone()));
        assert_eq!(found(on(1, [2, 3, 5]), &none, &order(2, Until::Lsn(lsn(5)))), Err(hole));
        assert_eq!(found(on(1, [2, 3, 5]), &none, &order(2, Until::Lsn(lsn(3)))).as_deref(), Ok("1.2 1.3"));
        let reached = Lsn(4 * SEGMENT_BYTES);
        let short = Missing::Short { reached, wanted: lsn(4) };
        assert_eq!(found(on(1, [2, 3]), &none, &order(2, Until::Lsn(lsn(4)))), Err(short));
        assert_eq!(found(Vec::new(), &none, &order(2, Until::End)).as_deref(), Ok(""));
        // The backup itself goes that far.
        assert_eq!(found(on(1, [2]), &none, &order(2, Until::Lsn(lsn(2)))).as_deref(), Ok(""));
    }

    proptest! {
        #[test]
        fn a_route_has_no_hole_and_reaches_what_is_wanted(
            numbers in btree_set(0_u64..20, 0..20),
            from in 0_u64..20,
            until in prop_oneof![Just(None), (0_u64..20).prop_map(Some)],
        ) {
            let until = until.map_or(Until::End, |number| Until::Lsn(lsn(number)));
            let there = on(1, numbers.iter().copied());
            if let Ok(route) = route(there.clone().into_iter(), &BTreeMap::new(), &order(from, until)) {
                let there: BTreeSet<Segment> = there.into_iter().collect();
                prop_assert!(route.segments.iter().all(|segment| there.contains(segment)));
                prop_assert!(route.segments.windows(2).all(|pair| pair[0].next() == pair[1]));
                prop_assert!(route.segments.first().is_none_or(|first| first.number == from));
                match until {
                    Until::Lsn(wanted) => prop_assert!(route.reached >= wanted),
                    Until::End => prop_assert!(there.iter().all(|segment| segment.to() <= route.reached.max(lsn(from)))),
                }
            }
        }
    }
}
