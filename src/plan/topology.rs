//! Who is who: the nodes of a cluster, the primary among them, and the role each one has now.
//!
//! Configuration names a preference; what the databases say decides.

use super::hold::{Hold, Reason};
use crate::model::cluster::{Mode, Role, Seat};
use crate::model::desired::{Desired, DesiredNode};
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed, SeatRow, ServerSeen};
use crate::model::promotion::FailoverPause;
use crate::model::seen::Seen;

/// The configured nodes, then those that only the labels of their volumes remember (`replica add`).
pub fn nodes(desired: &Desired, observed: &Observed) -> Vec<DesiredNode> {
    let mut nodes = desired.nodes.clone();
    for (name, seen) in &observed.nodes {
        let Some(volume) = seen.volume.present().filter(|volume| volume.ours) else { continue };
        if let (None, Some(seat), Some(port)) = (desired.node(name), volume.seat, volume.port) {
            nodes.push(DesiredNode { name: name.clone(), seat, port, priority: DesiredNode::PRIORITY });
        }
    }
    nodes
}

/// The node that takes the writes: the writer of the highest epoch; where none answers, the one that a replica names whose
/// volume is there; else the one whose volume was provisioned for it; where there is no such volume, the one that is configured
/// for it. A writer that is marked to give up its place is one as long as nobody else is.
///
/// # Errors
/// A hold when two nodes claim the same epoch, or when making a new primary could put replicas' data at risk.
pub fn primary(nodes: &[DesiredNode], observed: &Observed) -> Result<NodeName, Hold> {
    let claim = |seen: &NodeSeen| Some((writer_epoch(seen)?, yields_to(seen).is_none()));
    let mut writers: Vec<((u64, bool), &NodeName)> =
        nodes.iter().filter_map(|node| Some((claim(observed.nodes.get(&node.name)?)?, &node.name))).collect();
    writers.sort();
    match writers.as_slice() {
        [.., (second, other), (first, name)] if first == second => {
            return Err(Hold::new(name.as_str(), Reason::TwoPrimaries((*other).clone())));
        }
        [.., (_, name)] => return Ok((*name).clone()),
        [] => {}
    }

    let volume = |node: &DesiredNode| observed.nodes.get(&node.name).map_or(&Seen::Absent, |seen| &seen.volume);
    let is_ours = |node: &DesiredNode| volume(node).present().is_some_and(|volume| volume.ours);
    let told = nodes.iter().filter_map(|node| observed.nodes.get(&node.name)?.server.present().and_then(seat_row));
    let told = told.filter_map(|row| Some((row.epoch, primary_of(row)?))).max();
    if let Some(node) = told.and_then(|(_, name)| nodes.iter().find(|node| node.name.as_str() == name && is_ours(node)))
    {
        return Ok(node.name.clone());
    }
    let seated = || nodes.iter().filter(|node| node.seat == Seat::Primary);
    let provisioned: Vec<&DesiredNode> = seated().filter(|node| is_ours(node)).collect();
    match provisioned.as_slice() {
        [node, other, ..] => return Err(Hold::new(node.name.as_str(), Reason::TwoPrimaries(other.name.clone()))),
        [node] => return Ok(node.name.clone()),
        [] => {}
    }

    let node = seated().next().expect("config::resolve gives every cluster a primary");
    if !volume(node).is_absent() {
        return Ok(node.name.clone());
    }
    // An empty primary is about to be made: nobody may hold data already.
    for other in nodes.iter().filter(|other| other.name != node.name) {
        if is_ours(other) {
            return Err(Hold::new(node.name.as_str(), Reason::PrimaryDataGone(other.name.clone())));
        }
        if let Seen::Unknown { because } = volume(other) {
            return Err(Hold::new(other.name.as_str(), Reason::Unknown(because.clone())));
        }
    }
    Ok(node.name.clone())
}

/// Whom a row names as the primary: a standby shows its primary's, and one that gave up its place says to whom.
fn primary_of(row: &SeatRow) -> Option<&str> {
    if row.seat == Seat::Primary { Some(&row.node) } else { row.follows.as_deref() }
}

/// The epoch at which a node takes writes as primary; `None` when it does not.
pub fn writer_epoch(seen: &NodeSeen) -> Option<u64> {
    seat_row_of_writer(seen).filter(|row| row.seat == Seat::Primary).map(|row| row.epoch)
}

/// To whom a node is marked to give up its place.
pub fn yields_to(seen: &NodeSeen) -> Option<&str> {
    match &seen.server {
        Seen::Present(server) => server.yields_to.as_deref(),
        Seen::Absent | Seen::Unknown { .. } => seen.mark.present().map(String::as_str),
    }
}

/// How a node follows the primary, when there is one: as its seat says; the one that is configured as the primary, in the stead of
/// the replica that took its place.
pub fn following(nodes: &[DesiredNode], node: &DesiredNode, primary: Option<&NodeName>) -> Option<Mode> {
    if Some(&node.name) == primary {
        return None;
    }
    let taken = || nodes.iter().find(|node| Some(&node.name) == primary)?.seat.mode();
    node.seat.mode().or_else(taken)
}

/// A node that gave up its place and is a logical replica since: whose.
pub fn follows_since(seen: &NodeSeen) -> Option<&str> {
    seat_row_of_writer(seen).filter(|row| row.seat != Seat::Primary)?.follows.as_deref()
}

/// The nodes that follow the primary as standbys.
pub fn standbys<'a>(nodes: &'a [DesiredNode], primary: &'a NodeName) -> impl Iterator<Item = &'a NodeName> {
    let follows = |node: &&DesiredNode| following(nodes, node, Some(primary)) == Some(Mode::Physical);
    nodes.iter().filter(follows).map(|node| &node.name)
}

/// The nodes that follow the primary as logical replicas.
pub fn subscribers<'a>(nodes: &'a [DesiredNode], primary: &'a NodeName) -> impl Iterator<Item = &'a NodeName> {
    let follows = |node: &&DesiredNode| following(nodes, node, Some(primary)) == Some(Mode::Logical);
    nodes.iter().filter(follows).map(|node| &node.name)
}

/// The node was promoted, and that is written down in it.
pub fn has_taken_over(name: &NodeName, observed: &Observed) -> bool {
    let row = observed.nodes.get(name).and_then(seat_row_of_writer);
    row.is_some_and(|row| row.seat == Seat::Primary && row.node == name.as_str())
}

/// What hypertide wrote down in a database that is the node's own; a standby shows its primary's row.
pub fn seat_row_of_writer(seen: &NodeSeen) -> Option<&SeatRow> {
    seen.server.present().filter(|server| !server.in_recovery).and_then(seat_row)
}

/// What hypertide wrote down in the database a server shows.
pub fn seat_row(server: &ServerSeen) -> Option<&SeatRow> {
    server.database.present().and_then(|database| database.seat.as_ref())
}

/// Failover is paused: as the primary says; where it does not answer, as the standby says that has most of its log.
pub fn failover_pause<'a>(primary: &NodeName, observed: &'a Observed) -> Option<&'a FailoverPause> {
    let tells = |seen: &'a NodeSeen| {
        let server = seen.server.present()?;
        Some((server, server.database.present()?))
    };
    let standbys = observed.nodes.values().filter_map(tells).filter(|(server, _)| server.in_recovery);
    let told = observed.nodes.get(primary).and_then(tells);
    let (_, database) = told.or_else(|| standbys.max_by_key(|(server, _)| server.lsn))?;
    database.failover_paused.as_ref()
}

/// The role a node has now.
pub fn role(seen: &NodeSeen, is_primary: bool) -> Role {
    match &seen.server {
        _ if yields_to(seen).is_some() => Role::Fenced,
        Seen::Present(server) if server.in_recovery => Role::Standby,
        Seen::Present(_) if is_primary && writer_epoch(seen).is_some() => Role::Primary,
        Seen::Present(server) if server.database.present().is_some_and(|db| db.subscription.is_some()) => {
            Role::Subscriber
        }
        _ => Role::Unknown,
    }
}

#[cfg(test)]
mod tests;
