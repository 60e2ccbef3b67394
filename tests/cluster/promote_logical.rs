//! An unplanned change of the primary to a logical replica: what the old one has written and not sent is had from it once it cannot write
//! any more, or from its volume when it does not start, also by the agent alone; where that cannot be had, somebody has to agree first.

use serde_json::Value;

use crate::promote::cannot_start_again;
use crate::switchover::{Writer, all_are_there, role};
use crate::world::{World, docker, freeze};

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
    one_without_a_container_is_asked_through_its_volume(&world).await;
    world.configure("");
    world.ok(&["up"]);
    the_agent_has_what_one_that_cannot_start_had_not_sent(&world).await;
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
    while_nothing_is_applied(world, "replica-1", async || {
        world.sql("primary", "insert into acked (id) select 1000000 + i from generate_series(1, 5000) i");
        freeze(&world.container("primary-1")).await;
    })
    .await;

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

/// The apply worker of the replica sleeps over what comes.
async fn while_nothing_is_applied(world: &World, replica: &str, comes: impl AsyncFnOnce()) {
    let worker =
        world.sql(replica, "select pid from pg_stat_subscription where relid is null and pid is not null limit 1");
    let signal = |signal: &str| {
        let kill = format!("copy (select 1 where false) to program 'cat >/dev/null && kill -{signal} {worker}'");
        // The server ends all sessions over a killed one, this one too.
        let sent = world.run(&["psql", replica, "--", "-AtqXc", &kill]);
        assert!(sent.code == 0 || signal == "KILL", "{}", sent.stderr);
    };
    signal("STOP");
    comes().await;
    signal("KILL");
    world.eventually("the replica answers again", || {
        world.run(&["psql", replica, "--", "-AtqXc", "select 1"]).code == 0
    });
}

async fn one_without_a_container_is_asked_through_its_volume(world: &World) {
    while_nothing_is_applied(world, "replica-1", async || {
        world.sql("primary", "insert into acked (id) select 3000000 + i from generate_series(1, 5000) i");
        let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
        docker().remove_container(&world.container("primary-1"), Some(options)).await.unwrap();
    })
    .await;
    let report = world.json(&["promote", "replica-1"]);
    assert_eq!((&report["lost_bytes"], &report["epoch"]), (&0.into(), &4.into()), "{report}");
    assert_eq!(world.sql("replica-1", "select count(*) from acked where id > 3000000"), "5000");
    world.ok(&["up"]);
    is_whole(world, "replica-1", "primary-1");
    world.ok(&["switchover", "--to", "primary-1"]);
    is_whole(world, "primary-1", "replica-1");
}

async fn the_agent_has_what_one_that_cannot_start_had_not_sent(world: &World) {
    // It is up for so long before its row says that it is no primary any more.
    world.sql(
        "primary",
        "create function public.slowly() returns trigger language plpgsql as 'begin perform pg_sleep(1); return new; end';
         create trigger slowly before update on hypertide.node for each row execute function public.slowly()",
    );
    let writer = Writer::start(world);
    let before = world.sql("primary", "select count(*) from acked");
    while_nothing_is_applied(world, "replica-1", async || {
        world.sql("primary", "insert into acked (id) select 4000000 + i from generate_series(1, 5000) i");
        world.eventually("writes are acknowledged", || {
            world.sql("primary", &format!("select count(*) > 5050 + {before} from acked")) == "t"
        });
        cannot_start_again(world);
        docker().kill_container(&world.container("primary-1"), None).await.unwrap();
    })
    .await;
    // Who knows the old primary's own port tries to write there all the while, as what it becomes is started anew.
    let astray = Writer::through(world, world.ports[0]);
    world.eventually("the replica takes the place by itself", || world.status()["primary"] == "replica-1");
    let before = world.sql("replica-1", "select count(*) from acked");
    world.eventually("clients go on", || {
        world.sql("replica-1", &format!("select count(*) > 20 + {before} from acked")) == "t"
    });
    let (acked, _) = writer.stop();
    is_whole(world, "replica-1", "primary-1");
    all_are_there(world, &acked);
    let (taken, refusals) = astray.stop();
    assert_eq!(taken, [0_i64; 0], "the old primary has taken writes");
    assert!(refusals.iter().any(|it| it.contains("read-only transaction")), "it was there: {refusals:?}");
    world.sql("primary-1", "set transaction read write; drop function public.slowly cascade");
    assert_eq!(world.sql("primary", "select count(*) from acked where id > 4000000"), "5000");
    let refused = world.run(&["psql", "primary-1", "--", "-c", "insert into acked (id) values (-1)"]);
    assert_ne!(refused.code, 0, "the old primary takes writes");
    let last = world.status()["promotions"][0].clone();
    let told = (&last["by"], &last["to"], &last["epoch"], &last["lost_bytes"]);
    assert_eq!(told, (&"agent".into(), &"replica-1".into(), &6.into(), &0.into()), "{last}");
    world.ok(&["switchover", "--to", "primary-1"]);
    is_whole(world, "primary-1", "replica-1");
}

/// No server can be run on that volume: the agent asks, and does not try for ever.
async fn what_cannot_be_had_is_told_before_anything_is_given_up(world: &World) {
    let control = "cat >/dev/null && rm /var/lib/postgresql/data/pgdata/global/pg_control";
    world.sql("primary", &format!("copy (select 1 where false) to program '{control}'"));
    docker().kill_container(&world.container("primary-1"), None).await.unwrap();
    world.eventually("somebody is asked", || {
        world.run(&["logs", "agent", "--tail", "20"]).stdout.contains("what it lacks could not be found out: ")
    });
    let refused = world.run(&["promote", "replica-1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-data-loss all"), "{}", refused.stderr);
    assert_eq!(role(&world.status(), "replica-1"), "subscriber");

    let report = world.json(&["promote", "replica-1", "--accept-data-loss", "all"]);
    assert_eq!(report["epoch"], 8, "{report}");
    assert_eq!(world.status()["primary"], "replica-1");
    world.sql("replica-1", "insert into acked (id) values (5000001)");
    assert_eq!(world.status()["promotions"][0]["lost_bytes"], report["lost_bytes"]);
    assert_ne!(role(&world.status(), "primary-1"), "primary");
    assert_ne!(report["loss"], Value::Null);
}
