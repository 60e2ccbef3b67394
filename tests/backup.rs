//! Backups against a real engine and real servers. The tests share one cluster with a small database (`shared`), which none of
//! them changes; it is removed when the process ends.

#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

#[path = "cluster/world.rs"]
#[allow(dead_code)]
mod world;

#[path = "backup/base.rs"]
mod base;

#[path = "backup/shared.rs"]
mod shared;

#[path = "s3/server.rs"]
#[allow(dead_code)]
mod server;

#[path = "s3/faults.rs"]
#[allow(dead_code)]
mod faults;

#[path = "backup/mishaps.rs"]
mod mishaps;

#[path = "backup/bucket_agent.rs"]
mod bucket_agent;

#[path = "backup/kills.rs"]
mod kills;

#[path = "backup/shelf.rs"]
mod shelf;

#[path = "backup/agent.rs"]
mod agent;

#[path = "backup/dumps.rs"]
mod dumps;

#[path = "backup/made.rs"]
mod made;

#[path = "backup/drill.rs"]
mod drill;

#[path = "backup/restore.rs"]
mod restore;

#[path = "backup/verbs.rs"]
mod verbs;

#[path = "backup/reuse.rs"]
mod reuse;

#[path = "backup/tls.rs"]
mod tls;

#[path = "backup/sandbox.rs"]
mod sandbox;

#[path = "backup/tools.rs"]
mod tools;
