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

/// The node that takes the writes: the writer of the highest epoch, or, where no server answers yet, the one that was
/// provisioned or is configured for it.
///
/// # Errors
/// A hold when two nodes claim the same epoch, or when making a new primary would put replicas' data at risk.
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

    let node =
        nodes.iter().find(|node| node.seat == Seat::Primary).expect("config::resolve gives every cluster a primary");
    let is_gone = observed.nodes.get(&node.name).is_none_or(|seen| seen.volume.is_absent());
    let survivor = nodes.iter().find(|other| {
        let volume = observed.nodes.get(&other.name).and_then(|seen| seen.volume.present());
        other.name != node.name && volume.is_some_and(|volume| volume.ours)
    });
    match survivor {
        Some(replica) if is_gone => Err(Hold::new(node.name.as_str(), Reason::PrimaryDataGone(replica.name.clone()))),
        _ => Ok(node.name.clone()),
    }
}

/// The epoch at which a node takes writes as primary; `None` when it does not.
fn writer_epoch(seen: &NodeSeen) -> Option<u64> {
    let server = seen.server.present().filter(|server| !server.in_recovery)?;
    seat_row(server).filter(|row| row.seat == Seat::Primary).map(|row| row.epoch)
}

/// What hypertide wrote down in the node's database.
pub fn seat_row(server: &ServerSeen) -> Option<&SeatRow> {
    server.database.present().and_then(|database| database.seat.as_ref())
}

/// The role a node has now.
pub fn role(seen: &NodeSeen, is_primary: bool) -> Role {
    match &seen.server {
        Seen::Present(server) if server.in_recovery => Role::Standby,
        Seen::Present(server) if is_primary && seat_row(server).is_some() => Role::Primary,
        Seen::Present(server) if server.database.present().is_some_and(|db| db.subscription.is_some()) => {
            Role::Subscriber
        }
        _ => Role::Unknown,
    }
}
