//! One cluster for all tests of this program: a primary and a standby, made when the first test asks for it, with two
//! hypertables, one of them with a hash dimension, a foreign key, a trigger, identity columns, and 50 chunks.
//!
//! Tests read it and change nothing in `trading_data`; what they want to change they make in a database of their own.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use hypertide::config;
use hypertide::docker::engine::Engine;
use hypertide::model::names::{Ident, NodeName};
use hypertide::site::{Reach, Site};

use crate::world::World;

/// What is in the database, made once.
const DATABASE: &str = include_str!("database.sql");

/// Names the test that is no test: it waits for the end of the process that began it.
const REAPER: &str = "shared::reaper";

/// The reaper's configuration.
const REAPED: &str = "HYPERTIDE_TEST_REAPED";

/// The cluster.
pub fn shared() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut world = World::new("");
        // A job that runs only when somebody asks.
        let store = world.dir.path().join("store");
        world.configure(&format!(
            "packs: []\nreplication: {{mode: physical}}\nbackups: [{{name: by-hand, kind: full, store: \"file://{}\"}}]\n",
            store.display()
        ));
        world.dir.disable_cleanup(true);
        reap(&world);
        world.ok(&["up"]);
        world.sql("primary", DATABASE);
        assert_eq!(world.sql("primary", "select count(*) from timescaledb_information.chunks"), "50");
        world
    })
}

/// The cluster as hypertide's own code sees it.
pub async fn site(world: &World) -> Site {
    let loaded = config::load(Some(&world.config())).unwrap();
    Site::new(loaded.desired, Engine::connect().await.unwrap(), Reach::Published, world.state_dir())
}

/// The shared cluster's primary.
pub fn primary() -> NodeName {
    NodeName::new("primary-1").unwrap()
}

/// The shared cluster's database.
pub fn database() -> Ident {
    Ident::new("trading_data").unwrap()
}

/// Begins a process that removes the world when this one has ended, in whatever way: nothing drops a static.
fn reap(world: &World) {
    let mut reaper = Command::new(std::env::current_exe().unwrap());
    reaper
        .args(["--exact", REAPER, "--ignored", "--quiet"])
        .env(REAPED, format!("{}\n{}", world.cluster, world.dir.path().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not by the Ctrl-C that ends this one.
        .process_group(0);
    // Its standard input ends with this process.
    std::mem::forget(reaper.spawn().unwrap());
}

#[test]
#[ignore = "removes the shared cluster when the tests have ended"]
fn reaper() {
    let Ok(what) = std::env::var(REAPED) else { return };
    let (cluster, dir) = what.split_once('\n').unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let _ = std::fs::remove_dir_all(dir);
    // Dropped at once: the containers with it.
    World { dir: tempfile::tempdir().unwrap(), cluster: cluster.to_owned(), ports: Vec::new(), agent_port: 0 };
}
