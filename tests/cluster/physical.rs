//! Physical replicas, and both kinds in one cluster.

use crate::logical::BARS;
use crate::world::World;

#[tokio::test]
async fn a_physical_replica_is_a_streaming_standby_and_both_modes_live_in_one_cluster() {
    let world = World::new("replication: {mode: physical}\n");
    world.ok(&["up"]);
    let status = world.status();
    assert_eq!(status["health"], "healthy", "{status}");
    assert_eq!(status["nodes"][1]["role"], "standby");
    assert_eq!(status["nodes"][1]["replication"]["mode"], "physical");
    world.is_converged();
    assert_eq!(world.json(&["up"])["steps_taken"], 0);
    assert_eq!(world.sql("replica", "select pg_is_in_recovery(), current_setting('data_checksums')"), "t|on");
    assert_eq!(world.sql("primary", "select slot_name, active from pg_replication_slots"), "hypertide_replica_1|t");

    world.sql("primary", BARS);
    let inserted = world.eventually_equal("trading.market_data", "primary", "replica");
    assert!(inserted.starts_with("100000|"), "{inserted}");
    world.sql("primary", "update trading.market_data set close = close + 1 where volume % 7 = 0");
    world.sql("primary", "delete from trading.market_data where volume % 11 = 0");
    world.eventually_equal("trading.market_data", "primary", "replica");

    let verified = world.json(&["replication", "verify"]);
    assert_eq!(verified["standbys"], serde_json::json!(["replica-1"]), "{verified}");
    assert_eq!(world.run(&["replication", "verify", "replica-1"]).code, 2);

    // Without a logical replica the community edition got the pack's compression, and now none can join.
    if world.sql("primary", "show timescaledb.license") == "timescale" {
        a_logical_replica_is_held_over_compression(&world).await;
    } else {
        a_logical_replica_joins_and_leaves(&world).await;
    }
    a_standby_joins_survives_and_leaves(&world);
    the_standby_is_cloned_afresh(&world);

    world.ok(&["destroy", "--yes"]);
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

async fn a_logical_replica_is_held_over_compression(world: &World) {
    world.sql("primary", "select compress_chunk(c) from show_chunks('trading.market_data') c limit 3");
    world.eventually_equal("trading.market_data", "primary", "replica");
    world.ok(&["replica", "add", "replica-2", "--mode", "logical", "--port", &world.ports[2].to_string()]);
    let status = world.status();
    assert_eq!(status["health"], "degraded", "{status}");
    let holds = status["holds"].as_array().unwrap();
    for reason in ["compressed_hypertable", "compressed_chunk"] {
        assert!(holds.iter().any(|hold| hold["reason"] == reason), "{reason} is not told: {status}");
    }
    // Nothing is published that would lose rows, and no slot keeps WAL for the one who waits.
    assert_eq!(world.sql("primary", "select count(*) from pg_publication"), "0");
    assert_eq!(world.sql("primary", "select slot_name from pg_replication_slots"), "hypertide_replica_1");
    world.ok(&["replica", "remove", "replica-2"]);
    assert!(!world.leftovers().await.iter().any(|found| found.contains("replica-2")));
    world.is_converged();
}

async fn a_logical_replica_joins_and_leaves(world: &World) {
    let port = world.ports[2].to_string();
    let plan = world.json(&["replica", "add", "replica-2", "--mode", "logical", "--port", &port, "--plan"]);
    assert!(!plan["steps"].as_array().unwrap().is_empty());
    world.ok(&["replica", "add", "replica-2", "--mode", "logical", "--port", &port]);
    let status = world.status();
    assert_eq!(status["nodes"][2]["role"], "subscriber", "{status}");
    assert_eq!(status["health"], "healthy", "{status}");
    world.eventually_equal("trading.market_data", "primary", "replica-2");
    // Nothing but the labels of its volume remembers it, and that is enough.
    world.is_converged();
    world.ok(&["down"]);
    world.ok(&["up"]);
    assert_eq!(world.status()["nodes"][2]["role"], "subscriber");

    world.ok(&["replica", "remove", "replica-2"]);
    let slots = world.sql("primary", "select slot_name from pg_replication_slots");
    assert_eq!(slots, "hypertide_replica_1");
    assert_eq!(world.run(&["replica", "remove", "replica-2"]).code, 2);
    assert_eq!(world.run(&["replica", "remove", "primary-1"]).code, 3);
    assert!(!world.leftovers().await.iter().any(|found| found.contains("replica-2")));
    world.is_converged();
}

fn a_standby_joins_survives_and_leaves(world: &World) {
    world.ok(&["replica", "add", "replica-3", "--port", &world.ports[3].to_string()]);
    let status = world.status();
    assert_eq!(status["nodes"][2]["role"], "standby", "{status}");
    world.ok(&["restart", "replica-3"]);
    world.eventually("it streams again", || world.status()["health"] == "healthy");
    world.eventually_equal("trading.market_data", "primary", "replica-3");
    world.ok(&["restart"]);
    world.eventually("everything is back", || world.status()["health"] == "healthy");
    world.ok(&["replica", "remove", "replica-3"]);
    world.is_converged();
}

fn the_standby_is_cloned_afresh(world: &World) {
    world.ok(&["replication", "resync", "replica-1"]);
    world.eventually_equal("trading.market_data", "primary", "replica");
    world.is_converged();
}
