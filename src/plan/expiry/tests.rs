use proptest::prelude::*;

use super::*;
use crate::model::expiry::{Age, AgeUnit};

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("{text}Z")).expect("a time").to_utc()
}

fn table(name: &str) -> TableName {
    TableName::new("trading", name).expect("valid")
}

fn rule(count: u32, unit: AgeUnit, floor: Floor) -> ExpiryRule {
    ExpiryRule { hypertable: table("bars"), drop_after: Age { count, unit }, floor }
}

fn chunk(name: &str, end: &str, since: Option<&str>) -> ChunkSeen {
    let unchanged = since.map(|since| Unchanged { since: at(since), since_xid: 7 });
    ChunkSeen { name: table(name), end: at(end).timestamp_micros(), bytes: 8192, unchanged }
}

fn seen(chunks: Vec<ChunkSeen>, proofs: &[&str]) -> ExpirySeen {
    ExpirySeen {
        now: at("2026-11-30T00:00:00"),
        proofs: proofs.iter().map(|proof| at(proof)).collect(),
        hypertables: vec![HypertableSeen { name: table("bars"), is_time: true, chunks }],
    }
}

/// Names of what goes, and of what stays with the reason.
fn told(plan: &TablePlan) -> (Vec<&str>, Vec<(&str, Because)>) {
    let name = |name: &'_ TableName| name.table.as_str().to_owned().leak() as &str;
    (
        plan.drops.iter().map(|drop| name(&drop.chunk)).collect(),
        plan.kept.iter().map(|kept| (name(&kept.chunk), kept.because)).collect(),
    )
}

#[test]
fn a_chunk_goes_when_all_of_it_is_old_enough_and_a_verified_backup_has_it() {
    let since = Some("2026-11-20T00:00:00");
    let seen = seen(
        vec![
            chunk("old", "2026-08-01T00:00:00", since),
            chunk("just", "2026-08-30T00:00:00", since),
            chunk("young", "2026-08-30T00:00:01", since),
        ],
        &["2026-11-21T00:00:00"],
    );
    let plan = &plan(&[rule(3, AgeUnit::Month, Floor::Backup)], &seen)[0];
    assert_eq!(told(plan), (vec!["old", "just"], vec![]));
    assert_eq!(plan.drops[0].unchanged.map(|unchanged| unchanged.since_xid), Some(7));
}

#[test]
fn what_no_verified_backup_has_stays_and_says_why() {
    let chunks = vec![
        chunk("changed", "2026-01-01T00:00:00", Some("2026-11-22T00:00:00")),
        chunk("same_minute", "2026-01-02T00:00:00", Some("2026-11-20T23:59:30")),
        chunk("compressed", "2026-01-03T00:00:00", None),
    ];
    let seen = seen(chunks, &["2026-11-19T00:00:00", "2026-11-21T00:00:00"]);
    let kept =
        vec![("changed", Because::NotCovered), ("same_minute", Because::NotCovered), ("compressed", Because::Unknown)];
    assert_eq!(told(&plan(&[rule(90, AgeUnit::Day, Floor::Backup)], &seen)[0]), (vec![], kept));
    let all = vec!["changed", "same_minute", "compressed"];
    assert_eq!(told(&plan(&[rule(90, AgeUnit::Day, Floor::None)], &seen)[0]), (all, vec![]));
}

#[test]
fn a_rule_that_cannot_be_followed_says_so_and_drops_nothing() {
    let mut seen = seen(vec![chunk("old", "2000-01-01T00:00:00", None)], &[]);
    let refused = |rule: &ExpiryRule, seen: &ExpirySeen| plan(std::slice::from_ref(rule), seen)[0].refused;
    let rule = rule(1, AgeUnit::Hour, Floor::None);
    assert_eq!(
        refused(&ExpiryRule { hypertable: table("orders"), ..rule.clone() }, &seen),
        Some(Refused::NoHypertable)
    );
    let far = Age { count: u32::MAX, unit: AgeUnit::Year };
    assert_eq!(refused(&ExpiryRule { drop_after: far, ..rule.clone() }, &seen), Some(Refused::NoSuchTime));
    seen.hypertables[0].is_time = false;
    assert_eq!(refused(&rule, &seen), Some(Refused::NotByTime));
}

#[test]
fn an_age_counts_in_the_calendar() {
    let now = at("2024-03-31T12:00:00");
    for (count, unit, before) in [
        (1, AgeUnit::Hour, "2024-03-31T11:00:00"),
        (2, AgeUnit::Day, "2024-03-29T12:00:00"),
        (1, AgeUnit::Week, "2024-03-24T12:00:00"),
        (1, AgeUnit::Month, "2024-02-29T12:00:00"),
        (2, AgeUnit::Year, "2022-03-31T12:00:00"),
    ] {
        assert_eq!(Age { count, unit }.before(now), Some(at(before)), "{count} {unit:?}");
    }
}

proptest! {
    /// Days since 1970 stand for times.
    #[test]
    fn nothing_young_and_nothing_uncovered_ever_goes(
        chunks in prop::collection::vec((0_i64..2000, prop::option::of(0_i64..2000)), 0..20),
        proofs in prop::collection::vec(0_i64..2000, 0..4),
        days in 1_u32..2000,
        has_floor: bool,
    ) {
        let day = |day: i64| DateTime::from_timestamp(day * 86_400, 0).expect("in range");
        let chunks: Vec<ChunkSeen> = chunks.into_iter().enumerate().map(|(place, (end, since))| ChunkSeen {
            name: table(&format!("c{place}")),
            end: day(end).timestamp_micros(),
            bytes: 1,
            unchanged: since.map(|since| Unchanged { since: day(since), since_xid: 1 }),
        }).collect();
        let seen = ExpirySeen {
            now: day(2000),
            proofs: proofs.iter().map(|proof| day(*proof)).collect(),
            hypertables: vec![HypertableSeen { name: table("bars"), is_time: true, chunks: chunks.clone() }],
        };
        let floor = if has_floor { Floor::Backup } else { Floor::None };
        let plan = plan(&[rule(days, AgeUnit::Day, floor)], &seen).remove(0);
        let is_old = |chunk: &ChunkSeen| chunk.end <= day(2000 - i64::from(days)).timestamp_micros();
        prop_assert_eq!(plan.drops.len() + plan.kept.len(), chunks.iter().filter(|chunk| is_old(chunk)).count());
        for drop in &plan.drops {
            let chunk = chunks.iter().find(|chunk| chunk.name == drop.chunk).expect("it is one of them");
            prop_assert!(is_old(chunk));
            let is_covered = chunk.unchanged.is_some_and(|it| seen.proofs.iter().any(|began| *began > it.since));
            prop_assert!(!has_floor || is_covered);
        }
        prop_assert!(has_floor || plan.kept.is_empty());
    }
}
