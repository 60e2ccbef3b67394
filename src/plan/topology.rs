//! Who is who: the nodes of a cluster, the primary among them, and the role each one has now.
//!
//! Configuration names a preference; what the databases say decides.

use super::hold::{Hold, Reason};
use crate::model::cluster::{Role, Seat};
use crate::model::desired::{Desired, DesiredNode};
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed, SeatRow, ServerSeen};
use crate::model::seen::Seen;

/// The configured nodes, then those that only the labels of their volumes remember (`replica add`).
pub fn nodes(desired: &Desired, observed: &Observed) -> Vec<DesiredNode> {
    let mut nodes = desired.nodes.clone();
    for (name, seen) in &observed.nodes {
        let Some(volume) = seen.volume.present().filter(|volume| volume.ours) else { continue };
        if let (None, Some(seat), Some(port)) = (desired.node(name), volume.seat, volume.port) {
            nodes.push(DesiredNode { name: name.clone(), seat, port });
        }
    }
    nodes
}

/// The node that takes the writes: the writer of the highest epoch; where none answers, the one whose volume was
/// provisioned for it; where there is no such volume, the one that is configured for it.
///
/// # Errors
/// A hold when two nodes claim the same epoch, or when making a new primary could put replicas' data at risk.
pub fn primary(nodes: &[DesiredNode], observed: &Observed) -> Result<NodeName, Hold> {
    let mut writers: Vec<(u64, &NodeName)> =
        nodes.iter().filter_map(|node| Some((writer_epoch(observed.nodes.get(&node.name)?)?, &node.name))).collect();
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

/// The epoch at which a node takes writes as primary; `None` when it does not.
pub fn writer_epoch(seen: &NodeSeen) -> Option<u64> {
    seat_row_of_writer(seen).filter(|row| row.seat == Seat::Primary).map(|row| row.epoch)
}

/// What hypertide wrote down in a database that is the node's own; a standby shows its primary's row.
pub fn seat_row_of_writer(seen: &NodeSeen) -> Option<&SeatRow> {
    seen.server.present().filter(|server| !server.in_recovery).and_then(seat_row)
}

/// What hypertide wrote down in the database a server shows.
pub fn seat_row(server: &ServerSeen) -> Option<&SeatRow> {
    server.database.present().and_then(|database| database.seat.as_ref())
}

/// The role a node has now.
pub fn role(seen: &NodeSeen, is_primary: bool) -> Role {
    match &seen.server {
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
