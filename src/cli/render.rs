//! How things look: JSON on stdout, text for people.

mod backups;
pub mod failover;
mod outside;

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::model::cluster::{Health, Role};
use crate::model::health::SynchronousState;
use crate::plan::hold::Hold;
use crate::plan::step::Plan;
use crate::status::{Endpoint, NodeStatus, Status};

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
    lines.extend(endpoint_line(status));
    let monitors = status.monitoring.iter();
    lines.extend(monitors.map(|it| format!("{:<14} {:<11} {:<9} {}", it.name, "-", it.state, it.url)));
    lines.extend(failover::text(status));
    lines.extend(outside::text(status));
    lines.extend(backups::text(status));
    lines.extend(status.pending.iter().map(|step| format!("pending: {step}")));
    lines.extend(holds_text(&status.holds));
    lines.join("\n")
}

/// Where clients connect, where those are not the nodes themselves.
fn endpoint_line(status: &Status) -> Option<String> {
    let Endpoint { read_write, read_only } = &status.endpoint;
    let is_node = |address: &String| status.nodes.iter().any(|node| node.address == *address);
    let is_direct = [read_write, read_only].into_iter().all(|address| address.as_ref().is_none_or(is_node));
    let word = |address: &Option<String>| address.clone().unwrap_or_else(|| "down".to_owned());
    (!is_direct).then(|| format!("endpoint       read-write {}   read-only {}", word(read_write), word(read_only)))
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
    let verification = replication.and_then(|replication| replication.verification.as_ref());
    let compared = verification.and_then(|verification| verification.last_compare.as_ref());
    let compared = compared.map_or_else(String::new, |last| format!(", compared {last}"));
    let state = replication.and_then(|it| it.synchronous).filter(|state| *state != SynchronousState::Async);
    let synchronous = state.map_or_else(String::new, |state| format!(", {}", state.word()));
    let dash = || "-".to_owned();
    format!(
        "{:<14} {:<11} {:<9} {:<18} {:<9} {:>10} {:>8}  {chunks}{synchronous}{compared}",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit;
    use crate::docker::engine::DockerError;
    use crate::model::names::NodeName;
    use crate::plan::hold::Reason;

    #[test]
    fn an_error_says_what_was_tried_why_it_failed_and_what_to_do() {
        let error = DockerError::HelperFailed {
            doing: "the base backup of primary-1 for replica-1".into(),
            code: 1,
            output: "pg_basebackup: error: connection refused".into(),
        };
        insta::assert_snapshot!(failure_text(&Failure::from(error)), @r"
        error: the base backup of primary-1 for replica-1 failed with exit code 1: pg_basebackup: error: connection refused
        help: run `hypertide doctor`; a second `hypertide up` carries on where this one stopped
        ");
    }

    #[test]
    fn a_refusal_names_its_reason_and_the_way_out() {
        let replica = NodeName::new("replica-1").expect("valid");
        let hold = Hold::new("primary-1", Reason::PrimaryDataGone(replica));
        let failure = Failure::refused(vec![hold]);
        assert_eq!(failure.exit, exit::REFUSED);
        insta::assert_snapshot!(failure_text(&failure), @r"
        error: refused: primary-1: its volume is gone while replica-1 still holds data; an empty primary would replace it
        help: nothing was touched: keep that replica's volume, it may be the only copy of the data
        ");
    }

    #[test]
    fn several_refusals_are_told_in_one_run() {
        let holds = vec![
            Hold::new("primary-1", Reason::PortTaken(5432, "process postgres (pid 7)".into())),
            Hold::new("replica-1", Reason::NotOurs("volume")),
        ];
        insta::assert_snapshot!(failure_text(&Failure::refused(holds)), @r"
        error: refused for 2 reasons
        cause: primary-1: port 5432 is held by process postgres (pid 7)
        cause: replica-1: a volume of this name exists and does not belong to this cluster
        help: stop what listens on 5432, or choose another port in hypertide.yaml (the agent's is `metrics.listen`)
        help: remove or rename that volume, or choose another `cluster` name; hypertide never touches it
        ");
    }
}
