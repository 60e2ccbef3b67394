//! Commits that wait for replicas, with a standby and a logical replica in one cluster: who is waited for, that a commit is acknowledged
//! when a replica has it, and what becomes of it when replicas are lost.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{World, connect, connect_with, docker, freeze, thaw};

const SETTING: &str =
    "select current_setting('synchronous_standby_names'), current_setting('synchronized_standby_slots')";
const BOTH: &str = r#"FIRST 1 ("replica-1", "hypertide_replica_2")|hypertide_replica_1"#;

fn configuration(world: &World, when_lost: &str) -> String {
    let [primary, standby, logical, ..] = world.ports[..] else { panic!("a world has four ports") };
    format!(
        "nodes: {{primary: {{port: {primary}}}, replicas: [\
           {{name: replica-1, port: {standby}, replication: physical}}, {{name: replica-2, port: {logical}}}]}}\n\
         replication: {{synchronous: {{mode: on, when_lost: {when_lost}}}}}\n"
    )
}

#[tokio::test]
async fn commits_wait_for_a_replica_and_what_happens_without_one_was_chosen() {
    let world = World::new("");
    world.configure(&configuration(&world, "wait"));
    world.ok(&["up"]);
    let status = world.status();
    assert_eq!(status["health"], "healthy", "{status}");
    assert_eq!(states(&status), ["sync", "potential"], "{status}");
    world.is_converged();
    assert_eq!(world.sql("primary", SETTING), BOTH);
    world.eventually("a copy of the primary waits for nobody", || world.sql("replica-1", SETTING) == "|");
    // The first row makes a chunk.
    finished(&world, begin(&world, &row(0, "now()")), "all well, in a new chunk");
    world.eventually_equal("trading.market_data", "primary", "replica-2");
    finished(&world, begin(&world, &row(1, "now()")), "all well");

    a_frozen_standby_gives_way_to_the_logical_replica(&world).await;
    without_any_replica_commits_wait(&world).await;
    without_any_replica_commits_go_on_where_that_was_chosen(&world).await;
    the_new_primary_waits_for_its_own(&world).await;
}

fn states(status: &Value) -> Vec<&str> {
    let nodes = status["nodes"].as_array().unwrap();
    nodes.iter().filter_map(|node| node["replication"]["synchronous"].as_str()).collect()
}

fn is_held(world: &World, reason: &str) -> bool {
    world.status()["holds"].as_array().unwrap().iter().any(|hold| hold["reason"] == reason)
}

fn is_whole(world: &World) {
    world.eventually("both are waited for again", || {
        let status = world.status();
        status["health"] == "healthy" && states(&status) == ["sync", "potential"]
    });
}

fn row(number: u8, time: &str) -> String {
    format!(
        "insert into trading.market_data (symbol, \"timestamp\", open, high, low, close, volume)
         values ('S{number}', {time}, 1, 1, 1, 1, 1)"
    )
}

fn has(world: &World, node: &str, number: u8) -> bool {
    world.sql(node, &format!("select count(*) from trading.market_data where symbol = 'S{number}'")) == "1"
}

/// Commits as an application does, and gives how long that took.
fn begin(world: &World, sql: &str) -> JoinHandle<Duration> {
    let (port, state_dir, sql) = (world.ports[0], world.state_dir(), sql.to_owned());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = connect_with(&state_dir, port, "app").await.unwrap();
            let began = Instant::now();
            client.batch_execute(&sql).await.unwrap();
            began.elapsed()
        })
    })
}

fn finished(world: &World, commit: JoinHandle<Duration>, what: &str) -> Duration {
    world.eventually(what, || commit.is_finished());
    let took = commit.join().unwrap();
    eprintln!("{what}: a commit waited {:.2} s", took.as_secs_f64());
    took
}

async fn a_frozen_standby_gives_way_to_the_logical_replica(world: &World) {
    freeze(&world.container("replica-1")).await;
    finished(world, begin(world, &row(2, "now()")), "standby frozen, logical replica left");
    // It is there when it is acknowledged.
    assert!(has(world, "replica-2", 2));
    assert_eq!(world.sql("primary", SETTING), r#"FIRST 1 ("hypertide_replica_2")|"#);
    assert!(is_held(world, "not_awaited"));
    // A row makes its chunk in a transaction that nobody sees before the replica has applied it, which needs the chunk.
    finished(world, begin(world, &row(9, "'2009-02-03'")), "in a chunk that the logical replica has not");
    world.eventually_equal("trading.market_data", "primary", "replica-2");
}

async fn without_any_replica_commits_wait(world: &World) {
    freeze(&world.container("replica-2")).await;
    let commit = begin(world, &row(3, "now()"));
    world.eventually("that commits wait is told", || is_held(world, "commits_wait"));
    assert_eq!(world.status()["health"], "degraded");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!commit.is_finished(), "it was acknowledged with the primary as the only one that has it");
    thaw(&world.container("replica-2")).await;
    let took = finished(world, commit, "`wait`: no replica until the logical one came back");
    assert!(took > Duration::from_secs(3));
    assert!(has(world, "replica-2", 3));
    thaw(&world.container("replica-1")).await;
    is_whole(world);
}

async fn without_any_replica_commits_go_on_where_that_was_chosen(world: &World) {
    world.configure(&configuration(world, "continue"));
    world.ok(&["up"]);
    is_whole(world);
    freeze(&world.container("replica-1")).await;
    freeze(&world.container("replica-2")).await;
    let took = finished(world, begin(world, &row(4, "now()")), "`continue`: both frozen");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(is_held(world, "not_synchronous"));
    assert_eq!(world.sql("primary", SETTING), "|");
    thaw(&world.container("replica-1")).await;
    thaw(&world.container("replica-2")).await;
    is_whole(world);

    docker().kill_container(&world.container("replica-1"), None).await.unwrap();
    finished(world, begin(world, &row(5, "now()")), "`continue`: standby killed");
    is_whole(world);
}

async fn the_new_primary_waits_for_its_own(world: &World) {
    world.ok(&["replica", "remove", "replica-2"]);
    world.eventually("only the standby is left", || {
        world.sql("primary", SETTING).starts_with(r#"FIRST 1 ("replica-1")|"#)
    });
    let [primary, standby, ..] = world.ports[..] else { panic!("a world has four ports") };
    world.configure(&format!(
        "nodes: {{primary: {{port: {primary}}}, replicas: [{{name: replica-1, port: {standby}, replication: physical}}]}}\n\
         replication: {{synchronous: quorum}}\n"
    ));
    world.ok(&["up"]);
    // The configuration names no logical replica any more, so nobody is kept from running ahead of the standby.
    assert_eq!(world.sql("primary", SETTING), r#"ANY 1 ("replica-1")|"#);
    world.ok(&["switchover"]);
    let client = connect(world, standby, "app").await.unwrap();
    let began = Instant::now();
    client.batch_execute(&row(6, "now()")).await.unwrap();
    eprintln!("after a switchover: a commit waited {:.2} s", began.elapsed().as_secs_f64());
    world.eventually("the old primary is waited for", || {
        world.sql("primary", SETTING) == r#"ANY 1 ("primary-1")|"# && world.status()["health"] == "healthy"
    });
    assert_eq!(world.sql("primary-1", SETTING), "|");
    assert!((0..=6).chain([9]).all(|number| has(world, "primary", number)));
}
