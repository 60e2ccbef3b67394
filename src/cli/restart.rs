//! `restart [NODE]`: stop cleanly, start, wait until it answers. An endpoint is restarted by its own name only.

use std::time::Duration;

use super::args::Cli;
use super::context::Context;
use super::failure::Failure;
use super::progress::{execute_shown, shown};
use super::{exit, render};
use crate::model::endpoint::Access;
use crate::plan::endpoint::step::EndpointStep;
use crate::plan::provision;
use crate::plan::step::{Plan, Step};
use crate::site::Reach;
use crate::tasks::converge::{Goal, converge};

/// How long replicas may take to follow again.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the verb.
pub async fn run(cli: &Cli, node: Option<&str>) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let (nodes, primary) = context.nodes(&observed);
    let endpoint = node.and_then(Access::from_name);
    let chosen = if endpoint.is_some() {
        Vec::new()
    } else if let Some(typed) = node {
        vec![context.find(typed, &observed)?]
    } else {
        // Replicas first: a primary that comes back finds them listening.
        let mut all = nodes;
        all.sort_by_key(|node| Some(&node.name) == primary.as_ref());
        all
    };
    let exists = |name| observed.nodes.get(name).is_some_and(|seen| seen.container.is_present());
    let mut plan = Plan::default();
    if let Some(access) = endpoint
        && observed.endpoints.get(&access).is_some_and(|seen| seen.container.is_present())
    {
        // It comes back leading where it did.
        let steps = [EndpointStep::Stop, EndpointStep::Start { to: None }];
        plan.then(steps.map(|step| Step::Endpoint { access, step }).into());
    }
    for node in chosen.iter().filter(|node| exists(&node.name)) {
        let mut lane = vec![Step::StopNode { node: node.name.clone() }];
        lane.extend(provision::start(&node.name));
        plan.then(lane);
    }
    if plan.is_empty() {
        return Err(Failure::new(exit::FAILED, "nothing to restart").with_help("run `hypertide up` first"));
    }
    execute_shown(cli, &context, &observed, &plan).await?;
    let goal = Goal { packs: &context.packs, agent: None, patience: PATIENCE };
    shown(cli.json, async |listener| converge(&context.site, &goal, listener).await).await?;
    if cli.json {
        render::json(&plan);
    } else {
        render::line("restarted");
    }
    Ok(exit::DONE)
}
