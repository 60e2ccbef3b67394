//! Prometheus and Grafana, as plain values: what steps and accidents do to them, what a look shows, and what must hold in the end.

use std::collections::BTreeMap;

use super::Cluster;
use super::act::{Answer, no};
use super::world::World;
use crate::model::desired::Desired;
use crate::model::monitoring::{Monitor, MonitorSeen, Wish};
use crate::model::observed::{ContainerSeen, Owned, RunState};
use crate::model::seen::Seen;
use crate::plan::monitoring::step::{MonitorSpec, MonitorStep};
use crate::plan::monitoring::{is_wanted, spec};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct MonitorThere {
    pub container: Option<ContainerSeen>,
    pub spec: Option<MonitorSpec>,
    /// Its configuration was put into it.
    pub has_files: bool,
    pub volume: Option<Owned>,
    pub has_image: bool,
}

/// What happens to them.
#[derive(Clone, Copy, Debug)]
pub enum MonitorEvent {
    Kill(Monitor),
    Remove(Monitor),
    LoseImage(Monitor),
    /// The configuration asks for it, for half of it, for none, or says nothing any more.
    Configure(u8),
    /// Somebody else's container has its name.
    Foreign(Monitor),
    /// Somebody else has its port.
    TakePort(Monitor),
}

pub fn simulate(world: &mut World, monitor: Monitor, step: &MonitorStep) -> Answer {
    let (has_network, held) = (world.network.is_some(), world.held_ports.clone());
    let id = world.next().to_string();
    let there = world.monitors.entry(monitor).or_default();
    if there.container.as_ref().is_some_and(|container| !container.ours) {
        return no("TOUCHED A FOREIGN CONTAINER");
    }
    match step {
        MonitorStep::ProvideImage { .. } => there.has_image = true,
        MonitorStep::Create(spec) => {
            create(there, spec, id, has_network)?;
            there.has_files = true;
        }
        MonitorStep::Start => {
            if there.spec.as_ref().is_some_and(|spec| held.contains_key(&spec.port)) {
                return no("the port is taken");
            }
            match &mut there.container {
                Some(container) if there.has_files => container.state = RunState::Running,
                _ => return no("it has no configuration"),
            }
        }
        MonitorStep::Stop => stop(there),
        MonitorStep::Remove => (there.container, there.spec, there.has_files) = (None, None, false),
    }
    Ok(())
}

/// Until its files are put into it.
pub fn create_half(world: &mut World, monitor: Monitor, spec: &MonitorSpec) -> Answer {
    let has_network = world.network.is_some();
    let id = world.next().to_string();
    create(world.monitors.entry(monitor).or_default(), spec, id, has_network)
}

fn create(there: &mut MonitorThere, spec: &MonitorSpec, id: String, has_network: bool) -> Answer {
    if !there.has_image || !has_network {
        return no("it cannot be created");
    }
    there.volume.get_or_insert(Owned { ours: true });
    if there.container.is_none() {
        there.spec = Some(spec.clone());
        there.container = Some(ContainerSeen {
            ours: true,
            id,
            state: RunState::Created,
            spec: spec.digest(),
            image_id: spec.image.clone(),
            is_attached: true,
        });
    }
    Ok(())
}

fn stop(there: &mut MonitorThere) {
    if let Some(container) = there.container.as_mut().filter(|container| container.state == RunState::Running) {
        container.state = RunState::Exited;
    }
}

pub fn look(world: &World, desired: &Desired) -> BTreeMap<Monitor, MonitorSeen> {
    let seen = |monitor: Monitor| {
        let there = world.monitors.get(&monitor).cloned().unwrap_or_default();
        let image = desired.monitoring.choice(monitor).filter(|_| there.has_image).map(|choice| choice.image.clone());
        MonitorSeen {
            container: there.container.map_or(Seen::Absent, Seen::Present),
            volume: there.volume.map_or(Seen::Absent, Seen::Present),
            image: image.map_or(Seen::Absent, Seen::Present),
        }
    };
    Monitor::ALL.map(|monitor| (monitor, seen(monitor))).into()
}

/// Ports that they want and do not have.
pub fn wanted_ports(world: &World, desired: &Desired) -> Vec<u16> {
    let wanted =
        Monitor::ALL.into_iter().filter_map(|monitor| Some((monitor, desired.monitoring.choice(monitor)?.port)));
    let has_it = |monitor: Monitor, port: u16| {
        world.monitors.get(&monitor).is_some_and(|there| {
            let runs = there.container.as_ref().is_some_and(|container| container.ours && container.state.is_running());
            runs && there.spec.as_ref().is_some_and(|spec| spec.port == port)
        })
    };
    wanted.filter(|(monitor, port)| !has_it(*monitor, *port)).map(|(_, port)| port).collect()
}

pub fn assert_finished(cluster: &Cluster) {
    let Cluster { world, desired, .. } = cluster;
    let is_wanted = is_wanted(desired, &cluster.observe());
    for monitor in Monitor::ALL {
        let there = world.monitors.get(&monitor).cloned().unwrap_or_default();
        let container = there.container.as_ref().filter(|container| container.ours);
        match spec(desired, monitor, None).filter(|_| is_wanted) {
            Some(wanted) => {
                assert_eq!(container.map(|container| container.state), Some(RunState::Running), "{monitor} runs");
                assert_eq!((there.spec, there.has_files), (Some(wanted), true), "{monitor} is current");
            }
            None if desired.monitoring.wish == Wish::AsFound => {}
            None => assert_eq!(container, None, "nobody wants {monitor}"),
        }
    }
}

impl MonitorEvent {
    pub fn happen(self, cluster: &mut Cluster) {
        let is_wanted = is_wanted(&cluster.desired, &cluster.observe());
        let is_chosen = |monitor| is_wanted && cluster.desired.monitoring.choice(monitor).is_some();
        let world = &mut cluster.world;
        match self {
            Self::Kill(monitor) => stop(world.monitors.entry(monitor).or_default()),
            Self::Remove(monitor) => {
                let there = world.monitors.entry(monitor).or_default();
                (there.container, there.spec, there.has_files) = (None, None, false);
            }
            Self::LoseImage(monitor) => world.monitors.entry(monitor).or_default().has_image = false,
            Self::Configure(kind) => configure(&mut cluster.desired, kind),
            Self::Foreign(monitor) if is_chosen(monitor) => {
                let there = world.monitors.entry(monitor).or_default();
                there.spec = None;
                there.container = Some(ContainerSeen {
                    ours: false,
                    id: "foreign".into(),
                    state: RunState::Running,
                    spec: String::new(),
                    image_id: "another".into(),
                    is_attached: true,
                });
            }
            Self::TakePort(monitor) if is_chosen(monitor) => {
                stop(world.monitors.entry(monitor).or_default());
                let port = cluster.desired.monitoring.choice(monitor).map(|choice| choice.port);
                world.held_ports.extend(port.map(|port| (port, "a process".to_owned())));
            }
            Self::Foreign(_) | Self::TakePort(_) => {}
        }
    }
}

/// Nothing said, half of it, all of it on other ports, none.
pub fn configure(desired: &mut Desired, kind: u8) {
    let monitoring = &mut desired.monitoring;
    *monitoring = crate::model::monitoring::Monitoring::default();
    match kind % 4 {
        0 => {}
        1 => (monitoring.wish, monitoring.grafana) = (Wish::On, None),
        2 => (monitoring.wish, monitoring.prometheus.port) = (Wish::On, 9999),
        _ => monitoring.wish = Wish::Off,
    }
}
