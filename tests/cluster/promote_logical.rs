//! An unplanned change of the primary to a logical replica: what the old one has written and not sent is had from it once it cannot write
//! any more; where that cannot be had, somebody has to agree first.

use serde_json::Value;

use crate::promote::cannot_start_again;
use crate::switchover::{Writer, all_are_there, role};
use crate::world::{World, docker};

#[tokio::test]
async fn a_logical_replica_takes_the_place_of_a_primary_that_does_not_answer() {
    let world = World::new("failover: {automatic: false}\n");
    world.ok(&["up"]);
    for node in ["primary", "replica"] {
        world.sql(
            node,
            "set transaction read write; create table trading.acked (id bigint primary key, made bigint generated always as identity);
             alter database trading_data set search_path = trading, public",
        );
    }
    world.eventually("everything is replicated", || world.status()["health"] == "healthy");
    let refused = world.run(&["promote", "replica-1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("use `hypertide switchover`"), "{}", refused.stderr);

    what_a_frozen_one_had_not_sent_is_had_from_it(&world).await;
    what_cannot_be_had_is_told_before_anything_is_given_up(&world).await;
}

fn is_whole(world: &World, primary: &str, replica: &str) {
    world.eventually("one takes writes and the other follows", || world.status()["health"] == "healthy");
    let status = world.status();
    assert_eq!(status["primary"], primary, "{status}");
    assert_eq!(role(&status, replica), "subscriber", "{status}");
    world.eventually_equal("trading.acked", primary, replica);
}

async fn what_a_frozen_one_had_not_sent_is_had_from_it(world: &World) {
    let writer = Writer::start(world);
    world.eventually("writes are acknowledged", || world.sql("primary", "select count(*) > 50 from acked") == "t");
    let (acked, _) = writer.stop();
    // The apply worker sleeps over what comes then.
    let worker =
        world.sql("replica", "select pid from pg_stat_subscription where relid is null and pid is not null limit 1");
    let signal = |signal: &str| {
        let kill = format!("copy (select 1 where false) to program 'cat >/dev/null && kill -{signal} {worker}'");
        world.sql("replica-1", &kill);
    };
    signal("STOP");
    world.sql("primary", "insert into acked (id) select 1000000 + i from generate_series(1, 5000) i");
    docker().pause_container(&world.container("primary-1")).await.unwrap();
    signal("KILL");
    world.eventually("the replica answers again", || {
        world.run(&["psql", "replica-1", "--", "-AtqXc", "select 1"]).code == 0
    });

    let report = world.json(&["promote", "replica-1"]);
    assert_eq!((&report["lost_bytes"], &report["epoch"]), (&0.into(), &2.into()), "{report}");
    is_whole(world, "replica-1", "primary-1");
    all_are_there(world, &acked);
    assert_eq!(world.sql("primary", "select count(*) from acked where id > 1000000"), "5000");
    let last = world.status()["promotions"][0].clone();
    assert_eq!((&last["kind"], &last["to"], &last["lost_bytes"]), (&"failover".into(), &"replica-1".into(), &0.into()));
    world.sql("primary", "insert into acked (id) select 2000000 + i from generate_series(1, 10) i");
    let twice = "select count(*) - count(distinct made) from acked";
    assert_eq!(world.sql("primary", twice), "0", "no number is given out twice");
    world.ok(&["switchover", "--to", "primary-1"]);
    is_whole(world, "primary-1", "replica-1");
}

async fn what_cannot_be_had_is_told_before_anything_is_given_up(world: &World) {
    cannot_start_again(world);
    docker().kill_container(&world.container("primary-1"), None).await.unwrap();
    world.eventually("the agent sees it", || world.status()["health"] == "down");
    let refused = world.run(&["promote", "replica-1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-data-loss all"), "{}", refused.stderr);
    assert_eq!(role(&world.status(), "replica-1"), "subscriber");

    let report = world.json(&["promote", "replica-1", "--accept-data-loss", "all"]);
    assert_eq!(report["epoch"], 4, "{report}");
    assert_eq!(world.status()["primary"], "replica-1");
    world.sql("replica-1", "insert into acked (id) values (3000001)");
    assert_eq!(world.status()["promotions"][0]["lost_bytes"], report["lost_bytes"]);
    assert_ne!(role(&world.status(), "primary-1"), "primary");
    assert_ne!(report["loss"], Value::Null);
}
