//! `down`: stop everything and keep it.

use super::args::Cli;
use super::context::Context;
use super::failure::Failure;
use super::progress::execute_shown;
use super::{exit, render};
use crate::plan::removal;
use crate::site::Reach;

/// Runs the verb.
pub async fn run(cli: &Cli) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let (nodes, primary) = context.nodes(&observed);
    let plan = removal::stop_all(&nodes, primary.as_ref(), &observed);
    execute_shown(cli, &context, &observed, &plan).await?;
    if cli.json {
        render::json(&plan);
    } else {
        render::line("stopped; data is kept, `hypertide up` starts it again");
    }
    Ok(exit::DONE)
}
