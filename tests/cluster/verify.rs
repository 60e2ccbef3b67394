//! `replication verify`: equal is equal, a planted difference is found and repaired, and writers never look like one.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::world::{World, connect};

/// What is written on a replica by hand, past everything that keeps others from it.
const PAST_ALL_GUARDS: &str = "set transaction read write; set session_replication_role = replica; ";

/// Every chunk on the replica, with what a rewrite or a write of any row would change.
const TRACES: &str = "select tableoid::regclass, pg_relation_filenode(tableoid), max(xmin::text::bigint), count(*)
    from trading.market_data group by 1, 2 order by 1";

/// Ten chunks of 1,008 rows, but for the last.
const ROWS: &str = "insert into trading.market_data (\"timestamp\", symbol, open, high, low, close, volume, source)
    select timestamptz '2024-01-04 00:00:00+00' + (i * interval '10 minutes'), 'NVDA', 1, 2, 0.5, 1.5, i, 'test'
    from generate_series(0, 9999) i";

/// The chunk of the second thousand; its number depends on what was made ahead of time.
fn second_chunk(world: &World) -> String {
    world.sql("primary", "select tableoid::regclass from trading.market_data where volume = 1700")
}

#[tokio::test]
async fn a_planted_difference_is_found_and_repaired_and_nothing_else_is_touched() {
    let world = World::new("replication: {verify: off}\n");
    world.ok(&["up"]);
    world.sql("primary", ROWS);
    world.eventually_equal("trading.market_data", "primary", "replica");
    let run = verify(&world, &[], 0);
    assert_eq!(run["outcome"], "equal", "{run}");
    assert_eq!(run["rows"], 10_000, "{run}");
    let tables = run["compared"].as_u64().unwrap();
    assert!(tables >= 10, "{run}");

    what_did_not_change_is_skipped(&world, tables);
    one_chunk_is_repaired(&world);
    tables_of_every_kind_are_repaired(&world);
    a_table_that_somebody_locks_is_busy(&world).await;
    writers_never_look_like_a_difference(&world);
    the_agent_finds_a_difference_and_a_resync_settles_it(&world);
    assert_eq!(world.run(&["replication", "verify", "primary"]).code, 2);
}

/// Runs the verb, insists on the exit code, and gives the report of the one replica.
fn verify(world: &World, args: &[&str], code: i32) -> Value {
    let args: Vec<&str> = ["--json", "replication", "verify"].iter().chain(args).copied().collect();
    let run = world.run(&args);
    assert_eq!(run.code, code, "{args:?}\n{}{}", run.stdout, run.stderr);
    let document = run.json();
    assert_eq!(document["failed"], serde_json::json!([]), "{document}");
    document["replicas"][0].clone()
}

fn reasons(world: &World) -> Vec<String> {
    let status = world.status();
    status["holds"].as_array().unwrap().iter().map(|hold| hold["reason"].as_str().unwrap().to_owned()).collect()
}

fn what_did_not_change_is_skipped(world: &World, tables: u64) {
    // Counters of the last changes may be a moment late; then a table is compared once more.
    world.eventually("nothing is left to compare", || verify(world, &[], 0)["unchanged"] == tables);
    assert_eq!(verify(world, &["--full"], 0)["compared"], tables);
    let verification = world.status()["nodes"][1]["replication"]["verification"].clone();
    assert_eq!(verification["compared"], tables, "{verification}");
    assert_eq!(verification["mismatches"], 0, "{verification}");
    assert!(verification["last_compare"].as_str().unwrap().ends_with('Z'), "{verification}");
}

fn one_chunk_is_repaired(world: &World) {
    let chunk = second_chunk(world);
    let traces = || world.sql("replica", TRACES).lines().map(str::to_owned).collect::<Vec<_>>();
    let before = traces();
    let subscription = "select srrelid::regclass, srsubstate from pg_subscription_rel order by 1";
    let subscribed = world.sql("replica", subscription);
    world.sql(
        "replica",
        &format!(
            "{PAST_ALL_GUARDS} update {chunk} set close = 99 where volume = 1700; delete from {chunk} where volume = 1701;
            insert into {chunk} select * from {chunk} where volume = 1702 on conflict do nothing;
            insert into {chunk} select \"timestamp\", 'FAKE', open, high, low, close, volume, source from {chunk}
            where volume = 1702"
        ),
    );
    let planted = traces();
    let run = verify(world, &[], 1);
    assert_eq!(run["outcome"], "differs", "{run}");
    assert_eq!(run["compared"], 1, "only what changed is looked at: {run}");
    assert_eq!(run["tables"][0]["table"], chunk, "{run}");
    assert_eq!(run["tables"][0]["verdict"], "differs", "{run}");
    let status = world.status();
    assert_eq!(status["health"], "degraded", "{status}");
    assert_eq!(reasons(world), ["replica_differs"]);
    let verification = &status["nodes"][1]["replication"]["verification"];
    assert_eq!(verification["mismatches"], 1, "{verification}");
    assert_eq!(verification["differing"], serde_json::json!([chunk]), "{verification}");
    assert_eq!(traces(), planted, "looking changes nothing");

    let run = verify(world, &["--repair"], 0);
    assert_eq!(run["outcome"], "equal", "{run}");
    let repair = &run["tables"][0]["repair"];
    for (kind, rows) in [("changed", 1), ("only_on_primary", 1), ("only_on_replica", 1)] {
        assert_eq!(repair[kind], rows, "{kind}: {run}");
    }
    assert_eq!(repair["examples"][0]["key"]["symbol"], "NVDA", "{run}");
    let shown = repair["examples"].to_string();
    assert!(!shown.contains("99"), "rows are nobody's business, keys are all that is shown: {run}");
    assert_eq!(reasons(world), Vec::<String>::new());
    assert_eq!(world.fingerprint("primary", &chunk), world.fingerprint("replica", &chunk));

    let after = traces();
    let touched: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    assert_eq!(touched.len(), 1, "{touched:?}");
    assert!(touched[0].starts_with(&chunk), "{touched:?}");
    let (name_and_node, newest) =
        (|line: &str| line.split('|').take(2).collect::<Vec<_>>().join("|"), touched[0].split('|'));
    assert!(after.iter().any(|line| name_and_node(line) == name_and_node(touched[0])), "the chunk was not rewritten");
    let written = format!("select count(*) from {chunk} where xmin::text::bigint > {}", newest.clone().nth(2).unwrap());
    assert_eq!(world.sql("replica", &written), "2", "the changed row and the missing one");
    assert_eq!(world.sql("replica", subscription), subscribed, "the subscription was left alone");
    world.sql("primary", &format!("update {chunk} set close = 3 where volume = 1700"));
    world.eventually_equal(&chunk, "primary", "replica");
}

fn tables_of_every_kind_are_repaired(world: &World) {
    let tables = r#"
        create table trading."Odd ""name""" (
          "B b" int generated always as identity primary key, "A" numeric, twice numeric generated always as ("A" * 2) stored,
          at timestamptz default now(), doc jsonb, bytes bytea, pause interval);
        create table trading.bag (b text, a int);
        alter table trading.bag replica identity full;
        create type trading.mood as enum ('sad', 'ok');
        create table trading.moods (mood trading.mood primary key, level float8, list int[]);"#;
    world.sql("replica", &format!("set transaction read write; {tables}"));
    // Columns may stand in another order there.
    world.sql(
        "replica",
        "set transaction read write; drop table trading.bag; create table trading.bag (a int, b text);
        alter table trading.bag replica identity full",
    );
    world.sql("primary", tables);
    world.sql(
        "primary",
        r#"insert into trading."Odd ""name""" ("A", doc, bytes, pause)
            select i / 3.0, '{"a": 1}', '\x00ff', interval '1 month 3 days' from generate_series(1, 1000) i;
        insert into trading.bag select 'x', 1 from generate_series(1, 5);
        insert into trading.bag values (null, 2), ('y', null), ('y', null);
        insert into trading.moods values ('sad', 0.1, '{1,2}'), ('ok', '-0', null)"#,
    );
    world.eventually("the tables are copied", || reasons(world).is_empty());
    world.eventually_equal("trading.moods", "primary", "replica");
    assert_eq!(verify(world, &[], 0)["outcome"], "equal");

    world.sql(
        "replica",
        &format!(
            r#"{PAST_ALL_GUARDS} update trading."Odd ""name""" set "A" = 99 where "B b" = 5;
            delete from trading."Odd ""name""" where "B b" = 6;
            insert into trading."Odd ""name""" ("B b", "A") overriding system value values (5000, 1);
            delete from trading.bag where ctid = (select min(ctid) from trading.bag where b = 'x');
            insert into trading.bag (b, a) values ('y', null), ('z', 1);
            update trading.moods set level = 0.2 where mood = 'sad'"#
        ),
    );
    assert_eq!(verify(world, &[], 1)["tables"].as_array().unwrap().len(), 3);
    let run = verify(world, &["--repair"], 0);
    let bag = run["tables"].as_array().unwrap().iter().find(|table| table["table"] == "trading.bag").unwrap();
    assert_eq!(bag["repair"]["only_on_primary"], 1, "{bag}");
    assert_eq!(bag["repair"]["only_on_replica"], 2, "{bag}");
    assert_eq!(bag["repair"]["examples"], serde_json::json!([]), "without a key nothing is shown: {bag}");
    assert_eq!(verify(world, &["--full"], 0)["outcome"], "equal");
    let odd = r#"select "A" * 2 = twice from trading."Odd ""name""" where "B b" in (5, 6)"#;
    assert_eq!(world.sql("replica", odd), "t\nt", "generated columns follow");
}

async fn a_table_that_somebody_locks_is_busy(world: &World) {
    let writer = connect(world, world.ports[0], "app").await.unwrap();
    writer.batch_execute("begin; insert into trading.moods values ('ok', 1) on conflict do nothing").await.unwrap();
    world.sql("replica", &format!("{PAST_ALL_GUARDS} update trading.moods set level = 0.3 where mood = 'sad'"));
    let run = verify(world, &[], 75);
    assert_eq!(run["outcome"], "incomplete", "{run}");
    assert_eq!(run["tables"][0]["verdict"], "busy", "{run}");
    assert_eq!(reasons(world), Vec::<String>::new(), "what could not be compared is no difference");
    writer.batch_execute("rollback").await.unwrap();
    assert_eq!(verify(world, &["--repair"], 0)["tables"][0]["repair"]["changed"], 1);
}

fn writers_never_look_like_a_difference(world: &World) {
    // Large transactions are streamed, and applied by parallel workers, before they commit or roll back.
    world.sql("primary", "alter system set logical_decoding_work_mem = '64kB'");
    world.sql("primary", "select pg_reload_conf()");
    let is_over = AtomicBool::new(false);
    let results = std::thread::scope(|scope| {
        scope.spawn(|| write_until(world, &is_over));
        // Whatever happens here, the writers must end.
        let results = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let arrived = "select count(*) > 0 from trading.market_data where symbol like 'W0%'";
            world.eventually("the new chunk is mirrored", || world.sql("replica", arrived) == "t");
            (0..8).map(|_| world.run(&["--json", "replication", "verify"])).collect::<Vec<_>>()
        }));
        is_over.store(true, Ordering::Relaxed);
        results
    });
    let results = results.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    for run in &results {
        assert!(matches!(run.code, 0 | 75), "{}{}", run.stdout, run.stderr);
    }
    let equal = results.iter().filter(|run| run.code == 0).count();
    let said: Vec<&str> = results.iter().map(|run| run.stdout.as_str()).collect();
    assert!(equal > 2, "most rounds come to a result: {equal} of {}: {}", results.len(), said.join("\n"));
    assert_eq!(world.sql("primary", "select stream_txns > 0 from pg_stat_replication_slots"), "t");
    world.sql("primary", "alter system reset logical_decoding_work_mem");
    world.eventually_equal("trading.market_data", "primary", "replica");
    assert_eq!(verify(world, &[], 0)["outcome"], "equal");
}

/// Three writers to one new chunk: single rows; large transactions that commit; large ones that roll back. Each goes on when
/// the replica has applied what it wrote, however slow the machine is: one that falls further and further behind is not
/// compared at all.
fn write_until(world: &World, is_over: &AtomicBool) {
    let writer = async |number: u32| {
        let client = connect(world, world.ports[0], "postgres").await.unwrap();
        let mut round = 0;
        while !is_over.load(Ordering::Relaxed) {
            round += 1;
            let insert = |rows: u32| {
                format!(
                    "insert into trading.market_data (\"timestamp\", symbol, open, high, low, close, volume, source)
                     select timestamptz '2026-01-02' + i * interval '1 second', 'W{number}-{round}', 1, 2, 1, 1, i, 'w'
                     from generate_series(1, {rows}) i"
                )
            };
            let delete = format!("delete from trading.market_data where symbol = 'W1-{round}' and volume > 600");
            let statements = match number {
                0 => insert(1),
                1 => format!("begin; {}; {delete}; commit", insert(900)),
                _ => format!("begin; {}; rollback", insert(900)),
            };
            client.batch_execute(&statements).await.unwrap();
            let written: String =
                client.query_one("select pg_current_wal_insert_lsn()::text", &[]).await.unwrap().get(0);
            let is_applied = "select count(*) > 0 from pg_stat_replication where replay_lsn >= $1::text::pg_lsn";
            loop {
                tokio::time::sleep(Duration::from_millis(if number == 0 { 10 } else { 100 })).await;
                let applied: bool = client.query_one(is_applied, &[&written]).await.unwrap().get(0);
                if applied || is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::join!(writer(0), writer(1), writer(2)) });
}

fn the_agent_finds_a_difference_and_a_resync_settles_it(world: &World) {
    let chunk = second_chunk(world);
    world.sql("replica", &format!("{PAST_ALL_GUARDS} delete from {chunk} where volume = 1800"));
    // A replica that was never verified is verified at once.
    world.sql("primary", "delete from hypertide.verification");
    world.configure("");
    world.ok(&["up"]);
    world.eventually("the agent finds it", || reasons(world) == ["replica_differs"]);
    world.ok(&["replication", "resync"]);
    world.eventually("it is forgotten", || world.status()["health"] == "healthy");
    assert_eq!(world.fingerprint("primary", &chunk), world.fingerprint("replica", &chunk));
}
