//! The default: a primary and a logical replica whose hypertables really replicate.

use bollard::query_parameters::KillContainerOptionsBuilder;

use crate::world::{World, connect, docker};

/// 100,000 bars of one symbol over 60 chunks of seven days.
pub const BARS: &str = "insert into trading.market_data (\"timestamp\", symbol, open, high, low, close, volume, source)
    select timestamptz '2024-01-04 00:00:00+00' + (i * interval '6 minutes'), 'NVDA', 1, 2, 0.5, 1.5, i, 'test'
    from generate_series(0, 99999) i";

#[tokio::test]
async fn one_command_gives_a_primary_and_a_replica_whose_hypertables_replicate() {
    let world = World::new("");
    let plan = world.json(&["up", "--plan"]);
    assert!(plan["steps"].as_array().unwrap().len() > 20, "{plan}");
    assert!(world.leftovers().await.is_empty(), "--plan changes nothing");

    world.ok(&["up"]);
    let status = world.status();
    assert_eq!(status["health"], "healthy", "{status}");
    assert_eq!(status["primary"], "primary-1");
    assert_eq!(status["nodes"][0]["role"], "primary");
    assert_eq!(status["nodes"][1]["role"], "subscriber");
    assert_eq!(status["agent"], "running");
    world.is_converged();

    // A second run takes no step and leaves every container as it was.
    let before = container_ids(&world).await;
    assert_eq!(world.json(&["up"])["steps_taken"], 0);
    assert_eq!(container_ids(&world).await, before);

    rows_over_sixty_chunks_arrive_and_stay_equal(&world);
    chunks_that_are_dropped_or_truncated_and_come_back_converge(&world);
    roles_may_do_what_they_are_for_and_no_more(&world).await;
    tables_that_somebody_has_locked_hide_nothing(&world).await;
    the_agent_brings_back_what_dies(&world).await;
    what_psql_says_last_is_shown(&world);
    down_and_up_keep_the_data(&world).await;
    let lines = world.json(&["logs", "primary", "--tail", "5"]);
    assert_eq!(lines["lines"][0]["node"], "primary-1", "{lines}");
    the_state_directory_can_be_lost(&world);
    resync_copies_everything_afresh(&world);
    what_cannot_replicate_is_named(&world);

    world.ok(&["destroy", "--yes"]);
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

fn rows_over_sixty_chunks_arrive_and_stay_equal(world: &World) {
    world.sql("primary", BARS);
    let chunks = world.sql("primary", "select count(*) from show_chunks('trading.market_data')");
    assert!(chunks.parse::<u32>().unwrap() >= 60, "{chunks}");
    let inserted = world.eventually_equal("trading.market_data", "primary", "replica");
    assert!(inserted.starts_with("100000|"), "{inserted}");

    // Names and ranges of the chunks are the publisher's own.
    let ranges = "select chunk_schema, chunk_name, range_start, range_end from timescaledb_information.chunks
                  where hypertable_name = 'market_data' order by 2";
    assert_eq!(world.sql("primary", ranges), world.sql("replica", ranges));

    world.sql("primary", "update trading.market_data set close = close + 1 where volume % 7 = 0");
    world.sql("primary", "delete from trading.market_data where volume % 11 = 0");
    world.sql("primary", "insert into trading.orders (symbol, side, quantity, price, status, \"timestamp\")
        select 'MSFT', 'buy', 10, 400, 'new', timestamptz '2025-01-01' + i * interval '1 hour' from generate_series(1, 500) i");
    let changed = world.eventually_equal("trading.market_data", "primary", "replica");
    assert_ne!(changed, inserted);
    world.eventually_equal("trading.orders", "primary", "replica");
    world.eventually("the mirror is complete", || world.status()["health"] == "healthy");

    let status = world.status();
    let chunks = &status["nodes"][1]["replication"]["chunks"];
    assert!(chunks["published"].as_u64().unwrap() >= 60, "{chunks}");
    for missing in ["unpublished", "unsubscribed", "not_ready"] {
        assert_eq!(chunks[missing], 0, "{chunks}");
    }
    // A row five years back makes a chunk far outside of the others.
    world.sql("primary", "insert into trading.market_data values ('2019-05-05', 'OLD', 1, 1, 1, 1, 1, 'test')");
    world.eventually_equal("trading.market_data", "primary", "replica");
}

fn chunks_that_are_dropped_or_truncated_and_come_back_converge(world: &World) {
    // Dropping is not replicated; a late row makes the chunk anew, under another name, where the replica has the old one.
    world.sql("primary", "select drop_chunks('trading.market_data', older_than => timestamptz '2024-02-01')");
    world.sql("primary", "insert into trading.market_data values ('2024-01-20', 'LATE', 1, 1, 1, 1, 1, 'test')");
    let late =
        "(select * from trading.market_data where \"timestamp\" >= '2024-01-18' and \"timestamp\" < '2024-01-25')";
    world.eventually_equal(late, "primary", "replica");
    world.sql("primary", "truncate trading.orders");
    world.sql("primary", "insert into trading.orders (symbol, side, quantity, price, status, \"timestamp\")
        select 'MSFT', 'sell', 1, 400, 'new', timestamptz '2025-01-02' + i * interval '1 hour' from generate_series(1, 50) i");
    world.eventually_equal("trading.orders", "primary", "replica");
    world.eventually("the mirror is complete", || world.status()["health"] == "healthy");
    // What the primary dropped, the replica dropped after it.
    world.eventually_equal("trading.market_data", "primary", "replica");
    let chunks = "select count(*) from show_chunks('trading.market_data')";
    assert_eq!(world.sql("primary", chunks), world.sql("replica", chunks));
}

/// A lock that waits for nobody and lasts, on both sides, on a hypertable with its chunks and on a table.
async fn tables_that_somebody_has_locked_hide_nothing(world: &World) {
    let mut owners = Vec::new();
    for port in &world.ports[..2] {
        let owner = connect(world, *port, "postgres").await.unwrap();
        let lock = "begin; set transaction read write; lock table trading.market_data, trading.orders";
        owner.batch_execute(lock).await.unwrap();
        owners.push(owner);
    }
    let status = world.status();
    assert_eq!(status["health"], "healthy", "{status:#}");
    for owner in owners {
        owner.batch_execute("rollback").await.unwrap();
    }
}

async fn roles_may_do_what_they_are_for_and_no_more(world: &World) {
    let (primary, replica) = (world.ports[0], world.ports[1]);
    let insert = "insert into trading.positions (\"timestamp\", symbol, quantity, avg_cost) values (now(), 'A', 1, 1)";
    let app = connect(world, primary, "app").await.unwrap();
    app.batch_execute(insert).await.unwrap();
    app.batch_execute("create table trading.mine (id int primary key)").await.unwrap_err();

    // Also one that insists on a writable transaction: it has no right to write there.
    let app = connect(world, replica, "app").await.unwrap();
    app.batch_execute(insert).await.unwrap_err();
    app.batch_execute("set default_transaction_read_only = off").await.unwrap();
    app.batch_execute(insert).await.unwrap_err();
    app.batch_execute("select * from trading.positions").await.unwrap();

    let reader = connect(world, replica, "reader").await.unwrap();
    reader.batch_execute("select * from analytics.dual_ticker_summary limit 1").await.unwrap();
    reader.batch_execute("delete from trading.positions").await.unwrap_err();

    let monitor = connect(world, primary, "monitor").await.unwrap();
    let seen = monitor.query_one("select count(*) from pg_stat_activity where query is not null", &[]).await.unwrap();
    assert!(seen.get::<_, i64>(0) > 0);
    monitor.batch_execute("select * from trading.positions").await.unwrap_err();
    connect(world, primary, "replicator").await.unwrap();
}

async fn the_agent_brings_back_what_dies(world: &World) {
    let kill = || Some(KillContainerOptionsBuilder::default().signal("KILL").build());
    docker().kill_container(&world.container("replica-1"), kill()).await.unwrap();
    world.sql("primary", "insert into trading.market_data values ('2019-06-06', 'OLD', 1, 1, 1, 1, 1, 'test')");
    world.eventually("the replica is back", || world.status()["health"] == "healthy");
    world.eventually_equal("trading.market_data", "primary", "replica");

    docker().kill_container(&world.container("primary-1"), kill()).await.unwrap();
    world.eventually("the primary is back", || world.status()["health"] == "healthy");

    // Killing through Docker counts as the user's own stop; a crash of its process does not.
    docker().kill_container(&world.container("agent"), kill()).await.unwrap();
    world.ok(&["up"]);
    assert_eq!(world.status()["agent"], "running");
}

/// However soon it ends after that.
fn what_psql_says_last_is_shown(world: &World) {
    for _ in 0..20 {
        let failed = world.run(&["psql", "primary", "--", "-Xc", "select 1 / 0"]);
        assert!(failed.code == 1 && failed.stderr.contains("division by zero"), "{} {}", failed.code, failed.stderr);
    }
}

async fn down_and_up_keep_the_data(world: &World) {
    let before = world.fingerprint("primary", "trading.market_data");
    world.ok(&["down"]);
    let status = world.status();
    assert_eq!(status["health"], "down", "{status}");
    assert_eq!(status["primary"], serde_json::Value::Null);
    assert_eq!(world.run(&["status", "--check"]).code, 4);
    assert_eq!(world.run(&["psql", "primary", "--", "-c", "select 1"]).code, 1);
    let clean = docker().inspect_container(&world.container("primary-1"), None).await.unwrap();
    assert_eq!(clean.state.unwrap().exit_code, Some(0), "PostgreSQL shut down cleanly");

    world.ok(&["up"]);
    assert_eq!(world.fingerprint("primary", "trading.market_data"), before);
    assert_eq!(world.fingerprint("replica", "trading.market_data"), before);
    world.is_converged();
    world.ok(&["status", "--check"]);
}

fn the_state_directory_can_be_lost(world: &World) {
    let pgpass = world.state_dir().join("pgpass");
    let before = std::fs::read_to_string(&pgpass).unwrap();
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.is_converged();
    assert_eq!(std::fs::read_to_string(&pgpass).unwrap(), before);
}

fn resync_copies_everything_afresh(world: &World) {
    // A row that logical replication would never put right.
    world.sql(
        "replica",
        "set transaction read write; set session_replication_role = replica;
        update trading.market_data set source = 'tampered' where volume = 1",
    );
    assert_ne!(
        world.fingerprint("primary", "trading.market_data"),
        world.fingerprint("replica", "trading.market_data")
    );
    world.ok(&["replication", "resync"]);
    world.eventually_equal("trading.market_data", "primary", "replica");
    world.is_converged();
    let status = world.json(&["replication", "status"]);
    assert_eq!(status["replicas"][0]["role"], "subscriber", "{status}");
    assert_eq!(world.run(&["replication", "resync", "primary-1"]).code, 3);
}

fn what_cannot_replicate_is_named(world: &World) {
    world.sql("primary", "create table trading.loose (a int)");
    let status = world.status();
    assert_eq!(status["health"], "degraded");
    let reasons: Vec<&str> =
        status["holds"].as_array().unwrap().iter().map(|hold| hold["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"no_replica_identity"), "{status}");
    assert!(reasons.contains(&"table_missing_on_replica"), "{status}");
    assert!(status.to_string().contains("trading.loose"), "{status}");
    world.sql("primary", "drop table trading.loose");
    world.eventually("the cluster is healthy again", || world.status()["health"] == "healthy");
}

async fn container_ids(world: &World) -> Vec<String> {
    let mut ids = world.leftovers().await;
    ids.sort();
    ids
}
