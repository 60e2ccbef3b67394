//! What clients connect to, as plain values: what steps and accidents do to it, what a look shows, and what must hold in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::Cluster;
use super::act::{Answer, no};
use super::generate::ENDPOINT_PORTS;
use super::world::World;
use crate::model::desired::{Desired, Endpoint};
use crate::model::endpoint::{Access, EndpointSeen, PoolerSeen, Pooling};
use crate::model::names::NodeName;
use crate::model::observed::{ContainerSeen, RunState};
use crate::model::seen::Seen;
use crate::plan::endpoint::step::{EndpointSpec, EndpointStep};
use crate::plan::endpoint::{hosts, spec};
use crate::plan::topology;

/// The bundled image's reference.
pub const IMAGE: &str = "bundled";

#[derive(Clone, Debug, PartialEq)]
pub struct EndpointThere {
    pub seen: ContainerSeen,
    pub spec: Option<EndpointSpec>,
    /// Its configuration.
    pub file: Option<BTreeSet<NodeName>>,
    /// Where it leads while it runs.
    pub leads_to: BTreeSet<NodeName>,
}

/// What happens to endpoints.
#[derive(Clone, Copy, Debug)]
pub enum EndpointEvent {
    Kill(Access),
    Remove(Access),
    /// The configuration asks for another kind, or none.
    Configure(u8),
    /// Somebody else's container has its name.
    Foreign(Access),
    /// Somebody else has its port.
    TakePort(Access),
}

pub fn simulate(world: &mut World, access: Access, step: &EndpointStep) -> Answer {
    if world.endpoints.get(&access).is_some_and(|there| !there.seen.ours) {
        return no("TOUCHED A FOREIGN ENDPOINT");
    }
    match step {
        EndpointStep::Create(spec) => create(world, access, spec),
        EndpointStep::Start { to } => {
            if let Some(to) = to {
                is_allowed(world, access, to)?;
            }
            start(world, access, to.as_ref())
        }
        EndpointStep::Repoint { to } => {
            is_allowed(world, access, to)?;
            match world.endpoints.get_mut(&access) {
                Some(there) if there.seen.state == RunState::Running => {
                    (there.file, there.leads_to) = (Some(to.clone()), to.clone());
                    Ok(())
                }
                _ => no("it does not run"),
            }
        }
        EndpointStep::Stop => {
            if let Some(there) = world.endpoints.get_mut(&access) {
                there.seen.state = RunState::Exited;
            }
            Ok(())
        }
        EndpointStep::Remove => {
            world.endpoints.remove(&access);
            Ok(())
        }
    }
}

/// Clients who want to write are led to nobody but one who takes writes, and nobody to a node that is not there.
fn is_allowed(world: &World, access: Access, to: &BTreeSet<NodeName>) -> Answer {
    if to.is_empty() || !to.iter().all(|node| world.volumes.contains_key(node)) {
        return no("LED TO NOBODY");
    }
    let mut standbys = to.iter().filter(|node| world.data(node).is_none_or(|server| server.standby_of.is_some()));
    match (access, standbys.next()) {
        (Access::ReadWrite, Some(node)) => no(format!("LED WRITES TO {node}")),
        (Access::ReadWrite, None) if to.len() > 1 => no("LED WRITES TO SEVERAL"),
        _ => Ok(()),
    }
}

fn create(world: &mut World, access: Access, spec: &EndpointSpec) -> Answer {
    if !world.has_tool_image || world.network.is_none() {
        return no("the endpoint cannot be created");
    }
    let id = world.next().to_string();
    world.endpoints.entry(access).or_insert_with(|| EndpointThere {
        seen: ContainerSeen {
            ours: true,
            id,
            state: RunState::Created,
            spec: spec.digest(),
            image_id: IMAGE.into(),
            is_attached: true,
        },
        spec: Some(spec.clone()),
        file: None,
        leads_to: BTreeSet::new(),
    });
    Ok(())
}

fn start(world: &mut World, access: Access, to: Option<&BTreeSet<NodeName>>) -> Answer {
    if world.known_passwords().is_none() || world.network.is_none() {
        return no("it cannot be configured or reached");
    }
    let held = world.held_ports.clone();
    let Some(there) = world.endpoints.get_mut(&access) else { return no("no such container") };
    if there.spec.as_ref().is_some_and(|spec| held.contains_key(&spec.port)) {
        return no("the port is taken");
    }
    there.file = to.cloned().or_else(|| there.file.take());
    match &there.file {
        Some(file) => {
            there.leads_to.clone_from(file);
            there.seen.state = RunState::Running;
            Ok(())
        }
        None => no("it has no configuration"),
    }
}

pub fn look(world: &World, desired: &Desired) -> BTreeMap<Access, EndpointSeen> {
    let seen = |access: Access| match world.endpoints.get(&access) {
        None => EndpointSeen::default(),
        Some(there) => {
            let runs = there.seen.ours && there.seen.state == RunState::Running;
            let pooler = PoolerSeen { hosts: hosts(&desired.cluster, &there.leads_to), is_paused: false };
            let is_asked = runs && desired.endpoint != Endpoint::Direct;
            let pooler = if is_asked { Seen::Present(pooler) } else { Seen::Absent };
            EndpointSeen { container: Seen::Present(there.seen.clone()), pooler }
        }
    };
    Access::ALL.map(|access| (access, seen(access))).into()
}

/// Ports that endpoints want and do not have.
pub fn wanted_ports(world: &World, desired: &Desired) -> Vec<u16> {
    let has_it = |access: Access, port: u16| {
        let there = world.endpoints.get(&access).filter(|there| there.seen.ours && there.seen.state.is_running());
        there.and_then(|there| there.spec.as_ref()).is_some_and(|spec| spec.port == port)
    };
    desired
        .endpoint
        .ports()
        .into_iter()
        .filter(|(access, port)| !has_it(*access, *port))
        .map(|(_, port)| port)
        .collect()
}

pub fn assert_finished(cluster: &Cluster) {
    let Cluster { world, desired, .. } = cluster;
    let primary = &desired.preferred_primary().name;
    let nodes = topology::nodes(desired, &cluster.observe());
    let replicas: BTreeSet<NodeName> = nodes.into_iter().map(|node| node.name).filter(|name| name != primary).collect();
    for access in Access::ALL {
        let there = world.endpoints.get(&access).filter(|there| there.seen.ours);
        let Some(wanted) = spec(desired, access, IMAGE, world.endpoint_certificate.present().map(String::as_str))
        else {
            assert_eq!(there, None, "nobody wants the {access} endpoint");
            continue;
        };
        let there = there.expect("every wanted endpoint is there");
        assert_eq!((there.seen.state, &there.spec), (RunState::Running, &Some(wanted)));
        let of_primary = BTreeSet::from([primary.clone()]);
        let to = if access == Access::ReadWrite || replicas.is_empty() { &of_primary } else { &replicas };
        assert_eq!(&there.leads_to, to, "where the {access} endpoint leads");
    }
}

impl EndpointEvent {
    pub fn happen(self, cluster: &mut Cluster) {
        let world = &mut cluster.world;
        let stop = |world: &mut World, access| {
            if let Some(there) = world.endpoints.get_mut(&access).filter(|there| there.seen.state == RunState::Running)
            {
                there.seen.state = RunState::Exited;
            }
        };
        match self {
            Self::Kill(access) => stop(world, access),
            Self::Remove(access) => drop(world.endpoints.remove(&access)),
            Self::Configure(kind) => cluster.desired.endpoint = kind_of(kind),
            Self::Foreign(access) => {
                let seen = ContainerSeen {
                    ours: false,
                    id: "foreign".into(),
                    state: RunState::Running,
                    spec: String::new(),
                    image_id: "another".into(),
                    is_attached: true,
                };
                let there = EndpointThere { seen, spec: None, file: None, leads_to: BTreeSet::new() };
                world.endpoints.insert(access, there);
            }
            Self::TakePort(access) => {
                stop(world, access);
                let ports = [(Access::ReadWrite, ENDPOINT_PORTS.0), (Access::ReadOnly, ENDPOINT_PORTS.1)];
                let port = ports.into_iter().find(|(of, _)| *of == access).map(|(_, port)| port);
                world.held_ports.extend(port.map(|port| (port, "a process".to_owned())));
            }
        }
    }
}

/// Direct, or ports with either pooling; the ports differ as well.
pub fn kind_of(kind: u8) -> Endpoint {
    let (read_write, read_only) = ENDPOINT_PORTS;
    match kind % 4 {
        0 => Endpoint::Direct,
        1 => Endpoint::Ports { read_write, read_only, pooling: Pooling::Session },
        2 => Endpoint::Ports { read_write: read_write + 1000, read_only, pooling: Pooling::Transaction },
        _ => Endpoint::Ports { read_write, read_only, pooling: Pooling::Transaction },
    }
}
