//! Every decision, as pure functions over values: what is wanted, what is there, so what to do.
//!
//! In: [`Wanted`] and [`Observed`]. Out: a [`Plan`] of steps and holds. Nothing here does I/O, reads a clock or draws a
//! random number, and nothing is decided on a fact that is unknown.

pub mod agent_needs;
pub mod backup_source;
pub mod backups;
pub mod chunks;
pub mod columns;
pub mod columns_of_file;
pub mod container;
pub mod doctor;
pub mod endpoint;
pub mod expiry;
pub mod failover;
pub mod hold;
pub mod image;
pub mod jobs;
pub mod migrations;
pub mod monitoring;
pub mod outside;
pub mod provision;
pub mod publication;
pub mod readiness;
pub mod remit;
pub mod removal;
pub mod replication;
pub mod restore;
pub mod retention;
pub mod reuse;
pub mod schedule;
pub mod scope;
pub mod sequences;
#[cfg(test)]
pub(crate) mod simulate;
pub mod step;
pub mod succession;
pub mod synchronous;
pub mod topology;
pub mod verify;

use crate::model::desired::Desired;
use crate::model::names::NodeName;
use crate::model::observed::{Observed, RunState};
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use container::Inside;
use endpoint::step::EndpointStep;
use hold::{Hold, Reason};
use outside::step::OutsideStep;
use provision::{Lanes, Provisioned};
use step::{Plan, Step, Subject};

/// What is wanted, by whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The configuration.
    pub desired: &'a Desired,
    /// The packs to apply; `None` when the asker applies no migrations (the agent).
    pub packs: Option<&'a [Pack]>,
    /// The digest the agent's container must carry; `None` when the asker leaves the agent alone.
    pub agent: Option<&'a str>,
}

/// Plans the way from what is there to what is wanted.
///
/// # Guarantees
/// - Empty when everything wanted is there.
/// - When anything is refused as unsafe, no step at all is planned but those that set free who waits in vain.
/// - Executing any prefix of the steps and planning again still converges (property-tested in `simulate`).
pub fn plan(wanted: &Wanted<'_>, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let nodes = topology::nodes(wanted.desired, observed);
    let primary = match topology::primary(&nodes, observed) {
        Ok(primary) => primary,
        Err(hold) => {
            plan.holds.push(hold);
            return plan;
        }
    };

    plan.left_stopped = topology::failover_pause(&primary, observed).map(|_| primary.clone());
    let waits = synchronous::plan(wanted.desired, &nodes, &primary, observed);
    // First and whatever else is the matter: nobody waits for ever.
    plan.then(waits.relief);
    if let Some(pending) = succession::pending(wanted, &nodes, &primary, observed) {
        // Until it is settled who writes, nothing else is done.
        match pending {
            Ok(steps) => plan.then(steps),
            Err(hold) => plan.holds.push(hold),
        }
        return plan;
    }
    plan.holds.extend(waits.holds);
    let mut host = host_steps(wanted, observed, &mut plan.holds);
    if observed.secrets.is_unknown() {
        // Without passwords no node can be made or asked.
        plan.then(host);
    } else {
        let lanes = provision::lanes(wanted, &nodes, &primary, observed, &mut plan.holds);
        let replication = replication::stages(wanted, &nodes, &primary, observed, &lanes, &mut plan.holds);
        let agent = agent_steps(wanted, observed, &mut plan.holds);
        let works_on_primary = |step: &Step| step.subject() == Subject::Node(&primary);
        let mut provisioning = lanes.steps.first.iter().chain(lanes.steps.side_by_side.iter().flatten());
        let is_provisioning = provisioning.any(works_on_primary);
        let endpoints = endpoint::lanes(wanted.desired, &nodes, &primary, observed, is_provisioning, &mut plan.holds);
        let is_made = |step: &Step| matches!(step, Step::Endpoint { step: EndpointStep::Create(_), .. });
        let lacks_image = observed.tool_image.is_absent() && !host.contains(&Step::ProvideToolImage);
        if lacks_image && endpoints.iter().flatten().any(is_made) {
            host.push(Step::ProvideToolImage);
        }
        let outside = outside_steps(wanted, &primary, &lanes, &mut plan.holds);
        if let Some(Inside::Seen(server)) = lanes.inside.get(&primary)
            && let Some(database) = server.database.present()
        {
            plan.holds.extend(backups::holds(&wanted.desired.backups, &database.backups));
        }
        let is_chunks = |step: &Step| matches!(step, Step::Outside { step: OutsideStep::PublishChunks { .. }, .. });
        let (new_chunks, outside): (Vec<_>, Vec<_>) = outside.into_iter().partition(is_chunks);

        let Lanes { first, side_by_side, subscriber_migrations, primary_migrations } = lanes.steps;
        plan.then(agent.remove);
        plan.then(waits.steps);
        plan.then(host);
        plan.then(first);
        plan.then_side_by_side(side_by_side.into_iter().chain([agent.create]).chain(endpoints).collect());
        plan.then_side_by_side(subscriber_migrations);
        plan.then(primary_migrations);
        plan.then(replication.on_primary);
        // New chunks wait for no replica.
        plan.then_side_by_side(replication.on_replicas.into_iter().chain([new_chunks]).collect());
        plan.then(replication.ahead);
        plan.then(agent.start);
        // Late, so that other people's servers keep nothing of ours from being done.
        plan.then(outside);
        // Last: the cluster needs none of it.
        let beside = monitoring::lanes(wanted.desired, observed, &mut plan.holds);
        plan.then_side_by_side(beside);
    }
    if plan.refusals().next().is_some() {
        plan.stages = plan.relief().stages;
    }
    plan
}

/// Image, secrets and network.
fn host_steps(wanted: &Wanted<'_>, observed: &Observed, holds: &mut Vec<Hold>) -> Vec<Step> {
    let mut steps = Vec::new();
    match &observed.image {
        Seen::Absent => steps.push(Step::ProvideImage),
        Seen::Unknown { because } => holds.push(Hold::new("image", Reason::Unknown(because.clone()))),
        Seen::Present(facts) if facts.postgres_major.is_none() => {
            holds.push(Hold::new(&facts.reference, Reason::ImageWithoutPostgres));
        }
        Seen::Present(facts) if facts.timescaledb.is_none() => {
            holds.push(Hold::new(&facts.reference, Reason::ImageWithoutTimescale));
        }
        Seen::Present(_) => {}
    }
    // The bundled image serves both purposes: providing the database image may already have made it.
    if wanted.agent.is_some() && observed.tool_image.is_absent() {
        steps.push(Step::ProvideToolImage);
    }
    match &observed.secrets {
        Seen::Absent => steps.push(Step::CreateSecrets),
        Seen::Unknown { because } => holds.push(Hold::new("passwords", Reason::Unknown(because.clone()))),
        Seen::Present(()) => {}
    }
    match &observed.network {
        Seen::Absent => steps.push(Step::CreateNetwork),
        Seen::Unknown { because } => holds.push(Hold::new("network", Reason::Unknown(because.clone()))),
        Seen::Present(owned) if !owned.ours => {
            holds.push(Hold::new(wanted.desired.cluster.network(), Reason::NotOurs("network")));
        }
        Seen::Present(_) => {}
    }
    steps
}

/// What the outside needs of the primary, once that has all its tables.
fn outside_steps(
    wanted: &Wanted<'_>,
    primary: &NodeName,
    provisioned: &Provisioned<'_>,
    holds: &mut Vec<Hold>,
) -> Vec<Step> {
    let Some(Inside::Seen(server)) = provisioned.inside.get(primary) else { return Vec::new() };
    let Some(database) = server.database.present() else { return Vec::new() };
    if provisioned.migrating.contains(primary) {
        return Vec::new();
    }
    match &database.outside {
        Seen::Absent => Vec::new(),
        Seen::Unknown { because } => {
            holds.push(Hold::new("outside", Reason::Unknown(because.clone())));
            Vec::new()
        }
        Seen::Present(seen) => {
            let steps = outside::plan(&wanted.desired.outside, seen, holds);
            steps.into_iter().map(|step| Step::Outside { node: primary.clone(), step }).collect()
        }
    }
}

#[derive(Default)]
struct AgentSteps {
    remove: Vec<Step>,
    create: Vec<Step>,
    start: Vec<Step>,
}

/// The agent goes first when it no longer matches, so that it cannot work against the plan, and comes back last.
fn agent_steps(wanted: &Wanted<'_>, observed: &Observed, holds: &mut Vec<Hold>) -> AgentSteps {
    let mut steps = AgentSteps::default();
    let Some(spec) = wanted.agent else { return steps };
    let name = wanted.desired.cluster.agent();
    let mut held = |reason| {
        holds.push(Hold::new(&name, reason));
        AgentSteps::default()
    };
    let there = match &observed.agent {
        Seen::Unknown { because } => return held(Reason::Unknown(because.clone())),
        Seen::Present(container) if !container.ours => return held(Reason::NotOurs("container")),
        Seen::Present(container) => Some(container),
        Seen::Absent => None,
    };
    match &observed.agent_volume {
        Seen::Unknown { because } => return held(Reason::Unknown(because.clone())),
        Seen::Present(volume) if !volume.ours => return held(Reason::NotOurs("volume")),
        Seen::Present(_) | Seen::Absent => {}
    }
    if let Seen::Unknown { because } = &observed.tool_image {
        return held(Reason::Unknown(because.clone()));
    }
    let state = there.filter(|container| container.spec == spec).map(|container| container.state);
    if state.is_none_or(|state| !state.is_running())
        && let Some(port) = wanted.desired.metrics.map(|listen| listen.port())
        && let Some(holder) = observed.taken_ports.get(&port)
    {
        return held(Reason::PortTaken(port, holder.clone()));
    }
    match state {
        Some(RunState::Running) => {}
        Some(RunState::Paused) => return held(Reason::Paused),
        // Starting one that keeps ending tells why it ends.
        Some(RunState::Exited | RunState::Changing) => steps.start.push(Step::StartAgent),
        None | Some(RunState::Created) if !container::can_create(observed) => {}
        // One that never started may have been cut off before it got its binary: made anew.
        None | Some(RunState::Created) => {
            if there.is_some() {
                steps.remove.push(Step::RemoveAgent);
            }
            steps.create.push(Step::CreateAgent { spec: spec.to_owned() });
            steps.start.push(Step::StartAgent);
        }
    }
    steps
}
