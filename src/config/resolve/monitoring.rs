//! The key `monitoring`: Prometheus and Grafana beside the cluster.
//!
//! In goes the file, out come the values with their defaults, and the host ports they claim. Without the key nothing is claimed:
//! nobody asked for them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::image_reference;
use crate::config::claim::Claim;
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::Fields;
use crate::model::monitoring::{Monitor, MonitorChoice, Monitoring, Wish};

/// Prometheus drops what is older; less than an hour would be dropped before the rules have looked at it.
const RETENTIONS: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 3650);

const SWITCH: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Reads the key. `scrapes`: the agent answers over HTTP, so there is something to scrape.
pub fn resolve(file: &Fields<'_>, scrapes: bool, problems: &mut Problems) -> (Monitoring, Vec<Claim<u16>>) {
    let Some(entry) = file.get("monitoring") else { return (Monitoring::default(), Vec::new()) };
    let keys = match entry.node {
        Node::Map(_) => entry.fields(&Monitor::ALL.map(Monitor::name), problems),
        _ => match entry.choice(&SWITCH, problems) {
            Some(true) => Some(Fields::none("monitoring")),
            Some(false) => return (Monitoring { wish: Wish::Off, ..Monitoring::default() }, Vec::new()),
            None => None,
        },
    };
    let Some(keys) = keys else { return (Monitoring::default(), Vec::new()) };
    if !scrapes {
        let help = "leave `metrics.listen` out, or take `monitoring` out";
        entry.refuse_and_help(problems, "there is nothing to scrape with `metrics.listen: off`", Some(help.into()));
    }
    let mut ports = Vec::new();
    let prometheus = keys.within("prometheus", &["image", "port", "retention"], problems);
    let retention = prometheus
        .get("retention")
        .and_then(|entry| entry.checked("a time", |text| formats::span(text, &RETENTIONS), problems));
    let grafana = match keys.get("grafana") {
        Some(entry) if !matches!(entry.node, Node::Map(_)) => {
            entry.choice(&SWITCH, problems).unwrap_or(true).then(|| Fields::none("monitoring.grafana"))
        }
        _ => Some(keys.within("grafana", &["image", "port"], problems)),
    };
    let monitoring = Monitoring {
        wish: Wish::On,
        prometheus: choice(Monitor::Prometheus, &prometheus, &mut ports, problems),
        retention: retention.unwrap_or(Monitoring::RETENTION),
        grafana: grafana.map(|keys| choice(Monitor::Grafana, &keys, &mut ports, problems)),
    };
    (monitoring, ports)
}

fn choice(monitor: Monitor, keys: &Fields<'_>, ports: &mut Vec<Claim<u16>>, problems: &mut Problems) -> MonitorChoice {
    let usual = MonitorChoice::usual(monitor);
    let given = keys.get("port");
    let port = given.map_or(Some(usual.port), |entry| entry.port(problems));
    ports.extend(port.map(|port| Claim::of_key(keys.path("port"), given, port)));
    let reference = |text: &str| image_reference(text, &format!("a reference such as `{}`", monitor.image()));
    let image = keys.get("image").and_then(|entry| entry.checked("an image", reference, problems));
    MonitorChoice { image: image.unwrap_or(usual.image), port: port.unwrap_or(usual.port) }
}
