//! From `hypertide.yaml` to a [`Desired`] cluster: every mistake reported at once, every default filled in.
//!
//! Text becomes a tree that knows its lines ([`raw`]), typed readers take values out of it ([`read`]), and [`resolve`]
//! gives them their meaning. [`load`] alone touches the file system; nothing here asks Docker, a database or a clock,
//! and nothing downstream sees text that was not checked.

pub mod claim;
pub mod formats;
pub mod pack_jobs;
pub mod presets;
pub mod problem;
pub mod raw;
pub mod read;
pub mod resolve;

mod load;

pub use load::{ConfigError, FILE_NAME, Loaded, load};
pub use problem::Problem;

use std::path::Path;

use crate::model::desired::Desired;

/// Reads a configuration from text; relative paths in it count from `base_dir`. An empty text is all defaults.
pub fn parse(text: &str, base_dir: &Path) -> Result<Desired, Vec<Problem>> {
    match raw::read(text) {
        Ok(root) => resolve::desired(&root, base_dir),
        Err(not_yaml) => Err(vec![Problem {
            line: not_yaml.line,
            key: String::new(),
            message: format!("not YAML: {}", not_yaml.message),
            help: None,
        }]),
    }
}

#[cfg(test)]
mod tests;
