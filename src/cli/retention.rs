//! `retention plan` and `retention run`: which chunks are old enough to go, which stay and why.

use super::args::Cli;
use super::args::jobs::RetentionVerb;
use super::context::Context;
use super::failure::Failure;
use super::{exit, jobs, render};
use crate::jobs::retention::planned;
use crate::model::expiry::ExpiryRule;
use crate::model::job::{DataJob, Task};
use crate::plan::expiry::TablePlan;
use crate::postgres::session::Session;
use crate::site::Reach;

/// Runs a verb.
pub async fn run(cli: &Cli, verb: &RetentionVerb) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let rules = rules(&context.site.desired.jobs)?;
    match verb {
        RetentionVerb::Run => jobs::run_one(cli, &context, DataJob::RETENTION).await,
        RetentionVerb::Plan => {
            let target = context.primary_target(&context.observe().await?)?;
            let session = Session::connect(&target).await?;
            let plans = planned(&session, rules).await?;
            if cli.json {
                render::json(&serde_json::json!({ "hypertables": plans }));
            } else {
                render::line(plans.iter().map(text).collect::<Vec<_>>().join("\n"));
            }
            Ok(exit::DONE)
        }
    }
}

fn rules(jobs: &[DataJob]) -> Result<&[ExpiryRule], Failure> {
    let rules = jobs.iter().find_map(|job| match &job.task {
        Task::Retention(rules) => Some(rules.as_slice()),
        Task::Sql { .. } => None,
    });
    rules.ok_or_else(|| {
        Failure::new(exit::USAGE, "the configuration has no retention rules")
            .with_help("add some: `retention: [{hypertable: schema.table, drop_after: 90d}]`")
    })
}

fn text(plan: &TablePlan) -> String {
    let name = &plan.hypertable;
    let Some(cutoff) = plan.cutoff else {
        let because = plan.refused.map(|refused| refused.to_string()).unwrap_or_default();
        return format!("{name}: {because}");
    };
    let bytes: u64 = plan.drops.iter().map(|drop| drop.bytes).sum();
    let head = format!(
        "{name}: drops {} chunks ({} bytes) that end by {}, keeps {}",
        plan.drops.len(),
        bytes,
        cutoff.format("%Y-%m-%d %H:%M UTC"),
        plan.kept.len()
    );
    let drops = plan.drops.iter().map(|drop| format!("  drop {}", drop.chunk));
    let kept = plan.kept.iter().map(|kept| format!("  keep {}: {}", kept.chunk, kept.because));
    [head].into_iter().chain(drops).chain(kept).collect::<Vec<_>>().join("\n")
}
