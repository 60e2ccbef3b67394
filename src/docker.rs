//! The Docker engine: the only layer that speaks its API.
//!
//! In: specifications and names from the layers above. Out: facts as plain values, or a [`engine::DockerError`]. Decides
//! nothing about clusters.

pub mod base;
pub mod engine;
pub mod events;
pub mod examine;
pub mod exec;
pub mod files;
pub mod image;
pub mod keeper;
pub mod labels;
pub mod look;
pub mod monitoring;
pub mod shared_dir;
pub mod spec;
