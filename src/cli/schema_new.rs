//! `schema new`: begins the next migration of a pack in a directory. Needs neither a cluster nor Docker.

use std::path::Path;

use super::args::Cli;
use super::failure::Failure;
use super::{exit, render};
use crate::schema::fresh;

/// Runs the verb.
pub fn run(cli: &Cli, name: &str, dir: &Path) -> Result<u8, Failure> {
    let file = fresh::write(dir, name)?;
    let file = file.display().to_string();
    if cli.json {
        render::json(&serde_json::json!({ "file": file }));
    } else {
        render::line(file);
    }
    Ok(exit::DONE)
}
