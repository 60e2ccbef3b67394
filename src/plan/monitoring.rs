//! Prometheus and Grafana beside a cluster: whether they are wanted, and what is to be done about each.
//!
//! In: what is wanted and what is there. Out: steps and holds of their own weight: a port that somebody else has, or a container
//! that is not ours, is told and keeps nothing of the cluster from being done.

pub mod files;
pub mod obstacle;
pub mod step;

use super::hold::{Hold, Reason};
use super::step::Step;
use crate::model::desired::Desired;
use crate::model::monitoring::{Monitor, MonitorSeen, Wish};
use crate::model::observed::{ContainerSeen, Observed, RunState};
use crate::model::seen::Seen;
use files::Guarded;
use obstacle::Obstacle;
use step::{MonitorSpec, MonitorStep};

/// One of which nothing was seen.
static NOTHING_SEEN: MonitorSeen = MonitorSeen { container: Seen::Absent, volume: Seen::Absent, image: Seen::Absent };

/// There is to be monitoring: the configuration says so, or nobody says anything and it was made for this cluster once.
///
/// The volumes remember it, so that a run which was cut off while it replaced a container is carried on by the next.
pub fn is_wanted(desired: &Desired, observed: &Observed) -> bool {
    match desired.monitoring.wish {
        Wish::On => true,
        Wish::Off => false,
        Wish::AsFound => observed.monitors.values().any(MonitorSeen::is_ours),
    }
}

/// One of the two as wanted; `None` where it is not. `secret`: the digest of what the agent asks of who scrapes it.
pub fn spec(desired: &Desired, monitor: Monitor, secret: Option<&str>) -> Option<MonitorSpec> {
    let choice = desired.monitoring.choice(monitor)?;
    let is_prometheus = monitor == Monitor::Prometheus;
    Some(MonitorSpec {
        monitor,
        image: choice.image.clone(),
        port: choice.port,
        retention_secs: is_prometheus.then_some(desired.monitoring.retention.as_secs()),
        files: files::digest(&files::of(monitor, &desired.guard)),
        secret: secret.filter(|_| is_prometheus).map(str::to_owned),
    })
}

/// One lane for each.
pub fn lanes(desired: &Desired, observed: &Observed, holds: &mut Vec<Hold>) -> Vec<Vec<Step>> {
    let is_wanted = is_wanted(desired, observed);
    let mut lane = |monitor: Monitor| {
        let seen = observed.monitors.get(&monitor).unwrap_or(&NOTHING_SEEN);
        let spec = spec(desired, monitor, observed.scrape_secret.present().map(String::as_str));
        let steps = match spec.filter(|_| is_wanted) {
            None => no_longer(desired, seen),
            Some(spec) => steps(desired, observed, &spec, seen).unwrap_or_else(|reason| {
                holds.push(Hold::new(desired.cluster.monitor(monitor), reason));
                Vec::new()
            }),
        };
        steps.into_iter().map(|step| Step::Monitor { monitor, step }).collect()
    };
    Monitor::ALL.map(&mut lane).into()
}

/// Somebody said that it is not wanted: a container of ours goes, what it kept stays. Silence removes nothing.
fn no_longer(desired: &Desired, seen: &MonitorSeen) -> Vec<MonitorStep> {
    let is_ours = seen.container.present().is_some_and(|container| container.ours);
    if is_ours && desired.monitoring.wish != Wish::AsFound { vec![MonitorStep::Remove] } else { Vec::new() }
}

fn steps(
    desired: &Desired,
    observed: &Observed,
    spec: &MonitorSpec,
    seen: &MonitorSeen,
) -> Result<Vec<MonitorStep>, Reason> {
    let not_ours = |kind| Err(Reason::Monitoring(Obstacle::NotOurs(kind)));
    let there = match &seen.container {
        Seen::Unknown { because } => return Err(Reason::Unknown(because.clone())),
        Seen::Present(container) if !container.ours => return not_ours("container"),
        Seen::Present(container) => Some(container),
        Seen::Absent => None,
    };
    match &seen.volume {
        Seen::Unknown { because } => return Err(Reason::Unknown(because.clone())),
        Seen::Present(volume) if !volume.ours => return not_ours("volume"),
        Seen::Present(_) | Seen::Absent => {}
    }
    if spec.monitor == Monitor::Prometheus {
        if desired.metrics.is_none() {
            return Err(Reason::Monitoring(Obstacle::NothingToScrape));
        }
        if let (true, Seen::Unknown { because }) = (Guarded::of(&desired.guard).has_secret(), &observed.scrape_secret) {
            return Err(Reason::Unknown(because.clone()));
        }
    }
    let is_current = |container: &&ContainerSeen| {
        // A reference that is gone leads to no other image.
        container.spec == spec.digest() && seen.image.present().is_none_or(|image| *image == container.image_id)
    };
    let state = there.filter(is_current).map(|container| container.state);
    if state.is_none_or(|state| !state.is_running())
        && let Some(holder) = observed.taken_ports.get(&spec.port)
    {
        return Err(Reason::Monitoring(Obstacle::PortTaken(spec.monitor, spec.port, holder.clone())));
    }
    match state {
        Some(RunState::Running) => Ok(Vec::new()),
        Some(RunState::Paused) => Err(Reason::Paused),
        // Starting one that keeps ending tells why it ends.
        Some(RunState::Exited | RunState::Changing) => Ok(vec![MonitorStep::Start]),
        // One that never started may have been cut off before it got its files: made anew.
        Some(RunState::Created) | None => anew(observed, spec, seen, there),
    }
}

/// Made, or made anew: what it keeps is on its volume.
fn anew(
    observed: &Observed,
    spec: &MonitorSpec,
    seen: &MonitorSeen,
    there: Option<&ContainerSeen>,
) -> Result<Vec<MonitorStep>, Reason> {
    if observed.network.is_unknown() {
        return Ok(Vec::new());
    }
    let image = match &seen.image {
        Seen::Unknown { because } => return Err(Reason::Unknown(because.clone())),
        // The old one serves until the new one's image is here.
        Seen::Absent => Some(MonitorStep::ProvideImage { reference: spec.image.clone() }),
        Seen::Present(_) => None,
    };
    let remove = there.map(|_| MonitorStep::Remove);
    let make = [MonitorStep::Create(spec.clone()), MonitorStep::Start];
    Ok(image.into_iter().chain(remove).chain(make).collect())
}

#[cfg(test)]
mod tests;
