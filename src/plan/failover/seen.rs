//! The situation as one look shows it. What a look does not show is unknown; what earlier ones showed is `watch`'s to add.

use std::time::Duration;

use super::situation::{Member, Situation};
use crate::model::cluster::{Mode, Role, Seat};
use crate::model::desired::{Desired, DesiredNode};
use crate::model::health::{Aged, ContainerState, Exit, NodeHealth, RestartPolicy, VolumeState};
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed, RunState, ServerSeen};
use crate::model::seen::Seen;
use crate::plan::synchronous::certain;
use crate::plan::{readiness, topology};

/// For a verb that looks once: everything happened just now, nothing has lasted.
pub fn situation(desired: &Desired, observed: &Observed) -> Situation {
    at(desired, observed, Duration::ZERO)
}

/// What a look at this moment shows of who could take the writes. The engine answered, or there would be no look.
pub fn at(desired: &Desired, observed: &Observed, now: Duration) -> Situation {
    let nodes = topology::nodes(desired, observed);
    let primary = topology::primary(&nodes, observed).ok();
    // A copy of every block is complete; where rows are applied one by one, that is judged.
    let source = primary.as_ref().and_then(|name| observed.nodes.get(name)?.server.present());
    let objections = |node: &DesiredNode, seen: &NodeSeen| match topology::role(seen, false) {
        Role::Subscriber => Seen::Present(readiness::objections(&node.name, Mode::Logical, seen, source)),
        _ => Seen::unknown("it is no logical replica"),
    };
    let member = |node: &DesiredNode| {
        let seen = observed.nodes.get(&node.name).cloned().unwrap_or_default();
        let mut health = health(&seen, primary.as_ref() == Some(&node.name), now);
        if !seen.server.is_present() {
            from_replicas(&mut health, primary.as_ref() == Some(&node.name), &node.name, observed);
        }
        if let Some(primary) = &primary {
            health.synchronous = certain::state(desired, &nodes, primary, node, observed);
        }
        let member = Member { priority: node.priority, health, objections: objections(node, &seen) };
        (node.name.clone(), member)
    };
    Situation {
        now,
        engine: Aged::present((), now),
        members: nodes.iter().map(member).collect(),
        failed_restarts: Vec::new(),
        unproven: std::collections::BTreeMap::new(),
    }
}

/// What the primary was, as its replicas have it. Standbys hold its very row, and are on its timeline; where there is none, a logical
/// replica tells the epoch.
fn from_replicas(health: &mut NodeHealth, is_primary: bool, primary: &NodeName, observed: &Observed) {
    let servers = || observed.nodes.values().filter_map(|seen| seen.server.present());
    let subscribed = |server: &&ServerSeen| server.database.present().is_some_and(|it| it.subscription.is_some());
    let told = servers().filter(subscribed).filter_map(topology::seat_row).map(|row| row.epoch).max();
    if let Some(epoch) = told.filter(|_| is_primary) {
        health.role = Seen::Present(Role::Primary);
        health.epoch = Seen::Present(epoch);
    }
    for server in servers().filter(|server| server.in_recovery) {
        let row = topology::seat_row(server).filter(|row| row.seat == Seat::Primary && row.node == primary.as_str());
        let Some(row) = row else { continue };
        health.role = Seen::Present(Role::Primary);
        health.epoch = Seen::Present(row.epoch);
        health.timeline = Seen::Present(server.timeline);
    }
}

fn health(seen: &NodeSeen, is_primary: bool, now: Duration) -> NodeHealth {
    let server = seen.server.present();
    let of_server = |value: Option<u64>| value.map_or_else(|| Seen::unknown("its server does not say"), Seen::Present);
    let role = match topology::role(seen, is_primary) {
        Role::Unknown => Seen::unknown("its server does not say"),
        role => Seen::Present(role),
    };
    let database = server.and_then(|server| server.database.present());
    let takes_writes = match (server, &role) {
        (Some(_), Seen::Present(Role::Standby | Role::Fenced)) => Seen::Present(false),
        (Some(_), Seen::Present(Role::Subscriber)) => Seen::Present(!database.is_some_and(|it| it.is_read_only)),
        (Some(_), _) => Seen::Present(true),
        (None, _) => Seen::unknown("its server does not answer"),
    };
    let position = match (server, &role) {
        (None, _) => Seen::unknown("its server does not answer"),
        (Some(_), Seen::Present(Role::Subscriber)) => {
            let applied = database.and_then(|it| it.subscription.as_ref()?.applied);
            applied.map_or_else(|| Seen::unknown("its subscription does not say"), Seen::Present)
        }
        (Some(server), _) => Seen::Present(server.lsn),
    };
    NodeHealth {
        container: Aged::new(container(seen), now),
        // Containers of nodes are made so.
        restart_policy: Seen::Present(RestartPolicy::No),
        // One that was marked for a change that did not come about is the primary still.
        fence_mark: if topology::yields_to(seen).is_some() && !is_primary { Seen::Present(()) } else { Seen::Absent },
        network: Aged::new(
            match &seen.container {
                Seen::Present(container) if container.is_attached => Seen::Present(()),
                Seen::Present(_) | Seen::Absent => Seen::Absent,
                Seen::Unknown { because } => Seen::unknown(because.clone()),
            },
            now,
        ),
        volume: Aged::new(
            match &seen.volume {
                Seen::Present(_) => Seen::Present(VolumeState::Intact),
                Seen::Absent => Seen::Absent,
                Seen::Unknown { because } => Seen::unknown(because.clone()),
            },
            now,
        ),
        server: Aged::new(seen.probe.clone(), now),
        takes_writes,
        role,
        epoch: of_server(server.and_then(topology::seat_row).map(|row| row.epoch)),
        timeline: server
            .map_or_else(|| Seen::unknown("its server does not say"), |server| Seen::Present(server.timeline)),
        written: Aged::new(if is_primary { position.clone() } else { Seen::Absent }, now),
        redo: unasked("where its recovery begins"),
        received: match server.filter(|server| server.in_recovery).and_then(|server| server.received) {
            Some(received) => Seen::Present(received),
            None => unasked("what it has received"),
        },
        replayed: position,
        heard_primary: server
            .and_then(|server| server.heard_millis)
            .map_or(Seen::Absent, |millis| Seen::Present(now.saturating_sub(Duration::from_millis(millis)))),
        synchronous: unasked("whether commits wait for it"),
        tail: unasked("the log on its volume"),
    }
}

fn container(seen: &NodeSeen) -> Seen<ContainerState> {
    match &seen.container {
        Seen::Absent => Seen::Absent,
        Seen::Unknown { because } => Seen::unknown(because.clone()),
        Seen::Present(container) => Seen::Present(match container.state {
            RunState::Created => ContainerState::Created,
            RunState::Running => ContainerState::Running,
            RunState::Paused => ContainerState::Paused,
            RunState::Changing => ContainerState::Changing,
            RunState::Exited => ContainerState::Exited(Exit { code: 0, by: Seen::unknown("nobody watched") }),
        }),
    }
}

fn unasked<T>(what: &str) -> Seen<T> {
    Seen::unknown(format!("{what} was not asked for"))
}
