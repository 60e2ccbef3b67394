//! Yes or no, for probes and load balancers. Pure: from the published look and the time to a verdict with its reason.
//!
//! A look that is too old to count is a no: traffic is not sent where nobody has looked for a while.

use std::time::Instant;

use crate::model::cluster::Role;
use crate::plan::hold::Reason;
use crate::status::latest::Latest;
use crate::status::{NodeStatus, Status};

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and who or what.
    Yes(String),
    /// No, and why.
    No(String),
    /// There is no node of this name.
    NoSuchNode(String),
}

/// The agent's loop turns.
pub fn alive(latest: &Latest, now: Instant) -> Verdict {
    if latest.is_turning(now) { Verdict::Yes("alive".into()) } else { Verdict::No("no pass has ended for long".into()) }
}

/// The agent sees the cluster, however that is.
pub fn ready(latest: &Latest, now: Instant) -> Verdict {
    match (recent(latest, now), &latest.failure) {
        (Ok(_), None) => Verdict::Yes("ready".into()),
        (Ok(_), Some(because)) => Verdict::No(format!("the last look failed: {because}")),
        (Err(why), _) => Verdict::No(why),
    }
}

/// A node takes writes: any, or the one asked about.
pub fn primary(latest: &Latest, now: Instant, node: Option<&str>) -> Verdict {
    let status = match asked(latest, now, node) {
        Ok(status) => status,
        Err(verdict) => return verdict,
    };
    match (&status.primary, node) {
        (Some(primary), None) => Verdict::Yes(primary.to_string()),
        (Some(primary), Some(node)) if primary.as_str() == node => Verdict::Yes(node.to_owned()),
        (Some(primary), Some(_)) => Verdict::No(format!("the primary is {primary}")),
        (None, _) => Verdict::No("no node takes writes".into()),
    }
}

/// Replicas are complete and well: at least one, or the one asked about.
pub fn replica(latest: &Latest, now: Instant, node: Option<&str>) -> Verdict {
    let status = match asked(latest, now, node) {
        Ok(status) => status,
        Err(verdict) => return verdict,
    };
    let is_asked = |it: &&NodeStatus| match node {
        Some(name) => it.name.as_str() == name,
        None => it.role != Role::Primary,
    };
    let (mut well, mut not_well) = (Vec::new(), Vec::new());
    for node in status.nodes.iter().filter(is_asked) {
        match objection(status, node) {
            None => well.push(node.name.to_string()),
            Some(why) => not_well.push(format!("{}: {why}", node.name)),
        }
    }
    match (well.as_slice(), not_well.as_slice()) {
        ([], []) => Verdict::No("there is no replica".into()),
        ([], _) => Verdict::No(not_well.join("\n")),
        _ => Verdict::Yes(well.join("\n")),
    }
}

/// Why reads should not go to a node; `None` when they may.
fn objection(status: &Status, node: &NodeStatus) -> Option<String> {
    let is_about_it = |what: &str| what == node.name.as_str();
    match node.role {
        Role::Primary => return Some("it is the primary".into()),
        Role::Fenced | Role::Unknown => {
            return Some(format!("its role is {}, its container {}", node.role, node.state));
        }
        Role::Standby | Role::Subscriber => {}
    }
    // That the primary is away says nothing of what is here.
    let mut reasons = status.holds.iter().filter(|hold| is_about_it(&hold.what)).map(|hold| &hold.reason);
    match reasons.find(|reason| **reason != Reason::AwaitsPrimary) {
        Some(reason) => Some(reason.to_string()),
        None if node.is_well() => None,
        None => Some("it is not known to have every chunk".into()),
    }
}

/// The status, when it is recent and knows the node.
fn asked<'a>(latest: &'a Latest, now: Instant, node: Option<&str>) -> Result<&'a Status, Verdict> {
    let status = recent(latest, now).map_err(Verdict::No)?;
    match node {
        Some(name) if status.nodes.iter().all(|node| node.name.as_str() != name) => {
            Err(Verdict::NoSuchNode(format!("there is no node `{}`", name.escape_debug())))
        }
        _ => Ok(status),
    }
}

/// The status, or why there is none that counts.
fn recent(latest: &Latest, now: Instant) -> Result<&Status, String> {
    let why = match (latest.fresh(now), &latest.look) {
        (Some(look), _) => return Ok(&look.status),
        (None, Some(look)) => format!("the last look is {:.0} s old", look.age(now).as_secs_f64()),
        (None, None) => "nothing was seen yet".to_owned(),
    };
    Err(match &latest.failure {
        Some(because) => format!("{why}: {because}"),
        None => why,
    })
}

#[cfg(test)]
mod tests;
