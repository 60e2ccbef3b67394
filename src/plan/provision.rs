//! From nothing to running servers with their roles, database, extension and packs.
//!
//! Plans each node on its own; what ties nodes together is `replication`'s business.

use std::collections::BTreeMap;

use super::Wanted;
use super::hold::{Hold, Reason};
use super::migrations::{self, Ground};
use super::step::{NodeSpec, Step};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::model::observed::{ContainerSeen, ImageFacts, NodeSeen, Observed, RunState, ServerSeen, VolumeSeen};
use crate::model::pack::{Applied, MigrationId};
use crate::model::seen::Seen;

/// Version of hypertide's own schema in a database; raise it with every change of `sql/setup/catalog.sql`.
pub const CATALOG_VERSION: u32 = 1;

/// Login roles of every cluster: streaming and table copies, applications, people who read, and monitoring.
pub const ROLES: [&str; 4] = ["replicator", "app", "reader", "monitor"];

/// The superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// A node that is wanted and of which nothing exists.
pub static NOTHING_SEEN: NodeSeen = NodeSeen { volume: Seen::Absent, container: Seen::Absent, server: Seen::Absent };

/// What planning may assume about a server while it plans.
#[derive(Clone, Copy, Debug)]
pub enum Inside<'a> {
    /// Freshly initialised by this very plan: nothing is in it.
    Fresh,
    /// Looked at.
    Seen(&'a ServerSeen),
    /// Starts by this plan, or could not be asked: the next pass decides.
    Later,
}

/// Steps per node, in the order of stages.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Before all else: the primary's volume, so that a replica's volume never stands alone.
    pub first: Vec<Step>,
    /// Nodes side by side.
    pub side_by_side: Vec<Vec<Step>>,
    /// Migrations of replicas that already subscribe: before the primary's.
    pub subscriber_migrations: Vec<Vec<Step>>,
    /// Migrations of a primary that is already subscribed to.
    pub primary_migrations: Vec<Step>,
}

/// The lanes and what is in each node once they ran.
#[derive(Debug)]
pub struct Provisioned<'a> {
    /// What to do.
    pub steps: Lanes,
    /// By node.
    pub inside: BTreeMap<NodeName, Inside<'a>>,
    /// Nodes that get migrations by this plan: what they hold afterwards is not known yet.
    pub migrating: Vec<NodeName>,
}

/// Plans every node that does not need another one to come into being; standbys are cloned later.
pub fn lanes<'a>(
    wanted: &Wanted<'_>,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &'a Observed,
    holds: &mut Vec<Hold>,
) -> Provisioned<'a> {
    let image = observed.image.present();
    let has_subscription = observed
        .nodes
        .values()
        .filter_map(|seen| seen.server.present()?.database.present())
        .any(|database| database.subscription.is_some());
    let has_logical_replica = nodes.iter().any(|node| node.seat == Seat::Replica(Mode::Logical));
    let mut out = Provisioned { steps: Lanes::default(), inside: BTreeMap::new(), migrating: Vec::new() };

    // A subscriber learns of a new table before it is published: replicas first, and none may be left out.
    let mut unready: Option<(&NodeName, bool)> = None;
    let replicas_first = nodes.iter().filter(|node| node.name != *primary);
    for node in replicas_first.chain(nodes.iter().filter(|node| node.name == *primary)) {
        let seen = observed.nodes.get(&node.name).unwrap_or(&NOTHING_SEEN);
        refuse_unsafe(node, seen, image, observed, holds);
        let (mut lane, inside) = container(wanted, node, seen, image, holds);
        out.inside.insert(node.name.clone(), inside);
        if node.seat == Seat::Replica(Mode::Physical) && node.name != *primary {
            // A standby's rows, roles and schema come with the WAL; only its container is ours to make.
            if !lane.is_empty() && !needs_clone(seen) {
                out.steps.side_by_side.push(lane);
            }
            continue;
        }
        if node.name == *primary && matches!(lane.first(), Some(Step::CreateVolume { .. })) {
            out.steps.first.push(lane.remove(0));
        }
        lane.extend(server(node, inside));
        if node.name != *primary && matches!(inside, Inside::Later) {
            let is_starting = lane.iter().any(|step| matches!(step, Step::StartNode { .. }));
            unready = unready.or(Some((&node.name, is_starting)));
        }
        let mut pending = pending_migrations(wanted, inside, has_logical_replica, &node.name, holds);
        if let Some((replica, is_starting)) = unready.filter(|_| node.name == *primary && !pending.is_empty()) {
            pending.clear();
            if !is_starting {
                holds.push(Hold::new(node.name.as_str(), Reason::AwaitsReplica(replica.clone())));
            }
        }
        if !pending.is_empty() {
            out.migrating.push(node.name.clone());
        }
        let migrations = pending.into_iter().map(|id| Step::ApplyMigration {
            node: node.name.clone(),
            id,
            seat: if node.name == *primary { Seat::Primary } else { node.seat },
        });
        if !has_subscription {
            lane.extend(migrations);
        } else if node.name == *primary {
            out.steps.primary_migrations.extend(migrations);
        } else {
            out.steps.subscriber_migrations.push(migrations.collect());
        }
        out.steps.side_by_side.push(lane);
    }
    out
}

/// A standby whose container is absent is cloned first; cloning leaves a volume that is already filled alone.
pub fn needs_clone(seen: &NodeSeen) -> bool {
    seen.container.is_absent()
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

/// Everything that forbids touching anything, because of this node.
fn refuse_unsafe(
    node: &DesiredNode,
    seen: &NodeSeen,
    image: Option<&ImageFacts>,
    observed: &Observed,
    holds: &mut Vec<Hold>,
) {
    let mut refuse = |reason| holds.push(Hold::new(node.name.as_str(), reason));
    match &seen.volume {
        Seen::Present(volume) if !volume.ours => refuse(Reason::NotOurs("volume")),
        Seen::Present(volume) => {
            if let Some(reason) = image.and_then(|image| volume_mismatch(volume, image)) {
                refuse(reason);
            }
            if let Some(was) = volume.seat.filter(|was| *was != node.seat) {
                refuse(Reason::SeatChanged(was, node.seat));
            }
        }
        Seen::Absent | Seen::Unknown { .. } => {}
    }
    if seen.container.present().is_some_and(|container| !container.ours) {
        refuse(Reason::NotOurs("container"));
    }
    if let Some(holder) = observed.taken_ports.get(&node.port) {
        refuse(Reason::PortTaken(node.port, holder.clone()));
    }
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

/// Volume and container of one node, and what can be said about the server once these steps ran.
fn container<'a>(
    wanted: &Wanted<'_>,
    node: &DesiredNode,
    seen: &'a NodeSeen,
    image: Option<&ImageFacts>,
    holds: &mut Vec<Hold>,
) -> (Vec<Step>, Inside<'a>) {
    let spec = spec(wanted, node);
    let name = &node.name;
    let mut steps = Vec::new();
    let mut hold = |reason| holds.push(Hold::new(name.as_str(), reason));

    let is_fresh = match &seen.volume {
        Seen::Unknown { because } => {
            hold(Reason::Unknown(because.clone()));
            return (steps, Inside::Later);
        }
        Seen::Absent => {
            steps.push(Step::CreateVolume { spec: spec.clone() });
            true
        }
        Seen::Present(_) => false,
    };
    let start = start(name);
    match &seen.container {
        Seen::Unknown { because } => {
            hold(Reason::Unknown(because.clone()));
            (Vec::new(), Inside::Later)
        }
        Seen::Absent => {
            steps.push(Step::CreateNode { spec });
            steps.extend(start);
            (steps, if is_fresh { Inside::Fresh } else { Inside::Later })
        }
        Seen::Present(there) if is_outdated(there, &spec, image) => {
            if there.state.is_running() {
                steps.push(Step::StopNode { node: name.clone() });
            }
            steps.extend([Step::RemoveContainer { node: name.clone() }, Step::CreateNode { spec }]);
            steps.extend(start);
            (steps, Inside::Later)
        }
        Seen::Present(there) => match there.state {
            RunState::Created | RunState::Exited => {
                steps.extend(start);
                (steps, Inside::Later)
            }
            RunState::Paused => {
                hold(Reason::Paused);
                (steps, Inside::Later)
            }
            RunState::Changing => {
                hold(Reason::Unknown("Docker is restarting or removing its container".into()));
                (steps, Inside::Later)
            }
            RunState::Running => match &seen.server {
                Seen::Present(server) => (steps, Inside::Seen(server)),
                Seen::Unknown { because } => {
                    hold(Reason::Unknown(because.clone()));
                    (steps, Inside::Later)
                }
                Seen::Absent => (steps, Inside::Later),
            },
        },
    }
}

/// Starting a node. Its passwords come first each time: a run may have been cut off before it gave them.
pub fn start(node: &NodeName) -> [Step; 2] {
    [Step::GiveSecrets { node: node.clone() }, Step::StartNode { node: node.clone() }]
}

fn is_outdated(there: &ContainerSeen, spec: &NodeSpec, image: Option<&ImageFacts>) -> bool {
    there.spec != spec.digest() || image.is_some_and(|image| image.id != there.image_id)
}

/// Roles, database, extension and hypertide's schema in a server that takes writes.
fn server(node: &DesiredNode, inside: Inside<'_>) -> Vec<Step> {
    let name = &node.name;
    let (has_roles, has_database, has_catalog) = match inside {
        Inside::Later => return Vec::new(),
        Inside::Fresh => (false, false, false),
        Inside::Seen(server) => (
            ROLES.iter().all(|role| server.roles.keys().any(|there| there.as_str() == *role)),
            !server.database.is_absent(),
            server.database.present().is_none_or(|database| {
                database.catalog >= Some(CATALOG_VERSION) && database.extension.is_some() && database.seat.is_some()
            }) && !server.database.is_absent(),
        ),
    };
    let mut steps = Vec::new();
    if !has_roles {
        steps.push(Step::CreateRoles { node: name.clone() });
    }
    if !has_database {
        steps.push(Step::CreateDatabase { node: name.clone() });
    }
    if !has_catalog {
        steps.push(Step::InstallCatalog { node: name.clone(), seat: node.seat });
    }
    steps
}

/// Migrations this node still lacks, in order; refused ones become holds.
fn pending_migrations(
    wanted: &Wanted<'_>,
    inside: Inside<'_>,
    has_logical_replica: bool,
    node: &NodeName,
    holds: &mut Vec<Hold>,
) -> Vec<MigrationId> {
    let Some(packs) = wanted.packs else { return Vec::new() };
    let nothing = Applied::new();
    let (applied, edition) = match inside {
        Inside::Later => return Vec::new(),
        Inside::Fresh => (&nothing, None),
        Inside::Seen(server) => match &server.database {
            Seen::Present(database) => (&database.migrations, database.edition),
            Seen::Absent => (&nothing, None),
            Seen::Unknown { .. } => return Vec::new(),
        },
    };
    let compared = migrations::compare(packs, applied, Ground { edition, has_logical_replica });
    holds.extend(compared.refused.into_iter().map(|refusal| Hold::new(node.as_str(), Reason::Migration(refusal))));
    compared.to_apply
}
