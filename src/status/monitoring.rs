//! Prometheus and Grafana beside the cluster, as the status shows them.

use serde::Serialize;

use super::state_word;
use crate::model::desired::Desired;
use crate::model::monitoring::{Monitor, MonitorSeen};
use crate::model::observed::Observed;
use crate::plan::monitoring::is_wanted;

/// How one of them is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MonitorStatus {
    /// `prometheus` or `grafana`.
    pub name: &'static str,
    /// A state of [`super::NodeStatus::state`].
    pub state: &'static str,
    /// Where it answers, on this host only.
    pub url: String,
}

/// Those that are wanted or there.
pub fn list(desired: &Desired, observed: &Observed) -> Vec<MonitorStatus> {
    let absent = MonitorSeen::default();
    let is_wanted = is_wanted(desired, observed);
    let status = |monitor: Monitor| {
        let choice = desired.monitoring.choice(monitor);
        let seen = observed.monitors.get(&monitor).unwrap_or(&absent);
        let is_there = seen.container.present().is_some_and(|container| container.ours);
        let port = choice.map_or(monitor.port(), |choice| choice.port);
        (is_there || is_wanted && choice.is_some()).then(|| MonitorStatus {
            name: monitor.name(),
            state: state_word(&seen.container),
            url: format!("http://127.0.0.1:{port}"),
        })
    };
    Monitor::ALL.into_iter().filter_map(status).collect()
}
