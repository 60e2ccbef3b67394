use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + seconds, 0).expect("in range")
}

fn lsn(segment: u64) -> Lsn {
    Lsn(segment * SEGMENT_BYTES + 100)
}

fn base() -> Backup {
    Backup {
        id: "20261121T021500Z-base-3f9a".parse().expect("valid"),
        kind: Kind::Base,
        postgres_major: 17,
        timescaledb: Some("2.19.3".into()),
        image: Some("sha256:1".into()),
        image_reference: Some("hypertide/timescaledb:x".into()),
        raw_bytes: 1000,
        began: at(0),
        timeline: 1,
        start: lsn(4),
        end: Some(lsn(5)),
        restore_point: None,
    }
}

fn full() -> Backup {
    Backup { id: "20261121T021500Z-full-3f9a".parse().expect("valid"), kind: Kind::Full, end: None, ..base() }
}

fn image_of(id: &str, timescaledb: &str) -> ImageFacts {
    ImageFacts {
        reference: format!("image-{id}"),
        id: id.into(),
        postgres_major: Some(17),
        timescaledb: Some(timescaledb.into()),
    }
}

fn archive(segments: impl IntoIterator<Item = u64>) -> Archive {
    let stored = |number: u64| (Segment { timeline: 1, number }, at(i64::try_from(number).expect("small") * 60));
    Archive { segments: segments.into_iter().map(stored).collect(), histories: BTreeMap::new() }
}

fn ground() -> Ground {
    Ground {
        images: vec![image_of("sha256:2", "2.29.2"), image_of("sha256:1", "2.19.3")],
        standing: Standing::Free,
        server: Some(ServerFacts { postgres_major: 17, timescaledb: vec!["2.19.3".into()] }),
        port_holder: None,
        free_bytes: Some(10_000),
        archive: archive(4..10),
    }
}

fn wish(destination: Destination, target: Target) -> Wish {
    Wish { destination, target, replace: None, enable_jobs: false }
}

fn node() -> Destination {
    Destination::Node(NodeName::new("old").expect("valid"))
}

fn database() -> Destination {
    Destination::Database(Ident::new("old").expect("valid"))
}

fn labels(result: Result<RestorePlan, Vec<Refusal>>) -> Vec<&'static str> {
    result.map_or_else(|refusals| refusals.iter().map(Refusal::label).collect(), |_| Vec::new())
}

#[test]
fn what_can_be_restored_is() {
    for (backup, wish) in [
        (full(), wish(database(), Target::Backup)),
        (full(), wish(node(), Target::Backup)),
        (base(), wish(node(), Target::Backup)),
        (base(), wish(node(), Target::Latest)),
        (base(), wish(node(), Target::Lsn(lsn(9)))),
        (base(), wish(node(), Target::Time(at(300)))),
        (base(), wish(node(), Target::Name("before".into()))),
    ] {
        assert_eq!(labels(plan(&backup, &wish, &ground())), Vec::<&str>::new(), "{backup:?} {wish:?}");
    }
}

#[test]
fn every_refusal_has_its_own_reason() {
    let table: Vec<(&str, Backup, Wish, Ground)> = vec![
        (
            "no_image",
            base(),
            wish(node(), Target::Backup),
            Ground { images: vec![image_of("b", "2.29.2")], ..ground() },
        ),
        (
            "other_extension",
            full(),
            wish(database(), Target::Backup),
            Ground { server: Some(ServerFacts { postgres_major: 17, timescaledb: vec!["2.29.2".into()] }), ..ground() },
        ),
        (
            "older_server",
            full(),
            wish(database(), Target::Backup),
            Ground { server: Some(ServerFacts { postgres_major: 16, timescaledb: vec!["2.19.3".into()] }), ..ground() },
        ),
        ("no_server", full(), wish(database(), Target::Backup), Ground { server: None, ..ground() }),
        ("exists", full(), wish(node(), Target::Backup), Ground { standing: Standing::Ours, ..ground() }),
        (
            "other_name",
            full(),
            Wish { replace: Some("older".into()), ..wish(node(), Target::Backup) },
            Ground { standing: Standing::Ours, ..ground() },
        ),
        (
            "foreign",
            full(),
            Wish { replace: Some("old".into()), ..wish(node(), Target::Backup) },
            Ground { standing: Standing::Foreign("a container".into()), ..ground() },
        ),
        (
            "live_cluster",
            full(),
            Wish {
                replace: Some("old".into()),
                ..wish(Destination::Cluster(ClusterName::new("old").expect("valid")), Target::Backup)
            },
            Ground { standing: Standing::Ours, ..ground() },
        ),
        ("port_taken", full(), wish(node(), Target::Backup), Ground { port_holder: Some("nginx".into()), ..ground() }),
        ("no_room", full(), wish(node(), Target::Backup), Ground { free_bytes: Some(1100), ..ground() }),
        ("not_physical", full(), wish(node(), Target::Time(at(10))), ground()),
        ("whole_server", base(), wish(database(), Target::Backup), ground()),
        (
            "nothing_to_serve",
            Backup { kind: Kind::Globals, end: None, ..base() },
            wish(node(), Target::Backup),
            ground(),
        ),
        ("before_base", base(), wish(node(), Target::Lsn(lsn(4))), ground()),
        ("before_base", base(), wish(node(), Target::Time(at(-1))), ground()),
        ("beyond_archive", base(), wish(node(), Target::Lsn(lsn(10))), ground()),
        ("beyond_archive", base(), wish(node(), Target::Time(at(10_000))), ground()),
        ("gap", base(), wish(node(), Target::Lsn(lsn(8))), Ground { archive: archive([4, 5, 6, 8]), ..ground() }),
        ("gap", base(), wish(node(), Target::Latest), Ground { archive: archive([4, 5, 6, 8]), ..ground() }),
    ];
    for (label, backup, wish, ground) in table {
        let refused = plan(&backup, &wish, &ground);
        assert_eq!(labels(refused.clone()), vec![label], "{wish:?}");
        for refusal in refused.expect_err("checked") {
            assert!(!refusal.to_string().is_empty() && !refusal.help().is_empty());
        }
    }
}

#[test]
fn a_typed_name_replaces_what_has_it() {
    let wish = Wish { replace: Some("old".into()), ..wish(node(), Target::Backup) };
    assert_eq!(labels(plan(&full(), &wish, &Ground { standing: Standing::Ours, ..ground() })), Vec::<&str>::new());
}

#[test]
fn the_image_it_was_made_on_comes_first_then_one_of_the_same_versions() {
    let found = |images: &[ImageFacts]| image(&base(), images).map(|image| image.id.clone());
    assert_eq!(found(&ground().images), Ok("sha256:1".into()));
    assert_eq!(found(&[image_of("a", "2.29.2"), image_of("b", "2.19.3")]), Ok("b".into()));
    let refusal = found(&[image_of("a", "2.29.2")]).expect_err("another version");
    assert!(refusal.to_string().contains("TimescaleDB 2.19.3"), "{refusal}");
    assert!(refusal.help().contains("hypertide/timescaledb:x"), "{}", refusal.help());
}

#[test]
fn the_log_is_followed_over_a_promotion_after_the_backup_and_not_over_one_before() {
    let mut archive = archive(4..8);
    archive.segments.insert(Segment { timeline: 2, number: 8 }, at(900));
    archive.histories.insert(2, vec![Fork { timeline: 1, at: lsn(7) }]);
    assert_eq!(timeline(&base(), &Target::Latest, &archive), Ok(2));
    assert_eq!(archive.reach(2, lsn(4), lsn(5)).end, Lsn(9 * SEGMENT_BYTES));
    archive.histories.insert(2, vec![Fork { timeline: 1, at: lsn(4) }]);
    assert_eq!(timeline(&base(), &Target::Latest, &archive).map_err(|refusal| refusal.label()), Err("forked"));
    assert_eq!(timeline(&base(), &Target::Backup, &archive), Ok(1));
}

#[test]
fn a_segment_is_named_as_postgresql_names_it() {
    assert_eq!(Segment { timeline: 1, number: 0x1_05 }.to_string(), "000000010000000100000005");
}

proptest! {
    #[test]
    fn no_target_is_accepted_that_a_missing_segment_lies_before(
        held in proptest::collection::btree_set(4_u64..30, 0..26),
        target in 6_u64..30,
    ) {
        let archive = archive(held.clone());
        let is_covered = (6..=target).all(|number| held.contains(&number)) && held.contains(&5);
        let accepted = timeline(&base(), &Target::Lsn(lsn(target)), &archive).is_ok();
        prop_assert_eq!(accepted, is_covered);
    }
}
