//! A Docker host with a cluster on it, as plain values: what stays on a volume when a container stops, goes or comes.

use std::collections::{BTreeMap, BTreeSet};

use super::endpoint::EndpointThere;
use super::monitoring::MonitorThere;
use crate::model::chunk::Slice;
use crate::model::cluster::{Edition, Seat};
use crate::model::endpoint::Access;
use crate::model::monitoring::Monitor;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::{ContainerSeen, ImageFacts, Owned, RunState, SeatRow, VolumeSeen};
use crate::model::pack::Applied;
use crate::model::seen::Seen;
use crate::plan::provision::SUPERUSER;
use crate::plan::step::NodeSpec;

/// Everything there is.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The database image, when the engine has it.
    pub image: Option<ImageFacts>,
    /// The bundled image is there.
    pub has_tool_image: bool,
    /// What servers answer for `timescaledb.license`.
    pub edition: Edition,
    pub network: Option<Owned>,
    /// The generation of passwords in the state directory.
    pub state_dir: Option<u64>,
    pub volumes: BTreeMap<NodeName, Volume>,
    pub containers: BTreeMap<NodeName, Container>,
    pub agent: Option<Agent>,
    pub endpoints: BTreeMap<Access, EndpointThere>,
    /// The digest of what those are to show.
    pub endpoint_certificate: Seen<String>,
    pub monitors: BTreeMap<Monitor, MonitorThere>,
    pub agent_volume: Option<Owned>,
    /// Host ports that somebody else listens on.
    pub held_ports: BTreeMap<u16, String>,
    /// For everything that must differ from what was before: ids, salts, passwords.
    pub counter: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    pub seen: VolumeSeen,
    /// The generation of passwords in its password file.
    pub passfile: Option<u64>,
    /// The data directory, once it was initialised or cloned.
    pub data: Option<Server>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    pub seen: ContainerSeen,
    pub spec: Option<NodeSpec>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub seen: ContainerSeen,
    /// Binary, configuration and passwords were put into it.
    pub has_files: bool,
}

/// What a data directory holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The node it replays WAL of.
    pub standby_of: Option<NodeName>,
    pub is_streaming: bool,
    /// It is marked to give up its place; started with the mark it recovers and follows nobody.
    pub yields_to: Option<NodeName>,
    pub has_restarted_marked: bool,
    /// Verifiers: `generation of passwords / salt`.
    pub roles: BTreeMap<Ident, String>,
    pub slots: BTreeMap<Ident, Slot>,
    /// For whom commits, and senders of logical replicas, wait; copied with the data.
    pub synchronous_names: String,
    pub synchronized_slots: String,
    pub database: Option<Database>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    pub is_logical: bool,
    pub lost: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// Schemas that exist, besides `public` and those of extensions.
    pub schemas: BTreeSet<Ident>,
    /// TimescaleDB and hypertide's schema are installed, and this is the row in it.
    pub catalog: Option<SeatRow>,
    pub migrations: Applied,
    pub is_read_only: bool,
    pub publications: BTreeMap<Ident, Publication>,
    /// The version of hypertide's schema that `catalog` stands for.
    pub catalog_version: u32,
    pub tables: BTreeMap<TableName, Table>,
    /// Tables that refuse writes which do not come from replication.
    pub guarded: BTreeSet<TableName>,
    pub chunks: BTreeMap<TableName, Chunk>,
    /// TimescaleDB publishes new chunks itself; `None` where it cannot.
    pub auto_publication: Option<bool>,
    /// Names of dropped chunks in whose places tables stand.
    pub retired: BTreeSet<TableName>,
    /// The number of rows ever written to a table or chunk.
    pub rows: BTreeMap<TableName, u64>,
    pub next_chunk: u64,
    pub subscription: Option<Subscription>,
    pub outside: super::outside::OutsideThere,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub has_identity: bool,
    pub hypertable: Option<Partitioned>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Partitioned {
    pub chunk_schema: Ident,
    pub dimensions: u16,
    pub interval: i64,
    pub compressed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub root: TableName,
    /// Where it begins; every chunk is of length 1, so that chunks of any interval fit beside each other.
    pub start: i64,
    pub compressed: bool,
}

impl Chunk {
    pub fn slice(&self) -> Slice {
        Slice { start: self.start, end: self.start + 1 }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publication {
    pub all_tables: bool,
    pub schemas: BTreeSet<Ident>,
    pub tables: BTreeSet<TableName>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    pub publisher: NodeName,
    pub publication: Ident,
    pub enabled: bool,
    pub flushes: bool,
    pub is_applying: bool,
    /// Tables that changes on their way are for, and that nobody has any more.
    pub wanting: BTreeSet<TableName>,
    /// State of each table, and how many of the publisher's rows it has seen.
    pub tables: BTreeMap<TableName, (char, u64)>,
}

impl Subscription {
    /// Changes arrive.
    pub fn applies(&self) -> bool {
        self.is_applying && self.wanting.is_empty()
    }
}

/// What the names of a hypertable's chunks begin with.
pub fn chunk_prefix(root: &TableName) -> String {
    format!("_hyper_{}", root.table)
}

/// Where reserved chunk numbers begin (`hypertide.reserve_chunk_names`).
pub const RESERVED: u64 = 1_000_000_000;

pub fn ident(text: &str) -> Ident {
    Ident::new(text).expect("tests use valid names")
}

pub fn node_name(text: &str) -> NodeName {
    NodeName::new(text).expect("tests use valid names")
}

/// `schema.table`
pub fn table(text: &str) -> TableName {
    let (schema, table) = text.split_once('.').expect("schema and table");
    TableName::new(schema, table).expect("tests use valid names")
}

/// The image that the tests run on; another id is another build of the same versions.
pub fn image(id: &str) -> ImageFacts {
    ImageFacts {
        reference: "timescale/timescaledb:pinned".into(),
        id: id.into(),
        postgres_major: Some(17),
        timescaledb: Some("2.29.2".into()),
    }
}

impl World {
    /// A host on which nothing was done yet.
    pub fn empty() -> Self {
        Self {
            image: None,
            has_tool_image: false,
            edition: Edition::Apache,
            network: None,
            state_dir: None,
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            agent: None,
            endpoints: BTreeMap::new(),
            endpoint_certificate: Seen::Absent,
            monitors: BTreeMap::new(),
            agent_volume: None,
            held_ports: BTreeMap::new(),
            counter: 0,
        }
    }

    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The passwords hypertide has or can fetch back: through a container, or from a volume when it has an image to look
    /// into it with.
    pub fn passwords(&self) -> Seen<u64> {
        let ours = || self.volumes.iter().filter(|(_, volume)| volume.seen.ours);
        let has_container = |node| self.containers.get(node).is_some_and(|container| container.seen.ours);
        let through_container =
            || ours().filter(|(node, _)| has_container(node)).find_map(|(_, volume)| volume.passfile);
        match self.state_dir.or_else(through_container) {
            Some(known) => Seen::Present(known),
            None if ours().next().is_none() => Seen::Absent,
            None if self.image.is_none() => Seen::unknown("they are on the volumes"),
            None => ours().find_map(|(_, volume)| volume.passfile).map_or(Seen::Absent, Seen::Present),
        }
    }

    pub fn known_passwords(&self) -> Option<u64> {
        self.passwords().present().copied()
    }

    pub fn is_running(&self, node: &NodeName) -> bool {
        self.containers.get(node).is_some_and(|container| container.seen.state == RunState::Running)
    }

    /// What is on a node's volume, whether it runs or not.
    pub fn data(&self, node: &NodeName) -> Option<&Server> {
        self.volumes.get(node)?.data.as_ref()
    }

    pub fn data_mut(&mut self, node: &NodeName) -> Option<&mut Server> {
        self.volumes.get_mut(node)?.data.as_mut()
    }

    /// The server of a node that runs.
    pub fn running(&self, node: &NodeName) -> Option<&Server> {
        self.data(node).filter(|_| self.is_running(node))
    }

    /// The same for changing; `None` when nobody listens.
    pub fn running_mut(&mut self, node: &NodeName) -> Option<&mut Server> {
        let is_running = self.is_running(node);
        self.data_mut(node).filter(|_| is_running)
    }

    pub fn database(&self, node: &NodeName) -> Option<&Database> {
        self.data(node)?.database.as_ref()
    }

    pub fn database_mut(&mut self, node: &NodeName) -> Option<&mut Database> {
        self.data_mut(node)?.database.as_mut()
    }

    /// Nodes whose data directory would take writes as primary, running or not.
    pub fn writers(&self) -> Vec<NodeName> {
        let is_writer = |server: &Server| {
            server.standby_of.is_none()
                && server.yields_to.is_none()
                && server.seat().is_some_and(|row| row.seat == Seat::Primary)
        };
        self.volumes
            .iter()
            .filter(|(_, volume)| volume.data.as_ref().is_some_and(is_writer))
            .map(|(node, _)| node.clone())
            .collect()
    }

    /// The end of a server's process, whoever brought it about.
    pub fn process_ends(&mut self, node: &NodeName) {
        if let Some(container) = self.containers.get_mut(node) {
            container.seen.state = RunState::Exited;
        }
        if let Some(server) = self.data_mut(node) {
            server.is_streaming = false;
            if let Some(subscription) = server.database.as_mut().and_then(|db| db.subscription.as_mut()) {
                subscription.is_applying = false;
            }
        }
    }
}

impl Server {
    /// As `initdb` leaves it: the superuser and nothing else.
    pub fn fresh(passwords: u64, salt: u64) -> Self {
        Self {
            standby_of: None,
            is_streaming: false,
            yields_to: None,
            has_restarted_marked: false,
            roles: BTreeMap::from([(ident(SUPERUSER), verifier(passwords, salt))]),
            slots: BTreeMap::new(),
            synchronous_names: String::new(),
            synchronized_slots: String::new(),
            database: None,
        }
    }

    /// What its marks make of it when it is started.
    pub fn restart(&mut self) {
        self.has_restarted_marked = self.yields_to.is_some();
    }

    pub fn seat(&self) -> Option<&SeatRow> {
        self.database.as_ref()?.catalog.as_ref()
    }

    /// The superuser's password is of this generation.
    pub fn accepts(&self, passwords: u64) -> bool {
        let superuser = self.roles.iter().find(|(role, _)| role.as_str() == SUPERUSER);
        superuser.is_some_and(|(_, verifier)| verifier.starts_with(&format!("{passwords}/")))
    }
}

pub fn verifier(passwords: u64, salt: u64) -> String {
    format!("{passwords}/{salt}")
}

impl Database {
    /// Relations the publication covers; TimescaleDB's own schemas only by name.
    pub fn members(&self, publication: &Ident) -> BTreeSet<TableName> {
        let Some(publication) = self.publications.get(publication) else { return BTreeSet::new() };
        self.tables
            .keys()
            .chain(self.chunks.keys())
            .filter(|table| {
                publication.all_tables
                    || publication.schemas.contains(&table.schema)
                    || publication.tables.contains(*table)
            })
            .cloned()
            .collect()
    }

    pub fn has(&self, name: &TableName) -> bool {
        self.tables.contains_key(name) || self.chunks.contains_key(name)
    }

    pub fn rows(&self, name: &TableName) -> u64 {
        self.rows.get(name).copied().unwrap_or_default()
    }

    pub fn has_schema(&self, schema: &Ident) -> bool {
        matches!(schema.as_str(), "public" | "_timescaledb_internal") || self.schemas.contains(schema)
    }

    /// Makes a chunk of a hypertable where there is none yet, as an insert does, and returns its name.
    pub fn insert_into_new_chunk(&mut self, root: &TableName) -> Option<TableName> {
        // The first stretch of time that no chunk covers.
        let is_free = |start: &i64| !self.chunks.values().any(|chunk| chunk.root == *root && chunk.start == *start);
        let start = (0..=i64::try_from(self.chunks.len()).ok()?).find(is_free)?;
        let name = self.make_chunk_at(root, start)?;
        self.rows.insert(name.clone(), 1);
        Some(name)
    }

    /// Makes an empty chunk under the next name.
    pub fn make_chunk_at(&mut self, root: &TableName, start: i64) -> Option<TableName> {
        let partitioned = self.tables.get(root)?.hypertable.as_ref()?;
        let name = TableName {
            schema: partitioned.chunk_schema.clone(),
            table: ident(&format!("{}_{}_chunk", chunk_prefix(root), self.next_chunk)),
        };
        self.next_chunk += 1;
        self.chunks.insert(name.clone(), Chunk { root: root.clone(), start, compressed: false });
        if self.auto_publication == Some(true) {
            for publication in self.publications.values_mut().filter(|there| there.tables.contains(root)) {
                publication.tables.insert(name.clone());
            }
        }
        Some(name)
    }
}
