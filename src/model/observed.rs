//! What is there: one look at Docker and at every database, as values.
//!
//! Made by `observe`, read by `plan` and `status`. A fact that could not be read is [`Seen::Unknown`], never a default.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::backup_runs::BackupsSeen;
use super::chunk::{Chunk, Hypertable};
use super::cluster::{Edition, Seat};
use super::endpoint::{Access, EndpointSeen};
use super::health::{Probe, SynchronousState};
use super::lsn::Lsn;
use super::monitoring::{Monitor, MonitorSeen};
use super::names::{Ident, NodeName, TableName};
use super::outside::OutsideSeen;
use super::pack::Applied;
use super::promotion::{FailoverPause, PastPromotion, PromotionCount};
use super::seen::Seen;

/// One look at everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The image database containers are to run.
    pub image: Seen<ImageFacts>,
    /// The bundled image, which agents and endpoints run.
    pub tool_image: Seen<ImageFacts>,
    /// The reference by which this program knows that image, whether it is there or not.
    pub tool_reference: String,
    /// The cluster's network.
    pub network: Seen<Owned>,
    /// The passwords of the cluster.
    pub secrets: Seen<()>,
    /// Every node that is wanted or that carries the cluster's label.
    pub nodes: BTreeMap<NodeName, NodeSeen>,
    /// The agent's container.
    pub agent: Seen<ContainerSeen>,
    /// What clients connect to, where it was looked for.
    pub endpoints: BTreeMap<Access, EndpointSeen>,
    /// A digest of the certificate that endpoints are to show, which fits its key; absent: they show none.
    pub endpoint_certificate: Seen<String>,
    /// The agent's volume.
    pub agent_volume: Seen<Owned>,
    /// Prometheus and Grafana beside the cluster, where they were looked for.
    pub monitors: BTreeMap<Monitor, MonitorSeen>,
    /// A digest of what the agent asks of who scrapes it; absent: nothing.
    pub scrape_secret: Seen<String>,
    /// Wanted host ports that somebody else holds, and who.
    pub taken_ports: BTreeMap<u16, String>,
}

/// A resource that has the right name, and whether it carries the cluster's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// It carries the cluster's label.
    pub ours: bool,
}

/// What an image holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageFacts {
    /// The reference it was found by.
    pub reference: String,
    /// Its content address.
    pub id: String,
    /// PostgreSQL's major version in it; `None` when it holds none.
    pub postgres_major: Option<u32>,
    /// The version of TimescaleDB it installs by default; `None` when the extension's library is missing.
    pub timescaledb: Option<String>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its data volume.
    pub volume: Seen<VolumeSeen>,
    /// Its container.
    pub container: Seen<ContainerSeen>,
    /// Its PostgreSQL server, asked over SQL.
    pub server: Seen<ServerSeen>,
    /// What asking it gave; absent: nobody runs who could be asked.
    pub probe: Seen<Probe>,
    /// Its container does not run, and its data is marked to give up its place to this node.
    pub mark: Seen<String>,
}

/// A data volume, as its labels describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSeen {
    /// It carries the cluster's label.
    pub ours: bool,
    /// What the node was provisioned as.
    pub seat: Option<Seat>,
    /// The host port the node was given.
    pub port: Option<u16>,
    /// PostgreSQL's major version that initialised it.
    pub postgres_major: Option<u32>,
    /// TimescaleDB's version it was initialised with.
    pub timescaledb: Option<String>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSeen {
    /// It carries the cluster's label.
    pub ours: bool,
    /// Docker's id.
    pub id: String,
    /// Whether it runs.
    pub state: RunState,
    /// Digest of the specification it was created from.
    pub spec: String,
    /// The image it runs.
    pub image_id: String,
    /// It is attached to the cluster's network.
    pub is_attached: bool,
}

/// Docker's state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Created and never started.
    Created,
    /// Its process runs.
    Running,
    /// Frozen.
    Paused,
    /// Docker is restarting or removing it.
    Changing,
    /// Its process ended.
    Exited,
}

impl RunState {
    /// Its process runs, frozen or not.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// A PostgreSQL server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSeen {
    /// It replays WAL and takes no writes.
    pub in_recovery: bool,
    /// The WAL timeline.
    pub timeline: u32,
    /// Written up to here (primary, subscriber) or replayed up to here (standby).
    pub lsn: Lsn,
    /// Major version of the server.
    pub postgres_major: u32,
    /// The cluster's login roles that exist, each with a digest of its password verifier.
    pub roles: BTreeMap<Ident, String>,
    /// Replication slots.
    pub slots: BTreeMap<Ident, SlotSeen>,
    /// Who streams from here, by application name.
    pub senders: BTreeMap<String, SenderSeen>,
    /// `synchronous_standby_names`: the application names that commits wait for; only a primary heeds it.
    pub synchronous_names: String,
    /// `synchronized_standby_slots`: the slots that logical replicas do not run ahead of.
    pub synchronized_slots: String,
    /// A standby: its WAL receiver streams.
    pub is_receiving: bool,
    /// A standby: log that has safely arrived, applied or not; `None` where none came since it was started.
    pub received: Option<Lsn>,
    /// A standby: the primary's last sign of life came so long ago, in milliseconds.
    pub heard_millis: Option<u64>,
    /// A standby: the host it is to receive from.
    pub upstream: Option<String>,
    /// Where its timeline and those before it left their predecessors, the first one first; none on a standby.
    pub branches: Vec<Lsn>,
    /// It is marked to give up its place to this node: started again, it takes no writes.
    pub yields_to: Option<String>,
    /// The cluster's database.
    pub database: Seen<DatabaseSeen>,
}

/// A replication slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSeen {
    /// Physical slots have no plugin.
    pub is_logical: bool,
    /// Somebody streams from it.
    pub active: bool,
    /// The consumer has confirmed everything up to here.
    pub confirmed: Option<Lsn>,
    /// WAL it keeps from being removed, in bytes.
    pub retained_bytes: u64,
    /// Whether the WAL it needs is there; `None` while it needs none.
    pub wal_status: Option<WalStatus>,
    /// It lost WAL it needs and can never be used again.
    pub lost: bool,
}

/// Whether the WAL a slot needs is there, in the words of `pg_replication_slots.wal_status`
/// (<https://www.postgresql.org/docs/17/view-pg-replication-slots.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WalStatus {
    /// It is, within `max_wal_size`.
    Reserved,
    /// It is, beyond `max_wal_size`.
    Extended,
    /// Some of it goes at the next checkpoint.
    Unreserved,
    /// Some of it is gone.
    Lost,
}

impl WalStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reserved, Self::Extended, Self::Unreserved, Self::Lost];

    /// The word used in output and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Extended => "extended",
            Self::Unreserved => "unreserved",
            Self::Lost => "lost",
        }
    }

    /// Reads a word; `None` for one of a version to come.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// A row of `pg_stat_replication`
/// (<https://www.postgresql.org/docs/17/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderSeen {
    /// The consumer has applied everything up to here.
    pub replayed: Option<Lsn>,
    /// Everything up to here is safely on the consumer's disk; that is what commits wait for.
    pub flushed: Option<Lsn>,
    /// It has caught up once and streams: nobody waits for one in another state.
    pub is_streaming: bool,
    /// The consumer's last answer came so long ago, in milliseconds.
    pub silent_millis: Option<u64>,
    /// How commits wait for it; `None`: a word of a version to come.
    pub synchronous: Option<SynchronousState>,
}

/// The cluster's database on one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSeen {
    /// The installed version of TimescaleDB.
    pub extension: Option<String>,
    /// Its licence.
    pub edition: Option<Edition>,
    /// Version of hypertide's own schema in it; `None` when it is not installed.
    pub catalog: Option<u32>,
    /// What hypertide wrote down about the node.
    pub seat: Option<SeatRow>,
    /// Migrations recorded as applied.
    pub migrations: Applied,
    /// New sessions are read-only unless they ask otherwise.
    pub is_read_only: bool,
    /// The next chunk number was moved out of the publisher's way.
    pub chunk_names_reserved: bool,
    /// A logical replica: it has no subscription and holds rows, which a first copy would double.
    pub holds_rows: bool,
    /// A logical replica whose first copy is under way: tables that are left, and the subscription that follows.
    pub tables_to_copy: Option<usize>,
    /// The cluster's publication.
    pub publication: Option<PublicationSeen>,
    /// Ordinary tables and hypertable roots in the published schemas.
    pub tables: BTreeMap<TableName, TableSeen>,
    /// Tables in TimescaleDB's own schemas that are no chunks of these hypertables.
    pub strangers: BTreeSet<TableName>,
    /// Hypertables of the published schemas.
    pub hypertables: BTreeMap<TableName, Hypertable>,
    /// Their chunks.
    pub chunks: BTreeMap<TableName, Chunk>,
    /// A subscriber: chunks that the publisher dropped, whose place is kept until it has applied the publisher's log up to
    /// this position.
    pub retired: BTreeMap<TableName, Lsn>,
    /// New chunks of a published hypertable are published by TimescaleDB itself
    /// (`timescaledb.enable_chunk_auto_publication`); `None` where it cannot do that.
    pub auto_publication: Option<bool>,
    /// Jobs that TimescaleDB runs on these hypertables by itself, by name, with the hypertable.
    pub jobs: BTreeMap<String, TableName>,
    /// Settings that are on and that make logical replication lose rows.
    pub risky_settings: BTreeSet<String>,
    /// How long each slot's consumer is behind at most, in milliseconds, by what the agent wrote down each second.
    pub behind_millis: BTreeMap<Ident, u64>,
    /// The node's subscription to the primary.
    pub subscription: Option<SubscriptionSeen>,
    /// A publication or subscription here carries hypertide's mark for the outside.
    pub has_marks: bool,
    /// Those, and what is declared; asked only where one of the two is, on the primary.
    pub outside: Seen<OutsideSeen>,
    /// How each logical replica compared with this database last; on the primary only.
    pub verified: BTreeMap<NodeName, Verified>,
    /// What is on record about backup jobs; on the primary only.
    pub backups: BackupsSeen,
    /// The last changes of the primary, the newest first.
    pub promotions: Vec<PastPromotion>,
    /// How many there were of each kind; a kind of which there was none is absent.
    pub promotion_counts: Vec<PromotionCount>,
    /// Failover is paused, by the time of the server.
    pub failover_paused: Option<FailoverPause>,
}

/// What is on record about comparing one logical replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// When it was compared last, all of it, in RFC 3339 and UTC; `None` when it never was.
    pub finished_at: Option<String>,
    /// The same in seconds since 1970.
    pub finished_secs: Option<u64>,
    /// Tables that were compared then, or had not changed since they were equal.
    pub compared: u64,
    /// Tables that could not be compared then.
    pub left_out: u64,
    /// Tables that differed when they were compared last.
    pub mismatches: u64,
    /// The first few of those by name.
    pub differing: Vec<TableName>,
}

impl DatabaseSeen {
    /// It has a table, a hypertable or a chunk of this name.
    pub fn has(&self, name: &TableName) -> bool {
        self.tables.contains_key(name) || self.chunks.contains_key(name)
    }
}

/// The row of `hypertide.node`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeatRow {
    /// The node that wrote it.
    pub node: String,
    /// What it was provisioned as.
    pub seat: Seat,
    /// The epoch it believes in.
    pub epoch: u64,
    /// It gave up its place: the node whose logical replica it is since.
    pub follows: Option<String>,
    /// Its rows are those that node had when its slot there was made, so that it can go on from there without a copy.
    pub resumes: bool,
}

impl SeatRow {
    /// As a node is provisioned or promoted: it gave up nothing.
    pub fn new(node: impl Into<String>, seat: Seat, epoch: u64) -> Self {
        Self { node: node.into(), seat, epoch, follows: None, resumes: false }
    }
}

/// A table that a publication may cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSeen {
    /// It has a primary key or another replica identity, so updates and deletes can be published.
    pub has_identity: bool,
    /// A subscriber: the triggers that refuse writes are in force on it.
    pub is_guarded: bool,
    /// Its columns.
    pub columns: BTreeMap<Ident, ColumnSeen>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSeen {
    /// Its type, as PostgreSQL writes it.
    pub column_type: String,
    /// A row must bring a value for it: NOT NULL, without a default.
    pub is_required: bool,
    /// Computed from other columns, so never replicated.
    pub is_generated: bool,
}

/// A publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicationSeen {
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Schemas published as a whole.
    pub schemas: BTreeSet<Ident>,
    /// Tables that are members by their own name.
    pub members: BTreeSet<TableName>,
}

/// A subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionSeen {
    /// It is enabled.
    pub enabled: bool,
    /// Its apply worker runs, and does not only begin to, again and again.
    pub is_applying: bool,
    /// Its apply worker flushes each commit at once (`synchronous_commit` of the subscription).
    pub flushes: bool,
    /// The publications it reads.
    pub publications: BTreeSet<Ident>,
    /// State of each table (`pg_subscription_rel.srsubstate`: i, d, f, s, r).
    pub tables: BTreeMap<TableName, char>,
    /// Everything up to here is applied and reported.
    pub applied: Option<Lsn>,
    /// The host it is to receive from.
    pub upstream: Option<String>,
    /// Where the last transaction that was applied here ended on the publisher; `None`: there was none.
    pub committed: Option<Lsn>,
    /// The table that its apply worker wants and does not find here. PostgreSQL tells it in the server's log only, so it is
    /// looked up there, and only while the worker fails.
    pub wanting: Option<TableName>,
    /// Failed attempts to apply, since statistics were reset.
    pub apply_errors: u64,
    /// Failed attempts to copy a table, since statistics were reset.
    pub sync_errors: u64,
}
