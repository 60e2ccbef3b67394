use super::*;
use crate::backup::manifest::{FORMAT, ObjectRecord, Part, Position, SourceFacts, Totals};
use crate::model::backup::Kind;
use crate::store::memory::Memory;

pub(in crate::backup) fn id(minutes: i64, kind: Kind) -> BackupId {
    BackupId::new(DateTime::from_timestamp(1_795_000_000 + minutes * 60, 0).expect("in range"), kind, 1)
}

pub(in crate::backup) fn scope() -> Scope {
    "trading".parse().expect("valid")
}

pub(in crate::backup) fn manifest(id: &BackupId, kind: Kind, job: Option<&str>, parent: Option<BackupId>) -> Manifest {
    let object = ObjectRecord {
        name: "archive.dump.zst".into(),
        part: Part::Archive,
        table: None,
        raw_bytes: 9,
        stored_bytes: 4,
        sha256: "00".into(),
        is_compressed: true,
        is_encrypted: false,
    };
    let source = SourceFacts {
        node: Some("primary-1".into()),
        role: "primary".into(),
        system_identifier: "1".into(),
        postgres: "17.6".into(),
        postgres_major: 17,
        timescaledb: None,
        edition: None,
        preload: String::new(),
        image: None,
        image_reference: None,
    };
    Manifest {
        format: FORMAT,
        id: id.clone(),
        scope: scope(),
        kind,
        job: job.map(str::to_owned),
        database: "trading_data".into(),
        source,
        position: Position { timeline: 1, lsn: "0/3000028".into(), end_lsn: None, restore_point: None },
        began: id.began(),
        finished: id.began(),
        fingerprint_seconds: 0.0,
        objects: vec![object],
        totals: Totals::default(),
        parent,
        tools: Vec::new(),
    }
}

pub(in crate::backup) async fn put(store: &dyn Store, key: &str, bytes: &[u8]) {
    store.put(&key.parse().expect("valid"), Box::pin(bytes)).await.expect("stored");
}

/// A whole backup of four bytes.
pub(in crate::backup) async fn put_backup(store: &dyn Store, manifest: &Manifest) {
    put(store, &format!("{}/{}/archive.dump.zst", manifest.scope, manifest.id), b"rows").await;
    put(store, &format!("{}/{}/manifest.json", manifest.scope, manifest.id), &manifest.to_json()).await;
}

fn states(catalog: &Catalog) -> Vec<(&'static str, Option<String>)> {
    catalog.entries().iter().map(|entry| (entry.state(), entry.unusable().map(ToString::to_string))).collect()
}

#[tokio::test]
async fn what_cannot_be_used_is_listed_with_its_reason() {
    let store = Memory::default();
    let ids: Vec<BackupId> = (0..6).map(|minute| id(minute, Kind::Full)).collect();
    for id in &ids {
        put_backup(&store, &manifest(id, Kind::Full, None, None)).await;
    }
    let root = |position: usize| format!("trading/{}", ids[position]);
    put(&store, &format!("{}/manifest.json", root(1)), b"{ \"format\": 1").await;
    let newer = String::from_utf8(manifest(&ids[2], Kind::Full, None, None).to_json()).expect("text");
    put(&store, &format!("{}/manifest.json", root(2)), newer.replace("\"format\": 1", "\"format\": 99").as_bytes())
        .await;
    put(&store, &format!("{}/archive.dump.zst", root(3)), b"row").await;
    store.remove(&format!("{}/archive.dump.zst", root(4)).parse().expect("valid")).await.expect("removed");
    put(&store, &format!("{}/manifest.json", root(5)), &manifest(&ids[0], Kind::Full, None, None).to_json()).await;

    let catalog = load(&store, None).await.expect("it answers");
    let told = states(&catalog);
    assert_eq!(
        told.iter().map(|(state, _)| *state).collect::<Vec<_>>(),
        ["unreadable", "incomplete", "incomplete", "newer", "unreadable", "complete"]
    );
    for (position, said) in [
        (0, "its manifest says that it is trading/"),
        (1, "its object archive.dump.zst is missing"),
        (2, "its object archive.dump.zst has 3 bytes instead of 4"),
        (3, "has format 99, and this hypertide reads up to 1"),
        (4, "is no manifest: "),
    ] {
        assert!(told[position].1.as_ref().expect("a reason").contains(said), "{:?}", told[position]);
    }
    let latest = catalog.find("latest", &Wanted::default()).expect("one can be used");
    assert_eq!(latest.id, ids[0]);
}

#[tokio::test]
async fn what_lacks_a_manifest_is_no_backup_and_is_seen() {
    let store = Memory::default();
    let lone = id(1, Kind::Full);
    put(&store, &format!("trading/{lone}/archive.dump.zst"), b"rows").await;
    put(&store, &format!("trading/{lone}/drills/manifest.json"), b"{}").await;
    let catalog = load(&store, Some(&scope())).await.expect("it answers");
    let contents = &catalog.scopes[&scope()];
    assert!(contents.entries.is_empty());
    assert_eq!(contents.orphans.iter().map(|orphan| (&orphan.id, orphan.bytes)).collect::<Vec<_>>(), [(&lone, 6)]);
}

#[tokio::test]
async fn drills_and_checks_say_what_a_backup_is_worth() {
    let store = Memory::default();
    let one = id(1, Kind::Full);
    put_backup(&store, &manifest(&one, Kind::Full, Some("nightly"), None)).await;
    let state = async || {
        let catalog = load(&store, None).await.expect("it answers");
        catalog.find("latest", &Wanted::default()).expect("there").state()
    };
    assert_eq!(state().await, "complete");
    let report = |outcome: &str| {
        format!(
            "{{\"began\": \"2026-11-21T00:00:00Z\", \"finished\": \"2026-11-21T00:01:00Z\", \"outcome\": \"{outcome}\", \
             \"rows\": 5, \"difference_count\": 0}}"
        )
    };
    let root = format!("trading/{one}");
    put(&store, &format!("{root}/drills/20261121T000000Z.json"), report("equal").as_bytes()).await;
    assert_eq!(state().await, "verified");
    put(&store, &format!("{root}/drills/20261122T000000Z.json"), report("differs").as_bytes()).await;
    assert_eq!(state().await, "failed_drill");
    put(&store, &format!("{root}/drills/20261123T000000Z.json"), report("equal").as_bytes()).await;
    put(&store, &format!("{root}/checks/20261124T000000Z.json"), report("damaged").as_bytes()).await;
    assert_eq!(state().await, "damaged");
    put(&store, &format!("{root}/checks/20261125T000000Z.json"), report("good").as_bytes()).await;
    assert_eq!(state().await, "verified");
    let catalog = load(&store, None).await.expect("it answers");
    let entry = catalog.find("latest", &Wanted { job: Some("nightly".into()), ..Wanted::default() }).expect("there");
    assert_eq!((entry.drills.len(), entry.checks.len()), (3, 2));
    assert!(entry.verified_at().is_some() && entry.drills[0].rows == Some(5));
    put(&store, &format!("{root}/drills/20261126T000000Z.json"), b"nonsense").await;
    assert_eq!(state().await, "failed_drill", "an odd one is no proof");
}

#[tokio::test]
async fn a_backup_is_found_by_name_beginning_or_word() {
    let store = Memory::default();
    let (full, schema) = (id(1, Kind::Full), id(2, Kind::Schema));
    put_backup(&store, &manifest(&full, Kind::Full, Some("nightly"), None)).await;
    put_backup(&store, &manifest(&schema, Kind::Schema, None, None)).await;
    let catalog = load(&store, None).await.expect("it answers");
    let find = |typed: &str, wanted: &Wanted| catalog.find(typed, wanted).map(|entry| entry.id.clone());
    let any = Wanted::default();
    assert_eq!(find(full.as_str(), &any), Ok(full.clone()));
    assert_eq!(find("latest", &any), Ok(schema.clone()));
    assert_eq!(find("latest", &Wanted { kind: Some(Kind::Full), ..any.clone() }), Ok(full.clone()));
    assert_eq!(find("latest", &Wanted { job: Some("nightly".into()), ..any.clone() }), Ok(full.clone()));
    assert_eq!(find("latest", &Wanted { kind: Some(Kind::Base), ..any.clone() }), Err(FindError::None));
    assert_eq!(find(&full.as_str()[..19], &any), Ok(full));
    assert!(matches!(find("2026", &any), Err(FindError::Ambiguous { candidates, .. }) if candidates.len() == 2));
    for typed in ["", "x", "latest2"] {
        assert_eq!(find(typed, &any), Err(FindError::Unknown(typed.into())), "{typed}");
    }
}

#[test]
fn what_an_incremental_needs_comes_before_it_and_an_odd_chain_is_refused() {
    let ids: Vec<BackupId> = (0..4).map(|minute| id(minute, Kind::Base)).collect();
    let of = |position: usize, parent: Option<usize>| {
        manifest(&ids[position], Kind::Base, None, parent.map(|parent| ids[parent].clone()))
    };
    let found = |all: &[Manifest], last: &Manifest| {
        let find = |id: &BackupId| all.iter().find(|one| one.id == *id).cloned();
        chain(last, find).map(|chain| chain.into_iter().map(|one| one.id).collect::<Vec<_>>())
    };
    let whole = [of(0, None), of(1, Some(0)), of(2, Some(1)), of(3, Some(2))];
    for (position, last) in whole.iter().enumerate() {
        assert_eq!(found(&whole, last), Ok(ids[..position].to_vec()));
    }
    assert_eq!(found(&whole[1..], &whole[3]), Err(ids[0].clone()), "the first is gone");
    let round = [of(0, Some(2)), of(1, Some(0)), of(2, Some(1))];
    assert!(found(&round, &round[2]).is_err(), "it builds upon itself");
}
