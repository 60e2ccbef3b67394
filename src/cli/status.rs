//! `status`: how it is.

use std::time::Duration;

use super::args::{Cli, StatusArgs};
use super::context::Context;
use super::failure::Failure;
use super::{exit, render};
use crate::model::cluster::Health;
use crate::model::observed::Observed;
use crate::plan::{self, Wanted, remit};
use crate::site::Reach;
use crate::status::Status;
use crate::tasks::converge::Outcome;

/// How often `--watch` looks again.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Runs the verb.
pub async fn run(cli: &Cli, args: &StatusArgs) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    loop {
        let status = look(&context).await?;
        if cli.json {
            render::json(&status);
        } else {
            render::line(render::status_text(&status));
        }
        if !args.watch {
            let is_bad = args.check && status.health != Health::Healthy;
            return Ok(if is_bad { exit::DEGRADED } else { exit::DONE });
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// Observes and sums up.
pub async fn look(context: &Context) -> Result<Status, Failure> {
    let observed = context.observe().await?;
    Ok(sum_up(context, &observed))
}

/// The status of an observation, holds included.
pub fn sum_up(context: &Context, observed: &Observed) -> Status {
    let wanted = Wanted { desired: &context.site.desired, packs: Some(&context.packs), agent: None };
    // What only `up` would do shows as held, like everything else that is wanted and not done.
    let plan = remit::agent(plan::plan(&wanted, observed));
    Status::new(&context.site.desired, observed, plan)
}

/// Prints how it is after converging, and tells the exit code: what still passes by itself is worth another try.
pub fn show_converged(cli: &Cli, context: &Context, outcome: &Outcome) -> u8 {
    let status = sum_up(context, &outcome.observed);
    if cli.json {
        render::json(&status);
    } else {
        render::line(render::status_text(&status));
    }
    converged_exit(outcome)
}

/// The exit code of a verb that converged.
pub fn converged_exit(outcome: &Outcome) -> u8 {
    let is_waiting = outcome.holds.iter().any(|hold| hold.reason.is_passing());
    if is_waiting { exit::TRY_AGAIN } else { exit::DONE }
}
