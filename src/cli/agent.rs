//! `agent`: the loop, in the foreground.

use super::args::{AgentArgs, Cli};
use super::context::Context;
use super::exit;
use super::failure::Failure;
use crate::site::{Reach, Site};
use crate::tasks;

/// Runs the verb until a signal ends it.
pub async fn run(cli: &Cli, args: &AgentArgs) -> Result<u8, Failure> {
    let reach = if args.contained { Reach::Network } else { Reach::Published };
    let site: Site = Context::open_site(cli, reach).await?;
    tasks::agent::run(&site).await?;
    Ok(exit::DONE)
}
