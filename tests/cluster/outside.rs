//! Publications for consumers outside the cluster and subscriptions to other servers, with a database of its own on the
//! replica's server as both the consumer and the other server.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{World, write};

const FEED: &str = "publications:
  - name: orders_feed
    tables:
      - {table: trading.symbols, columns: [symbol, name]}
      - {table: trading.orders, columns: [order_id, timestamp, symbol], where: \"symbol = 'USDCOP' -- only\"}
    operations: [insert]
    reclaim: RECLAIM
";

fn feed(reclaim: &str) -> String {
    FEED.replace("RECLAIM", reclaim)
}

/// Runs SQL in another database of a node.
fn sql_in(world: &World, node: &str, database: &str, sql: &str) -> String {
    world
        .ok(&["psql", node, "--", "-d", database, "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .stdout
        .trim()
        .to_owned()
}

/// Tables of a publication, chunks left out, with columns and filter.
fn published(world: &World, publication: &str) -> String {
    let sql = format!(
        "select string_agg(tablename || ' ' || attnames::text || coalesce(' ' || rowfilter, ''), '; ' order by tablename)
         from pg_publication_tables where pubname = '{publication}' and schemaname <> 'trading_chunks'"
    );
    world.sql("primary", &sql)
}

/// Chunks of a publication that have the filter, and all chunks of orders.
fn chunks(world: &World) -> (u32, u32) {
    let published = "select count(*) from pg_publication_tables
        where pubname = 'orders_feed' and schemaname = 'trading_chunks' and rowfilter is not null
          and attnames::text[] <@ array['order_id', 'timestamp', 'symbol']";
    let there = "select count(*) from show_chunks('trading.orders')";
    (world.sql("primary", published).parse().unwrap(), world.sql("primary", there).parse().unwrap())
}

fn insert_orders(world: &World, days: u32) {
    world.sql(
        "primary",
        &format!(
            "insert into trading.orders (\"timestamp\", symbol, side, quantity)
             select timestamptz '2025-01-01' + i * interval '1 day', s, 'buy', 1
             from generate_series(0, {days} - 1) i, unnest(array['USDCOP', 'NVDA']) s on conflict do nothing"
        ),
    );
}

fn publication(status: &Value) -> &Value {
    &status["publications"][0]
}

fn reasons(status: &Value, what: &str) -> Vec<String> {
    let holds = status["holds"].as_array().unwrap().iter().filter(|hold| hold["what"] == what);
    holds.map(|hold| hold["reason"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn outside_consumers_get_exactly_what_is_declared_chunk_by_chunk() {
    let world = World::new(&feed("delete"));
    // Declared before it exists: the rest goes on.
    world.ok(&["up"]);
    let status = world.status();
    assert_eq!(reasons(&status, "orders_feed"), ["no_table"], "{status}");
    assert_eq!(publication(&status)["state"], "incomplete");
    for node in ["primary", "replica"] {
        world.sql(
            node,
            "set transaction read write; create table trading.symbols (symbol text primary key, name text, secret text)",
        );
    }
    world.ok(&["up"]);
    world.eventually("all is well", || world.status()["health"] == "healthy");
    world.is_converged();
    assert_eq!(
        published(&world, "orders_feed"),
        "orders {timestamp,symbol,order_id} (symbol = 'USDCOP'::text); symbols {symbol,name}"
    );

    // Chunks that traffic makes are published soon, with the same columns and rows.
    insert_orders(&world, 30);
    let began = Instant::now();
    world.eventually("new chunks are published", || {
        let (published, there) = chunks(&world);
        published == there && there > 4
    });
    // A second on a quiet machine; this one may be busy.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    consumer_gets_the_rows(&world);
    let status = world.status();
    let (count, _) = chunks(&world);
    let told = publication(&status);
    assert_eq!((told["state"].as_str(), told["reclaim"].as_str()), (Some("published"), Some("delete")), "{status}");
    assert_eq!((told["tables"].as_u64(), told["chunks"].as_u64()), (Some(2), Some(count.into())), "{status}");
    assert!(world.ok(&["replication", "status"]).stdout.contains("orders_feed"));
    assert_eq!(world.json(&["replication", "status"])["publications"][0]["name"], "orders_feed");

    what_is_changed_by_hand_or_in_the_file_is_put_right(&world);
    an_entry_that_disappears(&world);
    what_cannot_be_published_is_named_and_stops_nothing(&world);
}

fn consumer_gets_the_rows(world: &World) {
    let chunks = world.sql("primary", "select string_agg(c::text, ' ') from show_chunks('trading.orders') c");
    sql_in(world, "replica", "postgres", "create database consumer");
    let in_consumer = |sql: &str| sql_in(world, "replica", "consumer", sql);
    let columns = "(\"timestamp\" timestamptz, symbol text, order_id uuid primary key)";
    in_consumer(
        "create schema trading; create schema trading_chunks; create table trading.symbols (symbol text, name text)",
    );
    for table in chunks.split(' ').chain(["trading.orders"]) {
        in_consumer(&format!("create table {table} {columns}"));
    }
    world.sql("primary", "insert into trading.symbols values ('USDCOP', 'Peso', 'secret')");
    in_consumer(&format!(
        "create subscription mine connection 'host={} user=replicator dbname=trading_data
         passfile=/var/lib/postgresql/data/hypertide/pgpass' publication orders_feed",
        world.container("primary-1")
    ));
    let all = format!(
        "select count(*), min(symbol), max(symbol) from ({}) as all_chunks",
        chunks.split(' ').map(|chunk| format!("table {chunk}")).collect::<Vec<_>>().join(" union all ")
    );
    world.eventually("the consumer has the copy", || in_consumer(&all) == "30|USDCOP|USDCOP");
    insert_orders(world, 30);
    world.sql(
        "primary",
        "insert into trading.orders (\"timestamp\", symbol, side, quantity)
         select '2025-01-05', s, 'sell', 2 from unnest(array['USDCOP', 'NVDA']) s",
    );
    world.eventually("what came later arrives, too", || {
        in_consumer(&all) == "62|USDCOP|USDCOP" || in_consumer(&all) == "61|USDCOP|USDCOP"
    });
    assert_eq!(in_consumer("select * from trading.symbols"), "USDCOP|Peso");
    in_consumer("drop subscription mine");
}

fn what_is_changed_by_hand_or_in_the_file_is_put_right(world: &World) {
    let before = published(world, "orders_feed");
    world.sql("primary", "alter publication orders_feed set table trading.symbols where (symbol > 'A')");
    world.ok(&["up"]);
    assert_eq!(published(world, "orders_feed"), before);
    let (published_chunks, there) = chunks(world);
    assert_eq!(published_chunks, there);
    world.configure(&feed("delete").replace("USDCOP", "NVDA"));
    world.ok(&["up"]);
    assert_eq!(published(world, "orders_feed"), before.replace("USDCOP", "NVDA"));
    let stale =
        "select count(*) from pg_publication_tables where pubname = 'orders_feed' and rowfilter like '%USDCOP%'";
    assert_eq!(world.sql("primary", stale), "0");
    world.is_converged();
}

fn an_entry_that_disappears(world: &World) {
    let is_there =
        |name: &str| world.sql("primary", &format!("select count(*) from pg_publication where pubname = '{name}'"));
    world.configure("");
    world.ok(&["up"]);
    assert_eq!(is_there("orders_feed"), "0", "it was to be dropped");
    assert_eq!(world.status()["publications"], serde_json::json!([]));

    // Whole schemas, whose hypertables have their chunks elsewhere.
    world.configure("publications: [{name: whole, schemas: [trading], operations: [insert]}]\n");
    world.ok(&["up"]);
    let covered = "select count(*) from show_chunks('trading.orders') chunk
        where chunk::text not in (select schemaname || '.' || tablename from pg_publication_tables where pubname = 'whole')";
    assert_eq!(world.sql("primary", covered), "0");
    world.configure("");
    world.ok(&["up"]);
    assert_eq!(is_there("whole"), "1", "it was to stay");
    let status = world.status();
    assert_eq!(
        (&publication(&status)["managed"], &status["health"]),
        (&Value::Bool(false), &"healthy".into()),
        "{status}"
    );
    world.is_converged();
    world.sql("primary", "drop publication whole");
}

fn what_cannot_be_published_is_named_and_stops_nothing(world: &World) {
    world.sql("primary", "create publication somebodys for table trading.symbols");
    world.configure(
        "publications:
  - {name: somebodys, tables: [trading.orders]}
  - {name: by_symbol, tables: [{table: trading.orders, where: symbol = 'A'}, trading.positions]}
  - {name: nonsense, tables: [{table: trading.orders, where: simbol = 'A'}]}
  - {name: sly, tables: [{table: trading.orders, where: 'true); drop table trading.symbols; --'}]}
  - {name: keyless, tables: [{table: trading.orders, columns: [symbol]}]}
  - {name: view, tables: [analytics.dual_ticker_summary]}
",
    );
    let plan = world.json(&["up", "--plan"]);
    let steps: Vec<&str> =
        plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert!(steps.contains(&"create_outside_publication"), "{plan}");
    world.ok(&["up"]);
    let status = world.status();
    for (what, reason) in [
        ("somebodys", "not_ours"),
        ("by_symbol", "filter_beyond_identity"),
        ("nonsense", "filter_refused"),
        ("sly", "filter_refused"),
        ("keyless", "columns_lack_identity"),
        ("view", "not_publishable"),
    ] {
        assert_eq!(reasons(&status, what), [reason], "{status}");
    }
    assert!(published(world, "by_symbol").starts_with("positions "), "the rest of it is published");
    assert!(published(world, "somebodys").starts_with("symbols "), "it was not ours");
    assert_eq!(status["health"], "degraded");
    // Nothing that was held is in an application's way.
    world.sql("primary", "update trading.orders set status = 'filled'; update trading.positions set quantity = 0");
    world.configure("");
    world.sql("primary", "drop publication somebodys, by_symbol");
    world.ok(&["up"]);
    world.is_converged();
}

#[tokio::test]
async fn the_primary_subscribes_to_another_server_and_says_how_it_goes() {
    let world = World::new("");
    world.ok(&["up"]);
    sql_in(&world, "replica", "postgres", "create database ref");
    let table = "create schema reference; create table reference.instruments (symbol text primary key, name text)";
    sql_in(&world, "replica", "ref", table);
    sql_in(
        &world,
        "replica",
        "ref",
        "grant usage on schema reference to replicator; grant select on reference.instruments to replicator;
         insert into reference.instruments values ('USDCOP', 'Peso'); create publication ref_pub for table reference.instruments",
    );
    let declared = |host: &str, more: &str| {
        format!(
            "subscriptions:
  - name: reference_data
    from: {{host: {host}, database: ref, user: replicator, password_file: secrets/ref}}
    publications: [ref_pub]
    {more}
"
        )
    };
    let there = world.container("replica-1");
    let held = |reason: &str| {
        let status = world.status();
        assert_eq!(reasons(&status, "reference_data"), [reason], "{status}");
        assert_eq!(status["nodes"][1]["role"], "subscriber", "the cluster itself works: {status}");
    };

    // Whatever is wrong with it, `up` does the rest.
    world.configure(&declared(&there, "reclaim: delete"));
    world.ok(&["up"]);
    held("no_password");
    let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    let password = pgpass.lines().find_map(|line| line.strip_prefix("*:*:*:replicator:")).unwrap();
    write(&world, "secrets/ref", "wrong password\n");
    let run = world.ok(&["up"]);
    assert!(
        run.stdout.contains("server_refused") || run.stdout.contains("password authentication failed"),
        "{}",
        run.stdout
    );
    write(&world, "secrets/ref", &format!("{password}\n"));
    let run = world.ok(&["up"]);
    assert!(run.stdout.contains("does not exist"), "the table is not here yet: {}", run.stdout);
    let slots = "select count(*) from pg_replication_slots where slot_name = 'reference_data'";
    assert_eq!(world.sql("replica", slots), "0", "a refusal leaves no slot behind");

    world.sql("primary", table);
    world.ok(&["up"]);
    world.eventually("it streams", || world.status()["subscriptions"][0]["state"] == "streaming");
    world.eventually("the copy is there", || world.sql("primary", "table reference.instruments") == "USDCOP|Peso");
    sql_in(&world, "replica", "ref", "insert into reference.instruments values ('EURUSD', 'Euro')");
    world.eventually("changes arrive", || world.sql("primary", "select count(*) from reference.instruments") == "2");
    world.is_converged();
    let status = world.status();
    let told = &status["subscriptions"][0];
    assert_eq!(
        (&told["managed"], &told["errors"], &told["reclaim"]),
        (&true.into(), &0.into(), &"delete".into()),
        "{status}"
    );
    assert!(world.ok(&["replication", "status"]).stdout.contains("reference_data"));
    let catalog = world.sql("primary", "select subconninfo from pg_subscription");
    assert!(!catalog.contains(password) && catalog.contains("outside.pgpass"), "{catalog}");
    assert!(!world.run(&["logs", "--tail", "1000"]).stdout.contains(password));

    world.sql("primary", "alter subscription reference_data disable");
    held("subscription_disabled");
    world.sql("primary", "alter subscription reference_data enable");
    world.eventually("it streams again", || world.status()["health"] == "healthy");

    // Gone with its slot; or kept when it was to stay.
    world.configure("");
    world.ok(&["up"]);
    assert_eq!(world.status()["subscriptions"], serde_json::json!([]));
    assert_eq!(world.sql("replica", slots), "0");
    world.configure(&declared(&there, "copy_data: off"));
    world.ok(&["up"]);
    world.configure("");
    world.ok(&["up"]);
    let status = world.status();
    assert_eq!(
        (&status["subscriptions"][0]["managed"], &status["health"]),
        (&false.into(), &"healthy".into()),
        "{status}"
    );
    assert_eq!(world.sql("replica", slots), "1");

    // A server that cannot be found: told, with everything else done.
    world.sql("primary", "drop subscription reference_data");
    world.configure(&declared("nowhere.invalid", ""));
    let run = world.ok(&["up"]);
    assert!(run.stdout.contains("nowhere.invalid"), "{}", run.stdout);
    held("needs_up");
}
