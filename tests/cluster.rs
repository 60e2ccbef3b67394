//! The program itself against a real engine and real databases: each test has a cluster of its own, named at random.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "cluster/world.rs"]
mod world;

#[path = "cluster/bad_input.rs"]
mod bad_input;

#[path = "cluster/compression.rs"]
mod compression;

#[path = "cluster/doctor.rs"]
mod doctor;

#[path = "cluster/http.rs"]
mod http;

#[path = "cluster/interrupted.rs"]
mod interrupted;

#[path = "cluster/logical.rs"]
mod logical;

#[path = "cluster/migrations.rs"]
mod migrations;

#[path = "cluster/mirror.rs"]
mod mirror;

#[path = "cluster/neighbours.rs"]
mod neighbours;

#[path = "cluster/outside.rs"]
mod outside;

#[path = "cluster/physical.rs"]
mod physical;

#[path = "cluster/readme.rs"]
mod readme;

#[path = "cluster/secrets.rs"]
mod secrets;

#[path = "cluster/sequences.rs"]
mod sequences;

#[path = "cluster/verify.rs"]
mod verify;

#[path = "cluster/torture.rs"]
mod torture;
