//! How things look: JSON on stdout, text for people.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::model::cluster::{Health, Role};
use crate::plan::hold::Hold;
use crate::plan::step::Plan;
use crate::status::{NodeStatus, Status};

/// One JSON document on stdout.
pub fn json<T: Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => note(format!("error: cannot print the result as JSON: {error}")),
    }
}

/// A line of text on stdout.
pub fn line(text: impl AsRef<str>) {
    // Nobody reads any more (`status | head`): nothing is left to say, and nothing went wrong.
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// A line for people on stderr.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// How a failure looks at the terminal; with `--json` it is a document on stdout too.
pub fn failure(failure: &Failure, is_json: bool) {
    if is_json {
        json(&serde_json::json!({ "error": failure }));
    }
    note(failure_text(failure));
}

/// `error:`, `cause:` lines, `help:`.
pub fn failure_text(failure: &Failure) -> String {
    let each_help = failure.holds.iter().filter(|_| failure.holds.len() > 1).filter_map(|hold| hold.reason.help());
    let lines: Vec<String> = [format!("error: {}", failure.message)]
        .into_iter()
        .chain(failure.causes.iter().map(|cause| format!("cause: {cause}")))
        .chain(each_help.chain(failure.help.clone()).map(|help| format!("help: {help}")))
        .collect();
    lines.join("\n")
}

/// A plan for people: numbered steps, then holds with their reasons.
pub fn plan_text(plan: &Plan) -> String {
    let mut lines: Vec<String> =
        plan.steps().enumerate().map(|(index, step)| format!("{:>3}. {step}", index + 1)).collect();
    if lines.is_empty() {
        lines.push("nothing to do".to_owned());
    }
    lines.extend(holds_text(&plan.holds));
    lines.join("\n")
}

/// Each hold with what to do about it.
pub fn holds_text(holds: &[Hold]) -> Vec<String> {
    holds
        .iter()
        .map(|hold| match hold.reason.help() {
            Some(help) => format!("held: {hold}\n      help: {help}"),
            None => format!("held: {hold}"),
        })
        .collect()
}

/// The status as a small table.
pub fn status_text(status: &Status) -> String {
    let mut lines = vec![format!(
        "cluster {}: {}   primary {}   epoch {}   agent {}",
        status.cluster,
        colored(status.health),
        status.primary.as_ref().map_or("none", |name| name.as_str()),
        status.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
        status.agent,
    )];
    lines.push(format!(
        "{:<14} {:<11} {:<9} {:<18} {:<9} {:>10} {:>8}  {}",
        "NODE", "ROLE", "STATE", "ADDRESS", "MODE", "LAG BYTES", "LAG S", "CHUNKS"
    ));
    lines.extend(status.nodes.iter().map(node_line));
    lines.extend(holds_text(&status.holds));
    lines.join("\n")
}

fn node_line(node: &NodeStatus) -> String {
    let replication = node.replication.as_ref();
    let lag_bytes = replication.and_then(|replication| replication.lag_bytes).map(|bytes| bytes.to_string());
    let lag_seconds = replication.and_then(|replication| replication.lag_seconds).map(|lag| format!("{lag:.1}"));
    let chunks = match replication.map(|replication| replication.chunks) {
        Some(Some(chunks)) if chunks.is_complete() => format!("{} complete", chunks.published),
        Some(Some(chunks)) => format!(
            "{} published, {} unpublished, {} unsubscribed, {} not ready",
            chunks.published, chunks.unpublished, chunks.unsubscribed, chunks.not_ready
        ),
        Some(None) if node.role == Role::Standby => "all".to_owned(),
        Some(None) => "unknown".to_owned(),
        None => "-".to_owned(),
    };
    let dash = || "-".to_owned();
    format!(
        "{:<14} {:<11} {:<9} {:<18} {:<9} {:>10} {:>8}  {chunks}",
        node.name,
        node.role,
        node.state,
        node.address,
        replication.map_or("-", |replication| replication.mode.word()),
        lag_bytes.unwrap_or_else(dash),
        lag_seconds.unwrap_or_else(dash),
    )
}

fn colored(health: Health) -> String {
    let code = match health {
        Health::Healthy => "32",
        Health::Degraded => "33",
        Health::Down => "31",
    };
    let is_plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if is_plain { health.to_string() } else { format!("\x1b[{code}m{health}\x1b[0m") }
}
