//! How commits wait for a replica, as far as that is certain to have been so up to this look and to stay so until the next one.
//!
//! In: a look. Out: the state of each replica. What is about to be changed, and rows that may not be on their way, make a replica a
//! `Potential` one: it may have commits that others lack, and may lack some itself.

use super::{listed, names, sender_name};
use crate::model::cluster::Mode;
use crate::model::desired::{Desired, DesiredNode};
use crate::model::health::SynchronousState;
use crate::model::names::NodeName;
use crate::model::observed::{Observed, ServerSeen};
use crate::model::seen::Seen;
use crate::plan::chunks::strategy::{self, Strategy};
use crate::plan::{readiness, topology};

/// How commits on this primary wait for a node; absent: it is not connected there.
pub fn state(
    desired: &Desired,
    nodes: &[DesiredNode],
    primary: &NodeName,
    node: &DesiredNode,
    observed: &Observed,
) -> Seen<SynchronousState> {
    let Some(server) = observed.nodes.get(primary).and_then(|seen| seen.server.present()) else {
        return Seen::unknown("the primary does not say whether commits wait for it");
    };
    let Some(mode) = topology::following(nodes, node, Some(primary)) else { return Seen::Absent };
    let name = sender_name(&node.name, mode);
    let is_listed = listed(&server.synchronous_names).contains(&name);
    let Some(sender) = server.senders.get(&name) else {
        // Commits may have waited for it alone until a moment ago.
        return if is_listed { Seen::Present(SynchronousState::Potential) } else { Seen::Absent };
    };
    let Some(state) = sender.synchronous else { return Seen::unknown("PostgreSQL has a new word for it") };
    let may_have_more = is_listed || state != SynchronousState::Async;
    let is_settled = is_listed && names(desired, nodes, primary, observed, server).is_none();
    Seen::Present(match state {
        _ if !may_have_more => SynchronousState::Async,
        state if is_settled && (mode == Mode::Physical || has_every_row(node, observed, server)) => state,
        _ => SynchronousState::Potential,
    })
}

/// Each row that is committed is on its way to this logical replica, in chunks that come to be as well.
fn has_every_row(node: &DesiredNode, observed: &Observed, primary: &ServerSeen) -> bool {
    let Some(database) = primary.database.present() else { return false };
    let Some(publication) = &database.publication else { return false };
    let Some(seen) = observed.nodes.get(&node.name) else { return false };
    let is_polled = |hypertable| strategy::of(hypertable, publication, database) == Strategy::Polling;
    readiness::objections(&node.name, Mode::Logical, seen, Some(primary)).is_empty()
        && !database.hypertables.values().filter(|it| publication.covers(&it.name)).any(is_polled)
}
