//! `switchover`: a replica takes the primary's place, planned.

use std::time::Duration;

use serde::Serialize;

use super::args::{Cli, SwitchoverArgs};
use super::context::Context;
use super::failure::Failure;
use super::progress::shown;
use super::{exit, render};
use crate::error::in_one_line;
use crate::model::cluster::Role;
use crate::model::desired::Endpoint;
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::plan::failover::request::{self, Choice};
use crate::plan::failover::seen;
use crate::plan::failover::sequence::phase::Phase;
use crate::plan::failover::sequence::{Kind, Promotion};
use crate::plan::topology;
use crate::site::Reach;
use crate::tasks::converge::{Goal, converge};
use crate::tasks::switchover::{self, Report, Sides};

/// How long the old primary may take to come back as a replica before the verb says that it does not yet.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often it is tried, and the pause in between.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What `--plan` shows.
#[derive(Debug, Serialize)]
struct Planned {
    from: NodeName,
    to: NodeName,
    epoch: u64,
    phases: Vec<&'static str>,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &SwitchoverArgs) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let promotion = decide(&context, &observed, args.to.as_deref())?;
    if args.plan {
        show_plan(cli, &promotion, context.site.desired.endpoint != Endpoint::Direct);
        return Ok(exit::DONE);
    }
    let (nodes, _) = context.nodes(&observed);
    let target = |name: &NodeName| {
        let port = nodes.iter().find(|node| node.name == *name).map_or(0, |node| node.port);
        context.site.target(name, port, &context.site.desired.database)
    };
    let others = topology::standbys(&nodes, &promotion.from).filter(|name| **name != promotion.to);
    let sides = Sides {
        from: target(&promotion.from)?,
        to: target(&promotion.to)?,
        followers: others.chain([&promotion.from]).cloned().collect(),
        subscribers: topology::subscribers(&nodes, &promotion.from)
            .filter(|name| **name != promotion.to)
            .cloned()
            .collect(),
    };
    let report = switchover::run(&context.site, &promotion, &sides).await?;
    if cli.json {
        render::json(&report);
    } else {
        render::line(text(&report));
    }
    let is_back = complete(cli, &context, &promotion.from, &promotion.to).await;
    Ok(if is_back { exit::DONE } else { exit::TRY_AGAIN })
}

/// Has the old primary follow the new one, and tells whether it does. Who takes the writes is settled by now.
pub(super) async fn complete(cli: &Cli, context: &Context, from: &NodeName, to: &NodeName) -> bool {
    let goal = Goal { packs: &context.packs, agent: None, patience: PATIENCE };
    let mut why_not = String::new();
    for _ in 0..ATTEMPTS {
        // An agent may be at the same; each then finds done what the other did.
        why_not = match shown(cli.json, async |listener| converge(&context.site, &goal, listener).await).await {
            Ok(outcome) if has_come_back(from, &outcome.observed) => {
                if !cli.json {
                    render::line(format!("{from} is a replica of {to} now"));
                }
                return true;
            }
            Ok(outcome) => outcome.holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(error) => in_one_line(&error),
        };
        tokio::time::sleep(PAUSE).await;
    }
    tracing::warn!("{to} takes the writes, and {from} is no replica of it yet: {why_not}; `hypertide up` goes on");
    false
}

/// The old primary follows the new one.
fn has_come_back(node: &NodeName, observed: &Observed) -> bool {
    let role = observed.nodes.get(node).map(|seen| topology::role(seen, false));
    matches!(role, Some(Role::Standby | Role::Subscriber))
}

/// Whether it may be, and with whom.
fn decide(context: &Context, observed: &Observed, to: Option<&str>) -> Result<Promotion, Failure> {
    let desired = &context.site.desired;
    let to = to.map(|typed| context.find(typed, observed)).transpose()?.map(|node| node.name);
    let situation = seen::situation(desired, observed);
    let (nodes, _) = context.nodes(observed);
    let choice = request::switchover(&situation, to.as_ref())
        .and_then(|choice| request::leaving_nothing_behind(choice, desired, &nodes));
    let choice: Choice = choice.map_err(|refusal| {
        let reasons: Vec<String> = refusal.vetoes.iter().map(ToString::to_string).collect();
        Failure::new(exit::REFUSED, format!("no switchover: {}", reasons.join("; ")))
            .with_help("`hypertide status` shows every node; nothing was changed")
    })?;
    let epoch = situation.members.get(&choice.from).and_then(|member| member.health.epoch.present().copied());
    Ok(Promotion::new(Kind::Switchover, choice, epoch.unwrap_or_default()))
}

fn show_plan(cli: &Cli, promotion: &Promotion, has_endpoint: bool) {
    let phases = promotion.phases().filter(|phase| has_endpoint || !phase.is_of_endpoint());
    let planned = Planned {
        from: promotion.from.clone(),
        to: promotion.to.clone(),
        epoch: promotion.epoch,
        phases: phases.map(Phase::label).collect(),
    };
    if cli.json {
        render::json(&planned);
    } else {
        render::line(format!("{} takes the place of {} (epoch {})", planned.to, planned.from, planned.epoch));
        for phase in planned.phases {
            render::line(format!("  {phase}"));
        }
    }
}

fn text(report: &Report) -> String {
    format!(
        "{} took the place of {} (epoch {}); writes paused for {:.0} ms",
        report.to,
        report.from,
        report.epoch,
        report.write_pause_seconds * 1000.0
    )
}
