//! What each step does to a world, as `execute` does it: what exists is left alone, what is gone is fine, and what the
//! engine or a server would refuse fails.

use std::collections::BTreeMap;

use super::generate::AGENT_PORT;
use super::sql;
use super::world::{Agent, Container, Server, Slot, Volume, World, image};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::Desired;
use crate::model::names::NodeName;
use crate::model::observed::{ContainerSeen, Owned, RunState, SeatRow, VolumeSeen};
use crate::model::pack::Pack;
use crate::plan::monitoring::step::MonitorStep;
use crate::plan::step::{NodeSpec, Step};

/// What an executor knows besides the step.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    pub desired: &'a Desired,
    pub packs: &'a [Pack],
    /// Some node of the cluster replicates logically.
    pub is_published: bool,
    /// One set of verifiers for the whole run.
    pub salt: u64,
}

/// Why the engine or a server said no.
pub type Answer = Result<(), String>;

pub fn no<T>(why: impl Into<String>) -> Result<T, String> {
    Err(why.into())
}

/// Takes one step.
pub fn simulate(world: &mut World, step: &Step, run: &Run<'_>) -> Answer {
    match step {
        Step::ProvideImage => {
            world.image.get_or_insert_with(|| image("image-1"));
            Ok(())
        }
        Step::ProvideToolImage => {
            world.has_tool_image = true;
            Ok(())
        }
        Step::CreateSecrets => {
            let fresh = world.next();
            world.state_dir.get_or_insert(fresh);
            Ok(())
        }
        Step::CreateNetwork => {
            world.network.get_or_insert(Owned { ours: true });
            Ok(())
        }
        Step::CreateVolume { spec } => create_volume(world, spec),
        Step::CloneStandby { node, from } => clone_standby(world, node, from),
        Step::Rejoin { node, from } => rejoin(world, node, from),
        Step::Follow { node, from } => {
            let Some(source) = world.running_mut(from) else { return no("the primary does not answer") };
            source.slots.entry(node.slot()).or_insert(Slot { is_logical: false, lost: false });
            let Some(server) = world.running_mut(node) else { return no("the standby does not answer") };
            server.standby_of = Some(from.clone());
            Ok(())
        }
        Step::LiftFence { node, to } => {
            let is_replica = |replica: &Server| {
                replica.standby_of.is_some() || replica.seat().is_some_and(|row| row.seat != Seat::Primary)
            };
            let Some(replica) = world.running_mut(to).filter(|replica| is_replica(replica)) else {
                return no("LET A SECOND NODE WRITE");
            };
            if replica.standby_of.is_none() {
                replica.slots.remove(&node.slot());
            }
            let Some(server) = world.data_mut(node) else { return no("no such volume") };
            server.yields_to = None;
            server.has_restarted_marked = false;
            start_node(world, node)
        }
        Step::Demote { node, from, resumes } => {
            let Some(source) = world.running(from).and_then(Server::seat).cloned() else {
                return no("the primary does not answer");
            };
            let Some(server) = world.running_mut(node) else { return no("the old primary does not answer") };
            server.yields_to = None;
            server.has_restarted_marked = false;
            server.slots.remove(&from.slot());
            let Some(database) = &mut server.database else { return no("no database") };
            database.is_read_only = true;
            let row = SeatRow::new(node.as_str(), Seat::Replica(Mode::Logical), source.epoch);
            database.catalog = Some(SeatRow { follows: Some(from.to_string()), resumes: *resumes, ..row });
            Ok(())
        }
        Step::CreateNode { spec } => create_container(world, spec),
        Step::GiveSecrets { node } => {
            own_container(world, node)?;
            put_secrets(world, node)
        }
        Step::StartNode { node } => start_node(world, node),
        Step::StopNode { node } => {
            own_container(world, node)?;
            world.process_ends(node);
            Ok(())
        }
        Step::RemoveContainer { node } => {
            own_container(world, node)?;
            world.process_ends(node);
            world.containers.remove(node);
            Ok(())
        }
        Step::RemoveVolume { node } => {
            if world.containers.contains_key(node) {
                return no("the volume is in use");
            }
            match world.volumes.get(node) {
                Some(volume) if !volume.seen.ours => no("REMOVED A FOREIGN VOLUME"),
                _ => {
                    world.volumes.remove(node);
                    Ok(())
                }
            }
        }
        Step::Endpoint { access, step } => super::endpoint::simulate(world, *access, step),
        Step::Monitor { monitor, step } => super::monitoring::simulate(world, *monitor, step),
        Step::RemoveAgent => match &world.agent {
            Some(agent) if !agent.seen.ours => no("REMOVED A FOREIGN AGENT"),
            _ => {
                world.agent = None;
                Ok(())
            }
        },
        Step::CreateAgent { spec } => {
            create_agent(world, spec)?;
            fill_agent(world)
        }
        Step::StartAgent => match &mut world.agent {
            _ if world.held_ports.contains_key(&AGENT_PORT) => no("the port is taken"),
            Some(agent) if agent.has_files => {
                agent.seen.state = RunState::Running;
                Ok(())
            }
            Some(agent) => {
                agent.seen.state = RunState::Exited;
                no("the agent has no binary")
            }
            None => no("no such container"),
        },
        in_a_server => sql::simulate(world, in_a_server, run),
    }
}

/// The first half of a step that has two, as if the program ended there; `false` when the step has no halves.
pub fn simulate_half(world: &mut World, step: &Step) -> bool {
    match step {
        Step::CreateAgent { spec } => create_agent(world, spec).is_ok(),
        Step::Monitor { monitor, step: MonitorStep::Create(spec) } => {
            super::monitoring::create_half(world, *monitor, spec).is_ok()
        }
        _ => false,
    }
}

fn own_container<'a>(world: &'a mut World, node: &NodeName) -> Result<&'a mut Container, String> {
    match world.containers.get_mut(node) {
        Some(container) if !container.seen.ours => no("TOUCHED A FOREIGN CONTAINER"),
        Some(container) => Ok(container),
        None => no("no such container"),
    }
}

fn create_volume(world: &mut World, spec: &NodeSpec) -> Answer {
    let Some(image) = world.image.clone() else { return no("the image is not known") };
    world.volumes.entry(spec.node.clone()).or_insert_with(|| Volume {
        seen: VolumeSeen {
            ours: true,
            seat: Some(spec.seat),
            port: Some(spec.port),
            postgres_major: image.postgres_major,
            timescaledb: image.timescaledb,
        },
        passfile: None,
        data: None,
    });
    Ok(())
}

fn create_container(world: &mut World, spec: &NodeSpec) -> Answer {
    let Some(image) = world.image.clone() else { return no("the image is not known") };
    if world.network.is_none() {
        return no("no such network");
    }
    if !world.volumes.contains_key(&spec.node) {
        return no("the engine would make a volume without labels");
    }
    let id = world.next().to_string();
    world.containers.entry(spec.node.clone()).or_insert_with(|| Container {
        seen: ContainerSeen {
            ours: true,
            id,
            state: RunState::Created,
            spec: spec.digest(),
            image_id: image.id,
            is_attached: true,
        },
        spec: Some(spec.clone()),
    });
    own_container(world, &spec.node).map(|_| ())
}

fn put_secrets(world: &mut World, node: &NodeName) -> Answer {
    let passwords = world.known_passwords();
    if passwords.is_none() {
        return no("there are no passwords");
    }
    let Some(volume) = world.volumes.get_mut(node) else { return no("no such volume") };
    volume.passfile = passwords;
    Ok(())
}

fn start_node(world: &mut World, node: &NodeName) -> Answer {
    let port = own_container(world, node)?.spec.as_ref().map(|spec| spec.port);
    if world.is_running(node) {
        return Ok(());
    }
    if port.is_some_and(|port| world.held_ports.contains_key(&port)) {
        return no("the port is taken");
    }
    if world.network.is_none() {
        return no("no such network");
    }
    let salt = world.next();
    let Some(volume) = world.volumes.get_mut(node) else { return no("no such volume") };
    if volume.data.is_none() {
        let Some(passwords) = volume.passfile else {
            own_container(world, node)?.seen.state = RunState::Exited;
            return no("the entrypoint found no password file");
        };
        volume.data = Some(Server::fresh(passwords, salt));
    }
    volume.data.as_mut().expect("filled above").restart();
    own_container(world, node)?.seen.state = RunState::Running;
    Ok(())
}

fn clone_standby(world: &mut World, node: &NodeName, from: &NodeName) -> Answer {
    if world.image.is_none() || world.network.is_none() {
        return no("the helper cannot be created");
    }
    if !world.volumes.contains_key(node) {
        return no("the engine would make a volume without labels");
    }
    put_secrets(world, node)?;
    if world.volumes.get(node).is_some_and(|volume| volume.data.is_some()) {
        return Ok(());
    }
    let Some(source) = world.running(from) else { return no("the primary does not answer") };
    if source.slots.get(&node.slot()) != Some(&Slot { is_logical: false, lost: false }) {
        return no("pg_basebackup has no slot");
    }
    let clone = Server {
        standby_of: Some(from.clone()),
        is_streaming: false,
        slots: BTreeMap::new(),
        yields_to: None,
        ..source.clone()
    };
    let volume = world.volumes.get_mut(node).expect("looked for above");
    volume.data = Some(clone);
    Ok(())
}

fn rejoin(world: &mut World, node: &NodeName, from: &NodeName) -> Answer {
    let Some(source) = world.running_mut(from).filter(|source| source.standby_of.is_none()) else {
        return no("the primary does not answer");
    };
    source.slots.entry(node.slot()).or_insert(Slot { is_logical: false, lost: false });
    let source = source.clone();
    world.process_ends(node);
    let Some(data) = world.data_mut(node) else { return no("no such volume") };
    if data.standby_of.as_ref() != Some(from) || data.yields_to.is_some() {
        *data = Server { standby_of: Some(from.clone()), is_streaming: false, slots: BTreeMap::new(), ..source };
    }
    Ok(())
}

fn create_agent(world: &mut World, spec: &str) -> Answer {
    if !world.has_tool_image || world.network.is_none() {
        return no("the agent cannot be created");
    }
    if world.agent_volume.is_some_and(|volume| !volume.ours) {
        return no("GAVE A FOREIGN VOLUME TO THE AGENT");
    }
    world.agent_volume = Some(Owned { ours: true });
    let id = world.next().to_string();
    world.agent.get_or_insert_with(|| Agent {
        seen: ContainerSeen {
            ours: true,
            id,
            state: RunState::Created,
            spec: spec.to_owned(),
            image_id: "bundled".into(),
            is_attached: true,
        },
        has_files: false,
    });
    Ok(())
}

fn fill_agent(world: &mut World) -> Answer {
    if world.known_passwords().is_none() {
        return no("there are no passwords");
    }
    match &mut world.agent {
        Some(agent) if agent.seen.ours => {
            agent.has_files = true;
            Ok(())
        }
        _ => no("TOUCHED A FOREIGN AGENT"),
    }
}

/// Whether a cluster replicates anything logically, as `execute` asks it.
pub fn is_published(nodes: &[crate::model::desired::DesiredNode]) -> bool {
    nodes.iter().any(|node| node.seat.mode() == Some(Mode::Logical))
}
