//! `schema apply` and `schema status`: packs and where each migration stands.

use serde::Serialize;

use super::args::Cli;
use super::context::Context;
use super::failure::Failure;
use super::progress::shown;
use super::{exit, render};
use crate::execute::Listener;
use crate::model::cluster::{Mode, Seat};
use crate::model::observed::Observed;
use crate::model::pack::MigrationId;
use crate::plan::migrations::{self, Ground, State};
use crate::plan::step::{Plan, Stage, Step};
use crate::plan::{self, Wanted, topology};
use crate::site::Reach;
use crate::tasks::converge::execute_once;

/// One line of `schema status`.
#[derive(Debug, Serialize)]
struct MigrationStatus {
    node: String,
    pack: String,
    number: u32,
    what: String,
    state: &'static str,
    reason: Option<String>,
}

/// Runs `schema apply`: the migrations of the plan, then what makes them replicate, and nothing else of it.
pub async fn apply(cli: &Cli, is_plan_only: bool) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    if is_plan_only {
        let plan = migrations_to_apply(&context, &context.observe().await?)?;
        if cli.json {
            render::json(&plan);
        } else {
            render::line(render::plan_text(&plan));
        }
        return Ok(exit::DONE);
    }
    let applied = shown(cli.json, async |listener| apply_all(&context, listener).await).await?;
    if cli.json {
        render::json(&serde_json::json!({ "applied": applied }));
    } else {
        render::line(format!("{} migrations applied", applied.len()));
    }
    Ok(exit::DONE)
}

async fn apply_all(context: &Context, listener: Listener<'_>) -> Result<Vec<String>, Failure> {
    let mut applied = Vec::new();
    // Each pass applies at least one on some node.
    let passes: usize = context.packs.iter().map(|pack| pack.migrations.len()).sum();
    for _ in 0..=passes {
        let observed = context.observe().await?;
        let plan = migrations_to_apply(context, &observed)?;
        if plan.steps().next().is_none() {
            break;
        }
        execute_once(&context.site, &context.packs, &observed, &plan, listener).await?;
        applied.extend(plan.steps().filter(|step| is_migration(step)).map(ToString::to_string));
    }
    // What was made is to be replicated at once.
    let observed = context.observe().await?;
    let rest = plan::remit::agent(plan::plan(&wanted(context), &observed));
    execute_once(&context.site, &context.packs, &observed, &rest, listener).await?;
    Ok(applied)
}

fn wanted(context: &Context) -> Wanted<'_> {
    Wanted { desired: &context.site.desired, packs: Some(&context.packs), agent: None }
}

/// The migrations of the plan; refused as the plan is.
fn migrations_to_apply(context: &Context, observed: &Observed) -> Result<Plan, Failure> {
    let plan = plan::plan(&wanted(context), observed);
    let refused: Vec<_> = plan.refusals().cloned().collect();
    if refused.is_empty() { Ok(only_migrations(plan)) } else { Err(Failure::refused(refused)) }
}

const fn is_migration(step: &Step) -> bool {
    matches!(step, Step::ApplyMigration { .. })
}

/// Migrations, and waiting for what has to come before them.
fn only_migrations(plan: Plan) -> Plan {
    let is_part = |step: &Step| is_migration(step) || matches!(step, Step::CatchUp { .. });
    let stages = plan.stages.into_iter().map(|stage| Stage {
        lanes: stage
            .lanes
            .into_iter()
            .map(|lane| lane.into_iter().filter(is_part).collect::<Vec<_>>())
            .filter(|lane: &Vec<Step>| !lane.is_empty())
            .collect(),
    });
    Plan { stages: stages.filter(|stage| !stage.lanes.is_empty()).collect(), ..Plan::default() }
}

/// Runs `schema status`.
pub async fn status(cli: &Cli) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let (nodes, primary) = context.nodes(&observed);
    let has_logical_replica = nodes.iter().any(|node| node.seat == Seat::Replica(Mode::Logical));
    let mut lines = Vec::new();
    for node in &nodes {
        let is_standby = topology::following(&nodes, node, primary.as_ref()) == Some(Mode::Physical);
        let database = observed
            .nodes
            .get(&node.name)
            .and_then(|seen| seen.server.present())
            .and_then(|server| server.database.present());
        let Some(database) = database.filter(|_| !is_standby) else { continue };
        let ground = Ground { edition: database.edition, has_logical_replica };
        let states = migrations::states(&context.packs, &database.migrations, ground);
        lines.extend(states.into_iter().map(|(id, state)| line(node.name.as_str(), id, &state)));
    }
    if lines.is_empty() {
        return Err(Failure::new(exit::FAILED, "no database could be asked").with_help("`hypertide status` says why"));
    }
    if cli.json {
        render::json(&serde_json::json!({ "migrations": lines }));
        return Ok(exit::DONE);
    }
    for MigrationStatus { node, pack, number, what, state, reason } in &lines {
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        render::line(format!("{node:<14} {pack}/{number:03}_{what:<24} {state}{reason}"));
    }
    Ok(exit::DONE)
}

fn line(node: &str, id: MigrationId, state: &State) -> MigrationStatus {
    let reason = match state {
        State::Applied | State::Pending => None,
        State::Held(because) => Some(because.to_string()),
        State::Refused(refusal) => Some(refusal.to_string()),
    };
    MigrationStatus {
        node: node.to_owned(),
        pack: id.pack,
        number: id.number,
        what: id.what,
        state: state.label(),
        reason,
    }
}
