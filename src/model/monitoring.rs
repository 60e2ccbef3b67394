//! Prometheus and Grafana beside a cluster: what is wanted of them, and how they are.
//!
//! The images and ports are those of `compose/sidecar.yml`; a test holds the two together.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::observed::{ContainerSeen, Owned};
use super::seen::Seen;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Scrapes the agent, keeps what it told, and evaluates the rules.
    Prometheus,
    /// Shows the dashboards.
    Grafana,
}

impl Monitor {
    /// Both; Grafana asks Prometheus, so that comes first.
    pub const ALL: [Self; 2] = [Self::Prometheus, Self::Grafana];

    /// What it is called: the host name on the cluster's network, the key in the configuration, and what verbs take.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Grafana => "grafana",
        }
    }

    /// In people's words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Grafana => "Grafana",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|monitor| monitor.name() == name)
    }

    /// The port it answers at, in its container and by default on the host.
    pub const fn port(self) -> u16 {
        match self {
            Self::Prometheus => 9090,
            Self::Grafana => 3000,
        }
    }

    /// The image it runs by default.
    pub const fn image(self) -> &'static str {
        match self {
            Self::Prometheus => "prom/prometheus:v3.5.0",
            Self::Grafana => "grafana/grafana:12.1.1",
        }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Whether there is to be monitoring at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Nobody said: what `up --monitoring` once made is kept, and nothing is made.
    AsFound,
    /// There is.
    On,
    /// There is none; what was collected stays on its volumes.
    Off,
}

/// What is wanted of one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorChoice {
    /// The image: local, else pulled.
    pub image: String,
    /// The port on this host, which leads to it from here only.
    pub port: u16,
}

impl MonitorChoice {
    /// What is taken where nothing is said.
    pub fn usual(monitor: Monitor) -> Self {
        Self { image: monitor.image().to_owned(), port: monitor.port() }
    }
}

/// What is wanted beside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitoring {
    /// At all.
    pub wish: Wish,
    /// Of Prometheus.
    pub prometheus: MonitorChoice,
    /// For how long Prometheus keeps what it was told.
    pub retention: Duration,
    /// Of Grafana; `None`: there is none.
    pub grafana: Option<MonitorChoice>,
}

impl Monitoring {
    /// As long as `compose/sidecar.yml` keeps it.
    pub const RETENTION: Duration = Duration::from_hours(30 * 24);

    /// What is wanted of one, if there is monitoring at all.
    pub fn choice(&self, monitor: Monitor) -> Option<&MonitorChoice> {
        match monitor {
            Monitor::Prometheus => Some(&self.prometheus),
            Monitor::Grafana => self.grafana.as_ref(),
        }
    }
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            wish: Wish::AsFound,
            prometheus: MonitorChoice::usual(Monitor::Prometheus),
            retention: Self::RETENTION,
            grafana: Some(MonitorChoice::usual(Monitor::Grafana)),
        }
    }
}

/// One of the two as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorSeen {
    /// Its container.
    pub container: Seen<ContainerSeen>,
    /// The volume with what it keeps.
    pub volume: Seen<Owned>,
    /// The id of the image it is to run.
    pub image: Seen<String>,
}

impl MonitorSeen {
    /// It was made for this cluster once.
    pub fn is_ours(&self) -> bool {
        self.container.present().is_some_and(|container| container.ours)
            || self.volume.present().is_some_and(|volume| volume.ours)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Composed {
        services: BTreeMap<String, Service>,
    }

    #[derive(Deserialize)]
    struct Service {
        image: String,
        #[serde(default)]
        command: Vec<String>,
        #[serde(default)]
        ports: Vec<String>,
    }

    #[test]
    fn the_sidecar_for_compose_has_the_same_images_ports_and_retention() {
        let composed: Composed =
            serde_yaml::from_str(include_str!("../../compose/sidecar.yml")).expect("the sidecar is YAML");
        for monitor in Monitor::ALL {
            let service = &composed.services[monitor.name()];
            assert_eq!(service.image, monitor.image());
            let ports = format!("127.0.0.1:${{{}_PORT:-{}}}", monitor.name().to_uppercase(), monitor.port());
            assert_eq!(service.ports, [format!("{ports}:{}", monitor.port())]);
        }
        let days = Monitoring::RETENTION.as_secs() / 86_400;
        let retention = format!("--storage.tsdb.retention.time={days}d");
        assert!(composed.services["prometheus"].command.contains(&retention));
    }
}
