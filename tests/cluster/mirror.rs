//! Chunks of every shape, and everything that can happen to them, on hypertables that hypertide did not make itself.

use serde_json::Value;

use crate::world::{World, write};

const ODD: &str = r#"create schema odd;
create table odd."Mixed Case" (
  "Id" bigint generated always as identity, "When" timestamptz not null, "Who" text not null, price float8 not null,
  twice float8 generated always as (price * 2) stored, primary key ("Id", "When", "Who"));
select create_hypertable('odd."Mixed Case"', by_range('When', interval '1 day'));
select add_dimension('odd."Mixed Case"', by_hash('Who', 3));
create table odd.ticks (n bigint primary key, v int not null);
select create_hypertable('odd.ticks', by_range('n', 100));
create function odd.newest() returns bigint language sql stable as $$ select 1000::bigint $$;
select set_integer_now_func('odd.ticks', 'odd.newest');
create table odd.days (d date primary key, v int);
select create_hypertable('odd.days', by_range('d', interval '7 days'));
create table odd.plain (id int primary key, v text);
create schema odd_chunks;
create table odd.fast (n bigint primary key, v int);
select create_hypertable('odd.fast', 'n', chunk_time_interval => 10, associated_schema_name => 'odd_chunks');
create function odd.note() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger always before insert on odd.days for each row execute function odd.note();
do $$ begin alter table odd.days enable always trigger always;
exception when feature_not_supported then null; -- not in 2.19
end $$;
"#;

const MANIFEST: &str =
    "name: odd\ndescription: Odd shapes\npublished: [odd]\nchunk_schemas: [odd_chunks]\nschemas: [odd, odd_chunks]\n";

/// Names and slices of all chunks of a hypertable.
fn chunks(world: &World, node: &str, hypertable: &str) -> String {
    let sql = format!(
        "select relation::regclass, slices from hypertide.chunks(array['{hypertable}'::regclass::oid]) order by relation::regclass::text"
    );
    world.sql(node, &sql)
}

const MIXED: &str = "odd.\"Mixed Case\"";
const HYPERTABLES: [&str; 4] = [MIXED, "odd.ticks", "odd.days", "odd.fast"];

fn is_mirrored(world: &World) {
    for hypertable in HYPERTABLES {
        world.eventually_equal(hypertable, "primary", "replica");
        world.eventually(&format!("chunks of {hypertable} are the same"), || {
            chunks(world, "primary", hypertable) == chunks(world, "replica", hypertable)
        });
    }
    world.eventually("the mirror is complete", || world.status()["health"] == "healthy");
}

/// Writes as a superuser can who insists.
fn tamper(world: &World, sql: &str) -> String {
    world.sql("replica", &format!("set transaction read write; set session_replication_role = replica; {sql}"))
}

fn reasons(status: &Value) -> Vec<String> {
    let holds = status["holds"].as_array().unwrap();
    holds.iter().map(|hold| hold["reason"].as_str().unwrap().to_owned()).collect()
}

fn is_held(world: &World, reason: &str, named: &str) {
    world.eventually(&format!("{reason} is told"), || {
        let status = world.status();
        status["health"] == "degraded" && reasons(&status).iter().any(|there| there == reason)
    });
    let status = world.status();
    assert!(status.to_string().contains(named), "{named} is not named: {status}");
}

#[test]
fn chunks_of_every_shape_are_mirrored_whatever_happens_to_them() {
    let world = World::new("packs: [./odd]\n");
    write(&world, "odd/pack.yaml", MANIFEST);
    write(&world, "odd/001_shapes.sql", ODD);
    world.ok(&["up"]);

    chunks_are_there_before_their_rows(&world);
    slices_are_the_publishers_own(&world);
    a_row_far_outside_arrives(&world);
    chunks_that_come_faster_than_a_pass_do_not_keep_rows_away(&world);
    what_the_publisher_drops_goes_and_may_come_back(&world);
    what_is_gone_before_it_came_stops_nothing(&world);
    what_the_subscriber_drops_comes_back(&world);
    what_is_in_the_way_is_told(&world);
    the_replica_takes_no_writes(&world);
    columns_change_in_the_safe_order(&world);
    world.is_converged();
}

fn chunks_are_there_before_their_rows(world: &World) {
    is_mirrored(world);
    // Now and two intervals ahead, in each of three slices of the hash; integers have a function that says what now is.
    for (hypertable, count) in [(MIXED, 9), ("odd.ticks", 3), ("odd.days", 3)] {
        assert_eq!(chunks(world, "replica", hypertable).lines().count(), count, "{hypertable}");
    }
    let rows = format!(
        "insert into {MIXED} (\"When\", \"Who\", price)
        select now() + i * interval '4 hours', 'who' || i, i from generate_series(0, 11) i"
    );
    let before = chunks(world, "primary", MIXED);
    world.sql("primary", &rows);
    assert_eq!(chunks(world, "primary", MIXED), before, "rows in the order of time find their chunks");
    world.eventually_equal(MIXED, "primary", "replica");
}

fn slices_are_the_publishers_own(world: &World) {
    let spread = |from: &str, step: &str| {
        world.sql(
            "primary",
            &format!(
                "insert into {MIXED} (\"When\", \"Who\", price)
            select timestamptz '{from}' + i * interval '{step}', 'who' || i % 9, i from generate_series(0, 40) i"
            ),
        );
    };
    spread("2024-03-01", "5 hours");
    // New chunks are cut at old ones: neither begin nor length is a multiple of the interval.
    world.sql("primary", &format!("select set_chunk_time_interval('{MIXED}', interval '7 days')"));
    spread("2024-02-20", "17 hours");
    world.sql("primary", &format!("select set_number_partitions('{MIXED}', 5, 'Who')"));
    spread("2024-05-01", "30 hours");
    world.sql("primary", &format!("select set_chunk_time_interval('{MIXED}', interval '6 hours')"));
    spread("2024-05-05", "13 hours");
    world.sql(
        "primary",
        "insert into odd.ticks select i * 37, i from generate_series(-20, 60) i;
        select set_chunk_time_interval('odd.ticks', 250);
        insert into odd.ticks select i * 41, i from generate_series(60, 120) i on conflict do nothing;
        insert into odd.days select date '1969-06-01' + i * 9, i from generate_series(0, 40) i",
    );
    is_mirrored(world);
    let partitioning =
        "select column_name, interval_length, num_slices from _timescaledb_catalog.dimension order by id";
    assert_eq!(world.sql("primary", partitioning), world.sql("replica", partitioning), "also for chunks to come");
    let shown = world.json(&["replication", "status"]).to_string();
    // Since 2.25 TimescaleDB adds them itself.
    assert!(shown.contains("\"polling\"") || shown.contains("\"auto\""), "{shown}");
}

/// How soon, `benches/replicate/late.rs` says.
fn a_row_far_outside_arrives(world: &World) {
    let writer = World::command(
        world,
        &[
            "psql",
            "primary",
            "--",
            "-qX",
            "-c",
            "select set_chunk_time_interval('odd.ticks', 1000)",
            "-c",
            "do $$ begin for i in 100000 .. 108000 loop insert into odd.ticks values (i, 0); commit; end loop; end $$",
        ],
    )
    .stdout(std::process::Stdio::null())
    .spawn();
    let mut writer = writer.unwrap();
    for year in 1..=3 {
        let insert = "insert into {MIXED} (\"When\", \"Who\", price) values ('201{year}-01-01', 'late {year}', 1)";
        let insert = insert.replace("{MIXED}", MIXED).replace("{year}", &year.to_string());
        world.sql("primary", &insert);
        let count = format!("select count(*) from {MIXED} where \"Who\" = 'late {year}'");
        world.eventually("the late row is there", || world.sql("replica", &count) == "1");
    }
    assert!(writer.wait().unwrap().success());
    is_mirrored(world);
}

/// Published in the transaction that makes them: there is always one that the replica does not have yet.
fn chunks_that_come_faster_than_a_pass_do_not_keep_rows_away(world: &World) {
    let rows = "do $$ begin
          for i in 1 .. 4000 loop
            exit when exists (select from odd.plain where id = -1);
            insert into odd.fast values (10 * i, i);
            commit;
            perform pg_sleep(0.02);
          end loop;
        end $$";
    let mut writer = world.command(&["psql", "primary", "--", "-qX", "-c", rows]).spawn().unwrap();
    world.eventually("rows arrive while chunks go on coming", || {
        world.sql("replica", "select count(*) >= 20 from odd.fast") == "t"
    });
    assert!(writer.try_wait().unwrap().is_none(), "the writer had stopped before");
    world.sql("primary", "insert into odd.plain values (-1, 'enough')");
    assert!(writer.wait().unwrap().success());
    is_mirrored(world);
}

fn what_the_publisher_drops_goes_and_may_come_back(world: &World) {
    world.sql("primary", &format!("select drop_chunks('{MIXED}', older_than => timestamptz '2024-04-01')"));
    world.sql("primary", &format!("insert into {MIXED} (\"When\", \"Who\", price) values ('2024-03-02', 'again', 1)"));
    is_mirrored(world);
    world.sql("primary", "truncate odd.days; insert into odd.days values ('2020-02-02', 2), (current_date, 1)");
    is_mirrored(world);
    world
        .eventually("no place is kept", || world.sql("replica", "select count(*) from hypertide.retired_chunk") == "0");
}

/// Its rows are on their way all the same, for tables that are nowhere.
fn what_is_gone_before_it_came_stops_nothing(world: &World) {
    let passing = "insert into odd.fast select n, 0 from generate_series(2000000, 2000020, 10) n;
        select drop_chunks('odd.fast', newer_than => 1999999);
        insert into odd.fast values (10, 77) on conflict (n) do update set v = 77";
    world.sql("primary", passing);
    is_mirrored(world);
    // A table that is no chunk has columns that nobody knows any more.
    world.sql(
        "primary",
        "create table odd.passing (id int primary key); insert into odd.passing values (1); drop table odd.passing",
    );
    is_held(world, "wants_dropped_table", "odd.passing");
    tamper(world, "create table odd.passing (id int primary key)");
    world.sql("primary", "update odd.plain set v = 'after'");
    world.eventually_equal("odd.plain", "primary", "replica");
    tamper(world, "drop table odd.passing");
    is_mirrored(world);
}

fn what_the_subscriber_drops_comes_back(world: &World) {
    tamper(world, "select _timescaledb_functions.drop_chunk(c) from show_chunks('odd.ticks') c limit 2");
    world.sql("primary", "update odd.ticks set v = v + 1");
    is_mirrored(world);
    tamper(world, "drop trigger \"!hypertide_read_only\" on odd.ticks; alter table odd.plain disable trigger all");
    the_replica_takes_no_writes(world);
}

fn what_is_in_the_way_is_told(world: &World) {
    let next = world.sql("primary", "select last_value + 1 from _timescaledb_catalog.chunk_id_seq");
    let id = world.sql("primary", "select id from _timescaledb_catalog.hypertable where table_name = 'days'");
    let name = format!("_timescaledb_internal._hyper_{id}_{next}_chunk");
    tamper(world, &format!("create table {name} (mine int)"));
    world.sql("primary", "insert into odd.days values ('2010-10-10', 10)");
    is_held(world, "name_clash", &name);
    tamper(world, &format!("drop table {name}"));
    is_mirrored(world);
}

fn the_replica_takes_no_writes(world: &World) {
    let chunk = world.sql("replica", "select tableoid::regclass from odd.ticks limit 1");
    let refused = |sql: &str| {
        let run = world.run(&[
            "psql",
            "replica",
            "--",
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            &format!("set transaction read write; {sql}"),
        ]);
        run.code != 0 && run.stderr.contains("takes no writes")
    };
    world.eventually("tables refuse writes", || {
        [
            "insert into odd.ticks values (1, 1)",
            "update odd.ticks set v = 0",
            "delete from odd.plain",
            "truncate odd.ticks",
            "insert into odd.plain values (1, 'x')",
            &format!("delete from {chunk}"),
            &format!("insert into {chunk} select * from {chunk} limit 1"),
        ]
        .iter()
        .all(|sql| refused(sql))
    });
    world.sql("primary", "insert into odd.plain values (1, 'a') on conflict (id) do update set v = odd.plain.v || 'a'");
    world.eventually_equal("odd.plain", "primary", "replica");
}

fn columns_change_in_the_safe_order(world: &World) {
    // By hand, on one side only: told before a row stops the subscription.
    world.sql("primary", "alter table odd.plain add column more int");
    is_held(world, "columns_differ", "column more is missing here");
    world.sql("primary", "alter table odd.plain drop column more");
    world.eventually("the columns are the same again", || world.status()["health"] == "healthy");

    // Rows with the old column are on their way while it is taken away; a backfill runs where rows come from.
    write(
        world,
        "odd/002_more.sql",
        "alter table odd.ticks add column more int;\nupdate odd.ticks set more = v + 1;\n",
    );
    write(
        world,
        "odd/003_less.sql",
        "alter table odd.ticks drop column v;\nalter table odd.plain rename column v to w;\n",
    );
    world.sql("primary", "update odd.ticks set v = v + 1");
    world.ok(&["schema", "apply"]);
    world.sql("primary", "insert into odd.plain values (2, 'b'); update odd.ticks set more = more + 1 where n > 500");
    world.eventually_equal("odd.plain", "primary", "replica");
    is_mirrored(world);
    assert_eq!(world.sql("primary", "select count(*) from odd.ticks where more is null"), "0");
}
