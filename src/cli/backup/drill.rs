//! `backup drill`: restores backups into a throw-away server and compares.

use chrono::Utc;

use super::pick::{Which, pick};
use crate::backup::contents::Difference;
use crate::backup::drill::probe::ProbeOutcome;
use crate::backup::drill::{self, DrillReport, Means, Outcome};
use crate::backup::tools::shared_place;
use crate::cli::args::Cli;
use crate::cli::args::backup::CheckArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::progress::shown;
use crate::cli::{exit, render};
use crate::execute::Event;
use crate::site::Reach;

/// Differences that people are shown; JSON has more.
const SHOWN: usize = 10;

/// Runs the verb. Exit code 1 when something differs, or the backup cannot be restored.
pub async fn run(cli: &Cli, args: &CheckArgs) -> Result<u8, Failure> {
    let site = Context::open_site(cli, Reach::Published).await?;
    let desired = &site.desired;
    let which = if args.all { Which::All } else { Which::One(&args.backup) };
    let mut reports = Vec::new();
    for one in &pick(desired, &args.list, which, |_| true).await? {
        let means = Means {
            engine: site.engine.clone(),
            shared: shared_place(&site),
            cluster: Some(desired.cluster.clone()),
            store: one.store.clone(),
            keys: one.keys(desired, args.identity.as_deref())?,
            image: args.image.clone(),
            chance: drill::chance(),
        };
        let (manifest, chain) = (one.manifest()?.clone(), one.chain()?);
        let report = shown(cli.json, async |listener| {
            let told = |phase: &str| listener(Event::Progress(&format!("{}: {phase}", one.entry.id)));
            drill::drill(&means, manifest, chain, Utc::now, &told).await
        })
        .await?;
        drill::keep(&*one.store, &one.entry.scope, &report).await?;
        reports.push(report);
    }
    if cli.json {
        render::json(&serde_json::json!({ "drills": reports }));
    } else {
        for report in &reports {
            render::line(text(report));
        }
    }
    let is_equal = reports.iter().all(|report| report.outcome == Outcome::Equal);
    Ok(if is_equal { exit::DONE } else { exit::FAILED })
}

fn text(report: &DrillReport) -> String {
    let mut lines = vec![match report.outcome {
        Outcome::Equal => format!(
            "{}: equal; {} tables and chunks, {} rows, {} objects in {:.1} s",
            report.backup,
            report.tables,
            report.rows,
            report.objects,
            report.seconds()
        ),
        Outcome::Differs => {
            format!("{}: DIFFERS; {} differences in {:.1} s", report.backup, report.difference_count, report.seconds())
        }
        Outcome::Failed => format!("{}: FAILED after {:.1} s", report.backup, report.seconds()),
    }];
    lines.extend(report.error.iter().map(|error| format!("  {error}")));
    lines.extend(differences(&report.differences, report.difference_count));
    for probe in &report.inserts {
        let because = probe.because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
        match probe.outcome {
            ProbeOutcome::Works if probe.because.is_none() => {}
            ProbeOutcome::Works => lines.push(format!("  {} takes rows{because}", probe.hypertable)),
            ProbeOutcome::Untried => lines.push(format!("  {}: no row was tried{because}", probe.hypertable)),
            ProbeOutcome::Broken => lines.push(format!("  {} TAKES NO ROWS{because}", probe.hypertable)),
        }
    }
    if let Some(later) = &report.later {
        lines.push(format!("  followed the log to {}: {} rows", later.reached, later.rows));
    }
    lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
    lines.push(format!("  on {}", report.image));
    let phases: Vec<String> =
        report.phases.iter().map(|phase| format!("{} {:.1} s", phase.name, phase.seconds)).collect();
    lines.push(format!("  {}", phases.join(", ")));
    lines.join("\n")
}

/// The first differences, for people.
pub fn differences(all: &[Difference], count: u64) -> Vec<String> {
    let short = |text: &Option<String>| match text.as_deref().map(|text| text.lines().next().unwrap_or_default()) {
        Some(line) if line.chars().count() > 100 => format!("{}…", line.chars().take(100).collect::<String>()),
        Some("") => "there".to_owned(),
        Some(line) => line.to_owned(),
        None => "missing".to_owned(),
    };
    let mut lines: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|one| format!("  {}: was {}, is {}", one.what, short(&one.wanted), short(&one.found)))
        .collect();
    let more = count.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("  and {more} more; `--json` has them"));
    }
    lines
}
