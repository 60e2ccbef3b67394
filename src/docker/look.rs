//! One look at what the engine holds: containers, volumes and networks, ours and those in our way.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, PortSummary, PortSummaryTypeEnum};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptions};

use super::engine::{DockerError, Engine};
use super::labels;
use crate::host;
use crate::model::cluster::Seat;
use crate::model::names::{ClusterName, NodeName};
use crate::model::observed::{ContainerSeen, Owned, RunState, VolumeSeen};

/// Everything of interest on the host, by name.
#[derive(Debug, Default)]
pub struct HostLook {
    /// Every container on the host.
    pub containers: BTreeMap<String, ContainerLook>,
    /// Every volume on the host.
    pub volumes: BTreeMap<String, VolumeLook>,
    /// Every network on the host.
    pub networks: BTreeMap<String, Owned>,
}

/// A container as listed.
#[derive(Clone, Debug)]
pub struct ContainerLook {
    /// What the planner needs to know.
    pub seen: ContainerSeen,
    /// Its kind label, when it is one of the cluster's own.
    pub kind: Option<String>,
    /// Host ports it publishes, each with the address it is bound to.
    pub ports: Vec<SocketAddr>,
}

/// A volume as listed.
#[derive(Clone, Debug)]
pub struct VolumeLook {
    /// What the planner needs to know.
    pub seen: VolumeSeen,
    /// The node it belongs to, when it is one of the cluster's own.
    pub node: Option<NodeName>,
}

impl ContainerLook {
    /// It runs and has the port at this address.
    pub fn holds(&self, bind: IpAddr, port: u16) -> bool {
        let is_it = |at: &SocketAddr| at.port() == port && host::covers(at.ip(), bind);
        self.seen.state.is_running() && self.ports.iter().any(is_it)
    }
}

impl Engine {
    /// Lists what the host holds, seen from one cluster.
    pub async fn look(&self, cluster: &ClusterName) -> Result<HostLook, DockerError> {
        let list = ListContainersOptionsBuilder::default().all(true).build();
        let client = self.client();
        let (containers, volumes, networks) = tokio::try_join!(
            client.list_containers(Some(list)),
            client.list_volumes(None::<ListVolumesOptions>),
            client.list_networks(None),
        )
        .map_err(|error| DockerError::from_bollard("list containers, volumes and networks", error))?;

        let mut look = HostLook::default();
        for container in containers {
            for name in container.names.iter().flatten() {
                look.containers.insert(name.trim_start_matches('/').to_owned(), container_look(&container, cluster));
            }
        }
        for volume in volumes.volumes.unwrap_or_default() {
            let ours = is_ours(&volume.labels, cluster);
            let label = |key| if ours { volume.labels.get(key).cloned() } else { None };
            let seen = VolumeSeen {
                ours,
                seat: label(labels::SEAT).as_deref().and_then(Seat::from_word),
                port: label(labels::PORT).and_then(|port| port.parse().ok()),
                postgres_major: label(labels::POSTGRES).and_then(|major| major.parse().ok()),
                timescaledb: label(labels::TIMESCALEDB),
            };
            let node = label(labels::NODE).and_then(|name| NodeName::new(&name).ok());
            look.volumes.insert(volume.name, VolumeLook { seen, node });
        }
        for network in networks {
            let ours = network.labels.as_ref().is_some_and(|labels| is_ours(labels, cluster));
            look.networks.insert(network.name.unwrap_or_default(), Owned { ours });
        }
        Ok(look)
    }
}

fn is_ours(labels: &HashMap<String, String>, cluster: &ClusterName) -> bool {
    labels.get(labels::CLUSTER).is_some_and(|name| name == cluster.as_str())
}

fn container_look(container: &ContainerSummary, cluster: &ClusterName) -> ContainerLook {
    let none = HashMap::new();
    let labels = container.labels.as_ref().unwrap_or(&none);
    let state = match container.state {
        Some(ContainerSummaryStateEnum::RUNNING) => RunState::Running,
        Some(ContainerSummaryStateEnum::PAUSED) => RunState::Paused,
        Some(ContainerSummaryStateEnum::CREATED) => RunState::Created,
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD) => RunState::Exited,
        _ => RunState::Changing,
    };
    let ours = is_ours(labels, cluster);
    ContainerLook {
        seen: ContainerSeen {
            ours,
            id: container.id.clone().unwrap_or_default(),
            state,
            spec: labels.get(labels::SPEC).cloned().unwrap_or_default(),
            image_id: container.image_id.clone().unwrap_or_default(),
            is_attached: container
                .network_settings
                .as_ref()
                .and_then(|settings| settings.networks.as_ref())
                .is_some_and(|networks| networks.contains_key(&cluster.network())),
        },
        kind: labels.get(labels::KIND).filter(|_| ours).cloned(),
        ports: container.ports.iter().flatten().filter_map(published_at).collect(),
    }
}

/// Where a TCP port of a container is published; an engine that names no address means every one.
fn published_at(port: &PortSummary) -> Option<SocketAddr> {
    if port.typ.is_some_and(|typ| typ != PortSummaryTypeEnum::TCP) {
        return None;
    }
    let ip = port.ip.as_deref().and_then(|ip| ip.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Some(SocketAddr::new(ip, port.public_port?))
}
