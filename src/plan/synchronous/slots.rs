//! `synchronized_standby_slots`: what a logical replica has and no standby has would be missing where a standby takes the place, so its
//! sender waits for the standbys' slots (<https://www.postgresql.org/docs/17/runtime-config-replication.html#GUC-SYNCHRONIZED-STANDBY-SLOTS>).
//!
//! A slot in that list that nobody streams from stops every logical replica, so it goes out of it at once.

use std::collections::BTreeSet;

use super::{Waits, standing};
use crate::model::cluster::Mode;
use crate::model::desired::DesiredNode;
use crate::model::names::{Ident, NodeName};
use crate::model::observed::{Observed, ServerSeen};
use crate::plan::hold::{Hold, Reason};
use crate::plan::step::StandbySetting;
use crate::plan::topology;

pub(super) fn plan(
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
    server: &ServerSeen,
    waits: &mut Waits,
) {
    let is_logical = |node: &DesiredNode| topology::following(nodes, node, Some(primary)) == Some(Mode::Logical);
    let has_logical = nodes.iter().any(is_logical);
    let now: BTreeSet<&str> =
        server.synchronized_slots.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut stay = Vec::new();
    let mut all: Vec<Ident> = Vec::new();
    for name in topology::standbys(nodes, primary).filter(|_| has_logical) {
        let slot = name.slot();
        let is_used = server.slots.get(&slot).is_some_and(|seen| !seen.is_logical && !seen.lost && seen.active);
        let standing = standing(name, Mode::Physical, observed, server);
        let stays = is_used && standing.is_alive && now.contains(slot.as_str());
        if stays {
            stay.push(slot.clone());
        }
        if stays || (is_used && standing.is_close) {
            all.push(slot);
        } else if !standing.is_alive {
            waits.holds.push(Hold::new(name.as_str(), Reason::NotAwaited));
        }
    }
    let (wanted, is_relief) = if stay.len() < now.len() { (stay, true) } else { (all, false) };
    let value = wanted.iter().map(Ident::as_str).collect::<Vec<_>>().join(", ");
    waits.set(primary, server, StandbySetting::SynchronizedSlots, value, is_relief);
}
