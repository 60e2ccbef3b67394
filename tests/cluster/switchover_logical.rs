//! A planned change of the primary to a logical replica, back and forth under writers, and cut off at any moment: nothing is copied
//! again, nothing is lost, nothing is given out twice.

use crate::logical::BARS;
use crate::switchover::{
    Writer, a_switchover_that_is_killed_goes_on_or_back, all_are_there, nothing_is_left_to_do, role,
};
use crate::world::{World, docker};

/// On both nodes, as a migration would make them.
const TABLES: &str = "set transaction read write;
    create table trading.acked (id bigint primary key);
    create table trading.counted (id bigint generated always as identity primary key, word text);
    alter database trading_data set search_path = trading, public";

#[tokio::test]
async fn a_logical_replica_takes_the_place_and_gives_it_back_and_nothing_is_copied() {
    let world = World::new("");
    let ports = format!("{{read_write: {}, read_only: {}}}", world.ports[2], world.ports[3]);
    world.configure(&format!("endpoint: {ports}\n"));
    world.ok(&["up"]);
    for node in ["primary", "replica"] {
        world.sql(node, TABLES);
    }
    world.sql("primary", BARS);
    world.eventually_equal("trading.market_data", "primary", "replica");
    world.eventually("everything is replicated", || world.status()["health"] == "healthy");
    what_would_be_left_behind_forbids_it(&world);

    let (writer, client) = (Writer::start(&world), Writer::through(&world, world.ports[2]));
    for (from, to, epoch) in
        [("primary-1", "replica-1", 2), ("replica-1", "primary-1", 3), ("primary-1", "replica-1", 4)]
    {
        let chunks_before = chunk_oids(&world, from);
        let report = world.json(&["switchover"]);
        eprintln!("writes paused for {} s: {}", report["write_pause_seconds"], report["phases"]);
        assert_eq!(
            (&report["from"], &report["to"], &report["epoch"]),
            (&from.into(), &to.into(), &epoch.into()),
            "{report}"
        );
        has_taken_over(&world, from, to, epoch);
        assert!(chunk_oids(&world, from).starts_with(&chunks_before), "it was not copied afresh");
    }
    let (acked, errors) = client.stop();
    assert_eq!(errors, Vec::<String>::new(), "clients of the endpoint wait, and see no error");
    assert!(acked.len() > 100, "{} writes", acked.len());
    all_are_there(&world, &acked);
    let (acked, _) = writer.stop();
    all_are_there(&world, &acked);
    world.ok(&["replication", "verify", "--full"]);

    // The nodes keep their roles, whatever the configuration calls them and whoever dies.
    world.ok(&["down"]);
    world.ok(&["up"]);
    has_taken_over(&world, "primary-1", "replica-1", 4);
    for node in ["replica-1", "primary-1"] {
        docker().kill_container(&world.container(node), None).await.unwrap();
        world.eventually("it is brought back", || world.status()["health"] == "healthy");
        has_taken_over(&world, "primary-1", "replica-1", 4);
    }
    a_switchover_that_is_killed_goes_on_or_back(&world, "subscriber");
    world.ok(&["replication", "verify", "--full"]);
    the_old_primary_can_be_copied_afresh(&world);
}

fn what_would_be_left_behind_forbids_it(world: &World) {
    let plan = world.json(&["switchover", "--plan"]);
    let phases: Vec<&str> = plan["phases"].as_array().unwrap().iter().filter_map(|phase| phase.as_str()).collect();
    assert_eq!((&plan["to"], &plan["epoch"]), (&"replica-1".into(), &2.into()), "{plan}");
    assert!(phases.contains(&"keep_changes") && !phases.contains(&"raise_epoch"), "{plan}");
    world.ok(&["replica", "add", "replica-2", "--mode", "physical"]);
    world.eventually("the standby is complete", || world.status()["health"] == "healthy");
    let refused = world.run(&["switchover", "--to", "replica-1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("replica-2 would not follow"), "{}", refused.stderr);
    world.ok(&["replica", "remove", "replica-2"]);
    nothing_is_left_to_do(world);
}

/// Roles, rows that come to old chunks and new ones, and numbers.
fn has_taken_over(world: &World, from: &str, to: &str, epoch: u64) {
    world.eventually("the old primary is a replica of the new one", || world.status()["health"] == "healthy");
    let status = world.status();
    assert_eq!((&status["primary"], &status["epoch"]), (&to.into(), &epoch.into()), "{status}");
    assert_eq!((role(&status, to), role(&status, from)), ("primary", "subscriber"), "{status}");
    assert_eq!(world.sql(to, "show default_transaction_read_only"), "off");
    assert_eq!(world.sql(from, "show default_transaction_read_only"), "on");
    let refused = world.run(&["psql", from, "--", "-c", "begin read write; insert into trading.acked values (-1)"]);
    assert!(refused.stderr.contains("logical replica"), "{from} takes writes: {}{}", refused.stdout, refused.stderr);
    world.sql(to, "insert into trading.counted (word) select 'w' from generate_series(1, 10)");
    // Two chunks that nobody has yet.
    world.sql(
        to,
        "insert into trading.market_data
         select least(min(\"timestamp\"), '2001-01-01') - i * interval '1 month', 'OLD', 1, 1, 1, 1, 1, 'test'
         from trading.market_data, generate_series(1, 2) i group by i",
    );
    world.sql(to, "update trading.market_data set close = close + 1 where volume % 1000 = 7");
    world.eventually_equal("trading.market_data", to, from);
    world.eventually_equal("trading.counted", to, from);
    nothing_is_left_to_do(world);
    let guards = "select count(*) from pg_trigger where tgname like '!hypertide%'";
    assert_eq!(world.sql(to, guards), "0", "the triggers that refused writes are gone");
}

/// In the order in which they came to be: a copy would begin with others.
fn chunk_oids(world: &World, node: &str) -> String {
    world.sql(
        node,
        "select string_agg(inhrelid::text, ',' order by inhrelid) from pg_inherits
         where inhparent = 'trading.market_data'::regclass",
    )
}

fn the_old_primary_can_be_copied_afresh(world: &World) {
    if world.status()["primary"] == "primary-1" {
        world.ok(&["switchover"]);
    }
    world.ok(&["replication", "resync", "primary-1"]);
    world.eventually("it is a replica again", || world.status()["health"] == "healthy");
    world.eventually_equal("trading.market_data", "replica-1", "primary-1");
    nothing_is_left_to_do(world);
}
