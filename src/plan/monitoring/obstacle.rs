//! What keeps Prometheus or Grafana from being there. Nothing else waits for it.

use std::fmt;

use crate::model::monitoring::Monitor;

/// Why one of them is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A container or volume has its name and not our label.
    NotOurs(&'static str),
    /// Another process or container listens on its port.
    PortTaken(Monitor, u16, String),
    /// The agent does not answer over HTTP.
    NothingToScrape,
}

impl Obstacle {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotOurs(_) => "not_ours",
            Self::PortTaken(..) => "monitoring_port_taken",
            Self::NothingToScrape => "nothing_to_scrape",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NotOurs(kind) => {
                format!("remove or rename that {kind}, or say `monitoring: off`; hypertide never touches it")
            }
            Self::PortTaken(monitor, port, _) => {
                let key = monitor.name();
                format!(
                    "stop what listens on {port}, or set `monitoring.{key}.port` in hypertide.yaml, then `hypertide up`"
                )
            }
            Self::NothingToScrape => "let the agent answer (`metrics.listen`), or say `monitoring: off`".into(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs(kind) => write!(f, "a {kind} of this name exists and does not belong to this cluster"),
            Self::PortTaken(_, port, holder) => write!(f, "port {port} is held by {holder}"),
            Self::NothingToScrape => f.write_str("the agent does not answer over HTTP, so there is nothing to scrape"),
        }
    }
}
