//! Operates TimescaleDB on plain Docker: provisions, replicates, and proves that what it did is complete.
//!
//! The map, one layer a line; a module uses its own line and the lines above it:
//!
//! 0. words: [`model`], [`error`], [`clock`]
//! 1. decisions: [`config`], [`plan`], [`status`]
//! 2. adapters: [`docker`], [`postgres`], [`store`], [`secrets`], [`host`], [`metrics`], [`webhook`]
//! 3. work: [`site`], [`observe`], [`examine`], [`execute`], [`schema`], [`verify`], [`backup`], [`jobs`], [`load`]
//! 4. loops: [`tasks`], [`http`]
//! 5. program: [`cli`]
//!
//! `ARCHITECTURE.md` says which file to open for which change.

pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod docker;
pub mod error;
pub mod examine;
pub mod execute;
pub mod host;
pub mod http;
pub mod jobs;
pub mod load;
pub mod metrics;
pub mod model;
pub mod observe;
pub mod plan;
pub mod postgres;
pub mod schema;
pub mod secrets;
pub mod site;
pub mod status;
pub mod store;
pub mod tasks;
pub mod verify;
pub mod webhook;
