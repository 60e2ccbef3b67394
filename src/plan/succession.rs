//! What becomes of a change of the primary that was cut off: the marks it left say how far it came.
//!
//! A primary that is to give up its place is marked first (`yields_to`): restarted, it would take no writes. Then it refuses them,
//! then the replica is promoted, and last the new epoch is written down. Whoever changes the primary holds the reconcile lock, so
//! whoever executes what is planned here knows that nobody else is at it.

use super::hold::{Hold, Reason};
use super::step::Step;
use super::{Wanted, container, provision, topology};
use crate::model::cluster::Seat;
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed, RunState};
use crate::model::seen::Seen;

/// What is to be done before anything else, or why that cannot be told; `None` when nothing is pending.
pub fn pending(
    wanted: &Wanted<'_>,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
) -> Option<Result<Vec<Step>, Hold>> {
    let seen = observed.nodes.get(primary)?;
    if let Some(row) = topology::seat_row_of_writer(seen).filter(|row| row.node != primary.as_str()) {
        let gives_way = |node: &DesiredNode| observed.nodes.get(&node.name).and_then(topology::yields_to);
        // Without the mark somebody else promoted it, who may know what they do.
        let is_promoted = nodes.iter().any(|other| gives_way(other) == Some(primary.as_str()));
        return is_promoted.then(|| Ok(vec![Step::RaiseEpoch { node: primary.clone(), epoch: row.epoch + 1 }]));
    }
    let to = topology::yields_to(seen)?;
    let there = nodes.iter().find(|node| node.name.as_str() == to);
    let next = there.and_then(|node| back_or_awake(wanted, primary, node, observed.nodes.get(&node.name)?, observed));
    Some(next.ok_or_else(|| Hold::new(primary.as_str(), Reason::GivesWay(to.to_owned()))))
}

/// A replica that was not promoted lets the primary go on. One that does not run is started: what it is then says whether it was.
fn back_or_awake(
    wanted: &Wanted<'_>,
    primary: &NodeName,
    node: &DesiredNode,
    seen: &NodeSeen,
    observed: &Observed,
) -> Option<Vec<Step>> {
    if let Seen::Present(server) = &seen.server {
        let back = Step::LiftFence { node: primary.clone(), to: node.name.clone() };
        let is_subscriber = topology::seat_row_of_writer(seen).is_some_and(|row| row.seat != Seat::Primary);
        return (server.in_recovery || is_subscriber).then(|| vec![back]);
    }
    let start = || provision::start(&node.name).to_vec();
    seen.volume.present().filter(|volume| volume.ours)?;
    match &seen.container {
        Seen::Present(there) if there.ours && matches!(there.state, RunState::Created | RunState::Exited) => {
            Some(start())
        }
        Seen::Absent if container::can_create(observed) => {
            let create = Step::CreateNode { spec: container::spec(wanted, node) };
            Some([create].into_iter().chain(start()).collect())
        }
        _ => None,
    }
}
