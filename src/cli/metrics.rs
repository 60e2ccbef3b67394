//! `metrics`: one scrape, in Prometheus' text format.

use super::args::Cli;
use super::context::Context;
use super::failure::Failure;
use super::{exit, render, status};
use crate::error::in_one_line;
use crate::http::client;
use crate::metrics;
use crate::site::Reach;

/// Prints what the running agent tells. Where none answers it looks once itself, and says so: then what only the agent knows is not there.
pub async fn run(cli: &Cli) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let desired = &context.site.desired;
    let silence = match desired.metrics {
        None => "the agent does not answer over HTTP (`metrics.listen` is off)".to_owned(),
        Some(listen) => match client::scrape(listen, &desired.guard).await {
            Ok(text) => {
                render::line(text.trim_end());
                return Ok(exit::DONE);
            }
            Err(error) => in_one_line(&error),
        },
    };
    let status = status::look(&context).await?;
    render::note(format!("note: {silence}; this is one look, without what only a running agent counts and collects"));
    render::line(metrics::of_look(&status).trim_end());
    Ok(exit::DONE)
}
