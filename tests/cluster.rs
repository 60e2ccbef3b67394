//! The program itself against a real engine and real databases: each test has a cluster of its own, named at random.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "cluster/world.rs"]
mod world;

#[path = "cluster/backup_catalog.rs"]
mod backup_catalog;

#[path = "cluster/backup_schedule.rs"]
mod backup_schedule;

#[path = "cluster/bad_input.rs"]
mod bad_input;

#[path = "cluster/browser.rs"]
mod browser;

#[path = "cluster/compression.rs"]
mod compression;

#[path = "cluster/dashboards.rs"]
mod dashboards;

#[path = "cluster/doctor.rs"]
mod doctor;

#[path = "cluster/endpoint.rs"]
mod endpoint;

#[path = "cluster/failover.rs"]
mod failover;

#[path = "cluster/first_copy.rs"]
mod first_copy;

#[path = "cluster/http.rs"]
mod http;

#[path = "cluster/interrupted.rs"]
mod interrupted;

#[path = "cluster/logical.rs"]
mod logical;

#[path = "cluster/metrics.rs"]
mod metrics;

#[path = "cluster/migrations.rs"]
mod migrations;

#[path = "cluster/mirror.rs"]
mod mirror;

#[path = "cluster/monitoring.rs"]
mod monitoring;

#[path = "cluster/neighbours.rs"]
mod neighbours;

#[path = "cluster/outside.rs"]
mod outside;

#[path = "cluster/packs.rs"]
mod packs;

#[path = "cluster/page.rs"]
mod page;

#[path = "cluster/physical.rs"]
mod physical;

#[path = "cluster/promote.rs"]
mod promote;

#[path = "cluster/promote_logical.rs"]
mod promote_logical;

#[path = "cluster/prometheus.rs"]
mod prometheus;

#[path = "cluster/readme.rs"]
mod readme;

#[path = "cluster/secrets.rs"]
mod secrets;

#[path = "cluster/sequences.rs"]
mod sequences;

#[path = "cluster/sidecar.rs"]
mod sidecar;

#[path = "cluster/verify.rs"]
mod verify;

#[path = "cluster/switchover.rs"]
mod switchover;

#[path = "cluster/switchover_logical.rs"]
mod switchover_logical;

#[path = "cluster/synchronous.rs"]
mod synchronous;

#[path = "cluster/torture.rs"]
mod torture;
