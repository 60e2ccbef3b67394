//! Listing, showing and pruning backups with the store alone: no engine answers, no database exists.

use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use hypertide::backup::manifest::{FORMAT, Manifest, ObjectRecord, Part, Position, SourceFacts, Totals};
use hypertide::model::backup::{BackupId, Kind};
use serde_json::Value;

use crate::world::{Run, World};

/// Runs the program where no Docker engine can be found.
fn alone(world: &World, args: &[&str]) -> Run {
    let nowhere = format!("unix://{}/nobody.sock", world.dir.path().display());
    Run::of(&world.command(args).env("DOCKER_HOST", nowhere).output().unwrap())
}

fn ok(world: &World, args: &[&str]) -> Run {
    let run = alone(world, args);
    assert_eq!(run.code, 0, "hypertide {args:?}\n{}{}", run.stdout, run.stderr);
    run
}

/// A backup of four bytes that began so many days ago; gives its name.
pub fn put(store: &Path, scope: &str, days_ago: i64, job: Option<&str>) -> String {
    let began: DateTime<Utc> = Utc::now() - Duration::days(days_ago);
    let id = BackupId::new(began, Kind::Full, 7);
    let object = ObjectRecord {
        name: "archive.dump.zst".into(),
        part: Part::Archive,
        table: None,
        raw_bytes: 100,
        stored_bytes: 4,
        sha256: String::new(),
        is_compressed: true,
        is_encrypted: false,
    };
    let source = SourceFacts {
        node: Some("primary-1".into()),
        role: "primary".into(),
        system_identifier: "1".into(),
        postgres: "17.6".into(),
        postgres_major: 17,
        timescaledb: Some("2.19.3".into()),
        edition: Some("apache".into()),
        preload: "timescaledb".into(),
        image: None,
        image_reference: None,
    };
    let manifest = Manifest {
        format: FORMAT,
        id: id.clone(),
        scope: scope.parse().unwrap(),
        kind: Kind::Full,
        job: job.map(str::to_owned),
        database: "trading_data".into(),
        source,
        position: Position { timeline: 1, lsn: "0/1".into(), end_lsn: None, restore_point: None },
        began,
        finished: began + Duration::seconds(90),
        fingerprint_seconds: 0.0,
        objects: vec![object],
        totals: Totals { rows: 649, ..Totals::default() },
        parent: None,
        tools: vec!["hypertide 0.1.0".into()],
    };
    let directory = store.join(scope).join(id.as_str());
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("archive.dump.zst"), "rows").unwrap();
    std::fs::write(directory.join("manifest.json"), manifest.to_json()).unwrap();
    id.to_string()
}

fn ids(document: &Value) -> Vec<&str> {
    document["backups"].as_array().unwrap().iter().map(|backup| backup["id"].as_str().unwrap()).collect()
}

#[test]
fn backups_are_listed_and_shown_from_the_store_alone() {
    let world = World::without_image("");
    let store = world.dir.path().join("store");
    let url = format!("file://{}", store.display());
    let (old, new) = (put(&store, "one", 2, Some("nightly")), put(&store, "two", 1, None));
    let broken = put(&store, "two", 3, None);
    std::fs::write(store.join("two").join(&broken).join("manifest.json"), "{").unwrap();

    let list = ok(&world, &["--json", "backup", "list", "--store", &url]).json();
    assert_eq!(ids(&list), [&new, &old, &broken]);
    let second = &list["backups"][1];
    assert_eq!((second["state"].as_str(), second["rows"].as_u64()), (Some("complete"), Some(649)));
    assert_eq!((second["scope"].as_str(), second["job"].as_str()), (Some("one"), Some("nightly")));
    assert_eq!((second["seconds"].as_f64(), second["stored_bytes"].as_u64()), (Some(90.0), Some(4)));
    let third = &list["backups"][2];
    assert_eq!(third["state"], "unreadable");
    assert!(third["reason"].as_str().unwrap().contains("is no manifest"), "{third}");
    let only = ok(&world, &["--json", "backup", "list", "--store", &url, "--scope", "one"]).json();
    assert_eq!(ids(&only), [&old]);

    let text = ok(&world, &["backup", "list", "--store", &url]).stdout;
    assert!(text.contains(&new) && text.contains("unreadable"), "{text}");
    let shown = ok(&world, &["--json", "backup", "show", &old[..15], "--store", &url]).json();
    assert_eq!((shown["id"].as_str(), &shown["manifest"]["position"]["lsn"]), (Some(old.as_str()), &"0/1".into()));
    assert!(ok(&world, &["backup", "show", "latest", "--store", &url]).stdout.starts_with(&new));
    assert_eq!(alone(&world, &["backup", "show", "nothing", "--store", &url]).code, 2);
    let missing = alone(&world, &["backup", "list", "--store", "file:///does/not/exist"]);
    assert_eq!(missing.code, 1, "{}", missing.stdout);
    assert!(missing.stderr.contains("/does/not/exist"), "{}", missing.stderr);
}

#[test]
fn pruning_says_why_and_removes_what_the_plan_said() {
    let world = World::without_image("");
    let store = world.dir.path().join("store");
    world.configure(&format!(
        "backups: [{{name: nightly, store: \"file://{}\", keep: {{last: 2}}}}]\n",
        store.display()
    ));
    let scope = world.cluster.clone();
    let backups: Vec<String> = (1..6).map(|days| put(&store, &scope, days, Some("nightly"))).collect();
    let foreign = put(&store, "other", 9, Some("nightly"));
    let by_hand = put(&store, &scope, 8, None);
    let lone = store.join(&scope).join(BackupId::new(Utc::now(), Kind::Full, 9).as_str());
    std::fs::create_dir_all(&lone).unwrap();
    std::fs::write(lone.join("archive.dump.zst"), "rows").unwrap();

    let plan = ok(&world, &["--json", "backup", "prune", "--plan"]).json();
    let told: Vec<(&str, bool, String)> = plan["scopes"][0]["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), one["keep"].as_bool().unwrap(), one["reasons"].to_string()))
        .collect();
    assert_eq!(told.iter().filter(|(_, keep, _)| !keep).map(|(id, ..)| *id).collect::<Vec<_>>(), backups[2..]);
    assert_eq!(told[0], (backups[0].as_str(), true, "[\"last\",\"newest\"]".to_owned()));
    assert_eq!(plan["scopes"][0]["orphans"][0]["reasons"][0], "grace");
    assert_eq!(plan["steps"].as_array().unwrap().len(), 3);
    let before = ids(&ok(&world, &["--json", "backup", "list"]).json()).len();
    assert_eq!(before, 6, "a plan removes nothing");

    let done = ok(&world, &["--json", "backup", "prune"]).json();
    assert_eq!(done["scopes"][0]["removed"]["backups"], 3);
    let list = ok(&world, &["--json", "backup", "list"]).json();
    assert_eq!(ids(&list), [&backups[0], &backups[1], &by_hand]);
    assert!(store.join("other").join(&foreign).join("manifest.json").exists(), "other scopes are not ours to prune");
    assert!(lone.join("archive.dump.zst").exists());
    let again = ok(&world, &["--json", "backup", "prune"]).json();
    assert_eq!(again["steps"].as_array().map(Vec::len), Some(0));

    // What is typed goes before what is configured, and is about everything: also about a scope whose first run was killed.
    let url = format!("file://{}", store.display());
    let killed = store.join("first").join(BackupId::new(Utc::now(), Kind::Full, 3).as_str());
    std::fs::create_dir_all(&killed).unwrap();
    std::fs::write(killed.join(".0123456789abcdef.part-archive.dump.zst"), "ro").unwrap();
    let plan =
        ok(&world, &["--json", "backup", "prune", "--store", &url, "--scope", &scope, "--plan", "--grace", "0s"])
            .json();
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(1), "{plan:#}");
    ok(&world, &["backup", "prune", "--store", &url]);
    assert!(killed.exists() && lone.exists(), "they may be under way");
    let done = ok(&world, &["--json", "backup", "prune", "--store", &url, "--grace", "0s"]).json();
    assert_eq!(done["steps"].as_array().map(Vec::len), Some(2), "{done:#}");
    assert!(!killed.exists() && !lone.exists());
    let typed = ok(&world, &["backup", "prune", "--store", &url, "--keep-last", "1"]).stdout;
    assert!(typed.contains("beyond what `keep` keeps"), "{typed}");
    let rest = ok(&world, &["--json", "backup", "list", "--store", &url]).json();
    assert_eq!(ids(&rest), [&backups[0], &by_hand, &foreign], "one of each job, kind and scope");
}
