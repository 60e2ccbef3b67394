//! Every row of the decisions, and what must hold for any list of tables.

use proptest::prelude::*;

use super::*;
use crate::plan::simulate::world::table;

fn published(name: &str, activity: Option<&str>) -> Published {
    let activity = activity.map(str::to_owned);
    Published { name: table(name), columns: Vec::new(), is_tree: true, filter: None, rows: 1, activity }
}

fn subscribed(state: Option<char>, activity: Option<&str>) -> Subscribed {
    Subscribed { is_there: true, state, activity: activity.map(str::to_owned) }
}

fn on_record(is_equal: bool, hours: u64, theirs: Option<&str>, ours: Option<&str>) -> OnRecord {
    OnRecord {
        is_equal,
        age: Duration::from_hours(hours),
        activity_primary: theirs.map(str::to_owned),
        activity_replica: ours.map(str::to_owned),
    }
}

/// What happened, what is on record, what the replica has, the primary's activity, and the verdict without comparing.
type Case<'a> = (&'a str, Option<OnRecord>, Subscribed, Option<&'a str>, Option<Verdict>);

#[test]
fn only_what_was_equal_and_did_nothing_since_is_skipped() {
    let (a, b, other) = (Some("1 2 3"), Some("4 5 6"), Some("1 2 4"));
    let equal = || Some(on_record(true, 1, a, b));
    let ready = subscribed(Some('r'), b);
    let missing = Subscribed { is_there: false, ..ready.clone() };
    let table: [Case<'_>; 12] = [
        ("never compared", None, ready.clone(), a, None),
        ("nothing happened", equal(), ready.clone(), a, Some(Verdict::Unchanged)),
        ("the primary changed it", equal(), ready.clone(), other, None),
        ("the replica changed it", equal(), subscribed(Some('r'), other), a, None),
        ("the primary cannot tell", equal(), ready.clone(), None, None),
        ("neither side could ever tell", Some(on_record(true, 1, None, None)), subscribed(Some('r'), None), None, None),
        ("it differed", Some(on_record(false, 1, a, b)), ready.clone(), a, None),
        ("it was long ago", Some(on_record(true, 7 * 24, a, b)), ready.clone(), a, None),
        ("it is copied afresh", equal(), subscribed(Some('d'), b), a, Some(Verdict::Unsynced)),
        ("it is not subscribed to", equal(), subscribed(None, b), a, Some(Verdict::Unsynced)),
        ("it is gone", equal(), missing.clone(), a, Some(Verdict::MissingHere)),
        ("it never was there", None, missing, a, Some(Verdict::MissingHere)),
    ];
    for (case, known, ours, activity, expected) in table {
        let theirs = [published("a.b", activity)];
        let record: BTreeMap<_, _> = known.into_iter().map(|known| (theirs[0].name.clone(), known)).collect();
        let choice = choose(&theirs, std::slice::from_ref(&ours), &record, false);
        assert_eq!(choice.settled.first().map(|(_, verdict)| *verdict), expected, "{case}");
        assert_eq!(choice.compare.len(), usize::from(expected.is_none()), "{case}");
        let full = choose(&theirs, &[ours], &record, true);
        assert!(!full.settled.contains(&(0, Verdict::Unchanged)), "{case}: a full run skips nothing");
    }
}

#[test]
fn what_differed_last_time_is_looked_at_first() {
    let theirs = [published("a.a", None), published("a.b", None), published("a.c", None)];
    let ours = vec![subscribed(Some('r'), None); 3];
    let record = BTreeMap::from([(table("a.b"), on_record(false, 1, None, None))]);
    assert_eq!(choose(&theirs, &ours, &record, false).compare, [1, 0, 2]);
}

#[test]
fn a_difference_is_one_only_where_both_sides_were_read() {
    let read = |rows, hash: &str| Ok(Fingerprint { rows, hash: hash.into() });
    let one = || read(1, "7");
    for (theirs, ours, expected) in [
        (one(), one(), Some(Verdict::Equal)),
        (one(), read(1, "8"), Some(Verdict::Differs)),
        (one(), read(2, "7"), Some(Verdict::Differs)),
        (Err(Problem::NoTable), one(), None),
        (Err(Problem::NoTable), Err(Problem::NoTable), None),
        (Err(Problem::NoColumn), one(), Some(Verdict::Busy(Busy::Altered))),
        (Err(Problem::Locked), Err(Problem::NoTable), Some(Verdict::Busy(Busy::Locked))),
        (one(), Err(Problem::Locked), Some(Verdict::Busy(Busy::Locked))),
        (one(), Err(Problem::NoTable), Some(Verdict::MissingHere)),
        (one(), Err(Problem::NoColumn), Some(Verdict::MissingHere)),
    ] {
        assert_eq!(judge(&theirs, &ours), expected, "{theirs:?} {ours:?}");
    }
}

#[test]
fn a_difference_outweighs_everything_and_what_was_left_out_outweighs_equality() {
    let busy = Verdict::Busy(Busy::Locked);
    for (verdicts, expected) in [
        (vec![], Outcome::Equal),
        (vec![Verdict::Equal, Verdict::Unchanged], Outcome::Equal),
        (vec![Verdict::Equal, Verdict::Unsynced, Verdict::Equal], Outcome::Incomplete),
        (vec![busy, Verdict::Differs], Outcome::Differs),
        (vec![Verdict::Differs, busy, Verdict::MissingHere], Outcome::Differs),
    ] {
        assert_eq!(outcome(verdicts.clone()), expected, "{verdicts:?}");
    }
}

#[test]
fn a_verification_is_due_when_there_was_none_or_its_time_has_come() {
    let schedule = VerifySchedule { every: Duration::from_hours(1), rows_per_second: 1 };
    let last = |minutes, left_out| Some(Last { age: Duration::from_mins(minutes), left_out });
    let (fresh, settled) = (Duration::from_secs(1), Duration::from_hours(9));
    for (last, running, expected) in [
        (None, fresh, true),
        (last(59, 0), settled, false),
        (last(60, 0), settled, true),
        (last(600, 0), fresh, false),
        (last(600, 0), START_UP, true),
        (last(4, 2), settled, false),
        (last(5, 2), settled, true),
    ] {
        assert_eq!(is_due(last, &schedule, running), expected, "{last:?} {running:?}");
    }
    let often = VerifySchedule { every: Duration::from_mins(1), ..schedule };
    assert!(is_due(last(1, 3), &often, Duration::from_mins(1)), "a short schedule is kept");
}

#[test]
fn whatever_is_not_equal_says_why_or_is_a_difference() {
    for verdict in [
        Verdict::Equal,
        Verdict::Unchanged,
        Verdict::Differs,
        Verdict::Busy(Busy::Locked),
        Verdict::Busy(Busy::Behind),
        Verdict::Busy(Busy::Altered),
        Verdict::Unsynced,
        Verdict::MissingHere,
    ] {
        assert_eq!(verdict.because().is_some(), verdict.is_left_out(), "{verdict}");
        assert!(!(verdict.is_left_out() && verdict.is_compared()), "{verdict}");
    }
}

fn any_activity() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![None, Some("1"), Some("2")])
}

fn any_table() -> impl Strategy<Value = (Published, Subscribed, Option<OnRecord>)> {
    let known = prop::option::of((any::<bool>(), 0..400_u64, any_activity(), any_activity()));
    let ours = (any::<bool>(), prop::option::of(prop::sample::select(vec!['r', 'i'])), any_activity());
    (any_activity(), ours, known).prop_map(|(activity, (is_there, state, ours), known)| {
        let known = known.map(|(is_equal, hours, theirs, ours)| on_record(is_equal, hours, theirs, ours));
        (published("a.b", activity), Subscribed { is_there, ..subscribed(state, ours) }, known)
    })
}

proptest! {
    #[test]
    fn every_table_is_compared_or_settled_and_none_twice(
        tables in prop::collection::vec(any_table(), 0..30), is_full: bool,
    ) {
        let named = |(number, (theirs, ours, known)): (usize, (Published, Subscribed, Option<OnRecord>))| {
            (Published { name: table(&format!("a.t{number}")), ..theirs }, ours, known)
        };
        let tables: Vec<_> = tables.into_iter().enumerate().map(named).collect();
        let theirs: Vec<_> = tables.iter().map(|(theirs, ..)| theirs.clone()).collect();
        let ours: Vec<_> = tables.iter().map(|(_, ours, _)| ours.clone()).collect();
        let record: BTreeMap<_, _> = tables
            .iter()
            .filter_map(|(theirs, _, known)| Some((theirs.name.clone(), known.clone()?)))
            .collect();
        let choice = choose(&theirs, &ours, &record, is_full);
        let settled = choice.settled.iter().map(|(place, _)| *place);
        let mut places: Vec<usize> = choice.compare.iter().copied().chain(settled).collect();
        places.sort_unstable();
        prop_assert_eq!(places, (0..theirs.len()).collect::<Vec<_>>());
        for (place, verdict) in choice.settled {
            if verdict == Verdict::Unchanged {
                let known = record.get(&theirs[place].name).expect("it was compared before");
                prop_assert!(!is_full && known.is_equal && known.age < TRUST);
                prop_assert!(known.activity_primary.is_some() && known.activity_primary == theirs[place].activity);
                prop_assert!(known.activity_replica.is_some() && known.activity_replica == ours[place].activity);
            }
        }
    }

    #[test]
    fn batches_keep_every_table_in_order_and_within_bounds(
        sizes in prop::collection::vec(0..1000_u64, 0..200), most in 1..2000_u64,
    ) {
        let places: Vec<usize> = (0..sizes.len()).collect();
        let batches = batches(&places, |place| sizes[place], most);
        prop_assert_eq!(batches.concat(), places);
        for batch in &batches {
            let rows: u64 = batch.iter().map(|place| sizes[*place]).sum();
            prop_assert!(!batch.is_empty() && batch.len() <= TABLES_AT_ONCE);
            prop_assert!(rows <= most || batch.len() == 1, "{rows} rows in {} tables", batch.len());
        }
    }

    #[test]
    fn resting_keeps_within_the_budget_and_never_rests_for_nothing(
        rows in 0..10_000_000_u64, millis in 0..100_000_u64, budget in 1..1_000_000_u64,
    ) {
        let took = Duration::from_millis(millis);
        let rest = rest(rows, took, budget);
        let seconds = (took + rest).as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let (rows, budget) = (rows as f64, budget as f64);
        prop_assert!(rows <= budget * seconds + 1.0);
        prop_assert!(rest.is_zero() || rows >= budget * seconds - 1.0);
    }
}
