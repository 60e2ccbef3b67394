//! Compression by somebody's own hand on a hypertable that is mirrored: told at once, and undone by a resync.
//!
//! With an image of the community edition, that is; an Apache server refuses to compress in the first place.

use crate::world::{World, write};

const BARS: &str = "create schema squeeze;
create table squeeze.bars (at timestamptz, symbol text, v float8, primary key (at, symbol));
select create_hypertable('squeeze.bars', by_range('at', interval '1 day'));
";

const ROWS: &str = "insert into squeeze.bars select timestamptz '2024-01-01' + i * interval '1 hour', 'S' || i % 3, i
    from generate_series(0, 99) i";

/// A statement for each chunk with rows.
const COMPRESS: &str =
    "select compress_chunk(c) from show_chunks('squeeze.bars', older_than => timestamptz '2024-02-01') c";
const DECOMPRESS: &str =
    "select decompress_chunk(c) from show_chunks('squeeze.bars', older_than => timestamptz '2024-02-01') c";

#[test]
fn compression_by_hand_is_told_within_one_pass_and_a_resync_makes_good() {
    let world = World::new("packs: [./squeeze]\n");
    write(&world, "squeeze/pack.yaml", "name: squeeze\ndescription: Bars\npublished: [squeeze]\nschemas: [squeeze]\n");
    write(&world, "squeeze/001_bars.sql", BARS);
    world.ok(&["up"]);
    world.sql("primary", ROWS);
    world.eventually_equal("squeeze.bars", "primary", "replica");
    world.eventually("the mirror is complete", || world.status()["health"] == "healthy");

    if world.sql("primary", "show timescaledb.license") == "apache" {
        is_refused(&world);
        return;
    }
    let chunk = world
        .sql("primary", "select c from show_chunks('squeeze.bars', older_than => timestamptz '2024-02-01') c limit 1");

    world.sql(
        "primary",
        "alter table squeeze.bars set (timescaledb.compress, timescaledb.compress_segmentby = 'symbol')",
    );
    is_told(&world, "compressed_hypertable", "squeeze.bars");
    world.sql("primary", COMPRESS);
    is_told(&world, "compressed_chunk", &chunk);
    // What loses rows without a word: they go into a compressed chunk, and are compressed again.
    world.sql("primary", "insert into squeeze.bars values ('2024-01-02 00:30+00', 'S0', -1)");
    world.sql("primary", COMPRESS);
    is_told(&world, "compressed_chunk", &chunk);
    world.sql("primary", DECOMPRESS);
    is_told(&world, "compressed_hypertable", "squeeze.bars");
    let shown = world.status().to_string();
    assert!(!shown.contains("compressed_chunk"), "none is any more: {shown}");

    world.sql("primary", "alter table squeeze.bars set (timescaledb.compress = false)");
    assert!(!world.status().to_string().contains("compressed"), "nothing is any more");
    world.ok(&["replication", "resync"]);
    world.eventually("the mirror is complete again", || world.status()["health"] == "healthy");
    let equal = world.eventually_equal("squeeze.bars", "primary", "replica");
    assert!(equal.starts_with("101|"), "{equal}");
    world.is_converged();
}

/// The very next look knows.
fn is_told(world: &World, reason: &str, named: &str) {
    let status = world.status();
    assert_eq!(status["health"], "degraded", "{status}");
    let holds = status["holds"].as_array().unwrap();
    let names_it = |hold: &&serde_json::Value| hold["reason"] == reason && hold.to_string().contains(named);
    assert!(holds.iter().any(|hold| names_it(&hold)), "{reason} of {named}: {status}");
    world.eventually("the agent's log tells it", || world.run(&["logs", "agent"]).stdout.contains(named));
}

fn is_refused(world: &World) {
    let refused = |sql: &str| {
        let run = world.run(&["psql", "primary", "--", "-qX", "-v", "VERBOSITY=sqlstate", "-c", sql]);
        run.code != 0 && run.stderr.contains("0A000")
    };
    assert!(refused(COMPRESS), "the Apache edition compresses nothing");
    assert!(refused("alter table squeeze.bars set (timescaledb.compress)"), "nor may it be asked to");
    assert_eq!(world.status()["health"], "healthy");
}
