//! `replication status` and `replication resync`.

use std::time::Duration;

use super::args::Cli;
use super::context::Context;
use super::failure::Failure;
use super::progress::{execute_shown, shown};
use super::{exit, render, status};
use crate::plan::{removal, topology};
use crate::site::Reach;
use crate::tasks::converge::{Goal, converge};

/// How long copying may take before the verb says "still copying".
const PATIENCE: Duration = Duration::from_hours(1);

/// Runs `replication status`.
pub async fn status(cli: &Cli) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let status = status::look(&context).await?;
    if cli.json {
        let replicas: Vec<_> = status.nodes.iter().filter(|node| node.replication.is_some()).collect();
        render::json(&serde_json::json!({
            "primary": status.primary, "replicas": replicas, "hypertables": status.hypertables,
            "publications": status.publications, "subscriptions": status.subscriptions, "holds": status.holds,
        }));
    } else {
        render::line(render::status_text(&status));
        for hypertable in &status.hypertables {
            render::line(format!("{:<40} {:>6} chunks, {}", hypertable.name, hypertable.chunks, hypertable.strategy));
        }
    }
    Ok(exit::DONE)
}

/// Runs `replication resync`: throws away what the replica holds and copies it afresh.
pub async fn resync(cli: &Cli, typed: Option<&str>, is_plan_only: bool) -> Result<u8, Failure> {
    let mut context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let node = context.find_replica(typed, &observed)?;
    let (nodes, primary) = context.nodes(&observed);
    let primary = primary.filter(|name| observed.nodes.get(name).is_some_and(|seen| seen.server.is_present()));
    let Some(primary) = primary else {
        return Err(Failure::new(exit::REFUSED, "the primary does not answer, so there is nothing to copy from")
            .with_help("bring the primary back first; the replica was not touched"));
    };
    let Some(mode) = topology::following(&nodes, &node, Some(&primary)) else {
        return Err(Failure::new(exit::REFUSED, format!("{} does not follow {primary}", node.name)));
    };
    let plan = removal::resync(&node.name, mode, &primary, &observed);
    if plan.is_empty() {
        return Err(Failure::new(exit::FAILED, format!("{} does not answer, so it cannot be emptied", node.name))
            .with_help("start it with `hypertide up`, or `hypertide replica remove` it and let `up` make it anew"));
    }
    if is_plan_only {
        if cli.json {
            render::json(&plan);
        } else {
            render::line(render::plan_text(&plan));
        }
        return Ok(exit::DONE);
    }
    if !plan.holds.is_empty() {
        return Err(Failure::refused(plan.holds));
    }
    let _held_off = context.hold_off(&node.name, &primary, &observed).await?;
    // The labels of a volume that is about to go are all that remembers an added replica.
    context.site.desired.nodes = nodes;
    execute_shown(cli, &context, &observed, &plan).await?;
    let goal = Goal { packs: &context.packs, agent: None, patience: PATIENCE };
    let outcome = shown(cli.json, async |listener| converge(&context.site, &goal, listener).await).await?;
    Ok(status::show_converged(cli, &context, &outcome))
}
