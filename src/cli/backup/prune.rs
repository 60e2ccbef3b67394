//! `backup prune`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use serde::Serialize;

use super::{Opened, configured, open_all};
use crate::backup::catalog;
use crate::backup::prune::{self, Known, Prune, Removed};
use crate::cli::args::Cli;
use crate::cli::args::backup::PruneArgs;
use crate::cli::failure::Failure;
use crate::cli::{exit, render};
use crate::model::backup::Scope;
use crate::model::desired::Desired;
use crate::model::readable::size;
use crate::plan::retention::reason::Because;
use crate::plan::retention::{Decision, LogDecision, Policies};

/// One scope of one store.
#[derive(Debug, Serialize)]
struct Told<'a> {
    store: String,
    scope: &'a Scope,
    backups: &'a [Decision],
    orphans: &'a [Decision],
    unfinished: Vec<serde_json::Value>,
    log: &'a LogDecision,
    removed: Option<Removed>,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &PruneArgs) -> Result<u8, Failure> {
    let desired = configured(cli)?;
    let opened = open_all(&desired, &args.store).await?;
    let known = known(&desired, args);
    let mut done = Vec::new();
    for one in &opened {
        for scope in scopes(one).await? {
            let plan = prune::plan(one.store.as_ref(), &scope, &known, Utc::now()).await?;
            let removed = if args.plan {
                None
            } else {
                Some(plan.execute(one.store.as_ref(), |id| tracing::info!(%id, "removes")).await?)
            };
            done.push((one, plan, removed));
        }
    }
    if cli.json {
        let stores: Vec<Told<'_>> = done.iter().map(|(one, plan, removed)| told(one, plan, *removed)).collect();
        let steps: Vec<_> = done.iter().flat_map(|(one, plan, _)| steps(one, plan)).collect();
        render::json(&serde_json::json!({ "steps": steps, "holds": [], "scopes": stores }));
    } else {
        for (one, plan, removed) in &done {
            for line in text(one, plan, *removed) {
                render::line(line);
            }
        }
        if done.is_empty() {
            render::line("no backups");
        }
    }
    Ok(exit::DONE)
}

/// The scopes that are meant: without a name all that have backups, or what a killed run left of its first one.
async fn scopes(one: &Opened) -> Result<BTreeSet<Scope>, Failure> {
    if let Some(scope) = &one.scope {
        return Ok([scope.clone()].into());
    }
    let mut scopes: BTreeSet<Scope> = catalog::load(one.store.as_ref(), None).await?.scopes.into_keys().collect();
    let leftovers = one.store.leftovers(None).await?;
    scopes.extend(leftovers.iter().filter_map(|left| left.key.as_str().split_once('/')?.0.parse::<Scope>().ok()));
    Ok(scopes)
}

/// What was typed goes before what is configured.
fn known(desired: &Desired, args: &PruneArgs) -> Known {
    let jobs = || desired.backups.iter().map(|job| (job.name.clone(), job.keep.clone())).collect::<BTreeMap<_, _>>();
    let policies = match args.keep() {
        Some(keep) => Policies { jobs: BTreeMap::new(), others: Some(keep.clone()), by_hand: Some(keep) },
        None => Policies { jobs: jobs(), others: None, by_hand: None },
    };
    let longest_run = desired.backups.iter().map(|job| job.timeout).max().unwrap_or_default();
    Known { policies, longest_run, grace: args.grace, ..Known::default() }
}

fn told<'a>(one: &Opened, plan: &'a Prune, removed: Option<Removed>) -> Told<'a> {
    let unfinished = plan.unfinished().map(|(key, because)| {
        let is_kept = matches!(because, Because::Kept(_));
        serde_json::json!({ "key": key, "keep": is_kept, "reasons": because.labels(), "text": because.to_string() })
    });
    Told {
        store: one.choice.url.to_string(),
        scope: &plan.scope,
        backups: &plan.pruning.backups,
        orphans: &plan.pruning.orphans,
        unfinished: unfinished.collect(),
        log: &plan.pruning.log,
        removed,
    }
}

/// What goes, as the steps of a plan.
fn steps(one: &Opened, plan: &Prune) -> Vec<serde_json::Value> {
    let step = |word: &str, text: String| serde_json::json!({ "step": word, "node": null, "text": text });
    let url = &one.choice.url;
    let going = |decisions: &[Decision], word: &'static str| {
        let going = decisions.iter().filter(|decision| !decision.is_kept());
        going
            .map(|decision| step(word, format!("remove {} from {url}: {}", decision.id, decision.because)))
            .collect::<Vec<_>>()
    };
    let mut steps = going(&plan.pruning.backups, "remove_backup");
    steps.extend(going(&plan.pruning.orphans, "remove_orphan"));
    let unfinished = plan.unfinished().filter(|(_, because)| matches!(because, Because::Removed(_)));
    steps.extend(
        unfinished.map(|(key, because)| step("remove_unfinished", format!("remove {key} from {url}: {because}"))),
    );
    if !plan.pruning.log.removed.is_empty() {
        let count = plan.pruning.log.removed.len();
        steps.push(step("remove_log", format!("remove {count} segments of the log from {url}: no backup needs them")));
    }
    steps
}

fn text(one: &Opened, plan: &Prune, removed: Option<Removed>) -> Vec<String> {
    let mut lines = vec![format!("{} in {}", plan.scope, one.choice.url)];
    for decision in plan.pruning.backups.iter().chain(&plan.pruning.orphans) {
        let verb = if decision.is_kept() { "keep" } else { "remove" };
        let bytes = decision.bytes.map_or_else(|| "-".to_owned(), size);
        lines.push(format!("  {verb:<7} {:<32} {bytes:>10}  {}", decision.id, decision.because));
    }
    for (key, because) in plan.unfinished() {
        let verb = if matches!(because, Because::Kept(_)) { "keep" } else { "remove" };
        lines.push(format!("  {verb:<7} {key}  {because}"));
    }
    let log = &plan.pruning.log;
    if log.kept > 0 || !log.removed.is_empty() {
        let from = log.kept_from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        lines.push(format!("  keep    {} segments of the log{from}", log.kept));
        if !log.removed.is_empty() {
            lines.push(format!("  remove  {} segments of the log, {}", log.removed.len(), size(log.removed_bytes)));
        }
    }
    lines.push(match removed {
        Some(removed) => format!(
            "removed {} backups, {} remains, {} segments: {}",
            removed.backups,
            removed.orphans + removed.unfinished,
            removed.segments,
            size(removed.bytes)
        ),
        None if plan.is_empty() => "nothing to remove".to_owned(),
        None => "nothing was removed".to_owned(),
    });
    lines
}
