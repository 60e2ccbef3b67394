//! The answer to "how is it?": one value that the command line, the agent and later the metrics all print from.
//!
//! Made from an observation and the holds of its plan. Pure; keys are a contract (`README.md`).

pub mod backups;
pub mod events;
pub mod failover;
pub mod gauges;
pub mod latest;
pub mod monitoring;
pub mod outside;

use std::net::SocketAddr;

use serde::Serialize;

use crate::model::cluster::{Health, Mode, Role};
use crate::model::desired::{self, Desired, DesiredNode};
use crate::model::endpoint::Access;
use crate::model::health::SynchronousState;
use crate::model::names::{NodeName, TableName};
use crate::model::observed::{
    ContainerSeen, DatabaseSeen, NodeSeen, Observed, RunState, ServerSeen, SlotSeen, WalStatus,
};
use crate::model::promotion::PastPromotion;
use crate::model::seen::Seen;
use crate::plan::chunks::strategy::{self, Strategy};
use crate::plan::chunks::{self, Completeness};
use crate::plan::hold::{Hold, Reason};
use crate::plan::readiness::{self, Ineligible};
use crate::plan::step::{Plan, Step};
use crate::plan::synchronous::sender_name;
use crate::plan::topology;
use backups::Backups;
use failover::FailoverStatus;
use gauges::Gauges;
use monitoring::MonitorStatus;
use outside::{PublicationStatus, SubscriptionStatus};

/// How a cluster is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub cluster: String,
    /// In one word.
    pub health: Health,
    /// The node that takes writes; `None` when none is seen to.
    pub primary: Option<NodeName>,
    /// The epoch of that node.
    pub epoch: Option<u64>,
    /// Where clients connect.
    pub endpoint: Endpoint,
    /// Every node, in the order of the configuration.
    pub nodes: Vec<NodeStatus>,
    /// Published hypertables of the primary; empty where nothing is replicated logically.
    pub hypertables: Vec<HypertableStatus>,
    /// Publications for consumers outside the cluster.
    pub publications: Vec<PublicationStatus>,
    /// Subscriptions to servers outside the cluster.
    pub subscriptions: Vec<SubscriptionStatus>,
    /// Whether hypertide looks after a primary that fails.
    pub failover: FailoverStatus,
    /// The last changes of the primary, the newest first.
    pub promotions: Vec<PastPromotion>,
    /// What is lacking and about to be done by the agent, or by `up`; what only prepares or tidies up is not counted.
    pub pending: Vec<Step>,
    /// What is wanted and not done, and why.
    pub holds: Vec<Hold>,
    /// When backups last succeeded and were last restored and compared.
    pub backups: Backups,
    /// The agent's container: a state of [`NodeStatus::state`].
    pub agent: &'static str,
    /// Prometheus and Grafana beside the cluster; empty where nobody asked for them.
    pub monitoring: Vec<MonitorStatus>,
    /// What only the metrics tell.
    #[serde(skip)]
    pub gauges: Gauges,
}

/// How a hypertable is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HypertableStatus {
    /// `schema.table`
    pub name: String,
    /// How its chunks come into the publication.
    pub strategy: Strategy,
    /// Its chunks on the primary.
    pub chunks: usize,
}

/// Where clients connect: `host:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Takes writes.
    pub read_write: Option<String>,
    /// Takes reads.
    pub read_only: Option<String>,
}

/// How one node is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// What it is now.
    pub role: Role,
    /// Its container: `absent`, `created`, `running`, `paused`, `changing`, `exited` or `unknown`.
    pub state: &'static str,
    /// Its container's name.
    pub container: String,
    /// Its own address on the host, `host:port`.
    pub address: String,
    /// How it gets its rows; `None` for the primary.
    pub replication: Option<ReplicationStatus>,
    /// Whether it could become the primary now; `None` for the primary.
    pub promotion: Option<Promotion>,
}

/// Whether a replica could become the primary now without losing a row that has reached it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Promotion {
    /// Nothing speaks against it.
    pub ready: bool,
    /// What does.
    pub reasons: Vec<Ineligible>,
}

/// How a replica follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicationStatus {
    /// By which means.
    pub mode: Mode,
    /// WAL of the primary not yet applied here, in bytes; `None` when it cannot be told.
    pub lag_bytes: Option<u64>,
    /// The same in seconds; `None` when it cannot be told.
    pub lag_seconds: Option<f64>,
    /// Completeness of the chunk mirror; `None` on a standby, which has every chunk by construction, or when not known.
    pub chunks: Option<Completeness>,
    /// Failed attempts to apply changes, since statistics were reset; logical replicas only, `None` when not known.
    pub apply_errors: Option<u64>,
    /// Failed attempts to copy a table, the same way.
    pub sync_errors: Option<u64>,
    /// How commits wait for it, in the words of `pg_stat_replication.sync_state`; `None` when it is not connected.
    pub synchronous: Option<SynchronousState>,
    /// Its slot on the primary; `None` when there is none or it is not known.
    pub slot: Option<SlotStatus>,
    /// How it compared with the primary; `None` on a standby, which is equal by construction, or when not known.
    pub verification: Option<Verification>,
}

/// What the primary keeps for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// WAL that cannot be removed because of it, in bytes.
    pub retained_bytes: u64,
    /// Whether the WAL it needs is there; `None` while it needs none.
    pub wal_status: Option<WalStatus>,
    /// The replica streams from it.
    pub active: bool,
}

/// What comparing a logical replica with the primary came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// When all of it was compared last, RFC 3339 in UTC; `None` when it never was.
    pub last_compare: Option<String>,
    /// The same in seconds since 1970, for the metrics.
    #[serde(skip)]
    pub last_compare_secs: Option<u64>,
    /// Tables that were compared then, or had not changed since they were equal.
    pub compared: u64,
    /// Tables that differ, as far as is known.
    pub mismatches: u64,
    /// The first few of those.
    pub differing: Vec<TableName>,
}

impl Status {
    /// Puts together what an observation says, and the plan made from it: what is still to be done or held is not healthy.
    pub fn new(desired: &Desired, observed: &Observed, plan: Plan) -> Self {
        let pending: Vec<Step> = plan.steps().filter(|step| !step.is_upkeep()).cloned().collect();
        let mut holds = plan.holds;
        let nodes = topology::nodes(desired, observed);
        let primary = topology::primary(&nodes, observed).ok();
        let seen = primary.as_ref().and_then(|name| observed.nodes.get(name));
        let epoch = seen.and_then(topology::writer_epoch);
        let primary_server = seen.filter(|_| epoch.is_some()).and_then(|seen| seen.server.present());

        let database = seen.and_then(|seen| seen.server.present()).and_then(|server| server.database.present());
        let gauges = Gauges::of(desired, &nodes, observed, database);

        let status = |node: &DesiredNode| {
            let follows = topology::following(&nodes, node, primary.as_ref());
            let is_primary = primary.as_ref() == Some(&node.name);
            node_status(desired, observed, (node, follows), is_primary, primary_server)
        };
        let nodes: Vec<NodeStatus> = nodes.iter().map(status).collect();
        let writer = nodes.iter().find(|node| node.role == Role::Primary);
        let reader = nodes.iter().find(|node| matches!(node.role, Role::Standby | Role::Subscriber)).or(writer);
        let endpoint = match desired.endpoint {
            desired::Endpoint::Direct => Endpoint {
                read_write: writer.map(|node| node.address.clone()),
                read_only: reader.map(|node| node.address.clone()),
            },
            desired::Endpoint::Ports { .. } => Endpoint {
                read_write: answering(desired, observed, Access::ReadWrite),
                read_only: answering(desired, observed, Access::ReadOnly),
            },
        };
        for (access, _) in desired.endpoint.ports() {
            let name = desired.cluster.endpoint(access);
            let is_told = holds.iter().any(|hold| hold.what == name || hold.what == access.name());
            if !is_told && answering(desired, observed, access).is_none() {
                holds.push(Hold::new(name, Reason::EndpointDown));
            }
        }
        let none = Seen::Absent;
        let outside = database.map_or(&none, |database| &database.outside);
        let (publications, subscriptions) = outside::lists(&desired.outside, outside, &holds);
        let agent = state_word(&observed.agent);
        if !matches!(agent, "running" | "absent") {
            holds.push(Hold::new(desired.cluster.agent(), Reason::NeedsUp));
        }
        let health = match writer {
            None => Health::Down,
            Some(_) if pending.is_empty() && holds.is_empty() && nodes.iter().all(NodeStatus::is_well) => {
                Health::Healthy
            }
            Some(_) => Health::Degraded,
        };
        Self {
            cluster: desired.cluster.to_string(),
            health,
            primary: writer.map(|node| node.name.clone()),
            epoch,
            endpoint,
            nodes,
            hypertables: primary_server.map(hypertables).unwrap_or_default(),
            publications,
            subscriptions,
            failover: FailoverStatus {
                automatic: desired.failover.automatic,
                paused: primary.and_then(|primary| topology::failover_pause(&primary, observed).copied()),
            },
            promotions: database.map(|database| database.promotions.clone()).unwrap_or_default(),
            pending,
            holds,
            backups: Backups::of(&desired.backups, database.map(|database| &database.backups)),
            agent,
            monitoring: monitoring::list(desired, observed),
            gauges,
        }
    }
}

/// Where an endpoint answers: `host:port` on the host.
fn answering(desired: &Desired, observed: &Observed, access: Access) -> Option<String> {
    observed.endpoints.get(&access)?.pooler.present()?;
    let (_, port) = desired.endpoint.ports().into_iter().find(|(of, _)| *of == access)?;
    Some(SocketAddr::new(desired.bind, port).to_string())
}

fn hypertables(primary: &ServerSeen) -> Vec<HypertableStatus> {
    let Some(database) = primary.database.present() else { return Vec::new() };
    let Some(publication) = &database.publication else { return Vec::new() };
    let published = database.hypertables.values().filter(|hypertable| publication.covers(&hypertable.name));
    published
        .map(|hypertable| HypertableStatus {
            name: hypertable.name.to_string(),
            strategy: strategy::of(hypertable, publication, database),
            chunks: database.chunks.values().filter(|chunk| chunk.hypertable == hypertable.name).count(),
        })
        .collect()
}

impl NodeStatus {
    /// It does what it is there for.
    pub fn is_well(&self) -> bool {
        match self.role {
            Role::Primary | Role::Standby => true,
            Role::Subscriber => self
                .replication
                .as_ref()
                .and_then(|replication| replication.chunks)
                .is_some_and(|chunks| chunks.is_complete()),
            Role::Fenced | Role::Unknown => false,
        }
    }
}

fn node_status(
    desired: &Desired,
    observed: &Observed,
    (node, follows): (&DesiredNode, Option<Mode>),
    is_primary: bool,
    primary_server: Option<&ServerSeen>,
) -> NodeStatus {
    let absent = NodeSeen::default();
    let seen = observed.nodes.get(&node.name).unwrap_or(&absent);
    let replication = follows.map(|mode| replication_status(node, mode, seen, primary_server));
    let promotion = follows.map(|mode| {
        let reasons = readiness::objections(&node.name, mode, seen, primary_server);
        Promotion { ready: reasons.is_empty(), reasons }
    });
    NodeStatus {
        name: node.name.clone(),
        role: topology::role(seen, is_primary),
        state: state_word(&seen.container),
        container: desired.cluster.container(&node.name),
        address: SocketAddr::new(desired.bind, node.port).to_string(),
        replication,
        promotion,
    }
}

fn replication_status(
    node: &DesiredNode,
    mode: Mode,
    seen: &NodeSeen,
    primary: Option<&ServerSeen>,
) -> ReplicationStatus {
    let ours = seen.server.present();
    let slot_name = node.name.slot();
    let sender = primary.and_then(|primary| primary.senders.get(&sender_name(&node.name, mode)));
    let slot = primary.and_then(|primary| primary.slots.get(&slot_name));
    let applied = match mode {
        Mode::Physical => ours.map(|server| server.lsn),
        Mode::Logical => {
            let confirmed = slot.and_then(|slot| slot.confirmed);
            confirmed.max(sender.and_then(|sender| sender.replayed))
        }
    };
    let lag_bytes = match (primary, applied) {
        (Some(primary), Some(applied)) => Some(primary.lsn.bytes_since(applied)),
        _ => None,
    };
    let behind = primary.and_then(|primary| primary.database.present()?.behind_millis.get(&slot_name).copied());
    #[allow(clippy::cast_precision_loss)] // milliseconds of lag stay far below 2^52
    let lag_seconds = match (lag_bytes, behind) {
        (Some(0), _) => Some(0.0),
        (_, Some(millis)) => Some(millis as f64 / 1000.0),
        _ => None,
    };
    let (theirs, ours) = match mode {
        Mode::Physical => (None, None),
        Mode::Logical => (database(primary), database(ours)),
    };
    let chunks = theirs.zip(ours).map(|(theirs, ours)| chunks::completeness(theirs, ours));
    let subscription = ours.and_then(|ours| ours.subscription.as_ref());
    let verification = theirs.map(|theirs| verification(theirs, &node.name));
    ReplicationStatus {
        mode,
        lag_bytes,
        lag_seconds,
        chunks,
        apply_errors: subscription.map(|subscription| subscription.apply_errors),
        sync_errors: subscription.map(|subscription| subscription.sync_errors),
        synchronous: sender.and_then(|sender| sender.synchronous),
        slot: slot.map(SlotStatus::of),
        verification,
    }
}

fn database(server: Option<&ServerSeen>) -> Option<&DatabaseSeen> {
    server.and_then(|server| server.database.present())
}

impl SlotStatus {
    const fn of(slot: &SlotSeen) -> Self {
        Self { retained_bytes: slot.retained_bytes, wal_status: slot.wal_status, active: slot.active }
    }
}

fn verification(theirs: &DatabaseSeen, replica: &NodeName) -> Verification {
    theirs.verified.get(replica).map_or_else(Verification::default, |verified| Verification {
        last_compare: verified.finished_at.clone(),
        last_compare_secs: verified.finished_secs,
        compared: verified.compared,
        mismatches: verified.mismatches,
        differing: verified.differing.clone(),
    })
}

fn state_word(container: &Seen<ContainerSeen>) -> &'static str {
    match container {
        Seen::Absent => "absent",
        Seen::Unknown { .. } => "unknown",
        Seen::Present(container) => match container.state {
            RunState::Created => "created",
            RunState::Running => "running",
            RunState::Paused => "paused",
            RunState::Changing => "changing",
            RunState::Exited => "exited",
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
