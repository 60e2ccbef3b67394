//! The first copy of a logical replica: killed in the middle, under writers, and while chunks come and go.

use std::process::Stdio;
use std::time::Duration;

use crate::world::{World, write};

const MANIFEST: &str = "name: wide\ndescription: Many chunks\npublished: [wide]\nchunk_schemas: [wide_chunks]\nschemas: [wide, wide_chunks]\n";

const TABLES: &str = r#"create schema wide;
create schema wide_chunks;
create table wide."Readings" (n bigint, "Who" text, v int, twice int generated always as (v * 2) stored, primary key (n, "Who"));
select create_hypertable('wide."Readings"', 'n', chunk_time_interval => 50, associated_schema_name => 'wide_chunks');
create table wide.inside (n bigint primary key, v int);
select create_hypertable('wide.inside', 'n', chunk_time_interval => 100);
create table wide.people (id bigint generated always as identity primary key, name text not null);
create table wide.letters (id int primary key, writer bigint not null references wide.people, text text);
"#;

const ROWS: &str = r#"insert into wide."Readings" (n, "Who", v) select n, 'a' || n, n from generate_series(1, 4000) n;
insert into wide.inside select n, n from generate_series(1, 2000) n;
insert into wide.people (name) select 'person ' || n from generate_series(1, 50) n;
insert into wide.letters select n, 1 + n % 50, repeat('x', 1000) from generate_series(1, 5000) n;
"#;

/// Until somebody says stop: new chunks, late rows, changes and drops.
const WRITER: &str = r#"do $$ begin
  for i in 1 .. 100000 loop
    exit when exists (select from wide.people where name = 'stop');
    insert into wide."Readings" (n, "Who", v) values (4000 + i * 3, 'new', i), (i, 'late', i);
    update wide."Readings" set v = v + 1 where n = 1 + (i * 37) % 4000 and "Who" like 'a%';
    delete from wide.inside where n = i * 5;
    insert into wide.inside values (100000 + i, i);
    update wide.letters set text = 'changed ' || i where id = 1 + i % 5000;
    commit;
    if i % 20 = 0 then perform drop_chunks('wide."Readings"', older_than => i); commit; end if;
    perform pg_sleep(0.02);
  end loop;
end $$"#;

const ALL: [&str; 4] = ["wide.\"Readings\"", "wide.inside", "wide.people", "wide.letters"];

/// On the replica: makes the copy of one table last some seconds.
const SLOW: &str = r"set transaction read write;
create function wide.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.001); return new; end $$;
create trigger slowly before insert on wide.letters for each row execute function wide.slowly();
alter table wide.letters enable always trigger slowly";

#[test]
fn a_first_copy_lacks_nothing_whatever_happens_meanwhile() {
    let world = World::new("packs: [./wide]\n");
    write(&world, "wide/pack.yaml", MANIFEST);
    write(&world, "wide/001_tables.sql", TABLES);
    world.ok(&["up"]);
    world.sql("primary", ROWS);
    world.sql("replica-1", SLOW);
    let mut writer =
        world.command(&["psql", "primary", "--", "-qX", "-c", WRITER]).stdout(Stdio::null()).spawn().unwrap();

    for (turn, verb) in [&["replication", "resync", "replica-1"][..], &["up"], &["up"]].into_iter().enumerate() {
        let mut copying = world.command(verb).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        world.eventually("the first copy is under way", || is_copying(&world));
        std::thread::sleep(Duration::from_millis(400 * turn as u64));
        copying.kill().unwrap();
        copying.wait().unwrap();
        world.eventually("nothing runs any more", || !is_copying(&world));
        assert_eq!(world.sql("replica-1", "select count(*) from pg_subscription"), "0", "it was cut short");
        assert_ne!(world.status()["health"], "healthy", "what was cut short is not called complete");
    }
    world.sql("replica-1", "set transaction read write; drop trigger slowly on wide.letters");
    world.ok(&["up"]);
    assert!(writer.try_wait().unwrap().is_none(), "the writer had stopped before");
    world.sql("primary", "insert into wide.people (name) values ('stop')");
    assert!(writer.wait().unwrap().success());
    for table in ALL {
        world.eventually_equal(table, "primary", "replica-1");
    }
    world.eventually("all is well", || world.status()["health"] == "healthy");
    assert_eq!(world.sql("replica-1", "select count(*) from hypertide.first_copy"), "0");
    assert_eq!(
        world.sql("primary", "select string_agg(slot_name, ',') from pg_replication_slots"),
        "hypertide_replica_1"
    );
    // Whoever exported a snapshot has gone.
    let exporters = "select count(*) from pg_stat_activity where backend_type = 'walsender' and state <> 'active'";
    world.eventually("no exporter is left", || world.sql("primary", exporters) == "0");

    // The agent's mirror goes on from there.
    world.sql("primary", "insert into wide.\"Readings\" (n, \"Who\", v) values (9000000, 'after', 1)");
    world.eventually_equal(ALL[0], "primary", "replica-1");
    world.is_converged();
}

fn is_copying(world: &World) -> bool {
    let status = world.status();
    status["holds"].as_array().unwrap().iter().any(|hold| hold["reason"] == "copying")
        && world.sql("replica-1", "select count(*) from pg_subscription") == "0"
}
