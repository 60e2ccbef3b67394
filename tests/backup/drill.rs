//! Drills and checks: each kind comes back equal, and what is wrong with a backup is found and named.

use chrono::Utc;
use hypertide::backup::contents::Contents;
use hypertide::backup::drill::probe::ProbeOutcome;
use hypertide::backup::drill::{self, DrillReport, Outcome};
use hypertide::backup::manifest::{Manifest, Part};
use hypertide::backup::verify::{self, CheckOutcome, CheckReport};

use crate::made::Made;

async fn drilled(made: &Made, manifest: &Manifest, chain: &[Manifest]) -> DrillReport {
    drill::drill(&made.means(), manifest.clone(), chain.to_vec(), Utc::now, &|_| ()).await.unwrap()
}

async fn equal(made: &Made, manifest: &Manifest, chain: &[Manifest]) -> DrillReport {
    let report = drilled(made, manifest, chain).await;
    assert_eq!(report.outcome, Outcome::Equal, "{report:#?}");
    report
}

async fn checked(made: &Made, manifest: &Manifest) -> CheckReport {
    let tools = made.sandbox.toolbox();
    let means = verify::Means { store: &made.store, scope: &made.scope, keys: made.keys.as_ref(), tools: Some(&tools) };
    verify::check(means, &manifest.id, Utc::now(), Utc::now, &|_| ()).await.unwrap()
}

/// What a drill says about a backup whose contents are told to be others.
async fn against(made: &Made, manifest: &Manifest, change: impl FnOnce(&mut Contents)) -> Vec<String> {
    let mut contents = made.contents(manifest.kind).await;
    change(&mut contents);
    let record = manifest.object(Part::Contents).unwrap();
    let was = std::fs::read(made.file(manifest, &record.name)).unwrap();
    let path = made.file(manifest, &record.name);
    let bytes = serde_json::to_vec(&contents).unwrap();
    let name = record.name.trim_end_matches(made.how.suffix());
    let changed = made.stored(&manifest.id, name, Part::Contents, bytes).await;
    let mut manifest = manifest.clone();
    *manifest.objects.iter_mut().find(|object| object.part == Part::Contents).unwrap() = changed;
    let report = drilled(made, &manifest, &[]).await;
    assert_eq!(report.outcome, Outcome::Differs, "{report:#?}");
    std::fs::write(path, was).unwrap();
    report.differences.into_iter().map(|difference| difference.what).collect()
}

/// Flips a bit in the middle of an object.
fn flip(made: &Made, manifest: &Manifest, name: &str) {
    let path = made.file(manifest, name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn logical_backups_of_each_kind_come_back_equal_and_what_is_wrong_is_named() {
    let made = Made::new().await;

    let full = made.full(false).await;
    let report = equal(&made, &full, &[]).await;
    assert_eq!(report.rows, 10 + 960 + 100, "{report:#?}");
    assert!(report.tables >= 51 && report.objects > 20, "{report:#?}");
    let inserts: Vec<_> = report.inserts.iter().map(|probe| (probe.hypertable.as_str(), probe.outcome)).collect();
    let works = ProbeOutcome::Works;
    assert_eq!(inserts, [("shop.empty", works), ("shop.orders", works), ("shop.readings", works)]);

    let parallel = made.full(true).await;
    equal(&made, &parallel, &[]).await;
    let schema = made.schema().await;
    let report = equal(&made, &schema, &[]).await;
    assert_eq!(report.rows, 0);
    let tables = made.tables().await;
    let report = equal(&made, &tables, &[]).await;
    assert_eq!(report.rows, 10 + 960 + 100);
    let globals = made.globals().await;
    equal(&made, &globals, &[]).await;

    // What the backup should have brought and did not.
    let lost = against(&made, &full, |contents| {
        let chunk = contents.tables.iter().find(|(_, facts)| facts.hypertable.is_some()).unwrap();
        let (mut facts, name) = (chunk.1.clone(), "_timescaledb_internal._hyper_1_999_chunk".to_owned());
        facts.rows = 7;
        contents.tables.insert(name, facts);
    });
    assert_eq!(lost.await, ["_timescaledb_internal._hyper_1_999_chunk"]);
    let gone = against(&made, &schema, |contents| {
        contents.tables.clear();
        for name in ["index shop.more", "trigger more on shop.orders", "policy more on shop.orders", "job shop.more"] {
            contents.objects.insert(name.to_owned(), String::new());
        }
    });
    assert_eq!(
        gone.await,
        ["index shop.more", "job shop.more", "policy more on shop.orders", "trigger more on shop.orders"]
    );
    let other = against(&made, &full, |contents| {
        let facts = contents.tables.get_mut("shop.customers").unwrap();
        facts.hash = format!("{}1", facts.hash);
    });
    assert_eq!(other.await, ["shop.customers"]);

    // All is well with the objects so far; then a bit flips in each.
    let mut drilled_parts = Vec::new();
    for (manifest, what) in [(&parallel, "full"), (&schema, "schema"), (&tables, "tables"), (&globals, "globals")] {
        let report = checked(&made, manifest).await;
        assert_eq!((report.outcome, &report.problems[..]), (CheckOutcome::Good, &[][..]), "{what}");
        for object in &manifest.objects {
            let path = made.file(manifest, &object.name);
            let good = std::fs::read(&path).unwrap();
            flip(&made, manifest, &object.name);
            let report = checked(&made, manifest).await;
            assert_eq!(report.problems.len(), 1, "{what} {report:#?}");
            assert_eq!(report.problems[0].object, object.name);
            assert!(report.problems[0].reason.contains("damaged"), "{report:#?}");
            // What a drill reads, it finds as well. Once for each part: every drill has a server of its own.
            if object.part != Part::Contents && !drilled_parts.contains(&object.part) {
                drilled_parts.push(object.part);
                let report = drilled(&made, manifest, &[]).await;
                assert_eq!(report.outcome, Outcome::Failed, "{what} {} {report:#?}", object.name);
                assert!(report.error.as_ref().unwrap().contains(&object.name), "{report:#?}");
            }
            std::fs::write(&path, &good[..good.len() - 1]).unwrap();
            let report = checked(&made, manifest).await;
            assert!(report.problems[0].reason.contains("bytes"), "{what} {report:#?}");
            std::fs::remove_file(&path).unwrap();
            let report = checked(&made, manifest).await;
            assert_eq!(report.problems[0].reason, "it is missing", "{what}");
            std::fs::write(&path, good).unwrap();
        }
    }
    let kept = verify::keep(&*made.store, &made.scope, &checked(&made, &full).await).await.unwrap();
    assert!(kept.as_str().contains(&format!("{}/checks/", full.id)));

    // A manifest of a later version is told, and nothing else is said about it.
    let later = Manifest { format: 99, ..full.clone() };
    made.keep(&later).await;
    let report = checked(&made, &later).await;
    assert!(report.problems[0].reason.contains("format 99"), "{report:#?}");
    made.sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn base_backups_and_chains_come_back_equal_and_follow_the_log() {
    let made = Made::new().await;
    let whole = made.base(None).await;
    made.sql(
        "insert into shop.orders (at, customer, symbol, quantity)
              select timestamptz '2026-02-01' + i * interval '1 hour', 1, 'x', 1 from generate_series(1, 100) i",
    )
    .await;
    let upon = made.base(Some(&whole)).await;
    made.sql(
        "insert into shop.orders (at, customer, symbol, quantity)
              select timestamptz '2026-03-01' + i * interval '1 hour', 1, 'x', 1 from generate_series(1, 100) i",
    )
    .await;
    made.archive_log().await;

    let report = equal(&made, &whole, &[]).await;
    assert_eq!(report.rows, 10 + 960 + 100, "{report:#?}");
    assert!(report.notes.is_empty(), "{report:#?}");
    let later = report.later.as_ref().expect("the log leads on");
    assert!(later.rows >= report.rows, "{report:#?}");
    assert!(report.inserts.iter().all(|probe| probe.outcome == ProbeOutcome::Works), "{report:#?}");
    let report = equal(&made, &upon, std::slice::from_ref(&whole)).await;
    assert_eq!(report.rows, 10 + 960 + 100 + 100, "{report:#?}");

    let report = checked(&made, &upon).await;
    assert_eq!((report.outcome, &report.problems[..]), (CheckOutcome::Good, &[][..]));
    flip(&made, &whole, &whole.object(Part::Base).unwrap().name);
    let report = drilled(&made, &upon, &[whole]).await;
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    made.sandbox.remove().await.unwrap();
}
