//! `replication verify`: compares logical replicas with the primary, and repairs what differs when asked to.

use serde::Serialize;

use super::args::{Cli, VerifyArgs};
use super::context::Context;
use super::failure::Failure;
use super::progress::shown;
use super::{exit, render};
use crate::execute::Event;
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::plan::verify::{Outcome, Sides, Verdict, sides};
use crate::postgres::compare::repair::Repair;
use crate::site::Reach;
use crate::verify::{Finding, Order, Report, verify};

/// The JSON document.
#[derive(Debug, Serialize)]
struct Document {
    primary: NodeName,
    /// Reports of the replicas that could be verified.
    replicas: Vec<Report>,
    /// Standbys are equal by construction.
    standbys: Vec<NodeName>,
    /// Replicas that could not be verified.
    failed: Vec<Failed>,
}

/// A replica that could not be verified.
#[derive(Debug, Serialize)]
struct Failed {
    replica: NodeName,
    error: Failure,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &VerifyArgs) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let typed = args.node.as_deref().map(|typed| context.find(typed, &observed)).transpose()?;
    let Some(sides) = sides(&context.site.desired, &observed) else {
        return Err(Failure::new(exit::FAILED, "no primary answers, so there is nothing to compare with")
            .with_help("`hypertide status` says why; `hypertide up` brings it back"));
    };
    let Sides { primary, replicas, standbys } = choose(sides, typed)?;

    let mut document = Document { primary: primary.name.clone(), replicas: Vec::new(), standbys, failed: Vec::new() };
    for replica in &replicas {
        let order =
            Order { primary: &primary, replica, is_full: args.full, is_repair: args.repair, rows_per_second: None };
        let verified = shown(cli.json, async |listener| {
            verify(&context.site, order, &|text| listener(Event::Progress(text))).await
        });
        match verified.await {
            Ok(report) => document.replicas.push(report),
            Err(error) => document.failed.push(Failed { replica: replica.name.clone(), error: error.into() }),
        }
    }
    if cli.json {
        render::json(&document);
    } else {
        render::line(text(&document));
    }
    for failed in &document.failed {
        render::note(render::failure_text(&failed.error));
    }
    Ok(document.exit())
}

/// Only the replica that was named, when one was.
fn choose(sides: Sides, typed: Option<DesiredNode>) -> Result<Sides, Failure> {
    let Some(node) = typed else { return Ok(sides) };
    if node.name == sides.primary.name {
        return Err(Failure::new(exit::USAGE, format!("{} is the primary: replicas are compared with it", node.name))
            .with_help("name a logical replica, or leave the name out to compare all of them"));
    }
    if sides.standbys.contains(&node.name) {
        return Err(Failure::new(
            exit::USAGE,
            format!("{} is a standby: it replays the primary's log, block for block", node.name),
        )
        .with_help("nothing needs comparing there; `hypertide status` says how far it is behind"));
    }
    Ok(Sides { replicas: vec![node], standbys: Vec::new(), ..sides })
}

impl Document {
    /// A failure or a difference first, then what is worth another try.
    fn exit(&self) -> u8 {
        let failures = self.failed.iter().map(|failed| failed.error.exit);
        let reports = self.replicas.iter().map(|report| match report.outcome {
            Outcome::Equal => exit::DONE,
            Outcome::Differs => exit::FAILED,
            Outcome::Incomplete => exit::TRY_AGAIN,
        });
        let weight = |code: &u8| match *code {
            exit::DONE => 0,
            exit::TRY_AGAIN => 1,
            _ => 2,
        };
        failures.chain(reports).max_by_key(weight).unwrap_or(exit::DONE)
    }
}

fn text(document: &Document) -> String {
    let mut lines = Vec::new();
    for report in &document.replicas {
        lines.push(summary(report));
        lines.extend(report.tables.iter().map(|finding| line(finding, &document.primary, &report.replica)));
    }
    lines.extend(
        document.standbys.iter().map(|name| format!("{name}: a standby, equal to the primary by construction")),
    );
    if lines.is_empty() && document.failed.is_empty() {
        lines.push("there is no replica to compare".to_owned());
    }
    lines.join("\n")
}

fn summary(report: &Report) -> String {
    let differing = report.count(Verdict::Differs);
    let outcome = match (report.outcome, differing) {
        (Outcome::Equal, _) => "equal".to_owned(),
        (Outcome::Differs, 1) => "1 table differs".to_owned(),
        (Outcome::Differs, count) => format!("{count} tables differ"),
        (Outcome::Incomplete, _) => format!("no difference, {} not compared", tables(report.left_out)),
    };
    format!(
        "{}: {outcome}; {} compared, {} unchanged, {} rows in {:.1} s, at {}",
        report.replica,
        tables(report.compared),
        report.unchanged,
        report.rows,
        report.seconds,
        report.lsn,
    )
}

fn tables(count: usize) -> String {
    if count == 1 { "1 table".into() } else { format!("{count} tables") }
}

/// A table that is not equal, or was made so.
fn line(finding: &Finding, primary: &NodeName, replica: &NodeName) -> String {
    let word = if finding.repair.is_some() { "repaired" } else { finding.verdict.label() };
    let mut said = Vec::new();
    if let (Some(rows), Verdict::Differs) = (finding.rows, finding.verdict) {
        said.push(format!("{} rows on {primary}, {} on {replica}", rows.primary, rows.replica));
    }
    said.extend(finding.because.clone());
    said.extend(finding.repair.iter().map(|repair| repaired(repair, primary, replica)));
    if let (true, Some(lsn)) = (finding.verdict == Verdict::Differs, finding.lsn) {
        said.push(format!("at {lsn}"));
    }
    format!("  {word:<12} {}: {}", finding.table, said.join("; "))
}

fn repaired(repair: &Repair, primary: &NodeName, replica: &NodeName) -> String {
    let Repair { changed, only_on_primary, only_on_replica, examples } = repair;
    let keys: Vec<String> =
        examples.iter().map(|example| format!("{} ({})", example.key, example.difference)).collect();
    let keys = if keys.is_empty() { String::new() } else { format!("; keys such as {}", keys.join(", ")) };
    format!(
        "rows that differed: {changed}, only on {primary}: {only_on_primary}, only on {replica}: {only_on_replica}{keys}"
    )
}
