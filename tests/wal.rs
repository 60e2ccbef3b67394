//! The archive of the log against real servers: each test has a cluster of its own, since it restarts things and fills stores.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "cluster/world.rs"]
#[allow(dead_code)]
mod world;

#[path = "backup/wal.rs"]
mod wal;
