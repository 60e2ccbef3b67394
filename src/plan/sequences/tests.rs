//! Sequences that count up, down and in circles, in plain cases and in arbitrary ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::plan::simulate::world::table;

/// As `create sequence` makes it, before its first value.
fn fresh(increment: i64, min: i64, max: i64, cycles: bool) -> Sequence {
    let start = if increment > 0 { min } else { max };
    Sequence { last_value: start, is_called: false, increment, min, max, cycles }
}

fn bigint() -> Sequence {
    fresh(1, 1, i64::MAX, false)
}

fn called(sequence: Sequence, last_value: i64) -> Sequence {
    Sequence { last_value, is_called: true, ..sequence }
}

/// `nextval` as PostgreSQL does it; `None` when it has reached its end.
fn nextval(sequence: &mut Sequence) -> Option<i64> {
    let value = i64::try_from(next(*sequence)).ok().filter(|next| (sequence.min..=sequence.max).contains(next))?;
    (sequence.last_value, sequence.is_called) = (value, true);
    Some(value)
}

/// `setval`, which refuses what is out of bounds.
fn set(sequence: &mut Sequence, (last_value, is_called): (i64, bool)) {
    assert!((sequence.min..=sequence.max).contains(&last_value), "out of bounds: {last_value}");
    (sequence.last_value, sequence.is_called) = (last_value, is_called);
}

#[test]
fn one_that_is_behind_is_set_ahead_by_a_margin_and_then_left_alone_for_a_while() {
    let theirs = called(bigint(), 100);
    assert_eq!(target(theirs, bigint(), Occasion::Periodic), Some((32_100, true)));
    for (last, is_set) in [(100, false), (16_100, false), (16_101, true), (32_100, true), (99_999, true)] {
        let later = target(called(bigint(), last), called(bigint(), 32_100), Occasion::Periodic);
        assert_eq!(later, is_set.then_some((last + 32_000, true)), "{last}");
    }
}

#[test]
fn nothing_is_set_backwards() {
    let far = called(bigint(), 1_000_000);
    for occasion in [Occasion::Periodic, Occasion::Final] {
        assert_eq!(target(called(bigint(), 5), far, occasion), None);
        assert_eq!(target(bigint(), far, occasion), None);
    }
}

#[test]
fn one_that_was_never_used_stays_as_it_was_made() {
    assert_eq!(target(bigint(), bigint(), Occasion::Periodic), None);
    let restarted = Sequence { last_value: 1000, ..bigint() };
    assert_eq!(target(restarted, bigint(), Occasion::Periodic), Some((1000, false)), "its first value is its own");
}

#[test]
fn one_that_counts_down_is_set_downwards() {
    let down = fresh(-2, -1_000_000_000, -1, false);
    assert_eq!(target(called(down, -7), down, Occasion::Periodic), Some((-64_007, true)));
    assert_eq!(target(called(down, -7), called(down, -64_007), Occasion::Periodic), None);
    assert_eq!(target(called(down, -7), fresh(2, 1, 9, false), Occasion::Periodic), None, "that is another sequence");
}

#[test]
fn a_short_one_gives_up_next_to_nothing_of_what_it_has_left() {
    let smallint = fresh(1, 1, 32_767, false);
    assert_eq!(target(called(smallint, 767), smallint, Occasion::Periodic), Some((799, true)));
    assert_eq!(target(called(smallint, 32_700), smallint, Occasion::Periodic), Some((32_700, true)));
    assert_eq!(target(called(smallint, 32_767), smallint, Occasion::Periodic), Some((32_767, true)));
    assert_eq!(target(called(smallint, 32_767), called(smallint, 32_767), Occasion::Periodic), None);
}

#[test]
fn bounds_of_its_own_are_kept_and_told_by_running_out() {
    let theirs = called(bigint(), 5_000_000_000);
    let mut ours = fresh(1, 1, 2_147_483_647, false);
    let wanted = target(theirs, ours, Occasion::Periodic).expect("it is behind");
    set(&mut ours, wanted);
    assert_eq!(nextval(&mut ours), None, "rather than a value that was given out");
    assert_eq!(target(theirs, ours, Occasion::Periodic), None, "and it is not set again and again");
}

#[test]
fn one_that_cycles_is_followed_round_the_end() {
    let round = fresh(1, 1, 1_000_000, true);
    assert_eq!(target(called(round, 999_900), called(round, 600_000), Occasion::Periodic), Some((900, true)));
    assert_eq!(target(called(round, 50), called(round, 999_950), Occasion::Periodic), Some((1050, true)));
    assert_eq!(target(called(round, 999_900), called(round, 900), Occasion::Periodic), None);
    let die = fresh(1, 1, 6, true);
    assert_eq!(target(called(die, 6), called(die, 1), Occasion::Periodic), None, "one ahead is ahead");
    assert_eq!(target(called(die, 1), called(die, 6), Occasion::Periodic), Some((1, true)));
}

#[test]
fn at_a_promotion_what_is_behind_is_set_and_the_rest_stays() {
    assert_eq!(target(called(bigint(), 100), bigint(), Occasion::Final), Some((132, true)));
    assert_eq!(target(called(bigint(), 100), called(bigint(), 110), Occasion::Final), Some((132, true)));
    assert_eq!(target(called(bigint(), 100), called(bigint(), 32_100), Occasion::Final), None);
}

#[test]
fn those_of_one_side_only_are_left_alone() {
    let of = |names: &[&str]| names.iter().map(|name| (table(name), called(bigint(), 7))).collect();
    let ours: BTreeMap<_, _> = [("s.b", bigint()), ("s.c", bigint())].map(|(name, it)| (table(name), it)).into();
    let set = to_set(&of(&["s.a", "s.b"]), &ours, Occasion::Periodic);
    assert_eq!(set, [SequenceToSet { name: table("s.b"), last_value: 32_007, is_called: true }]);
}

/// Short and long ones, up and down, with steps that do not fit their range.
fn any_sequence(cycles: impl Strategy<Value = bool>) -> impl Strategy<Value = Sequence> {
    let size = prop_oneof![0..20_i64, 100..5000_i64, 1_000_000..i64::MAX / 4];
    let step = prop_oneof![1..4_i64, 1..40_i64];
    (size, -5000..5000_i64, step, any::<bool>(), cycles)
        .prop_map(|(size, min, step, is_up, cycles)| fresh(if is_up { step } else { -step }, min, min + size, cycles))
}

fn any_occasion() -> impl Strategy<Value = Occasion> {
    prop_oneof![Just(Occasion::Periodic), Just(Occasion::Final)]
}

proptest! {
    #[test]
    fn nothing_that_was_given_out_is_given_out_again(
        made in any_sequence(Just(false)), own_size in prop::option::of(0..i64::MAX / 4), before in 0..300_usize,
        between in 0..300_usize, own in 0..300_usize, occasion in any_occasion(),
    ) {
        let (mut theirs, mut ours) = (made, made);
        if let Some(size) = own_size {
            // The replica's was made with another bound.
            if made.increment > 0 { ours.max = made.min + size } else { ours.min = made.max.saturating_sub(size) }
        }
        let mut given = BTreeSet::new();
        for (values, occasion) in [(before, Occasion::Periodic), (between, occasion)] {
            given.extend((0..values).map_while(|_| nextval(&mut theirs)));
            for _ in 0..own {
                // Somebody tried it out.
                nextval(&mut ours);
            }
            let was = next(ours);
            if let Some(wanted) = target(theirs, ours, occasion) {
                set(&mut ours, wanted);
            }
            prop_assert!((next(ours) - was) * i128::from(made.increment).signum() >= 0, "set backwards");
            prop_assert_eq!(target(theirs, ours, occasion), None, "once is enough");
        }
        for _ in 0..50 {
            if let Some(value) = nextval(&mut ours) {
                prop_assert!(!given.contains(&value), "{value} was given out before");
            }
        }
    }

    #[test]
    fn one_that_cycles_repeats_nothing_recent(
        made in any_sequence(Just(true)), before in 0..9000_usize, own in 0..9000_usize, occasion in any_occasion(),
    ) {
        let (mut theirs, mut ours) = (made, made);
        let given: Vec<i64> = (0..before).map_while(|_| nextval(&mut theirs)).collect();
        for _ in 0..own {
            nextval(&mut ours);
        }
        if let Some(wanted) = target(theirs, ours, occasion) {
            set(&mut ours, wanted);
        }
        prop_assert_eq!(target(theirs, ours, occasion), None, "once is enough");
        let round = span(made) / i128::from(made.increment).abs();
        let recent = usize::try_from((round / 2 - 2).max(0)).unwrap_or(usize::MAX).min(given.len());
        let value = nextval(&mut ours).expect("it never runs out");
        prop_assert!(!given[given.len() - recent..].contains(&value), "{value} is among the last {recent}");
    }
}
