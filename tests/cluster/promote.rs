//! An unplanned change of the primary: frozen, unable to start, gone. Nothing is lost without being told, and nobody writes twice.

use std::time::Duration;

use serde_json::Value;

use crate::logical::BARS;
use crate::switchover::{Writer, all_are_there, role};
use crate::world::{World, docker, freeze};

#[tokio::test]
async fn a_standby_takes_the_place_of_a_primary_that_does_not_answer() {
    // By hand: what the agent does by itself is `failover`'s.
    let world = World::new("replication: {mode: physical}\nfailover: {automatic: false}\n");
    world.ok(&["up"]);
    world.sql("primary", "create table acked (id bigint primary key); grant all on acked to app");
    let refused = world.run(&["promote", "replica-1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("use `hypertide switchover`"), "{}", refused.stderr);

    a_stopped_one_is_left_alone_while_failover_is_paused(&world).await;
    a_frozen_one_never_writes_again(&world).await;
    a_logical_replica_follows_whoever_takes_the_place(&world).await;
    what_only_the_volume_has_is_salvaged(&world).await;
    a_lost_volume_is_told_before_anything_is_given_up(&world).await;
}

pub fn is_whole(world: &World, primary: &str, standby: &str) -> Value {
    world.eventually("one takes writes and the other follows", || world.status()["health"] == "healthy");
    let status = world.status();
    assert_eq!(status["primary"], primary, "{status}");
    assert_eq!(role(&status, standby), "standby", "{status}");
    world.is_converged();
    status
}

async fn a_stopped_one_is_left_alone_while_failover_is_paused(world: &World) {
    assert_eq!(world.json(&["failover", "resume"])["paused"], Value::Null, "it was never paused");
    let ends = world.json(&["failover", "pause", "--for", "1h"]);
    assert!(ends["paused"]["until"].is_string(), "{ends}");
    let paused = world.json(&["failover", "pause"])["paused"].clone();
    assert_eq!((&paused["since"], &paused["until"]), (&ends["paused"]["since"], &Value::Null));
    let status = world.status();
    assert_eq!((&status["health"], &status["failover"]["paused"]), (&"healthy".into(), &paused), "{status}");

    docker().kill_container(&world.container("primary-1"), None).await.unwrap();
    // The agent would have started it three times over.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = world.status();
    assert_eq!((&status["nodes"][0]["state"], &status["failover"]["paused"]), (&"exited".into(), &paused), "{status}");
    let is_told = |hold: &Value| hold["what"] == "primary-1" && hold["reason"] == "failover_paused";
    assert!(status["holds"].as_array().unwrap().iter().any(is_told), "{status}");
    let text = world.ok(&["status"]).stdout;
    assert!(text.contains("paused since 20") && text.contains("hypertide failover resume"), "{text}");
    for verb in ["pause", "resume"] {
        let refused = world.run(&["failover", verb]);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(refused.stderr.contains("primary-1 takes no writes"), "{}", refused.stderr);
    }

    world.ok(&["up"]);
    assert_eq!(world.status()["failover"]["paused"], paused, "a pause outlives the primary's process");
    assert_eq!(world.json(&["failover", "resume"])["paused"], Value::Null);
    let status = is_whole(world, "primary-1", "replica-1");
    assert_eq!(status["failover"]["paused"], Value::Null, "{status}");
}

/// The status tells of it what the verb told.
fn is_on_record(status: &Value, report: &Value) {
    let last = &status["promotions"][0];
    for key in ["epoch", "from", "to", "loss", "lost_bytes", "lost_transactions"] {
        assert_eq!(last[key], report[key], "{key}: {last}");
    }
    assert_eq!((&last["kind"], &last["by"]), (&"failover".into(), &"operator".into()), "{last}");
}

async fn a_frozen_one_never_writes_again(world: &World) {
    let writer = Writer::start(world);
    world.eventually("writes are acknowledged", || world.sql("primary", "select count(*) > 50 from acked") == "t");
    freeze(&world.container("primary-1")).await;
    let report = world.json(&["promote", "replica-1"]);
    assert_eq!((&report["lost_bytes"], &report["epoch"]), (&0.into(), &2.into()), "{report}");
    let status = is_whole(world, "replica-1", "primary-1");
    is_on_record(&status, &report);
    let (acked, _) = writer.stop();
    all_are_there(world, &acked);
    world.ok(&["switchover", "--to", "primary-1"]);
    is_whole(world, "primary-1", "replica-1");
}

/// Planned or not, and nothing is copied: its subscription goes on from the slot that the standby has kept.
async fn a_logical_replica_follows_whoever_takes_the_place(world: &World) {
    if world.sql("primary", "show timescaledb.license") == "timescale" {
        // The pack compresses then, which keeps logical replicas out.
        return;
    }
    world.sql("primary", BARS);
    world.ok(&["replica", "add", "replica-2", "--mode", "logical", "--port", &world.ports[2].to_string()]);
    let equal = |primary: &str, standby: &str| {
        is_whole(world, primary, standby);
        assert_eq!(role(&world.status(), "replica-2"), "subscriber");
        // A chunk that is new, and rows in old ones.
        let more = "insert into trading.market_data (\"timestamp\", symbol, open, high, low, close, volume)
             select max(\"timestamp\") + interval '30 days', symbol, 1, 2, 0.5, 1.5, 7 from trading.market_data group by symbol;
             update trading.market_data set close = close + 1 where volume % 500 = 0";
        world.sql("primary", more);
        world.eventually_equal("trading.market_data", primary, "replica-2");
    };
    equal("primary-1", "replica-1");
    let chunks = "select string_agg(oid || ' ' || relfilenode, ',' order by oid) from pg_class where relname like '\\_hyper\\_%chunk' and relkind = 'r'";
    let before = world.sql("replica-2", chunks);

    world.ok(&["switchover", "--to", "replica-1"]);
    equal("replica-1", "primary-1");
    world.ok(&["switchover", "--to", "primary-1"]);
    equal("primary-1", "replica-1");
    let kept = "select count(*) from pg_replication_slots where synced and not temporary";
    world.eventually("the standby keeps the slot", || world.sql("replica-1", kept) == "1");
    freeze(&world.container("primary-1")).await;
    assert_eq!(world.json(&["promote", "replica-1"])["lost_bytes"], 0);
    equal("replica-1", "primary-1");

    let verified = world.json(&["replication", "verify", "replica-2", "--full"])["replicas"][0].clone();
    assert_eq!(verified["outcome"], "equal", "{verified}");
    let after = world.sql("replica-2", chunks);
    assert!(
        !before.is_empty() && before.split(',').all(|chunk| after.split(',').any(|now| now == chunk)),
        "{before} {after}"
    );
    world.ok(&["replica", "remove", "replica-2"]);
    world.ok(&["switchover", "--to", "primary-1"]);
    is_whole(world, "primary-1", "replica-1");
}

async fn what_only_the_volume_has_is_salvaged(world: &World) {
    what_only_the_volume_has(world).await;
    let report = world.json(&["promote", "replica-1"]);
    assert_eq!((&report["loss"], &report["lost_bytes"]), (&"salvaged".into(), &0.into()), "{report}");
    assert_eq!(world.sql("primary", "select count(*) from acked where id > 1000000"), "5000");
    // What was broken in it went with the rewind.
    is_on_record(&is_whole(world, "replica-1", "primary-1"), &report);
    world.ok(&["switchover", "--to", "primary-1"]);
    is_whole(world, "primary-1", "replica-1");
}

/// Breaks the primary's configuration: it runs until it ends.
pub fn cannot_start_again(world: &World) {
    let settings = "cat >/dev/null && echo broken >>/var/lib/postgresql/data/pgdata/postgresql.auto.conf";
    world.sql("primary", &format!("copy (select 1 where false) to program '{settings}'"));
}

/// The primary's configuration is broken, it was killed, and the standby lacks the 5000 rows that it wrote last.
pub async fn what_only_the_volume_has(world: &World) {
    let receiver = world.sql("replica-1", "select pid from pg_stat_wal_receiver");
    let signal = |signal: &str| {
        let kill = format!("copy (select 1 where false) to program 'cat >/dev/null && kill -{signal} {receiver}'");
        // The server ends all sessions over a killed one, this one too.
        let sent = world.run(&["psql", "replica-1", "--", "-AtqXc", &kill]);
        assert!(sent.code == 0 || signal == "KILL", "{}", sent.stderr);
    };
    signal("STOP");
    world.sql("primary", "insert into acked select 1000000 + i from generate_series(1, 5000) i");
    cannot_start_again(world);
    docker().kill_container(&world.container("primary-1"), None).await.unwrap();
    // The server starts its processes afresh over that.
    signal("KILL");
    world.eventually("the standby answers again", || {
        world.run(&["psql", "replica-1", "--", "-AtqXc", "select 1"]).code == 0
    });
}

async fn a_lost_volume_is_told_before_anything_is_given_up(world: &World) {
    let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    docker().remove_container(&world.container("primary-1"), Some(options)).await.unwrap();
    let none = None::<bollard::query_parameters::RemoveVolumeOptions>;
    docker().remove_volume(&format!("{}-data", world.container("primary-1")), none).await.unwrap();
    let refused = world.run(&["promote", "replica-1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-data-loss all"), "{}", refused.stderr);
    assert_eq!(role(&world.status(), "replica-1"), "standby");

    let report = world.json(&["promote", "replica-1", "--accept-data-loss", "all"]);
    assert_eq!(report["lost_bytes"], Value::Null, "{report}");
    is_on_record(&is_whole(world, "replica-1", "primary-1"), &report);
    assert_eq!(world.sql("primary-1", "select count(*) from acked where id > 1000000"), "5000");
}
