use proptest::prelude::*;

use super::*;
use crate::plan::restore::Segment;

const GRACE: Duration = Duration::from_hours(24);

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-21T12:00:00Z").expect("a time").to_utc()
}

fn id(hours_ago: i64, kind: Kind) -> BackupId {
    BackupId::new(now() - TimeDelta::hours(hours_ago), kind, 0)
}

fn backup(hours_ago: i64, kind: Kind) -> Backup {
    Backup {
        id: id(hours_ago, kind),
        kind,
        job: Some("nightly".into()),
        is_verified: false,
        parent: None,
        stored_bytes: 10,
        log_from: None,
    }
}

fn full(hours_ago: i64) -> Backup {
    backup(hours_ago, Kind::Full)
}

fn policies(keep: Keep) -> Policies {
    Policies { jobs: [("nightly".to_owned(), Some(keep))].into(), ..Policies::default() }
}

/// Hours ago and labels, the newest first.
fn told(inventory: &Inventory, keep: Keep) -> Vec<String> {
    let pruning = plan(inventory, &policies(keep), GRACE, now());
    let line = |decision: &Decision| {
        let hours = (now() - decision.id.began()).num_hours();
        format!("{hours} {} {}", if decision.is_kept() { "stays" } else { "goes" }, decision.because.labels().join(" "))
    };
    pruning.backups.iter().map(line).collect()
}

fn of(backups: Vec<Backup>) -> Inventory {
    Inventory { backups, ..Inventory::default() }
}

#[test]
fn each_period_keeps_its_newest() {
    // Every six hours for eight days: 12:00, 6:00, 0:00, 18:00, …
    let inventory = of((0..32).map(|step| full(step * 6)).collect());
    let keep = Keep { last: 2, daily: 3, weekly: 2, ..Keep::default() };
    let lines = told(&inventory, keep);
    let staying: Vec<&String> = lines.iter().filter(|line| line.contains("stays")).collect();
    // 2026-11-21 is a Saturday; the week before it ended on Sunday the 15th.
    assert_eq!(
        staying,
        ["0 stays last daily weekly newest", "6 stays last", "18 stays daily", "42 stays daily", "138 stays weekly"]
    );
    assert!(lines.iter().filter(|line| line.contains("goes")).all(|line| line.ends_with("beyond_policy")));
}

#[test]
fn the_newest_verified_backup_stays_beside_what_the_policy_keeps() {
    let mut inventory = of((1..6).map(|day| full(day * 24)).collect());
    inventory.backups[3].is_verified = true;
    inventory.backups[4].is_verified = true;
    let lines = told(&inventory, Keep { last: 1, ..Keep::default() });
    let stays = ["24 stays last newest", "96 stays newest_verified"];
    assert_eq!(lines.iter().filter(|line| line.contains("stays")).collect::<Vec<_>>(), stays);
    assert_eq!(lines.len(), 5);
}

#[test]
fn jobs_and_kinds_do_not_count_against_each_other() {
    let other = Backup { job: Some("other".into()), ..full(30) };
    let by_hand = Backup { job: None, ..full(40) };
    let inventory = of(vec![full(1), full(2), backup(3, Kind::Schema), other, by_hand]);
    assert_eq!(
        told(&inventory, Keep { last: 1, ..Keep::default() }),
        [
            "1 stays last newest",
            "2 goes beyond_policy",
            "3 stays last newest",
            "30 stays newest no_policy",
            "40 stays newest by_hand"
        ]
    );
}

#[test]
fn what_an_incremental_backup_builds_upon_stays_with_it() {
    let base = |hours_ago, parent: Option<i64>| Backup {
        parent: parent.map(|hours_ago| id(hours_ago, Kind::Base)),
        ..backup(hours_ago, Kind::Base)
    };
    let inventory =
        of(vec![base(10, Some(20)), base(20, Some(30)), base(30, None), base(40, Some(50)), base(50, None)]);
    assert_eq!(
        told(&inventory, Keep { last: 1, ..Keep::default() }),
        [
            "10 stays last newest",
            "20 stays needed_by_incremental",
            "30 stays needed_by_incremental",
            "40 goes beyond_policy",
            "50 goes beyond_policy"
        ]
    );
}

fn archived(timeline: u32, number: u64) -> Archived {
    let segment = Segment { timeline, number };
    Archived { key: format!("c/wal/{segment}").parse().expect("plain"), segment, bytes: 5 }
}

fn based(hours_ago: i64, timeline: u32, segment: u64) -> Backup {
    let lsn = Lsn(segment * crate::plan::restore::SEGMENT_BYTES + 40);
    Backup { log_from: Some((timeline, lsn)), ..backup(hours_ago, Kind::Base) }
}

#[test]
fn the_log_goes_with_the_last_base_backup_that_needs_it() {
    let segments = (1..9).map(|number| archived(1, number)).chain([archived(2, 7)]).collect();
    let inventory = Inventory { segments, ..of(vec![based(10, 1, 6), based(20, 1, 4), based(30, 1, 2)]) };
    let keep = Keep { last: 2, ..Keep::default() };
    let log = plan(&inventory, &policies(keep), GRACE, now()).log;
    assert_eq!((log.kept, log.removed.len(), log.removed_bytes), (6, 3, 15));
    assert_eq!(log.kept_from.as_deref(), Some("000000010000000000000004"));
    // Nobody knows what a base backup needs that cannot be read.
    let unreadable = Inventory { unreadable: [id(50, Kind::Base)].into(), ..inventory.clone() };
    assert_eq!(plan(&unreadable, &policies(Keep { last: 1, ..Keep::default() }), GRACE, now()).log.kept, 9);
    // Without any base backup all of it stays.
    let without = Inventory { backups: Vec::new(), ..inventory };
    assert_eq!(plan(&without, &Policies::default(), GRACE, now()).log.kept, 9);
}

#[test]
fn the_minimum_age_reaches_back_to_a_base_backup_when_there_is_a_log() {
    let keep = Keep { last: 1, min_age: Duration::from_hours(24), ..Keep::default() };
    let mut inventory = of(vec![based(10, 1, 6), based(20, 1, 4), based(30, 1, 2), based(40, 1, 1)]);
    let lines = told(&inventory, keep.clone());
    assert_eq!(lines[1..], ["20 stays min_age", "30 goes beyond_policy", "40 goes beyond_policy"]);
    inventory.segments = vec![archived(1, 4)];
    assert_eq!(
        told(&inventory, keep.clone())[1..],
        ["20 stays min_age", "30 stays needed_by_log", "40 goes beyond_policy"]
    );
    // Log from before that backup leads nowhere from it, and would not keep it a second time, being gone.
    inventory.segments = vec![archived(1, 1)];
    assert_eq!(told(&inventory, keep)[1..], ["20 stays min_age", "30 goes beyond_policy", "40 goes beyond_policy"]);
}

#[test]
fn what_has_no_manifest_goes_after_a_while_unless_it_is_being_made() {
    let orphan = |hours_ago: i64, written: i64| Orphan {
        id: id(hours_ago, Kind::Full),
        last_written: now() - TimeDelta::hours(written),
        bytes: 1,
    };
    let unfinished = |hours_ago: i64| Unfinished {
        key: "c/x".parse().expect("plain"),
        id: Some(id(hours_ago, Kind::Full)),
        begun: now() - TimeDelta::hours(hours_ago),
    };
    let inventory = Inventory {
        orphans: vec![orphan(30, 23), orphan(31, 25), orphan(60, 40)],
        unfinished: vec![unfinished(23), unfinished(25), unfinished(60)],
        running: [id(60, Kind::Full)].into(),
        ..Inventory::default()
    };
    let pruning = plan(&inventory, &Policies::default(), GRACE, now());
    let labels = |all: Vec<&Because>| all.iter().map(|because| because.labels().join(" ")).collect::<Vec<_>>();
    let orphans = pruning.orphans.iter().map(|decision| &decision.because).collect();
    assert_eq!(labels(orphans), ["grace", "no_manifest", "in_progress"]);
    assert_eq!(labels(pruning.unfinished.iter().collect()), ["grace", "unfinished", "in_progress"]);
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_its_backup() {
    let inventory = Inventory { unreadable: [id(5000, Kind::Full)].into(), ..of(vec![full(1)]) };
    let lines = told(&inventory, Keep { last: 1, ..Keep::default() });
    assert_eq!(lines, ["1 stays last newest", "5000 stays unreadable"]);
}

fn any_keep() -> impl Strategy<Value = Keep> {
    (0_u32..4, 0_u32..4, 0_u32..4, 0_u32..3, 0_u32..3, 0_u32..2, 0_u64..200).prop_map(
        |(last, hourly, daily, weekly, monthly, yearly, hours)| Keep {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            min_age: Duration::from_hours(hours),
        },
    )
}

/// Any backups of two jobs and three kinds; an incremental one builds upon an earlier base, or one that is not there.
fn any_inventory() -> impl Strategy<Value = Inventory> {
    let kind = prop::sample::select(vec![Kind::Full, Kind::Schema, Kind::Base, Kind::Base]);
    let one = (0_i64..3000, kind, 0_u8..3, any::<bool>(), prop::option::of(0_usize..20), 0_u64..40);
    let segments = prop::collection::btree_set((1_u32..3, 0_u64..40), 0..30);
    (prop::collection::vec(one, 0..20), segments).prop_map(|(raw, segments)| {
        let mut backups: Vec<Backup> = Vec::new();
        for (hours_ago, kind, job, is_verified, parent, place) in raw {
            let job = ["nightly", "other"].get(usize::from(job)).map(|name| (*name).to_owned());
            let mut new = Backup { job, is_verified, ..backup(hours_ago, kind) };
            if kind == Kind::Base {
                new.log_from = based(0, 1, place).log_from;
                let earlier = parent.and_then(|index| backups.get(index));
                new.parent =
                    earlier.filter(|other| other.kind == Kind::Base && other.id < new.id).map(|other| other.id.clone());
            }
            if backups.iter().all(|other| other.id != new.id) {
                backups.push(new);
            }
        }
        let segments = segments.into_iter().map(|(timeline, number)| archived(timeline, number)).collect();
        Inventory { backups, segments, ..Inventory::default() }
    })
}

proptest! {
    #[test]
    fn what_must_not_go_stays(inventory in any_inventory(), keep in any_keep()) {
        let pruning = plan(&inventory, &policies(keep.clone()), GRACE, now());
        let stays = |id: &BackupId| pruning.backups.iter().any(|decision| decision.id == *id && decision.is_kept());
        prop_assert_eq!(pruning.backups.len(), inventory.backups.len());
        for backup in &inventory.backups {
            let peers = inventory.backups.iter().filter(|other| (&other.job, other.kind) == (&backup.job, backup.kind));
            let newest = |only_verified: bool| {
                peers.clone().filter(|other| !only_verified || other.is_verified).map(|other| &other.id).max()
            };
            let safe = newest(true).or_else(|| newest(false)).expect("itself at least");
            prop_assert!(stays(safe), "{}", safe);
            if backup.job.as_deref() != Some("nightly") {
                prop_assert!(stays(&backup.id), "no policy is about it");
            }
            if stays(&backup.id) && let Some(parent) = &backup.parent {
                prop_assert!(stays(parent), "{} builds upon {parent}", backup.id);
            }
            let age = now() - backup.id.began();
            if age < TimeDelta::from_std(keep.min_age).expect("in range") {
                prop_assert!(stays(&backup.id));
            }
            if let (true, Some((timeline, lsn))) = (stays(&backup.id), backup.log_from) {
                let start = Segment { timeline, number: lsn.0 / crate::plan::restore::SEGMENT_BYTES };
                for archived in &inventory.segments {
                    let is_needed = archived.segment.timeline >= start.timeline && archived.segment.number >= start.number;
                    prop_assert!(!is_needed || !pruning.log.removed.contains(&archived.key));
                }
            }
        }
        // Whatever goes first leaves nothing without what it builds upon.
        let order: Vec<&BackupId> = pruning.backups.iter().filter(|one| !one.is_kept()).map(|one| &one.id).collect();
        for (position, id) in order.iter().enumerate() {
            let parent = inventory.backups.iter().find(|backup| backup.id == **id).and_then(|backup| backup.parent.as_ref());
            prop_assert!(parent.is_none_or(|parent| !order[..position].contains(&parent)));
        }
    }

    #[test]
    fn doing_it_twice_changes_nothing_more(inventory in any_inventory(), keep in any_keep()) {
        let first = plan(&inventory, &policies(keep.clone()), GRACE, now());
        let mut rest = inventory;
        let stays = |id: &BackupId| first.backups.iter().any(|decision| decision.id == *id && decision.is_kept());
        rest.backups.retain(|backup| stays(&backup.id));
        rest.segments.retain(|archived| !first.log.removed.contains(&archived.key));
        let second = plan(&rest, &policies(keep), GRACE, now());
        prop_assert!(second.backups.iter().all(Decision::is_kept), "{:?}", second);
        prop_assert!(second.log.removed.is_empty());
    }
}
