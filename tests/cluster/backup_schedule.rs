//! The schedule of backup jobs against a real server: what is put on record, told, pruned and mirrored.
//!
//! What makes the backups here writes a few bytes and a manifest; everything around it is the agent's own.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hypertide::backup::catalog::Proof;
use hypertide::config;
use hypertide::docker::engine::Engine;
use hypertide::metrics::PassMetrics;
use hypertide::model::backup::{BackupId, BackupJob};
use hypertide::observe::observe;
use hypertide::plan::step::Plan;
use hypertide::site::{Reach, Site};
use hypertide::status::Status;
use hypertide::status::latest::{Latest, Look};
use hypertide::tasks::agent::Handles;
use hypertide::tasks::backup::maker::OfSite;
use hypertide::tasks::backup::{self, Made, Maker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backup_catalog::put;
use crate::world::World;

/// Fails the first time, then makes small backups, and proves each.
struct Small {
    store: PathBuf,
    cluster: String,
    made: Cell<u32>,
}

impl Maker for Small {
    fn make<'a>(&'a self, job: &'a BackupJob, _: CancellationToken) -> LocalBoxFuture<'a, Result<Made, String>> {
        async move {
            self.made.set(self.made.get() + 1);
            // Whoever looks meanwhile sees that it runs.
            tokio::time::sleep(Duration::from_millis(1200)).await;
            if self.made.get() == 1 {
                return Err("the disk is full".to_owned());
            }
            let id: BackupId = put(&self.store, &self.cluster, 0, Some(&job.name)).parse().unwrap();
            Ok(Made { id, stored_bytes: 4, rows: 649 })
        }
        .boxed_local()
    }

    fn drill<'a>(&'a self, _: &'a BackupJob, id: &'a BackupId) -> LocalBoxFuture<'a, Result<Proof, String>> {
        async move {
            let now = Utc::now();
            let report = serde_json::json!({ "began": now, "finished": now, "outcome": "equal", "rows": 649, "difference_count": 0 });
            let drills = self.store.join(&self.cluster).join(id.as_str()).join("drills");
            std::fs::create_dir_all(&drills).unwrap();
            std::fs::write(drills.join("20261121T000000Z.json"), report.to_string()).unwrap();
            Ok(Proof { began: now, finished: Some(now), outcome: "equal".into(), rows: Some(649), differences: Some(0) })
        }
        .boxed_local()
    }
}

/// The agent's schedule alone, and the looks it goes by, until told to stop. Without a maker of the test's, the agent's own.
async fn schedule(config: PathBuf, state_dir: PathBuf, maker: Option<Small>, stop: CancellationToken) {
    let desired = config::load(Some(&config)).unwrap().desired;
    let site = Site::new(desired, Engine::connect().await.unwrap(), Reach::Published, state_dir);
    let (publish, latest) = watch::channel(Latest::new(Instant::now()));
    let handles = Handles { wake: std::sync::Arc::default(), latest, stop: stop.clone() };
    let looks = async {
        loop {
            let (began, at) = (Instant::now(), SystemTime::now());
            let observed = observe(&site, None).await.unwrap();
            let status = Status::new(&site.desired, &observed, Plan::default());
            publish.send_modify(|latest| latest.saw(Look { status, began, at }));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (metrics, own) = (PassMetrics::default(), OfSite(&site));
    let maker: &dyn Maker = maker.as_ref().map_or(&own, |maker| maker);
    tokio::select! {
        () = looks => {}
        ended = backup::run(&site, &handles, &metrics, maker) => ended.unwrap(),
    }
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn jobs_run_on_time_and_everybody_is_told_how_they_went() {
    let world = World::new("");
    let store = world.dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let (good, bad) = (world.dir.path().join("good"), world.dir.path().join("bad"));
    let hook = |file: &Path| format!("[{{command: [sh, -c, 'cat >> \"$0\"; echo >> \"$0\"', '{}']}}]", file.display());
    world.configure(&format!(
        "nodes: {{primary: {{port: {}}}, replicas: []}}\nbackups:\n  - {{name: often, schedule: '*/3 * * * * *', store: \
         'file://{}', keep: {{last: 2}}, drill: always, retries: 0, on_success: {}, on_failure: {}}}\n",
        world.ports[0],
        store.display(),
        hook(&good),
        hook(&bad)
    ));
    world.ok(&["up", "--no-agent"]);
    let job = || world.status()["backups"]["jobs"][0].clone();
    assert_eq!((job()["name"].as_str(), &job()["last_run"]), (Some("often"), &serde_json::Value::Null));

    let stop = CancellationToken::new();
    let maker = Small { store: store.clone(), cluster: world.cluster.clone(), made: Cell::new(0) };
    let (config, state_dir, told) = (world.config(), world.state_dir(), stop.clone());
    let agent = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(schedule(config, state_dir, Some(maker), told));
    });
    let _guard = stop.clone().drop_guard();

    world.eventually("the first run fails", || job()["last_result"] == "failed");
    world.eventually("the failure is told", || lines(&bad).len() == 1);
    assert_eq!(lines(&bad)[0]["error"], "the disk is full");
    world
        .eventually("a later run succeeds", || job()["last_success"].is_string() && job()["last_verified"].is_string());
    world.eventually("the success is told", || !lines(&good).is_empty());
    assert_eq!((lines(&good)[0]["job"].as_str(), lines(&good)[0]["rows"].as_u64()), (Some("often"), Some(649)));
    let count = |sql: &str| world.sql("primary", sql).parse::<u64>().unwrap();
    world.eventually("four runs succeed", || {
        count("select count(*) from hypertide.backup_run where outcome = 'succeeded'") >= 4
    });
    let doubled =
        "select count(*) from (select scheduled_for from hypertide.backup_run group by 1 having count(*) > 1) d";
    assert_eq!(count(doubled), 0, "no time is run for twice");
    stop.cancel();
    agent.join().unwrap();

    // A run that was cut off is seen to be.
    assert!(["succeeded", "interrupted"].contains(&job()["last_result"].as_str().unwrap()), "{}", job());
    let listed = world.json(&["backup", "list"]);
    let states: Vec<&str> =
        listed["backups"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert!((2..=3).contains(&states.len()) && states.contains(&"verified"), "{states:?}");
    let mirrored = "select count(*) from hypertide.backup_metadata where is_active and validation_status = 'validated'
        and completeness_pct = 100 and record_count = 649 and file_path like 'file://%/manifest.json'";
    assert!((2..=3).contains(&count(mirrored)), "{}", count(mirrored));
    assert!(
        count("select count(*) from hypertide.backup_metadata where not is_active") >= 1,
        "what was pruned is known to be"
    );
    assert_eq!(world.sql("primary", "set role monitor; select backups > 0 from hypertide.backup_freshness"), "t");
}

#[test]
fn the_agents_own_backups_are_whole_and_those_by_hand_are_on_record() {
    let world = World::new("");
    let store = world.dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let job = |name: &str, more: &str| {
        format!("  - {{name: {name}, store: 'file://{}', drill: never, {more}}}\n", store.display())
    };
    world.configure(&format!(
        "nodes: {{primary: {{port: {}}}, replicas: []}}\nbackups:\n{}{}{}{}",
        world.ports[0],
        job("files", "kind: base, schedule: '*/5 * * * * *', incrementals: 1, keep: {last: 2}"),
        job("often", "schedule: '*/5 * * * * *', keep: {last: 2}"),
        job("shape", "kind: schema, schedule: '*/5 * * * * *', timezone: America/Bogota"),
        job("roles", "kind: globals")
    ));
    world.ok(&["up", "--no-agent"]);
    world.sql(
        "primary",
        "insert into trading.orders (order_id, timestamp, symbol, side, quantity, price, status)
         select gen_random_uuid(), now() - n * interval '1 hour', 'USDCOP', 'BUY', 1, 1, 'NEW' from generate_series(1, 50) n",
    );
    let stop = CancellationToken::new();
    let (config, state_dir, told) = (world.config(), world.state_dir(), stop.clone());
    let agent = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(schedule(config, state_dir, None, told));
    });
    let _guard = stop.clone().drop_guard();
    let succeeded = |name: &str| {
        let jobs = world.status()["backups"]["jobs"].clone();
        jobs.as_array().unwrap().iter().any(|job| job["name"] == name && job["last_success"].is_string())
    };
    world.eventually("all jobs succeed", || ["often", "shape", "files"].into_iter().all(succeeded));
    world.ok(&["backup", "run", "roles"]);
    assert!(succeeded("roles"), "a run by hand counts as well");
    stop.cancel();
    agent.join().unwrap();

    let listed = world.json(&["backup", "list"]);
    let backups = listed["backups"].as_array().unwrap();
    assert!(backups.iter().all(|backup| backup["state"] == "complete"), "{listed}");
    let of =
        |job: &str| backups.iter().find(|backup| backup["job"] == job).unwrap_or_else(|| panic!("{job}: {listed}"));
    assert_eq!((of("often")["kind"].as_str(), of("shape")["kind"].as_str()), (Some("full"), Some("schema")));
    assert!(of("often")["rows"].as_u64() >= Some(50), "{listed}");
    assert_eq!(of("files")["kind"], "base");
    let orphans = world.json(&["backup", "prune", "--plan"])["scopes"][0]["orphans"].clone();
    assert_eq!(orphans.as_array().map(Vec::len), Some(0), "a run that was told to stop left something");
}

#[test]
fn a_job_that_does_not_succeed_makes_the_cluster_degraded() {
    let world = World::new("");
    world.configure(&format!(
        "nodes: {{primary: {{port: {}}}, replicas: []}}\nbackups: [{{name: n, schedule: '0 2 * * *', store: 'file:///tmp'}}]\n",
        world.ports[0]
    ));
    world.ok(&["up", "--no-agent"]);
    let reasons = || {
        let status = world.status();
        let holds = status["holds"].as_array().unwrap().iter().map(|hold| hold["reason"].as_str().unwrap().to_owned());
        (status["health"].as_str().unwrap().to_owned(), holds.collect::<Vec<_>>())
    };
    assert_eq!(reasons(), ("healthy".to_owned(), Vec::new()));
    world.sql("primary", "insert into hypertide.backup_job (job, first_seen) values ('n', now() - interval '5 days')");
    assert_eq!(reasons(), ("degraded".to_owned(), vec!["backup_overdue".to_owned()]));
    let run = |outcome: &str, error: &str| {
        world.sql(
            "primary",
            &format!(
                "insert into hypertide.backup_run (job, began, finished, outcome, error)
                 values ('n', clock_timestamp(), clock_timestamp(), '{outcome}', {error})"
            ),
        )
    };
    run("succeeded", "null");
    assert_eq!(reasons().0, "healthy");
    // Within one second nobody could tell which came first.
    world.sql("primary", "select pg_sleep(1.1)");
    run("failed", "'no such bucket'");
    assert_eq!(reasons(), ("degraded".to_owned(), vec!["backup_failed".to_owned()]));
    // A run that nobody is at was cut off.
    world.sql("primary", "select pg_sleep(1.1)");
    run("running", "null");
    assert_eq!(world.status()["backups"]["jobs"][0]["last_result"], "interrupted");
}
