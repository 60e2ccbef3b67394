use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn schedule(cron: &str, jitter_mins: u64, catch_up: bool, retries: u32) -> Schedule {
    let timing = timing(cron, jitter_mins, catch_up);
    Schedule::new("nightly", &timing, retries, Duration::from_mins(1)).expect("valid")
}

fn timing(cron: &str, jitter_mins: u64, catch_up: bool) -> Timing {
    let jitter = Duration::from_mins(jitter_mins);
    Timing { cron: cron.into(), zone: "Europe/Berlin".into(), jitter, catch_up, overlap: Overlap::Skip }
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("2026-11-{text}Z")).expect("a time").to_utc()
}

fn known(last: Option<Attempt>) -> History {
    History { known_since: at("01T00:00:00"), last }
}

fn attempt(occurrence: &str, number: u32, end: End) -> History {
    known(Some(Attempt { occurrence: at(occurrence), number, began: at(occurrence), end }))
}

fn wait(until: &str) -> Verdict {
    Verdict::Wait { until: Some(at(until)), left_out: None }
}

#[test]
fn a_time_that_comes_is_run_for_once() {
    // 02:00 in Berlin.
    let daily = schedule("0 2 * * *", 0, true, 2);
    let done = attempt("20T01:00:00", 0, End::Succeeded(at("20T01:10:00")));
    assert_eq!(daily.decide(&done, false, at("21T00:59:59")), wait("21T01:00:00"));
    let run = Verdict::Run { occurrence: at("21T01:00:00"), attempt: 0, why: Why::Due };
    assert_eq!(daily.decide(&done, false, at("21T01:00:00")), run);
    let done = attempt("21T01:00:00", 0, End::Succeeded(at("21T01:10:00")));
    assert_eq!(daily.decide(&done, false, at("21T01:10:00")), wait("22T01:00:00"));
}

#[test]
fn what_was_missed_is_made_up_for_once_or_not_at_all() {
    let done = attempt("18T01:00:00", 0, End::Succeeded(at("18T01:10:00")));
    let (eager, calm) = (schedule("0 2 * * *", 0, true, 2), schedule("0 2 * * *", 0, false, 2));
    let now = at("21T09:00:00");
    let run = Verdict::Run { occurrence: at("21T01:00:00"), attempt: 0, why: Why::CatchUp };
    assert_eq!(eager.decide(&done, false, now), run);
    assert_eq!(calm.decide(&done, false, now), wait("22T01:00:00"));
    // A new job owes nothing.
    let new = History { known_since: at("21T08:00:00"), last: None };
    assert_eq!(eager.decide(&new, false, now), wait("22T01:00:00"));
}

#[test]
fn a_time_that_comes_while_the_job_runs_may_wait_for_its_end() {
    let timing = Timing { overlap: Overlap::Queue, ..timing("0 * * * *", 0, true) };
    let hourly = Schedule::new("nightly", &timing, 2, Duration::from_mins(1)).expect("valid");
    let running = attempt("21T01:00:00", 0, End::Open);
    assert_eq!(hourly.decide(&running, true, at("21T02:00:30")), wait("21T03:00:00"));
    // Of two that came the last is run for, and that once.
    let done = attempt("21T01:00:00", 0, End::Succeeded(at("21T03:01:00")));
    let run = Verdict::Run { occurrence: at("21T03:00:00"), attempt: 0, why: Why::Due };
    assert_eq!(hourly.decide(&done, false, at("21T03:01:01")), run);
    let done = attempt("21T03:00:00", 0, End::Succeeded(at("21T03:02:00")));
    assert_eq!(hourly.decide(&done, false, at("21T03:02:01")), wait("21T04:00:00"));
}

#[test]
fn a_time_that_comes_while_the_job_runs_is_left_out() {
    let hourly = schedule("0 * * * *", 0, true, 2);
    let running = attempt("21T01:00:00", 0, End::Open);
    let left_out = Verdict::Wait { until: Some(at("21T03:00:00")), left_out: Some(at("21T02:00:00")) };
    assert_eq!(hourly.decide(&running, true, at("21T02:00:30")), left_out);
    let done = attempt("21T01:00:00", 0, End::Succeeded(at("21T02:30:00")));
    assert_eq!(hourly.decide(&done, false, at("21T02:30:01")), wait("21T03:00:00"));
}

#[test]
fn a_failure_is_tried_again_later_and_later_and_then_no_more() {
    let daily = schedule("0 2 * * *", 0, true, 3);
    let ended = at("21T01:10:00");
    for (number, pause) in [(0, 1), (1, 2), (2, 4)] {
        let failed = attempt("21T01:00:00", number, End::Failed(ended));
        let due = ended + TimeDelta::minutes(pause);
        let (before, until) = (daily.decide(&failed, false, due - TimeDelta::seconds(1)), Some(due));
        assert_eq!(before, Verdict::Wait { until, left_out: None });
        let again = Verdict::Run { occurrence: at("21T01:00:00"), attempt: number + 1, why: Why::Retry };
        assert_eq!(daily.decide(&failed, false, due), again);
    }
    let failed = attempt("21T01:00:00", 3, End::Failed(ended));
    assert_eq!(daily.decide(&failed, false, at("21T09:00:00")), wait("22T01:00:00"));
    // The next time goes before a retry.
    let failed = attempt("20T01:00:00", 0, End::Failed(at("21T00:59:59")));
    let run = Verdict::Run { occurrence: at("21T01:00:00"), attempt: 0, why: Why::Due };
    assert_eq!(daily.decide(&failed, false, at("21T01:00:00")), run);
}

#[test]
fn one_that_was_cut_off_gets_another_chance() {
    let never_again = schedule("0 2 * * *", 0, true, 0);
    let cut_off = |number| attempt("21T01:00:00", number, End::Open);
    let again = Verdict::Run { occurrence: at("21T01:00:00"), attempt: 1, why: Why::Retry };
    assert_eq!(never_again.decide(&cut_off(0), false, at("21T01:05:00")), again);
    assert_eq!(never_again.decide(&cut_off(1), false, at("21T01:05:00")), wait("22T01:00:00"));
}

#[test]
fn a_pause_ends_growing_at_an_hour() {
    let patient = schedule("0 2 * * *", 0, true, 20);
    let pauses: Vec<u64> = (0..12).map(|number| patient.pause(number).as_secs() / 60).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]);
    assert_eq!(patient.pause(u32::MAX), LONGEST_BACKOFF);
}

#[test]
fn a_job_without_a_success_in_two_periods_is_overdue() {
    let daily = schedule("0 2 * * mon-fri", 0, true, 0);
    let since = at("01T00:00:00");
    // Friday the 20th is the last time before Monday the 23rd: nothing is amiss over the weekend.
    let friday = Some(at("20T01:10:00"));
    assert!(!daily.is_overdue(since, friday, at("23T00:59:00")));
    assert!(!daily.is_overdue(since, friday, at("23T01:05:00")));
    assert!(daily.is_overdue(since, friday, at("24T01:00:00")));
    assert!(daily.is_overdue(since, None, at("20T00:00:00")));
    assert!(!daily.is_overdue(at("20T00:00:00"), None, at("20T12:00:00")));
}

#[test]
fn a_clock_that_was_ahead_does_not_stop_a_job() {
    let daily = schedule("0 2 * * *", 0, true, 0);
    let ahead = attempt("29T01:00:00", 0, End::Succeeded(at("29T01:10:00")));
    assert_eq!(daily.decide(&ahead, false, at("21T00:30:00")), wait("21T01:00:00"));
}

/// A host over some days: looks at odd times, is away now and then, its runs take their time, and some fail.
#[derive(Clone, Debug)]
struct Day {
    looks: Vec<(u32, bool, u32)>,
}

fn days() -> impl Strategy<Value = Day> {
    // Seconds until the next look, whether a run that begins fails, seconds that it takes.
    prop::collection::vec((1_u32..20_000, any::<bool>(), 1_u32..9000), 1..120).prop_map(|looks| Day { looks })
}

proptest! {
    #[test]
    fn no_time_is_run_for_twice_and_retries_stay_within_their_number(
        cron in prop::sample::select(vec!["0 2 * * *", "*/30 * * * *", "30 2,14 * * *", "0 */3 * * *", "15 1 * * sun"]),
        jitter in prop::sample::select(vec![0_u64, 5, 600]),
        catch_up: bool,
        retries in 0_u32..4,
        day in days(),
        start in 1_740_000_000_i64..1_800_000_000,
    ) {
        let schedule = schedule(cron, jitter, catch_up, retries);
        let mut now = DateTime::from_timestamp(start, 0).expect("in range");
        let mut history = History { known_since: now, last: None };
        let mut firsts: BTreeMap<DateTime<Utc>, u32> = BTreeMap::new();
        for (pause, fails, takes) in day.looks {
            now += TimeDelta::seconds(i64::from(pause));
            match schedule.decide(&history, false, now) {
                Verdict::Run { occurrence, attempt, why } => {
                    prop_assert!(occurrence <= now && schedule.moment(occurrence) <= now);
                    prop_assert!(occurrence > history.known_since);
                    prop_assert_eq!(schedule.calendar.up_to(occurrence), Some(occurrence));
                    prop_assert_eq!(why == Why::Retry, attempt > 0);
                    let tried = firsts.entry(occurrence).or_default();
                    prop_assert_eq!(*tried, attempt, "once for each attempt");
                    prop_assert!(attempt <= retries.max(1));
                    *tried += 1;
                    prop_assert!(history.last.is_none_or(|last| last.occurrence <= occurrence), "never back in time");
                    let began = now;
                    now += TimeDelta::seconds(i64::from(takes));
                    let end = if fails { End::Failed(now) } else { End::Succeeded(now) };
                    history.last = Some(Attempt { occurrence, number: attempt, began, end });
                }
                Verdict::Wait { until, left_out } => {
                    prop_assert!(until.is_some_and(|until| until > now) && left_out.is_none());
                    // Whoever sleeps until then finds something to do.
                    let verdict = schedule.decide(&history, false, until.expect("checked"));
                    prop_assert!(matches!(verdict, Verdict::Run { .. }), "{:?}", verdict);
                }
            }
        }
    }

    #[test]
    fn somebody_who_is_always_there_misses_no_time(
        cron in prop::sample::select(vec!["0 2 * * *", "*/30 * * * *", "30 2,14 * * *", "15 1 * * sun"]),
        jitter in prop::sample::select(vec![0_u64, 10, 600]),
        start in 1_740_000_000_i64..1_800_000_000,
    ) {
        let schedule = schedule(cron, jitter, false, 0);
        let begin = DateTime::from_timestamp(start, 0).expect("in range");
        let (mut now, mut history) = (begin, History { known_since: begin, last: None });
        let mut expected = schedule.calendar.after(begin);
        for _ in 0..60 {
            let Verdict::Wait { until: Some(until), .. } = schedule.decide(&history, false, now) else {
                prop_assert!(false, "just run");
                break;
            };
            now = until;
            let Verdict::Run { occurrence, why: Why::Due, .. } = schedule.decide(&history, false, now) else {
                prop_assert!(false, "due at {now}");
                break;
            };
            prop_assert_eq!(Some(occurrence), expected);
            let next = schedule.calendar.after(occurrence);
            prop_assert!(next.is_none_or(|next| schedule.moment(occurrence) < next));
            expected = next;
            history.last = Some(Attempt { occurrence, number: 0, began: now, end: End::Succeeded(now) });
        }
    }
}
