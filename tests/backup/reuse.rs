//! Fingerprints that an earlier backup left: a later one, from the standby as well, takes over those that certainly still hold and
//! no other.

use hypertide::postgres::setup::CATALOG;
use serde_json::Value;

use crate::shared::shared;
use crate::shelf::{Shelf, stocked};
use crate::world::World;

fn backup(world: &World, shelf: &Shelf, from: &str) -> Value {
    let manifest = shelf.good(world, &["backup", "run", "--kind", "full", "--from", from]);
    assert_eq!(manifest["source"]["node"], from);
    manifest
}

fn reused(manifest: &Value) -> u64 {
    manifest["totals"]["reused"].as_u64().unwrap()
}

#[test]
fn a_later_backup_takes_over_what_did_not_change_and_nothing_else() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let config = stocked(world, "reused", dir.path());
    let psql = |node, sql: &str| {
        let args = ["psql", node, "--", "-AtqX", "-v", "ON_ERROR_STOP=1", "-d", "reused", "-c", sql];
        world.ok(&args).stdout.trim().to_owned()
    };
    psql("primary", &CATALOG.concat());
    psql("primary", "insert into hypertide.node (node, seat, epoch) values ('primary-1', 'primary', 1)");
    let shelf = Shelf::disk(&config);
    for (node, other) in [("replica-1", "primary-1"), ("primary-1", "replica-1")] {
        psql("primary", "truncate hypertide.chunk_fingerprint");
        assert_eq!(reused(&backup(world, &shelf, node)), 0, "nothing was kept");
        world.eventually("everything is taken over", || reused(&backup(world, &shelf, node)) >= 4);
        world.eventually("what is kept serves another node's", || reused(&backup(world, &shelf, other)) >= 4);
        // Counted on the primary, and with the standby a moment later.
        psql("primary", "update shop.events set body = '\\x00' where at = (select max(at) from shop.events)");
        psql("primary", "update shop.kinds set name = name || '!' where id = 7");
        let manifest = backup(world, &shelf, node);
        let drilled = shelf.good(world, &["backup", "drill", manifest["id"].as_str().unwrap()]);
        assert_eq!(drilled["drills"][0]["outcome"], "equal", "{drilled:#}");
    }
}
