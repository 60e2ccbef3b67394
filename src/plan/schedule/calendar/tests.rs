use proptest::prelude::*;

use super::*;

fn calendar(text: &str, name: &str) -> Calendar {
    Calendar::new(text, zone(name).expect("a zone")).unwrap_or_else(|error| panic!("{error}"))
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

/// The first few moments after a time, as that zone's clock shows them.
fn shown(text: &str, name: &str, from: &str, count: usize) -> Vec<String> {
    let calendar = calendar(text, name);
    let moments = std::iter::successors(calendar.after(at(from)), |last| calendar.after(*last));
    moments
        .take(count)
        .map(|moment| moment.with_timezone(&calendar.zone).format("%m-%d %H:%M %z").to_string())
        .collect()
}

#[test]
fn five_fields_mean_what_they_mean_to_cron() {
    for (text, from, next) in [
        ("0 2 * * *", "2026-11-21T01:59:59Z", "2026-11-21T02:00:00Z"),
        ("0 2 * * *", "2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"),
        ("*/15 * * * *", "2026-11-21T02:01:00Z", "2026-11-21T02:15:00Z"),
        ("*/20 30 2 * * *", "2026-11-21T02:30:20Z", "2026-11-21T02:30:40Z"),
        // A Saturday.
        ("0 0 * * 0", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("0 0 * * 7", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("0 0 * * 1-5", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("0 0 * * fri-sun", "2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 0 * * Monday", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"),
        // Either day will do when both are restricted, and only the one that is when one is.
        ("0 0 13 * 5", "2026-11-21T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 0 13 * 5", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"),
        ("0 0 13 * *", "2026-11-21T00:00:00Z", "2026-12-13T00:00:00Z"),
        ("0 0 ? * fri", "2026-11-21T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 0 29 2 *", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 1 jan,jul *", "2026-11-21T00:00:00Z", "2027-01-01T00:00:00Z"),
    ] {
        assert_eq!(calendar(text, "UTC").after(at(from)), Some(at(next)), "{text} after {from}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_field() {
    for (text, said) in [
        ("", "`` is no schedule: five fields"),
        ("@daily", "`@daily` is no schedule: five fields"),
        ("0 2 * *", "five fields (minute hour day month weekday)"),
        ("0 0 2 * * * *", "five fields"),
        ("60 2 * * *", "`60 2 * * *` is no schedule: minute `60` is not understood"),
        ("0 24 * * *", "hour `24`"),
        ("0 2 0 * *", "day `0`"),
        ("0 2 * 13 *", "month `13`"),
        ("0 2 * * 8", "weekday `8`"),
        ("0 2 * * sat-fri", "weekday `sat-fri`"),
        ("61 0 2 * * *", "second `61`"),
        ("0 2 * * **", "weekday `**`"),
        ("** 2 * * *", "minute `**`"),
        ("*/0 2 * * *", "minute `*/0`"),
        ("1,,2 2 * * *", "minute `1,,2`"),
        ("? 2 * * *", "minute `?`"),
        ("99999999999999999999 2 * * *", "is not understood"),
        ("0 0 30 2 *", "`0 0 30 2 *` never fires: there is no such day"),
        ("0 0 31 4,6,9,11 *", "never fires"),
    ] {
        let error = Calendar::new(text, Tz::UTC).expect_err(text).to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_zone_that_is_none_finds_the_one_that_was_meant() {
    for (given, meant) in [
        ("europe/berlin", Some("Europe/Berlin")),
        ("Europe/Berln", Some("Europe/Berlin")),
        ("Berlin", Some("Europe/Berlin")),
        ("America/New York", Some("America/New_York")),
        ("somewhere else", None),
        ("", None),
    ] {
        let error = zone(given).expect_err(given);
        assert_eq!(error, CalendarError::Zone { name: given.to_owned(), meant }, "{given}");
    }
}

#[test]
fn a_time_in_a_gap_runs_after_it_and_one_that_comes_twice_runs_once() {
    assert_eq!(
        shown("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
        ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"]
    );
    assert_eq!(
        shown("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3),
        ["10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"]
    );
    // Several times within one gap are one.
    assert_eq!(
        shown("*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["03-29 03:00 +0200", "03-30 02:00 +0200"]
    );
    // Half an hour only (Lord Howe), and a whole day that never was (Samoa).
    assert_eq!(
        shown("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
        ["10-04 02:30 +1100", "10-05 02:15 +1100"]
    );
    assert_eq!(
        shown("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
        ["12-29 12:00 -1000", "12-31 00:00 +1400", "12-31 12:00 +1400"]
    );
}

#[test]
fn every_hour_goes_by_elapsed_time() {
    assert_eq!(
        shown("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
        ["03-29 01:30 +0100", "03-29 03:30 +0200", "03-29 04:30 +0200"]
    );
    assert_eq!(
        shown("30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 4),
        ["10-25 02:30 +0200", "10-25 02:30 +0100", "10-25 03:30 +0100", "10-25 04:30 +0100"]
    );
    // The moment of the change itself is due.
    assert_eq!(
        shown("0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2),
        ["03-29 03:00 +0200", "03-29 04:00 +0200"]
    );
}

#[test]
fn the_last_time_is_found_however_long_ago_it_was() {
    for (text, moment, last) in [
        ("* * * * * *", "2026-11-21T02:00:30Z", Some("2026-11-21T02:00:30Z")),
        ("0 2 * * *", "2026-11-21T01:59:59Z", Some("2026-11-20T02:00:00Z")),
        ("0 2 * * *", "2026-11-21T02:00:00Z", Some("2026-11-21T02:00:00Z")),
        ("0 0 29 2 *", "2026-11-21T02:00:00Z", Some("2024-02-29T00:00:00Z")),
    ] {
        assert_eq!(calendar(text, "UTC").up_to(at(moment)), last.map(at), "{text}");
    }
}

/// Zones that change their clocks: at different hours, by half an hour, twice within weeks, or not at all.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Bogota",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Atlantic/Azores",
];

fn hours() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        Just("*/2".to_owned()),
        Just("0-6".to_owned()),
        (0_u32..24).prop_map(|hour| hour.to_string())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn moments_strictly_increase_and_none_is_left_out_over_a_year(
        zone in prop::sample::select(ZONES.to_vec()),
        hour in hours(),
        minute in prop::sample::select(vec!["0", "30", "*/20", "59", "15,45"]),
        year in 2020_i32..2036,
    ) {
        let text = format!("{minute} {hour} * * *");
        let calendar = calendar(&text, zone);
        let start = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a time");
        let end = start + Days::new(366);
        let mut due = BTreeSet::new();
        let mut last = start;
        while let Some(moment) = calendar.after(last).filter(|moment| *moment <= end) {
            prop_assert!(moment > last);
            prop_assert_eq!(calendar.after(moment - Duration::seconds(1)), Some(moment));
            due.insert(moment);
            last = moment;
        }
        // Around each change of the clocks minute by minute: what the clock shows decides. A time that comes twice counts the
        // first time, but for every hour.
        let every_hour = hour == "*";
        let alone = Schedule::from_str(&format!("0 {text}")).expect("valid");
        let is_wanted = |clock: NaiveDateTime| alone.includes(clock.and_utc());
        let changes = std::iter::successors(calendar.next_change(start, end), |change| calendar.next_change(*change, end));
        for change in changes.chain([start + Days::new(100)]) {
            let (from, to) = ((change - Days::new(1)).max(start), (change + Days::new(2)).min(end));
            let mut wanted = BTreeSet::new();
            let (mut minute, mut shown) = (from + Duration::minutes(1), calendar.on_the_clock(from));
            while minute <= to {
                let clock = calendar.on_the_clock(minute);
                if clock > shown || every_hour {
                    let skipped = if every_hour { 0 } else { (clock - shown).num_minutes() - 1 };
                    if is_wanted(clock) || (1..=skipped).any(|back| is_wanted(clock - Duration::minutes(back))) {
                        wanted.insert(minute);
                    }
                }
                shown = if every_hour { clock } else { shown.max(clock) };
                minute += Duration::minutes(1);
            }
            let found: BTreeSet<_> = due.range(from + Duration::seconds(1)..=to).copied().collect();
            prop_assert_eq!(found, wanted);
        }
        // And on the other days as often as on any: so nothing is lost between the windows.
        prop_assert!(due.len() >= 365, "{}", due.len());
    }

    #[test]
    fn the_last_moment_is_the_one_that_the_present_comes_after(
        zone in prop::sample::select(ZONES.to_vec()),
        hour in hours(),
        seconds in 1_700_000_000_i64..2_000_000_000,
    ) {
        let calendar = calendar(&format!("10 {hour} * * *"), zone);
        let now = DateTime::from_timestamp(seconds, 0).expect("in range");
        let last = calendar.up_to(now).expect("it fires every day");
        prop_assert!(last <= now);
        prop_assert!(calendar.after(last).is_some_and(|next| next > now));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[0-9*/,\\-a-z? ]{0,24}", zone_text in "\\PC{0,20}") {
        let _ = Calendar::new(&text, Tz::UTC).map(|calendar| calendar.after(DateTime::UNIX_EPOCH));
        let _ = zone(&zone_text);
    }
}
