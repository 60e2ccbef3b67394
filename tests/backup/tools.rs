//! PostgreSQL's own tools in a helper container: what they give is stored whole or not at all, and nothing stays behind.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bollard::query_parameters::ListContainersOptionsBuilder;
use hypertide::backup::manifest::Part;
use hypertide::backup::pipeline::{self, Seal};
use hypertide::backup::tools::{Tool, Toolbox, feed};
use hypertide::error::in_one_line;
use hypertide::model::backup::{ObjectKey, Sealing};
use hypertide::store::Store;
use hypertide::store::disk::Disk;

use crate::shared::{database, primary, shared, site};
use crate::world::{World, docker};

fn dump() -> Tool {
    Tool::new("pg_dump").args(["--format=custom", "--compress=none"]).connected_to(&database())
}

fn key() -> ObjectKey {
    "shop/backup/archive.dump.zst".parse().unwrap()
}

/// Reads to the end on a thread.
async fn text_of(mut reader: impl Read + Send + 'static) -> std::io::Result<String> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    reading.await.unwrap()
}

#[tokio::test]
async fn a_dump_comes_back_from_its_store_as_it_was() {
    let site = site(shared()).await;
    let tools = Toolbox::helper(&site, &primary()).await.unwrap();
    assert!(tools.version("pg_dump").await.unwrap().starts_with("17."));
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Disk::new(dir.path().join("store")));
    let how = Seal::new(&Sealing::default()).unwrap();

    let archive = tools.reading(&dump()).unwrap();
    let sealed = pipeline::seal(archive, &how, &*store, &key(), |_| ()).await.unwrap();
    assert!(sealed.raw_bytes > sealed.stored_bytes && sealed.stored_bytes > 0, "{sealed:?}");
    let record = sealed.record("archive.dump.zst", Part::Archive, None, &how);
    pipeline::check(&store, &key(), &record, None).await.unwrap();

    // All of it, as SQL: each row is in there.
    let archive = pipeline::unseal(store.clone(), key(), &record, None, |_| ()).unwrap();
    let (input, output) = tools.through(&Tool::new("pg_restore").arg("--file=-")).unwrap();
    let (fed, sql) = tokio::join!(feed(archive, input), text_of(output));
    assert!(fed.unwrap().is_all);
    let sql = sql.unwrap();
    assert_eq!(sql.matches("by trigger").count(), 1 + 1011, "a row each, and the trigger's function");

    // Its listing: the tool succeeds without reading everything, and that is right.
    let archive = pipeline::unseal(store, key(), &record, None, |_| ()).unwrap();
    let (input, output) = tools.through(&Tool::new("pg_restore").arg("--list")).unwrap();
    let (fed, listing) = tokio::join!(feed(archive, input), text_of(output));
    fed.unwrap();
    let listing = listing.unwrap();
    for wanted in ["TABLE shop orders", "TRIGGER shop orders stamp", "FK CONSTRAINT shop orders"] {
        assert!(listing.contains(wanted), "{wanted} is missing in {listing}");
    }
}

#[tokio::test]
async fn a_tool_that_fails_stores_nothing_and_says_why() {
    let site = site(shared()).await;
    let tools = Toolbox::helper(&site, &primary()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Disk::new(dir.path().join("store"));
    let how = Seal::new(&Sealing::default()).unwrap();
    // Fails after some megabytes.
    let copy = "copy (select repeat('x', 1000), 1 / (20000 - n) from generate_series(1, 40000) n) to stdout";
    let halfway = Tool::new("psql").args(["--no-psqlrc", "--command", copy]).connected_to(&database());
    let lost = dump().arg("--table=shop.nothing");
    for (tool, because) in [(halfway, "division by zero"), (lost, "no matching tables")] {
        let reader = tools.reading(&tool).unwrap();
        let error = pipeline::seal(reader, &how, &store, &key(), |_| ()).await.unwrap_err();
        let told = in_one_line(&error);
        assert!(told.contains("failed with exit code 1") && told.contains(because), "{told}");
        assert!(store.list(None).await.unwrap().is_empty());
    }
    let error = tools.run(&Tool::new("pg_nonsense")).await.unwrap_err();
    assert!(in_one_line(&error).contains("not found"), "{error}");
}

#[tokio::test]
async fn a_dump_that_is_given_up_is_ended_on_the_server_too_also_while_it_waits() {
    let world = shared();
    let site = site(world).await;
    let tools = Toolbox::helper(&site, &primary()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Disk::new(dir.path().join("store"));
    let how = Seal::new(&Sealing::default()).unwrap();
    // Never gives a byte.
    let waiting =
        Tool::new("psql").args(["--no-psqlrc", "--command", "select pg_sleep(3600)"]).connected_to(&database());
    let count = "select count(*) from pg_stat_activity where query = 'select pg_sleep(3600)' and state = 'active'";
    let reader = tools.reading(&waiting).unwrap();
    let (the_store, the_key) = (&store, key());
    let sealing = async {
        tokio::select! {
            sealed = pipeline::seal(reader, &how, the_store, &the_key, |_| ()) => panic!("it waits for ever: {sealed:?}"),
            () = eventually_async("it runs", || world.sql("primary", count) == "1") => {}
        }
    };
    sealing.await;
    eventually_async("it is ended", || world.sql("primary", count) == "0").await;
    assert!(store.list(None).await.unwrap().is_empty());
}

/// Waits until a condition holds, while other things go on.
async fn eventually_async(what: &str, condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < std::time::Duration::from_mins(1), "not within a minute: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Helper containers of a cluster, by their state.
async fn helpers(world: &World) -> Vec<(String, String)> {
    let labels = [format!("hypertide.cluster={}", world.cluster), "hypertide.leash".to_owned()];
    let filters = HashMap::from([("label", labels.iter().map(String::as_str).collect::<Vec<_>>())]);
    let list = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let found = docker().list_containers(Some(list)).await.unwrap();
    let state = |state: Option<_>| state.map(|state| format!("{state:?}").to_lowercase()).unwrap_or_default();
    found.into_iter().map(|one| (one.names.unwrap_or_default().concat(), state(one.state))).collect()
}

/// Where the test below finds the cluster in the process that is to be killed.
const VICTIM: &str = "HYPERTIDE_TEST_VICTIM";

#[tokio::test]
async fn what_a_killed_run_leaves_ends_and_goes_by_itself() {
    let world = shared();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tools::victim", "--ignored", "--nocapture"])
        .env(VICTIM, world.config())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let name = lines.find_map(|line| line.split_once("streams from ").map(|(_, name)| name.to_owned())).unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();

    let state_of = async |name: &str| {
        let found = helpers(world).await;
        found.into_iter().find(|(found, _)| found.ends_with(name)).map(|(_, state)| state)
    };
    let began = std::time::Instant::now();
    while let Some(state) = state_of(&name).await {
        assert!(began.elapsed() < std::time::Duration::from_mins(1), "{name} is {state} without anybody");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let tools = Toolbox::helper(&site(world).await, &primary()).await.unwrap();
    assert_eq!(state_of(tools.whereabouts()).await.as_deref(), Some("running"), "and what is in use stays");
    let mine = tools.whereabouts().to_owned();
    drop(tools);
    let began = std::time::Instant::now();
    while state_of(&mine).await.is_some() {
        assert!(began.elapsed() < std::time::Duration::from_mins(1), "{mine} stays");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "is killed by another test in the middle of a stream"]
async fn victim() {
    let Some(config) = std::env::var_os(VICTIM) else { return };
    let loaded = hypertide::config::load(Some(config.as_ref())).unwrap();
    let state_dir = std::path::Path::new(&config).with_file_name(".hypertide");
    let engine = hypertide::docker::engine::Engine::connect().await.unwrap();
    let site = hypertide::site::Site::new(loaded.desired, engine, hypertide::site::Reach::Published, state_dir);
    let tools = Toolbox::helper(&site, &primary()).await.unwrap();
    let copy = "copy (select repeat('x', 1000), generate_series(1, 1000000000)) to stdout";
    let endless = Tool::new("psql").args(["--no-psqlrc", "--command", copy]).connected_to(&database());
    let mut reader = tools.reading(&endless).unwrap();
    let name = tools.whereabouts().to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; 1_000_000];
        reader.read_exact(&mut buffer).unwrap();
        println!("streams from {name}");
        std::io::copy(&mut reader, &mut std::io::sink())
    });
    reading.await.unwrap().unwrap();
}

#[tokio::test]
async fn no_password_shows_where_tools_and_sandboxes_can_be_looked_at() {
    let world = shared();
    let site = site(world).await;
    let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    let passwords: Vec<&str> = pgpass.lines().filter_map(|line| line.rsplit(':').next()).collect();
    let tools = Toolbox::helper(&site, &primary()).await.unwrap();
    let asleep =
        Tool::new("psql").args(["--no-psqlrc", "--command", "select pg_sleep(1200)"]).connected_to(&database());
    let reader = tools.reading(&asleep).unwrap();
    let count = "select count(*) from pg_stat_activity where query = 'select pg_sleep(1200)' and application_name = 'hypertide'";
    eventually_async("it runs", || world.sql("primary", count) == "1").await;

    let container = tools.whereabouts();
    let inspected = serde_json::to_string(&docker().inspect_container(container, None).await.unwrap()).unwrap();
    let top = serde_json::to_string(&docker().top_processes(container, None).await.unwrap()).unwrap();
    let processes =
        Command::new("sh").args(["-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '"]).output();
    let processes = String::from_utf8_lossy(&processes.unwrap().stdout).into_owned();
    assert!(top.contains("pg_sleep(1200)") && processes.contains("pg_sleep(1200)"), "it is looked at while it runs");
    for (place, text) in [("inspect", &inspected), ("top", &top), ("the host's processes", &processes)] {
        for password in &passwords {
            assert!(!text.contains(password), "a password shows in {place}");
        }
    }
    drop(reader);
}
