//! `replica add` and `replica remove`.

use std::time::Duration;

use super::args::{Cli, ReplicaAddArgs};
use super::context::Context;
use super::failure::Failure;
use super::progress::{execute_shown, shown};
use super::{exit, render, status};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::plan::step::Plan;
use crate::plan::{self, removal};
use crate::site::Reach;
use crate::tasks::converge::{Goal, converge};

/// How long the first copy may take before the verb says "still copying".
const PATIENCE: Duration = Duration::from_hours(1);

/// Runs `replica add`: the configuration and one more node.
pub async fn add(cli: &Cli, args: &ReplicaAddArgs) -> Result<u8, Failure> {
    let mut context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let (nodes, _) = context.nodes(&observed);
    let name = NodeName::new(&args.node)?;
    let is_provisioned = observed.nodes.get(&name).is_some_and(|seen| seen.volume.is_present());
    if is_provisioned {
        return Err(Failure::new(exit::USAGE, format!("{name} exists already"))
            .with_help("choose another name; `hypertide status` lists the nodes"));
    }
    let configured = context.site.desired.node(&name).cloned();
    let mode = match (&args.mode, configured.as_ref().map(|node| node.seat)) {
        (Some(word), _) => Mode::from_word(word).ok_or_else(|| {
            Failure::new(exit::USAGE, format!("`{word}` is no replication mode")).with_help("use logical or physical")
        })?,
        (None, Some(Seat::Replica(mode))) => mode,
        (None, _) => context.site.desired.mode,
    };
    let port = match (args.port, &configured) {
        (Some(port), _) => port,
        (None, Some(node)) => node.port,
        (None, None) => next_port(&context, &nodes)?,
    };
    if let Some(other) = nodes.iter().find(|node| node.port == port && node.name != name) {
        return Err(Failure::new(exit::USAGE, format!("port {port} belongs to {}", other.name))
            .with_help("choose another with --port"));
    }
    if context.site.desired.metrics.is_some_and(|listen| listen.port() == port) {
        return Err(Failure::new(exit::USAGE, format!("port {port} belongs to the agent"))
            .with_help("choose another with --port"));
    }
    let priority = configured.map_or(DesiredNode::PRIORITY, |node| node.priority);
    let node = DesiredNode { name: name.clone(), seat: Seat::Replica(mode), port, priority };
    match context.site.desired.nodes.iter_mut().find(|known| known.name == name) {
        Some(known) => *known = node,
        None => context.site.desired.nodes.push(node),
    }
    let goal = Goal { packs: &context.packs, agent: None, patience: PATIENCE };
    if args.plan {
        let observed = context.observe().await?;
        return Ok(show(cli, &plan::plan(&goal.wanted(&context.site), &observed)));
    }
    let outcome = shown(cli.json, async |listener| converge(&context.site, &goal, listener).await).await?;
    Ok(status::show_converged(cli, &context, &outcome))
}

/// The first port above those in use that nobody listens on.
fn next_port(context: &Context, nodes: &[DesiredNode]) -> Result<u16, Failure> {
    let highest = nodes.iter().map(|node| node.port).max().unwrap_or_default();
    (highest.saturating_add(1)..=u16::MAX)
        .filter(|port| context.site.desired.metrics.is_none_or(|listen| listen.port() != *port))
        .find(|port| crate::host::is_port_free(context.site.desired.bind, *port))
        .ok_or_else(|| {
            Failure::new(exit::USAGE, "no port is free above those in use").with_help("choose one with --port")
        })
}

/// Runs `replica remove`.
pub async fn remove(cli: &Cli, typed: &str, is_plan_only: bool) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let node = context.find_replica(Some(typed), &observed)?;
    let (_, primary) = context.nodes(&observed);
    let Some(primary) = primary else {
        return Err(Failure::new(
            exit::REFUSED,
            "no primary is seen, so this replica may hold the only copy of the data",
        )
        .with_help("`hypertide status` says what is wrong"));
    };
    let plan = removal::replica(&node.name, &primary, &observed);
    if is_plan_only {
        return Ok(show(cli, &plan));
    }
    let is_primary_up = observed.nodes.get(&primary).is_some_and(|seen| seen.server.is_present());
    if !is_primary_up {
        return Err(Failure::new(
            exit::REFUSED,
            format!("{primary} does not answer, so this replica may hold the only copy of the data"),
        )
        .with_help("bring the primary back first"));
    }
    if !plan.holds.is_empty() {
        return Err(Failure::refused(plan.holds));
    }
    let _held_off = context.hold_off(&node.name, &primary, &observed).await?;
    execute_shown(cli, &context, &observed, &plan).await?;
    if cli.json {
        render::json(&plan);
    } else {
        render::line(format!("removed {}", node.name));
        if context.site.desired.node(&node.name).is_some() {
            render::line("the configuration still names it: take it out there too, or the next `up` makes it again");
        }
    }
    Ok(exit::DONE)
}

fn show(cli: &Cli, plan: &Plan) -> u8 {
    if cli.json {
        render::json(plan);
    } else {
        render::line(render::plan_text(plan));
    }
    if plan.refusals().next().is_some() { exit::REFUSED } else { exit::DONE }
}
