//! One physical replica: cloned when nothing of it exists, else judged by its slot and its stream.

use super::{Lanes, Source};
use crate::model::desired::DesiredNode;
use crate::model::observed::{NodeSeen, Observed};
use crate::model::seen::Seen;
use crate::plan::hold::{Hold, Reason};
use crate::plan::step::Step;
use crate::plan::{Wanted, container, provision};

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
    } else if matches!(&seen.server, Seen::Present(server) if !server.is_receiving) {
        holds.push(Hold::new(name.as_str(), Reason::NotStreaming));
    }
    lanes
}
