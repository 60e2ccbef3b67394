//! Looks for Prometheus and Grafana beside the cluster, and for what the agent asks of who scrapes it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{ObserveError, seen};
use crate::docker::look::HostLook;
use crate::model::desired::Desired;
use crate::model::digest;
use crate::model::monitoring::{Monitor, MonitorSeen};
use crate::model::observed::{Observed, Owned};
use crate::model::seen::Seen;
use crate::plan::monitoring::files::Guarded;
use crate::plan::monitoring::is_wanted;
use crate::site::{Reach, Site};

/// Adds what is seen of them. An agent, which makes none, asks for no image.
pub async fn look(site: &Site, host: &HostLook, observed: &mut Observed) -> Result<(), ObserveError> {
    let desired = &site.desired;
    for monitor in Monitor::ALL {
        let container = host.containers.get(&desired.cluster.monitor(monitor)).map(|container| container.seen.clone());
        let volume = host.volumes.get(&desired.cluster.monitor_volume(monitor));
        let volume = volume.map(|volume| Owned { ours: volume.seen.ours });
        let in_use = container.as_ref().map(|container| container.image_id.clone());
        let there = MonitorSeen { container: seen(container), volume: seen(volume), image: seen(in_use) };
        observed.monitors.insert(monitor, there);
    }
    if !is_wanted(desired, observed) {
        return Ok(());
    }
    observed.scrape_secret = match Guarded::of(&desired.guard).secret_file() {
        None => Seen::Absent,
        Some(path) => std::fs::read(path).map_or_else(
            |error| Seen::unknown(format!("cannot read {}: {error}", path.display())),
            |bytes| Seen::Present(digest::short(&[&bytes])),
        ),
    };
    if site.reach == Reach::Published {
        for (monitor, there) in &mut observed.monitors {
            if let Some(choice) = desired.monitoring.choice(*monitor) {
                there.image = seen(site.engine.image_id(&choice.image).await?);
            }
        }
    }
    Ok(())
}

/// Where on the host they are to be reached, where they are wanted: each by its container's name.
pub fn ports(desired: &Desired, observed: &Observed) -> Vec<(String, SocketAddr)> {
    if !is_wanted(desired, observed) {
        return Vec::new();
    }
    let at = |monitor: Monitor| {
        let port = desired.monitoring.choice(monitor)?.port;
        Some((desired.cluster.monitor(monitor), SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)))
    };
    Monitor::ALL.into_iter().filter_map(at).collect()
}
