//! Volume and container of one node: made, replaced, started, or left alone with a reason.
//!
//! Nothing is made, stopped or removed while something it depends on is unknown.

use super::Wanted;
use super::hold::{Hold, Reason};
use super::step::{NodeSpec, Step};
use super::{provision, topology};
use crate::model::desired::DesiredNode;
use crate::model::observed::{ContainerSeen, ImageFacts, NodeSeen, Observed, RunState, ServerSeen, VolumeSeen};
use crate::model::seen::Seen;

/// What planning may assume about a server while it plans.
#[derive(Clone, Copy, Debug)]
pub enum Inside<'a> {
    /// Freshly initialised by this very plan: nothing is in it.
    Fresh,
    /// Looked at.
    Seen(&'a ServerSeen),
    /// Starts by this plan, is left alone, or could not be asked: the next pass decides.
    Later,
}

/// The specification of a node's container.
pub fn spec(wanted: &Wanted<'_>, node: &DesiredNode) -> NodeSpec {
    NodeSpec {
        node: node.name.clone(),
        seat: node.seat,
        port: node.port,
        bind: wanted.desired.bind,
        settings: wanted.desired.settings.iter().map(|setting| format!("{}={}", setting.name, setting.value)).collect(),
    }
}

/// Image, passwords and network were all looked for: what is made from them can be made. Whichever is unknown is held
/// under its own name.
pub fn can_create(observed: &Observed) -> bool {
    !(observed.image.is_unknown() || observed.secrets.is_unknown() || observed.network.is_unknown())
}

/// Steps for one node, and what can be said about its server once they ran.
pub fn steps<'a>(
    wanted: &Wanted<'_>,
    node: &DesiredNode,
    seen: &'a NodeSeen,
    observed: &Observed,
    holds: &mut Vec<Hold>,
) -> (Vec<Step>, Inside<'a>) {
    let spec = spec(wanted, node);
    let name = &node.name;
    let can_create = can_create(observed);
    let mut held = |reason| {
        holds.push(Hold::new(name.as_str(), reason));
        (Vec::new(), Inside::Later)
    };

    let create_volume = match &seen.volume {
        Seen::Unknown { because } => return held(Reason::Unknown(because.clone())),
        Seen::Absent => Some(Step::CreateVolume { spec: spec.clone() }),
        Seen::Present(_) => None,
    };
    let there = match &seen.container {
        Seen::Unknown { because } => return held(Reason::Unknown(because.clone())),
        Seen::Absent if !can_create => return (Vec::new(), Inside::Later),
        Seen::Absent => {
            let inside = if create_volume.is_some() { Inside::Fresh } else { Inside::Later };
            let lane = create_volume.into_iter().chain([Step::CreateNode { spec }]).chain(provision::start(name));
            return (lane.collect(), inside);
        }
        Seen::Present(there) => there,
    };
    if let Some(reason) = unsettled(there.state, &seen.server) {
        return held(reason);
    }
    let as_seen = seen.server.present().map_or(Inside::Later, Inside::Seen);
    if is_outdated(there, &spec, observed.image.present()) {
        if !can_create {
            return (Vec::new(), as_seen);
        }
        let stop = there.state.is_running().then(|| Step::StopNode { node: name.clone() });
        let replace = [Step::RemoveContainer { node: name.clone() }, Step::CreateNode { spec }];
        return (stop.into_iter().chain(replace).chain(provision::start(name)).collect(), Inside::Later);
    }
    match there.state {
        RunState::Running => (Vec::new(), as_seen),
        // It ran, so it was given its passwords, and nobody can write until it runs again.
        RunState::Exited => (vec![Step::StartNode { node: name.clone() }], Inside::Later),
        _ => (provision::start(name).to_vec(), Inside::Later),
    }
}

/// Why a node can be neither judged nor rebuilt just now.
pub fn unsettled(state: RunState, server: &Seen<ServerSeen>) -> Option<Reason> {
    match (state, server) {
        (RunState::Paused, _) => Some(Reason::Paused),
        (RunState::Changing, _) => Some(Reason::Unknown("Docker is restarting or removing its container".into())),
        (RunState::Running, Seen::Unknown { because }) => Some(Reason::Unknown(because.clone())),
        (RunState::Running | RunState::Created | RunState::Exited, _) => None,
    }
}

fn is_outdated(there: &ContainerSeen, spec: &NodeSpec, image: Option<&ImageFacts>) -> bool {
    there.spec != spec.digest() || image.is_some_and(|image| image.id != there.image_id)
}

/// Everything that forbids touching anything, because of this node.
pub fn refusals(node: &DesiredNode, is_primary: bool, seen: &NodeSeen, observed: &Observed) -> Vec<Reason> {
    let mut refusals = Vec::new();
    match &seen.volume {
        Seen::Present(volume) if !volume.ours => refusals.push(Reason::NotOurs("volume")),
        Seen::Present(volume) => {
            refusals.extend(observed.image.present().and_then(|image| volume_mismatch(volume, image)));
        }
        Seen::Absent | Seen::Unknown { .. } => {}
    }
    let on_volume = seen.volume.present().filter(|volume| volume.ours).and_then(|volume| volume.seat);
    // A promoted replica says "primary" and keeps the seat it was provisioned for.
    let in_database = topology::seat_row_of_writer(seen).map(|row| row.seat).filter(|_| !is_primary || !claims(seen));
    // One that gives up its place says so still; one that gave it up says to whom.
    let in_database = in_database.filter(|_| topology::yields_to(seen).is_none());
    let in_database = in_database.filter(|_| is_primary || topology::follows_since(seen).is_none());
    let was = [on_volume, in_database].into_iter().flatten().find(|was| *was != node.seat);
    refusals.extend(was.map(|was| Reason::SeatChanged(was, node.seat)));
    if seen.container.present().is_some_and(|container| !container.ours) {
        refusals.push(Reason::NotOurs("container"));
    }
    let holder = observed.taken_ports.get(&node.port);
    refusals.extend(holder.map(|holder| Reason::PortTaken(node.port, holder.clone())));
    refusals
}

fn claims(seen: &NodeSeen) -> bool {
    topology::writer_epoch(seen).is_some()
}

/// Why an image cannot run on a volume.
pub fn volume_mismatch(volume: &VolumeSeen, image: &ImageFacts) -> Option<Reason> {
    if let (Some(on_volume), Some(in_image)) = (volume.postgres_major, image.postgres_major)
        && on_volume != in_image
    {
        return Some(Reason::OtherPostgresMajor(on_volume, in_image));
    }
    match (&volume.timescaledb, &image.timescaledb) {
        (Some(on_volume), Some(in_image)) if on_volume != in_image => {
            Some(Reason::OtherTimescale(on_volume.clone(), in_image.clone()))
        }
        _ => None,
    }
}
