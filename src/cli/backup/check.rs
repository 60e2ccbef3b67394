//! `backup verify`: reads backups again and compares them with what was stored.

use chrono::Utc;

use super::configured;
use super::pick::{Which, pick};
use crate::backup::tools::{ServerAddress, Toolbox};
use crate::backup::verify::{self, CheckOutcome, CheckReport, Means};
use crate::cli::args::Cli;
use crate::cli::args::backup::CheckArgs;
use crate::cli::failure::Failure;
use crate::cli::progress::shown;
use crate::cli::{exit, render};
use crate::docker::engine::Engine;
use crate::execute::Event;
use crate::model::readable::size;

/// Runs the verb. Exit code 1 when an object is not what it was.
pub async fn run(cli: &Cli, args: &CheckArgs) -> Result<u8, Failure> {
    let desired = configured(cli)?;
    let which = if args.all { Which::All } else { Which::One(&args.backup) };
    let picked = pick(&desired, &args.list, which, |_| true).await?;
    let mut reports = Vec::new();
    for one in &picked {
        let keys = one.keys(&desired, args.identity.as_deref())?;
        let tools = match one.entry.manifest() {
            Some(manifest) => tools(manifest.source.postgres_major).await,
            None => None,
        };
        let means = Means { store: &one.store, scope: &one.entry.scope, keys: keys.as_ref(), tools: tools.as_ref() };
        let report = shown(cli.json, async |listener| {
            let told = |object: &str| listener(Event::Progress(&format!("{}: {object}", one.entry.id)));
            verify::check(means, &one.entry.id, Utc::now(), Utc::now, &told).await
        })
        .await?;
        verify::keep(&*one.store, &one.entry.scope, &report).await?;
        reports.push(report);
    }
    if cli.json {
        render::json(&serde_json::json!({ "checks": reports }));
    } else {
        for report in &reports {
            render::line(text(report));
        }
    }
    let is_good = reports.iter().all(|report| report.outcome == CheckOutcome::Good);
    Ok(if is_good { exit::DONE } else { exit::FAILED })
}

/// What lists archives: it connects to nobody.
async fn tools(major: u32) -> Option<Toolbox> {
    let nobody = ServerAddress {
        options: Vec::new(),
        trusted: None,
        host: String::new(),
        port: 0,
        user: String::new(),
        password: None,
    };
    let engine = Engine::connect().await.ok();
    Toolbox::for_server(engine.as_ref(), None, nobody, major).await.ok()
}

fn text(report: &CheckReport) -> String {
    let outcome = match report.outcome {
        CheckOutcome::Good => "good",
        CheckOutcome::Damaged => "DAMAGED",
    };
    let mut lines =
        vec![format!("{}: {outcome}, {} objects, {}", report.backup, report.objects, size(report.stored_bytes))];
    lines.extend(report.problems.iter().map(|problem| format!("  {}: {}", problem.object, problem.reason)));
    lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
    lines.join("\n")
}
