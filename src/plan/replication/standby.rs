//! One physical replica: cloned when nothing of it exists, else judged by its slot and its stream.

use super::{Lanes, Source};
use crate::model::cluster::Mode;
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed};
use crate::model::seen::Seen;
use crate::plan::hold::{Hold, Reason};
use crate::plan::step::Step;
use crate::plan::{Wanted, container, provision, topology};

/// A receiver whose primary was cut off takes itself for one that streams; the primary knows whom it sends to.
fn is_sent_to(name: &NodeName, seen: &NodeSeen, source: Source<'_>) -> bool {
    let primary = source.server.filter(|_| seen.server.is_present());
    primary.is_none_or(|primary| primary.senders.contains_key(name.as_str()))
}

/// What a standby needs. Its slot is made before its volume: a volume without a slot has missed changes.
pub(super) fn lanes(
    wanted: &Wanted<'_>,
    node: &DesiredNode,
    source: Source<'_>,
    seen: &NodeSeen,
    observed: &Observed,
    holds: &mut Vec<Hold>,
) -> Lanes {
    let mut lanes = Lanes::default();
    let name = &node.name;
    // Held by `provision`, whichever it is.
    if seen.volume.is_unknown() || seen.container.is_unknown() {
        return lanes;
    }
    let has_given_way = provision::has_given_way(node, Some(Mode::Physical), source.name, observed);
    if has_given_way && seen.volume.is_present() && !provision::is_standby(seen) {
        lanes.on_replica = rejoin(wanted, node, source, seen, observed, holds);
        return lanes;
    }
    let upstream = seen.server.present().and_then(|server| server.upstream.as_ref());
    let is_astray = upstream.is_some_and(|host| *host != wanted.desired.cluster.container(source.name));
    if is_astray && provision::is_standby(seen) && topology::has_taken_over(source.name, observed) {
        lanes.on_replica.push(Step::Follow { node: name.clone(), from: source.name.clone() });
        return lanes;
    }
    let slot = source.server.and_then(|server| server.slots.get(&name.slot()));
    let is_usable = slot.is_some_and(|slot| !slot.is_logical && !slot.lost);
    if !is_usable && seen.volume.is_present() {
        holds.push(Hold::new(name.as_str(), Reason::SlotLost));
    } else if seen.container.is_absent() && container::can_create(observed) {
        let spec = container::spec(wanted, node);
        let on_primary = || source.name.clone();
        if !is_usable {
            if slot.is_some() {
                lanes.on_primary.push(Step::DropSlot { node: on_primary(), slot: name.slot() });
            }
            lanes.on_primary.push(Step::CreateSlot { node: on_primary(), slot: name.slot() });
        }
        if seen.volume.is_absent() {
            lanes.on_replica.push(Step::CreateVolume { spec: spec.clone() });
        }
        lanes
            .on_replica
            .extend([Step::CloneStandby { node: name.clone(), from: on_primary() }, Step::CreateNode { spec }]);
        lanes.on_replica.extend(provision::start(name));
    } else if matches!(&seen.server, Seen::Present(server) if !server.is_receiving) || !is_sent_to(name, seen, source) {
        holds.push(Hold::new(name.as_str(), Reason::NotStreaming));
    }
    lanes
}

/// A node that gave up its place: whatever of it runs may have written more than the others have.
fn rejoin(
    wanted: &Wanted<'_>,
    node: &DesiredNode,
    source: Source<'_>,
    seen: &NodeSeen,
    observed: &Observed,
    holds: &mut Vec<Hold>,
) -> Vec<Step> {
    let name = &node.name;
    let state = seen.container.present().map(|container| container.state);
    if let Some(why_not) = state.and_then(|state| container::unsettled(state, &seen.server)) {
        holds.push(Hold::new(name.as_str(), why_not));
        return Vec::new();
    }
    let mut lane = vec![Step::Rejoin { node: name.clone(), from: source.name.clone() }];
    if state.is_none() {
        if !container::can_create(observed) {
            return Vec::new();
        }
        lane.push(Step::CreateNode { spec: container::spec(wanted, node) });
    }
    lane.extend(provision::start(name));
    lane
}
