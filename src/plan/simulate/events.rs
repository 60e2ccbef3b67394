//! What people, applications and accidents do to a cluster between two passes.

use super::Cluster;
use super::endpoint::EndpointEvent;
use super::generate::{AGENT_PORT, full_packs, setting};
use super::monitoring::MonitorEvent;
use super::world::{Agent, Container, Database, Partitioned, Table, Volume, World, ident, image, node_name, verifier};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::DesiredNode;
use crate::model::names::{NodeName, TableName};
use crate::model::observed::{ContainerSeen, Owned, RunState, VolumeSeen};
use crate::plan::provision::SUPERUSER;

/// Numbers choose among what there is; an event that finds nothing to happen to does not happen.
#[derive(Clone, Debug)]
pub enum Event {
    // What a pass mends.
    CreateChunk(usize),
    Write(usize),
    Kill(usize),
    RemoveContainer(usize),
    /// A replica's container and volume.
    LoseReplica(usize),
    ForgetStateDir,
    ChangeSetting(u8),
    OtherImage(u8),
    AddReplica(Mode),
    GrowPacks,
    ChangePassword(usize),
    AllowWrites(usize),
    /// Somebody drops the triggers that refuse writes.
    DropGuard(usize),
    DropChunk(usize),
    /// A row comes to a new chunk, which is dropped before anybody looked.
    PassingChunk(usize),
    ChangeInterval(usize, i64),
    /// An older hypertide installed the schema in this node's database.
    OldCatalog(usize),
    RenamePublication(u8),
    MovePort(usize),
    KillAgent,
    RemoveAgent,
    ChangeAgent(u8),
    /// Some of these somebody has to decide about.
    Endpoint(EndpointEvent),
    Monitor(MonitorEvent),
    // What somebody has to decide about.
    /// The primary's container and volume.
    LosePrimary,
    /// Somebody else's things have our names.
    Foreign(Foreign),
    /// The configuration asks for the other kind of replica.
    ChangeMode(usize),
    /// A standby is made writable by hand, at this epoch.
    Promote(usize, u64),
    TableWithoutKey,
    TableOnOneSide,
    SecondDimension(usize),
    Compress(usize),
    CompressChunk(usize),
    DropSlot(usize),
    LoseSlot(usize),
    DisableSubscription(usize),
    PublishEverything,
    Pause(usize),
}

/// What somebody else made under one of our names.
#[derive(Clone, Debug)]
pub enum Foreign {
    Volume(usize),
    Container(usize),
    Network,
    Agent,
    AgentVolume,
    Port(usize),
    AgentPort,
}

impl Event {
    pub fn happen(&self, cluster: &mut Cluster) {
        match self {
            Self::CreateChunk(which) => {
                with_hypertable(cluster, *which, |database, root| {
                    database.insert_into_new_chunk(root);
                });
            }
            Self::Write(which) => {
                if let Some(database) = primary_database(cluster) {
                    let plain = database.tables.iter().filter(|(_, table)| table.hypertable.is_none());
                    let targets: Vec<TableName> =
                        database.chunks.keys().chain(plain.map(|(name, _)| name)).cloned().collect();
                    if let Some(target) = pick(&targets, *which) {
                        *database.rows.entry(target).or_default() += 1;
                    }
                }
            }
            Self::Kill(which) => {
                if let Some(node) = node(cluster, *which).filter(|node| cluster.world.is_running(node)) {
                    cluster.world.process_ends(&node);
                }
            }
            Self::RemoveContainer(which) => {
                if let Some(node) = node(cluster, *which) {
                    cluster.world.process_ends(&node);
                    cluster.world.containers.remove(&node);
                }
            }
            Self::LoseReplica(which) => {
                if let Some(node) = replica(cluster, *which) {
                    cluster.world.containers.remove(&node);
                    cluster.world.volumes.remove(&node);
                }
            }
            Self::ForgetStateDir => cluster.world.state_dir = None,
            Self::ChangeSetting(value) => cluster.desired.settings = vec![setting(*value)],
            Self::OtherImage(build) => {
                if cluster.world.image.is_some() {
                    cluster.world.image = Some(image(&format!("image-{build}")));
                }
            }
            Self::AddReplica(mode) => {
                let number = cluster.desired.nodes.len();
                // A logical one is refused its rows once compression is in use.
                let database = cluster.world.database(&primary(cluster));
                let is_compressed = database
                    .is_some_and(|db| db.tables.values().any(|t| t.hypertable.as_ref().is_some_and(|h| h.compressed)));
                let mode = if is_compressed { &Mode::Physical } else { mode };
                if number < 5 {
                    cluster.desired.nodes.push(DesiredNode {
                        name: node_name(&format!("replica-{number}")),
                        seat: Seat::Replica(*mode),
                        port: 5434 + u16::try_from(number).expect("few nodes"),
                        priority: DesiredNode::PRIORITY,
                    });
                }
            }
            Self::GrowPacks => {
                for (pack, full) in cluster
                    .packs
                    .iter_mut()
                    .filter_map(|pack| Some((full_packs(&pack.name)?, pack)))
                    .map(|(full, pack)| (pack, full))
                {
                    let more = full.migrations.get(pack.migrations.len()).cloned();
                    pack.migrations.extend(more);
                }
            }
            Self::ChangePassword(which) => {
                let salt = cluster.world.next();
                if let (Some(node), Some(passwords)) = (node(cluster, *which), cluster.world.known_passwords())
                    && let Some(server) = cluster.world.running_mut(&node)
                    && server.standby_of.is_none()
                {
                    for (role, there) in &mut server.roles {
                        if role.as_str() != SUPERUSER {
                            *there = verifier(passwords, salt);
                        }
                    }
                }
            }
            Self::AllowWrites(which) => {
                if let Some(database) = subscriber_database(cluster, *which) {
                    database.is_read_only = false;
                }
            }
            Self::DropGuard(which) => {
                if let Some(database) = subscriber_database(cluster, *which) {
                    database.guarded.pop_first();
                }
            }
            Self::DropChunk(which) => drop_chunk(cluster, *which),
            Self::PassingChunk(which) => passing_chunk(cluster, *which),
            Self::ChangeInterval(which, interval) => {
                with_hypertable(cluster, *which, |database, root| facts(database, root).interval = *interval);
            }
            Self::OldCatalog(which) => {
                if let Some(node) = node(cluster, *which)
                    && let Some(server) = cluster.world.running_mut(&node)
                    && server.standby_of.is_none()
                    && let Some(database) = server.database.as_mut().filter(|database| database.catalog.is_some())
                {
                    database.catalog_version = 1;
                }
            }
            Self::RenamePublication(name) => {
                cluster.desired.publication.name = ident(&format!("data_pub_{name}"));
            }
            Self::MovePort(which) => {
                let number = which % cluster.desired.nodes.len();
                cluster.desired.nodes[number].port += 100;
            }
            Self::KillAgent => {
                if let Some(agent) = cluster.world.agent.as_mut().filter(|agent| agent.seen.state == RunState::Running)
                {
                    agent.seen.state = RunState::Exited;
                }
            }
            Self::RemoveAgent => cluster.world.agent = None,
            Self::ChangeAgent(digest) => {
                if cluster.agent.is_some() {
                    cluster.agent = Some(format!("agent-{digest}"));
                }
            }
            Self::Endpoint(event) => event.happen(cluster),
            Self::Monitor(event) => event.happen(cluster),
            Self::LosePrimary => {
                let primary = primary(cluster);
                cluster.world.containers.remove(&primary);
                cluster.world.volumes.remove(&primary);
            }
            Self::Foreign(what) => what.appear(cluster),
            Self::ChangeMode(which) => {
                let replicas = &mut cluster.desired.nodes[1..];
                if let Some(number) = which.checked_rem(replicas.len()) {
                    let is_logical = replicas[number].seat == Seat::Replica(Mode::Logical);
                    replicas[number].seat = Seat::Replica(if is_logical { Mode::Physical } else { Mode::Logical });
                }
            }
            Self::Promote(which, epoch) => {
                if let Some(server) = replica(cluster, *which).and_then(|node| cluster.world.data_mut(&node))
                    && server.standby_of.take().is_some()
                    && let Some(row) = server.database.as_mut().and_then(|database| database.catalog.as_mut())
                {
                    row.epoch = *epoch;
                }
            }
            Self::TableWithoutKey => add_table(cluster, "without_key", false),
            Self::TableOnOneSide => add_table(cluster, "one_side", true),
            Self::SecondDimension(which) => with_published(cluster, *which, |database, root| {
                facts(database, root).dimensions = 2;
                database.insert_into_new_chunk(root);
            }),
            Self::Compress(which) => {
                with_published(cluster, *which, |database, root| facts(database, root).compressed = true);
            }
            Self::CompressChunk(which) => with_published(cluster, *which, |database, root| {
                if let Some(chunk) = database.chunks.values_mut().find(|chunk| chunk.root == *root) {
                    chunk.compressed = true;
                }
            }),
            Self::DropSlot(which) => {
                if let Some(replica) = replica(cluster, *which)
                    && let Some(server) = cluster.world.running_mut(&primary(cluster))
                {
                    server.slots.remove(&replica.slot());
                }
            }
            Self::LoseSlot(which) => {
                if let Some(replica) = replica(cluster, *which)
                    && let Some(server) = cluster.world.running_mut(&primary(cluster))
                    && let Some(slot) = server.slots.get_mut(&replica.slot())
                {
                    slot.lost = true;
                }
            }
            Self::DisableSubscription(which) => {
                if let Some(subscription) =
                    subscriber_database(cluster, *which).and_then(|database| database.subscription.as_mut())
                {
                    subscription.enabled = false;
                    subscription.is_applying = false;
                }
            }
            Self::PublishEverything => {
                let name = cluster.desired.publication.name.clone();
                if let Some(publication) =
                    primary_database(cluster).and_then(|database| database.publications.get_mut(&name))
                {
                    publication.all_tables = true;
                    publication.schemas.clear();
                    publication.tables.clear();
                }
            }
            Self::Pause(which) => {
                if let Some(node) = node(cluster, *which).filter(|node| cluster.world.is_running(node)) {
                    cluster.world.process_ends(&node);
                    let container = cluster.world.containers.get_mut(&node).expect("it runs");
                    container.seen.state = RunState::Paused;
                }
            }
        }
    }
}

impl Foreign {
    fn appear(&self, cluster: &mut Cluster) {
        match self {
            Self::Network => cluster.world.network = Some(Owned { ours: false }),
            Self::Agent => cluster.world.agent = Some(Agent { seen: foreign_container(), has_files: true }),
            // Nothing else could be there while a container has it.
            Self::AgentVolume => {
                cluster.world.agent = None;
                cluster.world.agent_volume = Some(Owned { ours: false });
            }
            Self::Volume(which) => {
                let Some(node) = node(cluster, *which) else { return };
                let seen = VolumeSeen { ours: false, seat: None, port: None, postgres_major: None, timescaledb: None };
                cluster.world.containers.remove(&node);
                cluster.world.volumes.insert(node, Volume { seen, passfile: None, data: None });
            }
            Self::Container(which) => {
                let Some(node) = node(cluster, *which) else { return };
                cluster.world.containers.insert(node, Container { seen: foreign_container(), spec: None });
            }
            Self::Port(which) => {
                let Some(node) = node(cluster, *which) else { return };
                cluster.world.process_ends(&node);
                let port = cluster.desired.node(&node).expect("chosen among them").port;
                cluster.world.held_ports.insert(port, "a process".into());
            }
            Self::AgentPort => {
                if let Some(agent) = cluster.world.agent.as_mut().filter(|agent| agent.seen.ours) {
                    agent.seen.state = RunState::Exited;
                }
                cluster.world.held_ports.insert(AGENT_PORT, "a process".into());
            }
        }
    }
}

fn foreign_container() -> ContainerSeen {
    ContainerSeen {
        ours: false,
        id: "foreign".into(),
        state: RunState::Running,
        spec: String::new(),
        image_id: "another".into(),
        is_attached: true,
    }
}

fn pick<T: Clone>(among: &[T], which: usize) -> Option<T> {
    if among.is_empty() { None } else { among.get(which % among.len()).cloned() }
}

fn primary(cluster: &Cluster) -> NodeName {
    cluster.desired.preferred_primary().name.clone()
}

fn node(cluster: &Cluster, which: usize) -> Option<NodeName> {
    pick(&cluster.desired.nodes, which).map(|node| node.name)
}

pub fn replica(cluster: &Cluster, which: usize) -> Option<NodeName> {
    pick(&cluster.desired.nodes[1..], which).map(|node| node.name)
}

fn subscriber_database(cluster: &mut Cluster, which: usize) -> Option<&mut Database> {
    let subscribers: Vec<_> = cluster.desired.replicas(Mode::Logical).map(|node| node.name.clone()).collect();
    cluster.world.running_mut(&pick(&subscribers, which)?)?.database.as_mut()
}

/// The primary's database, where an application can write.
pub fn primary_database(cluster: &mut Cluster) -> Option<&mut Database> {
    let name = primary(cluster);
    cluster.world.running_mut(&name)?.database.as_mut()
}

fn with_hypertable(cluster: &mut Cluster, which: usize, change: impl FnOnce(&mut Database, &TableName)) {
    let Some(database) = primary_database(cluster) else { return };
    let hypertables = database.tables.iter().filter(|(_, table)| table.hypertable.is_some());
    let hypertables: Vec<TableName> = hypertables.map(|(name, _)| name.clone()).collect();
    if let Some(root) = pick(&hypertables, which) {
        change(database, &root);
    }
}

/// The same among hypertables whose roots are published.
fn with_published(cluster: &mut Cluster, which: usize, change: impl FnOnce(&mut Database, &TableName)) {
    let name = cluster.desired.publication.name.clone();
    let Some(database) = primary_database(cluster) else { return };
    let members = database.members(&name);
    let hypertables =
        database.tables.iter().filter(|(name, table)| table.hypertable.is_some() && members.contains(*name));
    let hypertables: Vec<TableName> = hypertables.map(|(name, _)| name.clone()).collect();
    if let Some(root) = pick(&hypertables, which) {
        change(database, &root);
    }
}

/// Some subscriber has not copied it yet.
pub fn is_being_copied(world: &World, chunk: &TableName) -> bool {
    let databases = world.volumes.values().filter_map(|volume| volume.data.as_ref()?.database.as_ref());
    databases.filter_map(|database| database.subscription.as_ref()?.tables.get(chunk)).any(|(state, _)| *state != 'r')
}

/// A retention policy at work. What is just being copied is left for later.
fn drop_chunk(cluster: &mut Cluster, which: usize) {
    let is_copied = |chunk: &TableName| is_being_copied(&cluster.world, chunk);
    let Some(database) = cluster.world.running(&primary(cluster)).and_then(|server| server.database.as_ref()) else {
        return;
    };
    let chunks: Vec<TableName> = database.chunks.keys().filter(|chunk| !is_copied(chunk)).cloned().collect();
    if let (Some(chunk), Some(database)) = (pick(&chunks, which), primary_database(cluster)) {
        forget_chunk(database, &chunk);
    }
}

/// Whoever subscribes to the chunk's schema is sent rows for a table that is nowhere.
fn passing_chunk(cluster: &mut Cluster, which: usize) {
    let (publisher, publication) = (primary(cluster), cluster.desired.publication.name.clone());
    let mut passed = None;
    with_hypertable(cluster, which, |database, root| passed = database.insert_into_new_chunk(root));
    let Some((chunk, database)) = passed.zip(primary_database(cluster)) else { return };
    let is_sent = database.members(&publication).contains(&chunk);
    forget_chunk(database, &chunk);
    let databases = cluster.world.volumes.values_mut().filter_map(|volume| volume.data.as_mut()?.database.as_mut());
    let subscriptions = databases.filter_map(|database| database.subscription.as_mut());
    for subscription in subscriptions.filter(|there| is_sent && there.publisher == publisher) {
        if subscription.publication == publication {
            subscription.wanting.insert(chunk.clone());
        }
    }
}

pub fn forget_chunk(database: &mut Database, chunk: &TableName) {
    database.chunks.remove(chunk);
    database.rows.remove(chunk);
    for publication in database.publications.values_mut() {
        publication.tables.remove(chunk);
    }
    database.outside.forget(chunk);
}

fn facts<'a>(database: &'a mut Database, root: &TableName) -> &'a mut Partitioned {
    database.tables.get_mut(root).and_then(|table| table.hypertable.as_mut()).expect("a hypertable was chosen")
}

/// In the first schema that is published, on the primary only.
fn add_table(cluster: &mut Cluster, name: &str, has_identity: bool) {
    let publication = cluster.desired.publication.name.clone();
    let Some(database) = primary_database(cluster) else { return };
    let Some(schema) = database.publications.get(&publication).and_then(|there| there.schemas.first().cloned()) else {
        return;
    };
    let name = TableName { schema, table: ident(name) };
    database.tables.insert(name, Table { has_identity, hypertable: None });
}
