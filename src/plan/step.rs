//! The steps a plan is made of, and the plan itself.
//!
//! A step is complete: whoever executes it has no choice left to make. Nothing here decides anything.

mod words;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use super::chunks::ahead::ChunkAhead;
use super::endpoint::step::EndpointStep;
use super::hold::Hold;
use super::monitoring::step::MonitorStep;
use super::outside::step::OutsideStep;
use crate::model::chunk::{ChunkToMirror, Hypertable};
use crate::model::cluster::Seat;
use crate::model::digest;
use crate::model::endpoint::Access;
use crate::model::monitoring::Monitor;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::ServerSeen;
use crate::model::pack::MigrationId;

/// What to do now, what is held back, in the order of execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One after the other.
    pub stages: Vec<Stage>,
    /// Wanted, but not now, each with its reason.
    pub holds: Vec<Hold>,
    /// The primary, while failover is paused: a person's verb starts it, the agent does not.
    pub left_stopped: Option<NodeName>,
}

/// Lanes that may run side by side; the next stage begins when all of them are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Each lane runs its steps in order.
    pub lanes: Vec<Vec<Step>>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pull or build the image database containers run.
    ProvideImage,
    /// Build the bundled image, which agents run, where the database image is another one.
    ProvideToolImage,
    /// Generate the cluster's passwords.
    CreateSecrets,
    /// Create the cluster's network.
    CreateNetwork,
    /// Create a node's data volume.
    CreateVolume {
        /// Which node, and what is written on the volume's labels.
        spec: NodeSpec,
    },
    /// Fill a standby's empty volume with a base backup of the primary.
    CloneStandby {
        /// The standby.
        node: NodeName,
        /// The primary.
        from: NodeName,
    },
    /// Make a node that gave up its place a standby of the node that took it: rewound, or copied afresh.
    Rejoin {
        /// Which node.
        node: NodeName,
        /// The primary.
        from: NodeName,
    },
    /// Have a standby follow another primary.
    Follow {
        /// The standby.
        node: NodeName,
        /// The primary.
        from: NodeName,
    },
    /// Write down in a database that was promoted that it is the primary now, in a new epoch.
    RaiseEpoch {
        /// The new primary.
        node: NodeName,
        /// The epoch that begins with it.
        epoch: u64,
    },
    /// Let a primary take writes again that was about to give up its place.
    LiftFence {
        /// The primary.
        node: NodeName,
        /// The replica that did not come to take its place.
        to: NodeName,
    },
    /// Make a node that gave up its place to a logical replica a logical replica of that: read-only, with its mark taken away.
    Demote {
        /// Which node.
        node: NodeName,
        /// The primary.
        from: NodeName,
        /// The primary keeps a slot for it from before its own first write.
        resumes: bool,
    },
    /// Create a node's container.
    CreateNode {
        /// Everything the container is made from.
        spec: NodeSpec,
    },
    /// Put the passwords on a node's volume, through its container.
    GiveSecrets {
        /// Which node.
        node: NodeName,
    },
    /// Start a node's container and wait until it answers SQL.
    StartNode {
        /// Which node.
        node: NodeName,
    },
    /// Stop a node's container cleanly.
    StopNode {
        /// Which node.
        node: NodeName,
    },
    /// Remove a node's stopped container; its volume stays.
    RemoveContainer {
        /// Which node.
        node: NodeName,
    },
    /// Remove a node's volume and all data in it.
    RemoveVolume {
        /// Which node.
        node: NodeName,
    },
    /// Create the cluster's login roles, or give them the passwords on file.
    CreateRoles {
        /// On which node.
        node: NodeName,
    },
    /// Give a logical replica's roles the same password verifiers the primary has.
    AlignPasswords {
        /// The replica.
        node: NodeName,
        /// The primary.
        from: NodeName,
    },
    /// Create the cluster's database.
    CreateDatabase {
        /// On which node.
        node: NodeName,
    },
    /// Install TimescaleDB and hypertide's own schema.
    InstallCatalog {
        /// On which node.
        node: NodeName,
        /// Written into `hypertide.node`.
        seat: Seat,
    },
    /// Wait until a logical replica has applied everything the primary has committed by now.
    CatchUp {
        /// The replica.
        node: NodeName,
        /// The primary.
        with: NodeName,
    },
    /// Run one migration and record it, in one transaction.
    ApplyMigration {
        /// On which node.
        node: NodeName,
        /// Which migration.
        id: MigrationId,
        /// Whether applications may write here afterwards.
        seat: Seat,
    },
    /// Create the publication for whole schemas.
    CreatePublication {
        /// On the primary.
        node: NodeName,
        /// The schemas it covers, chunk schemas included.
        schemas: BTreeSet<Ident>,
    },
    /// Add schemas to the publication.
    PublishSchemas {
        /// On the primary.
        node: NodeName,
        /// The schemas to add.
        schemas: BTreeSet<Ident>,
    },
    /// Add chunks that no published schema covers to the publication.
    PublishTables {
        /// On the primary.
        node: NodeName,
        /// The tables to add.
        tables: BTreeSet<TableName>,
    },
    /// Let TimescaleDB add each new chunk to the publications of its hypertable, in the transaction that makes it.
    EnableAutoPublication {
        /// On the primary.
        node: NodeName,
    },
    /// Create the physical slot a standby streams from.
    CreateSlot {
        /// On the primary.
        node: NodeName,
        /// The standby's slot.
        slot: Ident,
    },
    /// Drop a replication slot nobody uses.
    DropSlot {
        /// On the primary.
        node: NodeName,
        /// The slot.
        slot: Ident,
    },
    /// Make the database read-only for applications, and move its chunk numbers out of the publisher's way.
    PrepareSubscriber {
        /// The replica.
        node: NodeName,
        /// The publisher's are below those that are reserved for replicas.
        reserves_chunk_names: bool,
    },
    /// Create chunks on a logical replica exactly as the publisher has them.
    MirrorChunks {
        /// The replica.
        node: NodeName,
        /// Which chunks.
        chunks: Vec<ChunkToMirror>,
    },
    /// Have TimescaleDB cut new chunks of these hypertables as on the primary.
    AlignPartitioning {
        /// The replica.
        node: NodeName,
        /// As the primary has them.
        hypertables: Vec<Hypertable>,
    },
    /// Drop chunks that the primary dropped, and leave a table in each one's place for changes still on their way.
    RetireChunks {
        /// The replica.
        node: NodeName,
        /// The primary, which is asked again whether they are gone.
        from: NodeName,
        /// Which chunks.
        chunks: BTreeSet<TableName>,
    },
    /// Make tables in the places of chunks that were made and dropped before anybody looked, for their changes on their way.
    KeepPlaces {
        /// The replica.
        node: NodeName,
        /// The primary, which is asked again whether they are gone.
        from: NodeName,
        /// Which chunks.
        chunks: BTreeSet<TableName>,
        /// The hypertable they belonged to, and whose columns they had.
        hypertable: TableName,
    },
    /// Drop the tables that keep the places of retired chunks whose last changes have arrived.
    ForgetRetired {
        /// The replica.
        node: NodeName,
        /// Which chunks.
        chunks: BTreeSet<TableName>,
    },
    /// Make chunks before the first row needs them.
    MakeChunksAhead {
        /// The primary.
        node: NodeName,
        /// Which chunks.
        chunks: Vec<ChunkAhead>,
    },
    /// Put the triggers on tables of a logical replica that refuse every write but replication's.
    GuardTables {
        /// The replica.
        node: NodeName,
        /// Hypertable roots and plain tables.
        tables: BTreeSet<TableName>,
    },
    /// Take those triggers from tables of a logical replica that became the primary.
    UnguardTables {
        /// The primary.
        node: NodeName,
        /// Hypertable roots and plain tables.
        tables: BTreeSet<TableName>,
    },
    /// Have commits, or senders of logical replicas, on a node wait for these replicas.
    SetStandbys {
        /// The primary; another node to have nobody wait there.
        node: NodeName,
        /// Who waits.
        setting: StandbySetting,
        /// The whole value; empty: for nobody.
        value: String,
        /// It only takes replicas away: it sets free who waits in vain, and is safe whatever else is the matter.
        is_relief: bool,
    },
    /// Have a subscription flush each commit that it applies at once, or when it suits the server.
    SetApplyFlush {
        /// The replica.
        node: NodeName,
        /// At once: commits on the primary wait for it.
        flushes: bool,
    },
    /// Create a subscription that goes on where the node's own rows end, from a slot that is there.
    Resubscribe {
        /// The replica.
        node: NodeName,
        /// The primary.
        to: NodeName,
    },
    /// Have a subscription go on at the standby that took its publisher's place, from the slot that it kept.
    Redirect {
        /// The replica.
        node: NodeName,
        /// The primary.
        to: NodeName,
    },
    /// Create the subscription, which also creates its slot on the primary.
    Subscribe {
        /// The replica.
        node: NodeName,
        /// The primary.
        to: NodeName,
    },
    /// Let the subscription see tables published since it last looked, and copy them.
    RefreshSubscription {
        /// The replica.
        node: NodeName,
    },
    /// Drop the subscription, with its slots where the primary can be reached.
    Unsubscribe {
        /// The replica.
        node: NodeName,
    },
    /// Empty every table the subscription would copy again.
    EmptyReplica {
        /// The replica.
        node: NodeName,
        /// Hypertable roots and plain tables.
        tables: BTreeSet<TableName>,
    },
    /// Something for consumers or from servers outside the cluster.
    Outside {
        /// On the primary.
        node: NodeName,
        /// What.
        step: OutsideStep,
    },
    /// Something on what clients connect to.
    Endpoint {
        /// Which one.
        access: Access,
        /// What.
        step: EndpointStep,
    },
    /// Something on Prometheus or Grafana beside the cluster.
    Monitor {
        /// Which one.
        monitor: Monitor,
        /// What.
        step: MonitorStep,
    },
    /// Stop and remove the agent's container.
    RemoveAgent,
    /// Create the agent's container.
    CreateAgent {
        /// Digest of the binary and configuration it gets.
        spec: String,
    },
    /// Start the agent.
    StartAgent,
}

/// A setting of a primary that names replicas to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandbySetting {
    /// Commits wait.
    SynchronousNames,
    /// The senders of logical replicas wait.
    SynchronizedSlots,
}

impl StandbySetting {
    /// PostgreSQL's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SynchronousNames => "synchronous_standby_names",
            Self::SynchronizedSlots => "synchronized_standby_slots",
        }
    }

    /// Its value on a server.
    pub const fn of(self, server: &ServerSeen) -> &String {
        match self {
            Self::SynchronousNames => &server.synchronous_names,
            Self::SynchronizedSlots => &server.synchronized_slots,
        }
    }
}

/// Everything a node's container is made from; equal digests mean equal containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeSpec {
    /// The node.
    pub node: NodeName,
    /// What it is provisioned as.
    pub seat: Seat,
    /// The host port that leads to it.
    pub port: u16,
    /// The host address that port is bound to.
    pub bind: IpAddr,
    /// Server settings, `name=value`.
    pub settings: Vec<String>,
}

impl NodeSpec {
    /// The digest written on the container's label.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).expect("a spec is made of strings and numbers");
        digest::short(&[text.as_bytes()])
    }
}

/// What a step works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The Docker host.
    Host,
    /// One node.
    Node(&'a NodeName),
    /// What clients connect to.
    Endpoint(Access),
    /// Prometheus or Grafana.
    Monitor(Monitor),
    /// The agent.
    Agent,
}

impl Step {
    /// What the step works on.
    pub const fn subject(&self) -> Subject<'_> {
        match self {
            Self::ProvideImage | Self::ProvideToolImage | Self::CreateSecrets | Self::CreateNetwork => Subject::Host,
            Self::CreateVolume { spec } | Self::CreateNode { spec } => Subject::Node(&spec.node),
            Self::CloneStandby { node, .. }
            | Self::Rejoin { node, .. }
            | Self::Follow { node, .. }
            | Self::RaiseEpoch { node, .. }
            | Self::LiftFence { node, .. }
            | Self::Demote { node, .. }
            | Self::GiveSecrets { node }
            | Self::StartNode { node }
            | Self::StopNode { node }
            | Self::RemoveContainer { node }
            | Self::RemoveVolume { node }
            | Self::CreateRoles { node }
            | Self::AlignPasswords { node, .. }
            | Self::CreateDatabase { node }
            | Self::InstallCatalog { node, .. }
            | Self::CatchUp { node, .. }
            | Self::ApplyMigration { node, .. }
            | Self::CreatePublication { node, .. }
            | Self::PublishSchemas { node, .. }
            | Self::PublishTables { node, .. }
            | Self::EnableAutoPublication { node }
            | Self::CreateSlot { node, .. }
            | Self::DropSlot { node, .. }
            | Self::PrepareSubscriber { node, .. }
            | Self::MirrorChunks { node, .. }
            | Self::AlignPartitioning { node, .. }
            | Self::RetireChunks { node, .. }
            | Self::KeepPlaces { node, .. }
            | Self::ForgetRetired { node, .. }
            | Self::MakeChunksAhead { node, .. }
            | Self::GuardTables { node, .. }
            | Self::UnguardTables { node, .. }
            | Self::SetStandbys { node, .. }
            | Self::SetApplyFlush { node, .. }
            | Self::Resubscribe { node, .. }
            | Self::Redirect { node, .. }
            | Self::Subscribe { node, .. }
            | Self::RefreshSubscription { node }
            | Self::Unsubscribe { node }
            | Self::EmptyReplica { node, .. }
            | Self::Outside { node, .. } => Subject::Node(node),
            Self::Endpoint { access, .. } => Subject::Endpoint(*access),
            Self::Monitor { monitor, .. } => Subject::Monitor(*monitor),
            Self::RemoveAgent | Self::CreateAgent { .. } | Self::StartAgent => Subject::Agent,
        }
    }
}

impl Step {
    /// Nothing is lacking while it is not done: it prepares for what comes, or tidies up. It may wait for a better moment.
    pub const fn is_upkeep(&self) -> bool {
        matches!(self, Self::MakeChunksAhead { .. } | Self::ForgetRetired { .. } | Self::UnguardTables { .. })
    }
}

impl Plan {
    /// Every step in an order that respects all stages and lanes.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| stage.lanes.iter().flatten())
    }

    /// The steps that set free who waits in vain, and nothing else.
    #[must_use]
    pub fn relief(&self) -> Self {
        let is_relief = |step: &&Step| matches!(step, Step::SetStandbys { is_relief: true, .. });
        let mut relief = Self::default();
        relief.then(self.steps().filter(is_relief).cloned().collect());
        relief
    }

    /// What is to be done on the cluster itself, and what beside it, both with all holds.
    pub fn apart_from_monitoring(self) -> (Self, Self) {
        let is_beside = |step: &Step| matches!(step, Step::Monitor { .. });
        let part = |of_monitoring: bool| {
            let mut part = Self { stages: Vec::new(), ..self.clone() };
            for stage in &self.stages {
                let kept =
                    |lane: &Vec<Step>| lane.iter().filter(|step| is_beside(step) == of_monitoring).cloned().collect();
                part.then_side_by_side(stage.lanes.iter().map(kept).collect());
            }
            part
        };
        (part(false), part(true))
    }

    /// Nothing to do and nothing held.
    pub fn is_empty(&self) -> bool {
        self.steps().next().is_none() && self.holds.is_empty()
    }

    /// Nothing is lacking: no hold, and no step but upkeep.
    pub fn is_settled(&self) -> bool {
        self.holds.is_empty() && self.steps().all(Step::is_upkeep)
    }

    /// Adds a stage of one lane, unless it is empty.
    pub fn then(&mut self, lane: Vec<Step>) {
        self.then_side_by_side(vec![lane]);
    }

    /// Adds a stage of several lanes, leaving out empty ones.
    pub fn then_side_by_side(&mut self, lanes: Vec<Vec<Step>>) {
        let lanes: Vec<_> = lanes.into_iter().filter(|lane| !lane.is_empty()).collect();
        if !lanes.is_empty() {
            self.stages.push(Stage { lanes });
        }
    }

    /// The holds that forbid touching anything at all.
    pub fn refusals(&self) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(|hold| hold.reason.is_refusal())
    }
}

#[cfg(test)]
mod tests;
