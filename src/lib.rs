//! Operates TimescaleDB on plain Docker.
pub mod model;
