//! What clients connect to: which endpoints there are, and to which nodes each leads.
//!
//! In: what is wanted and what is there. Out: steps and holds. An endpoint never leads to a node on a guess: while it is not
//! known who the primary is, it stays where it is.

pub mod configuration;
pub mod step;

use std::collections::BTreeSet;

use super::container::can_create;
use super::hold::{Hold, Reason};
use super::topology;
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::{Desired, DesiredNode, Endpoint};
use crate::model::endpoint::{Access, EndpointSeen, PoolerSeen};
use crate::model::names::{ClusterName, NodeName};
use crate::model::observed::{ContainerSeen, NodeSeen, Observed, RunState, ServerSeen};
use crate::model::seen::Seen;
use crate::plan::step::Step;
use step::{EndpointSpec, EndpointStep};

/// The part of a server's `max_connections` that one endpoint may take: where reads fall back to the primary both take theirs
/// from it, and people, the agent and replicas still get in.
const SHARE: (u32, u32) = (2, 5);
const FEWEST_CONNECTIONS: u32 = 4;
/// PostgreSQL's own, where the configuration names none.
const MAX_CONNECTIONS: u32 = 100;

/// An endpoint of which nothing was seen.
static NOTHING_SEEN: EndpointSeen = EndpointSeen { container: Seen::Absent, pooler: Seen::Absent };

/// An endpoint as wanted; `None` where clients connect to the nodes. `image` is the bundled image's reference, `certificate` the digest of
/// the one it shows.
pub fn spec(desired: &Desired, access: Access, image: &str, certificate: Option<&str>) -> Option<EndpointSpec> {
    let Endpoint::Ports { pooling, .. } = desired.endpoint else { return None };
    let (_, port) = desired.endpoint.ports().into_iter().find(|(of, _)| *of == access)?;
    let setting = desired.settings.iter().find(|setting| setting.name == "max_connections");
    let most = setting.and_then(|setting| setting.value.parse().ok()).unwrap_or(MAX_CONNECTIONS);
    Some(EndpointSpec {
        access,
        port,
        bind: desired.bind,
        pooling,
        database: desired.database.clone(),
        connections: (most.saturating_mul(SHARE.0) / SHARE.1).max(FEWEST_CONNECTIONS),
        image: image.to_owned(),
        certificate: certificate.map(str::to_owned),
    })
}

/// Hosts by which an endpoint reaches these nodes.
pub fn hosts(cluster: &ClusterName, nodes: &BTreeSet<NodeName>) -> BTreeSet<String> {
    nodes.iter().map(|node| cluster.container(node)).collect()
}

/// Where an endpoint is to lead, when it leads to these `hosts` now; `None`: it stays as it is.
///
/// Writes follow the primary that is seen to be one, and nobody else. Reads go to every replica that answers and follows it, in
/// turn, and to the primary where there is none. With the primary down they go to every replica that answers. A replica that
/// could not be asked keeps its part and gets none.
pub fn target(
    access: Access,
    desired: &Desired,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
    now: &BTreeSet<String>,
) -> Option<BTreeSet<NodeName>> {
    let seen = observed.nodes.get(primary)?;
    let is_primary_up = match &seen.server {
        Seen::Unknown { .. } => return None,
        Seen::Absent => false,
        Seen::Present(_) => {
            topology::writer_epoch(seen)?;
            true
        }
    };
    let only_primary = || is_primary_up.then(|| BTreeSet::from([primary.clone()]));
    if access == Access::ReadWrite {
        return only_primary();
    }
    let readers: BTreeSet<NodeName> = nodes
        .iter()
        .filter(|node| node.name != *primary)
        .filter(|node| {
            let has_part = now.contains(&desired.cluster.container(&node.name));
            observed.nodes.get(&node.name).is_some_and(|seen| serves_reads(node.seat, seen, is_primary_up, has_part))
        })
        .map(|node| node.name.clone())
        .collect();
    if readers.is_empty() { only_primary() } else { Some(readers) }
}

fn serves_reads(seat: Seat, seen: &NodeSeen, is_primary_up: bool, has_part: bool) -> bool {
    let is_paused = seen.container.present().is_some_and(|container| container.state != RunState::Running);
    let follows = |is_following: bool| is_following || !is_primary_up;
    match &seen.server {
        Seen::Absent => false,
        Seen::Unknown { .. } => has_part && !is_paused,
        Seen::Present(ServerSeen { in_recovery: true, is_receiving, .. }) => {
            seat == Seat::Replica(Mode::Physical) && follows(*is_receiving)
        }
        Seen::Present(server) => match &server.database {
            Seen::Absent => false,
            Seen::Unknown { .. } => has_part,
            // One whose first copy is under way has no subscription yet.
            Seen::Present(database) => {
                database.subscription.as_ref().is_some_and(|it| follows(it.enabled && it.is_applying))
            }
        },
    }
}

/// One lane for each endpoint. `is_provisioning`: this very plan works on the primary, so that what is missing there is no news.
pub fn lanes(
    desired: &Desired,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
    is_provisioning: bool,
    holds: &mut Vec<Hold>,
) -> Vec<Vec<Step>> {
    let lane = |access: Access, holds: &mut Vec<Hold>| {
        let seen = observed.endpoints.get(&access).unwrap_or(&NOTHING_SEEN);
        let certificate = observed.endpoint_certificate.present().map(String::as_str);
        let Some(spec) = spec(desired, access, &observed.tool_reference, certificate) else { return no_longer(seen) };
        if let Seen::Unknown { because } = &observed.endpoint_certificate {
            holds.push(Hold::new(desired.cluster.endpoint(access), Reason::NoCertificate(because.clone())));
        }
        let planned = Planned { desired, nodes, primary, observed, spec, is_provisioning };
        planned.steps(seen).unwrap_or_else(|reason| {
            holds.push(Hold::new(desired.cluster.endpoint(access), reason));
            Vec::new()
        })
    };
    let steps = Access::ALL.map(|access| (access, lane(access, holds)));
    let named = |(access, steps): (Access, Vec<EndpointStep>)| {
        steps.into_iter().map(|step| Step::Endpoint { access, step }).collect()
    };
    steps.into_iter().map(named).collect()
}

/// Clients connect to the nodes: an endpoint of ours goes, and anybody else's container is nobody's business.
fn no_longer(seen: &EndpointSeen) -> Vec<EndpointStep> {
    let is_ours = seen.container.present().is_some_and(|container| container.ours);
    if is_ours { vec![EndpointStep::Remove] } else { Vec::new() }
}

struct Planned<'a> {
    desired: &'a Desired,
    nodes: &'a [DesiredNode],
    primary: &'a NodeName,
    observed: &'a Observed,
    spec: EndpointSpec,
    is_provisioning: bool,
}

impl Planned<'_> {
    fn target(&self, now: &BTreeSet<String>) -> Option<BTreeSet<NodeName>> {
        target(self.spec.access, self.desired, self.nodes, self.primary, self.observed, now)
    }

    fn steps(self, seen: &EndpointSeen) -> Result<Vec<EndpointStep>, Reason> {
        let there = match &seen.container {
            Seen::Unknown { because } => return Err(Reason::Unknown(because.clone())),
            Seen::Present(container) if !container.ours => return Err(Reason::NotOurs("container")),
            Seen::Present(container) => Some(container),
            Seen::Absent => None,
        };
        // One whose certificate cannot be compared goes on, and is led where it belongs.
        let is_comparable = !matches!(self.observed.endpoint_certificate, Seen::Unknown { .. });
        let is_current = |container: &&ContainerSeen| !is_comparable || container.spec == self.spec.digest();
        let state = there.filter(is_current).map(|container| container.state);
        if state.is_none_or(|state| !state.is_running())
            && let Some(holder) = self.observed.taken_ports.get(&self.spec.port)
        {
            return Err(Reason::PortTaken(self.spec.port, holder.clone()));
        }
        match state {
            Some(RunState::Running) => self.running(&seen.pooler),
            Some(RunState::Paused) => Err(Reason::Paused),
            // It was started before, so it has a configuration. Starting one that keeps ending tells why it ends.
            Some(RunState::Exited | RunState::Changing) => {
                Ok(vec![EndpointStep::Start { to: self.target(&BTreeSet::new()) }])
            }
            Some(RunState::Created) => self.first_start(),
            None => self.anew(there),
        }
    }

    fn running(&self, pooler: &Seen<PoolerSeen>) -> Result<Vec<EndpointStep>, Reason> {
        let pooler = match pooler {
            Seen::Present(pooler) => pooler,
            Seen::Unknown { because } => return Err(Reason::Unknown(because.clone())),
            Seen::Absent => return Err(Reason::Unknown("it was not asked".into())),
        };
        let is_elsewhere = |to: &BTreeSet<NodeName>| hosts(&self.desired.cluster, to) != pooler.hosts;
        match self.target(&pooler.hosts).filter(is_elsewhere) {
            Some(to) => Ok(vec![EndpointStep::Repoint { to }]),
            None if pooler.is_paused => Err(Reason::EndpointPaused),
            None => Ok(Vec::new()),
        }
    }

    fn first_start(&self) -> Result<Vec<EndpointStep>, Reason> {
        match self.target(&BTreeSet::new()) {
            Some(to) => Ok(vec![EndpointStep::Start { to: Some(to) }]),
            None if self.is_provisioning => Ok(Vec::new()),
            None => Err(Reason::AwaitsPrimary),
        }
    }

    /// Made, or made anew: there is nothing in it to lose but its clients' connections.
    fn anew(&self, there: Option<&ContainerSeen>) -> Result<Vec<EndpointStep>, Reason> {
        if let Seen::Unknown { because } = &self.observed.tool_image {
            return Err(Reason::Unknown(because.clone()));
        }
        if matches!(self.observed.endpoint_certificate, Seen::Unknown { .. }) {
            return Ok(Vec::new());
        }
        if !can_create(self.observed) {
            return Ok(Vec::new());
        }
        let start = self.first_start();
        // One that serves is not taken away before there is somewhere to lead its successor.
        if there.is_some_and(|container| container.state.is_running())
            && !matches!(&start, Ok(steps) if !steps.is_empty())
        {
            return start;
        }
        let remove = there.map(|_| EndpointStep::Remove);
        let make = remove.into_iter().chain([EndpointStep::Create(self.spec.clone())]);
        // A node that is not there yet is waited for by the next pass.
        Ok(make.chain(start.unwrap_or_default()).collect())
    }
}

#[cfg(test)]
mod tests;
