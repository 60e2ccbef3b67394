//! Every reason for which something wanted is not done, as one closed list.
//!
//! The label is shared by JSON, logs and metrics; the sentence and the help are for people.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::migrations::Refusal;
use super::outside::objection::Objection;
use crate::model::cluster::{Edition, Seat};
use crate::model::names::{Ident, NodeName, TableName};

/// Tables that one sentence names.
const NAMED: usize = 3;

/// A wanted step that is not taken now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The node, table or resource concerned.
    pub what: String,
    /// Why.
    pub reason: Reason,
}

/// Why something is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A look failed; nothing is decided on what is not known.
    Unknown(String),
    /// A container, volume or network has our name and not our label.
    NotOurs(&'static str),
    /// Another process or container listens on the wanted host port.
    PortTaken(u16, String),
    /// The image holds no usable PostgreSQL.
    ImageWithoutPostgres,
    /// The image lacks the extension's library.
    ImageWithoutTimescale,
    /// The volume was initialised by another major version (on the volume, in the image).
    OtherPostgresMajor(u32, u32),
    /// The volume holds another version of TimescaleDB (on the volume, in the image).
    OtherTimescale(String, String),
    /// The configuration now asks for another kind of node than was provisioned.
    SeatChanged(Seat, Seat),
    /// The primary's volume is gone while a replica still holds data.
    PrimaryDataGone(NodeName),
    /// More than one node takes writes at the same epoch.
    TwoPrimaries(NodeName),
    /// Configured or provisioned as primary, while another node is the primary.
    NotThePrimary(NodeName),
    /// A server that is to take writes is in recovery.
    InRecovery,
    /// The container is frozen.
    Paused,
    /// The primary cannot be used yet, so this node waits.
    AwaitsPrimary,
    /// Migrations wait until this replica can take them first.
    AwaitsReplica(NodeName),
    /// A migration cannot be applied as it stands.
    Migration(Box<Refusal>),
    /// A published table has neither primary key nor replica identity.
    NoReplicaIdentity(TableName),
    /// `FOR ALL TABLES` would replicate TimescaleDB's own catalog.
    PublishesEverything,
    /// A mirrored hypertable has compression enabled.
    Compressed(TableName),
    /// A chunk of a mirrored hypertable is compressed.
    CompressedChunk(TableName),
    /// A schema of TimescaleDB's or hypertide's own is published.
    PublishesCatalog(Ident),
    /// A setting is on under which logical replication loses rows.
    RiskySetting(String),
    /// The servers run different versions of TimescaleDB (the primary's, this one's).
    VersionsDiffer(String, String),
    /// The servers run under different licences (the primary's, this one's).
    EditionsDiffer(Edition, Edition),
    /// A hypertable is partitioned by other columns than on the primary, or is none here.
    DimensionsDiffer(TableName),
    /// A hypertable is partitioned by a column of a type whose chunks cannot be made ahead of a row.
    TimeType(TableName, String),
    /// A column is not as on the primary; says how.
    ColumnsDiffer(TableName, String),
    /// TimescaleDB runs a job on a mirrored hypertable of the replica.
    JobOnReplica(String, TableName),
    /// Another table has the name of a chunk of the primary.
    NameClash(TableName),
    /// A chunk does not hold what the primary's chunk of that name, or of that place, holds.
    ChunkDiffers(TableName),
    /// A chunk was dropped on the primary while it was being copied, and another one needs its place.
    DroppedWhileCopying(TableName),
    /// A published table does not exist on the replica.
    MissingOnReplica(TableName),
    /// It holds rows and does not subscribe, so a first copy would double them.
    HoldsRows,
    /// Tables of a logical replica differ from the primary's: the first few, and how many.
    Differs(Vec<TableName>, u64),
    /// Tables are being copied; counts how many.
    Copying(usize),
    /// Tables are being copied, and copies failed before; counts both.
    CopyFails(usize, u64),
    /// The subscription was disabled by somebody.
    SubscriptionDisabled,
    /// The apply worker fails; counts the attempts.
    NotApplying(u64),
    /// The slot on the primary is gone or lost its WAL.
    SlotLost,
    /// The standby is not streaming.
    NotStreaming,
    /// Something towards the outside does not go.
    Outside(Box<Objection>),
    /// Only `up` provisions; the agent does not.
    NeedsUp,
}

/// How grave a hold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// Passes by itself.
    Waiting,
    /// Somebody has to act; the rest goes on.
    Degraded,
    /// Nothing at all is touched.
    Refusal,
}

impl Reason {
    /// The stable word for this reason.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::NotOurs(_) => "not_ours",
            Self::PortTaken(..) => "port_taken",
            Self::ImageWithoutPostgres => "image_without_postgres",
            Self::ImageWithoutTimescale => "image_without_timescaledb",
            Self::OtherPostgresMajor(..) => "other_postgres_major",
            Self::OtherTimescale(..) => "other_timescaledb_version",
            Self::SeatChanged(..) => "seat_changed",
            Self::PrimaryDataGone(_) => "primary_data_gone",
            Self::TwoPrimaries(_) => "two_primaries",
            Self::NotThePrimary(_) => "not_the_primary",
            Self::InRecovery => "in_recovery",
            Self::Paused => "paused",
            Self::AwaitsPrimary => "awaits_primary",
            Self::AwaitsReplica(_) => "awaits_replica",
            Self::Migration(refusal) => refusal.label(),
            Self::NoReplicaIdentity(_) => "no_replica_identity",
            Self::PublishesEverything => "publishes_all_tables",
            Self::Compressed(_) => "compressed_hypertable",
            Self::CompressedChunk(_) => "compressed_chunk",
            Self::PublishesCatalog(_) => "publishes_catalog",
            Self::RiskySetting(_) => "risky_setting",
            Self::VersionsDiffer(..) => "versions_differ",
            Self::EditionsDiffer(..) => "editions_differ",
            Self::DimensionsDiffer(_) => "dimensions_differ",
            Self::TimeType(..) => "unsupported_time_type",
            Self::ColumnsDiffer(..) => "columns_differ",
            Self::JobOnReplica(..) => "job_on_replica",
            Self::NameClash(_) => "name_clash",
            Self::ChunkDiffers(_) => "chunk_differs",
            Self::DroppedWhileCopying(_) => "dropped_while_copying",
            Self::MissingOnReplica(_) => "table_missing_on_replica",
            Self::HoldsRows => "holds_rows",
            Self::Differs(..) => "replica_differs",
            Self::Copying(_) => "copying",
            Self::CopyFails(..) => "copy_fails",
            Self::SubscriptionDisabled => "subscription_disabled",
            Self::NotApplying(_) => "not_applying",
            Self::SlotLost => "slot_lost",
            Self::NotStreaming => "not_streaming",
            Self::Outside(objection) => objection.label(),
            Self::NeedsUp => "needs_up",
        }
    }

    const fn weight(&self) -> Weight {
        match self {
            Self::AwaitsPrimary
            | Self::Copying(_)
            | Self::CopyFails(..)
            | Self::Unknown(_)
            | Self::NotApplying(_)
            | Self::NotStreaming => Weight::Waiting,
            Self::NotThePrimary(_)
            | Self::InRecovery
            | Self::Paused
            | Self::AwaitsReplica(_)
            | Self::NoReplicaIdentity(_)
            | Self::PublishesEverything
            | Self::Compressed(_)
            | Self::CompressedChunk(_)
            | Self::PublishesCatalog(_)
            | Self::RiskySetting(_)
            | Self::VersionsDiffer(..)
            | Self::EditionsDiffer(..)
            | Self::DimensionsDiffer(_)
            | Self::TimeType(..)
            | Self::ColumnsDiffer(..)
            | Self::JobOnReplica(..)
            | Self::NameClash(_)
            | Self::ChunkDiffers(_)
            | Self::DroppedWhileCopying(_)
            | Self::MissingOnReplica(_)
            | Self::HoldsRows
            | Self::Differs(..)
            | Self::SubscriptionDisabled
            | Self::SlotLost
            | Self::Outside(_)
            | Self::NeedsUp => Weight::Degraded,
            Self::NotOurs(_)
            | Self::PortTaken(..)
            | Self::ImageWithoutPostgres
            | Self::ImageWithoutTimescale
            | Self::OtherPostgresMajor(..)
            | Self::OtherTimescale(..)
            | Self::SeatChanged(..)
            | Self::PrimaryDataGone(_)
            | Self::TwoPrimaries(_)
            | Self::Migration(_) => Weight::Refusal,
        }
    }

    /// Nothing at all may be touched while this stands.
    pub fn is_refusal(&self) -> bool {
        self.weight() == Weight::Refusal
    }

    /// Passes by itself: worth waiting for.
    pub fn is_passing(&self) -> bool {
        self.weight() == Weight::Waiting
    }

    /// What to do about it; `None` when it passes by itself.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::AwaitsPrimary | Self::Copying(_) => return None,
            Self::Unknown(_) => "run `hypertide doctor`, then try again".into(),
            Self::NotOurs(kind) => {
                format!("remove or rename that {kind}, or choose another `cluster` name; hypertide never touches it")
            }
            Self::PortTaken(port, _) => {
                format!("stop what listens on {port}, or choose another port in hypertide.yaml (the agent's is `metrics.listen`)")
            }
            Self::ImageWithoutPostgres => "name an image that follows the docker-library postgres contract".into(),
            Self::ImageWithoutTimescale => "name an image that contains TimescaleDB, or use `image: auto`".into(),
            Self::OtherPostgresMajor(..) => {
                "use an image of the volume's version; a major upgrade needs a dump and restore".into()
            }
            Self::OtherTimescale(..) => "use the image the volume was made with".into(),
            Self::SeatChanged(Seat::Primary, _) => "configure it as the primary again; its data was not touched".into(),
            Self::SeatChanged(was, _) => {
                format!("configure it as {was} again, or `hypertide replica remove` it and run `hypertide up`")
            }
            Self::PrimaryDataGone(_) => {
                "nothing was touched: keep that replica's volume, it may be the only copy of the data".into()
            }
            Self::TwoPrimaries(_) => {
                "`docker stop` the agent and the node that must not take writes, then `hypertide replica remove` it".into()
            }
            Self::NotThePrimary(other) => {
                format!("name {other} under `nodes.primary` in hypertide.yaml; nothing on this node was touched")
            }
            Self::InRecovery => "`hypertide logs` of this node says what it recovers from; wait until it is done".into(),
            Self::Paused => "`docker unpause` the container".into(),
            Self::AwaitsReplica(replica) => {
                format!("bring {replica} back, or `hypertide replica remove {replica}` when it is not coming back")
            }
            Self::Migration(refusal) => refusal.help(),
            Self::NoReplicaIdentity(table) => {
                format!("add a primary key to {table}, or `ALTER TABLE {table} REPLICA IDENTITY FULL`")
            }
            Self::PublishesEverything => {
                "`DROP PUBLICATION` it, then `hypertide up` makes one without the catalog; `hypertide replication resync` \
                 the replicas that subscribed to it"
                    .into()
            },
            Self::CompressedChunk(chunk) => format!(
                "`SELECT decompress_chunk('{chunk}')` on that node and switch compression of its hypertable off, then \
                 `hypertide replication resync` the replica; or replicate physically"
            ),
            Self::PublishesCatalog(schema) => format!(
                "`ALTER PUBLICATION … DROP TABLES IN SCHEMA {}`; chunks in it are published one by one",
                schema.quoted()
            ),
            Self::RiskySetting(name) => format!("`ALTER SYSTEM RESET {name}` and reload, or replicate physically"),
            Self::VersionsDiffer(primary, _) => {
                format!("`ALTER EXTENSION timescaledb UPDATE TO '{primary}'` on this node, with an image that has it")
            }
            Self::EditionsDiffer(primary, _) => format!(
                "set `timescaledb.license` to {} on both, or replicate physically",
                match primary {
                    Edition::Apache => "apache",
                    Edition::Community => "timescale",
                }
            ),
            Self::DimensionsDiffer(table) => {
                format!("make {table} on the replica as it is on the primary (a migration does both sides), then resync it")
            }
            Self::ColumnsDiffer(table, _) => {
                format!("alter {table} on the replica to match the primary; a migration does both sides in the safe order")
            }
            Self::JobOnReplica(job, _) => {
                let id = job.rsplit_once('[').map_or("…", |(_, id)| id.trim_end_matches(']'));
                format!("`SELECT alter_job({id}, scheduled => false)` on this node; the primary's job does the work")
            }
            Self::NameClash(table) => format!("rename or drop {table} on this node; then the chunk is made"),
            Self::ChunkDiffers(_) | Self::DroppedWhileCopying(_) => {
                "`hypertide replication resync` the node: its chunks are made afresh".into()
            }
            Self::Compressed(_) | Self::TimeType(..) => {
                "replicate physically, which copies every chunk exactly: `hypertide replica add NODE --mode physical`, \
                 then `hypertide replica remove` the logical one"
                    .into()
            }
            Self::MissingOnReplica(table) => {
                format!("create {table} on the replica as well (a migration does both sides), or drop it")
            }
            Self::HoldsRows => "`hypertide replication resync` the node: it is emptied, then copied afresh".into(),
            Self::Differs(..) => {
                "`hypertide replication verify --repair` copies those tables afresh and says what differed; find out who \
                 wrote to the replica"
                    .into()
            }
            Self::SubscriptionDisabled => {
                "`ALTER SUBSCRIPTION … ENABLE` on this node, or `hypertide replication resync` it".into()
            },
            Self::NotApplying(_) => "`hypertide logs` of this node names the row or table that does not apply".into(),
            Self::CopyFails(..) => "`hypertide logs` of this node names the table and what is wrong with it".into(),
            Self::SlotLost => "`hypertide replication resync` the node: it is copied afresh".into(),
            Self::NotStreaming => "`hypertide logs` of this node says why it does not connect".into(),
            Self::Outside(objection) => objection.help(),
            Self::NeedsUp => "run `hypertide up`".into(),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(because) => write!(f, "could not be looked at: {because}"),
            Self::NotOurs(kind) => write!(f, "a {kind} of this name exists and does not belong to this cluster"),
            Self::PortTaken(port, holder) => write!(f, "port {port} is held by {holder}"),
            Self::ImageWithoutPostgres => f.write_str("the image holds no PostgreSQL server"),
            Self::ImageWithoutTimescale => f.write_str("the image lacks the TimescaleDB library"),
            Self::OtherPostgresMajor(volume, image) => {
                write!(f, "the volume was made by PostgreSQL {volume}, the image holds {image}")
            }
            Self::OtherTimescale(volume, image) => {
                write!(f, "the volume was made with TimescaleDB {volume}, the image holds {image}")
            }
            Self::SeatChanged(was, wanted) => write!(f, "was provisioned as {was}, is now configured as {wanted}"),
            Self::PrimaryDataGone(replica) => {
                write!(f, "its volume is gone while {replica} still holds data; an empty primary would replace it")
            }
            Self::TwoPrimaries(other) => write!(f, "claims to be the primary, and so does {other}"),
            Self::NotThePrimary(other) => write!(f, "{other} is the primary, so this node is left alone"),
            Self::InRecovery => f.write_str("is in recovery and takes no writes"),
            Self::Paused => f.write_str("the container is paused"),
            Self::AwaitsPrimary => f.write_str("waits for the primary"),
            Self::AwaitsReplica(replica) => write!(f, "migrations wait for {replica}, which takes them first"),
            Self::Migration(refusal) => refusal.fmt(f),
            Self::NoReplicaIdentity(table) => {
                write!(f, "{table} has no primary key or replica identity; published, its UPDATEs would fail")
            }
            Self::PublishesEverything => f.write_str("the publication covers all tables, TimescaleDB's catalog too"),
            Self::Compressed(table) => {
                write!(f, "{table} has compression enabled, which logical replication would lose rows over")
            }
            Self::CompressedChunk(chunk) => {
                write!(f, "chunk {chunk} is compressed, and logical replication loses rows of compressed chunks")
            }
            Self::PublishesCatalog(schema) => {
                write!(f, "the publication covers schema {schema}, whose rows describe one node only")
            }
            Self::RiskySetting(name) => write!(f, "{name} is on, under which logical replication loses rows silently"),
            Self::VersionsDiffer(primary, here) => {
                write!(f, "runs TimescaleDB {here}, the primary {primary}")
            }
            Self::EditionsDiffer(primary, here) => {
                write!(f, "runs TimescaleDB's {here} edition, the primary the {primary} edition")
            }
            Self::DimensionsDiffer(table) => write!(f, "{table} is not partitioned as it is on the primary"),
            Self::TimeType(table, column_type) => {
                write!(f, "{table} is partitioned by a column of type {column_type}, whose chunks cannot be mirrored")
            }
            Self::ColumnsDiffer(table, how) => write!(f, "{table} differs from the primary's: {how}"),
            Self::JobOnReplica(job, table) => write!(f, "the job {job} works on {table}, which mirrors the primary's"),
            Self::NameClash(table) => write!(f, "{table} is a chunk on the primary and something else here"),
            Self::ChunkDiffers(chunk) => write!(f, "chunk {chunk} does not hold the same stretch as the primary's"),
            Self::DroppedWhileCopying(chunk) => {
                write!(f, "chunk {chunk} was dropped on the primary while it was being copied, and its place is needed")
            }
            Self::MissingOnReplica(table) => {
                write!(f, "{table} is published and does not exist here, so nothing new can be subscribed to")
            }
            Self::HoldsRows => f.write_str("holds rows and does not subscribe; a copy would double them"),
            Self::Differs(tables, count) => {
                let named = tables.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let differ = if *count == 1 { "1 table differs" } else { &format!("{count} tables differ") };
                let more = if *count > NAMED as u64 { " and others" } else { "" };
                write!(f, "{differ} from the primary's: {named}{more}")
            }
            Self::Copying(tables) => write!(f, "{} being copied", counted(*tables)),
            Self::CopyFails(tables, errors) => {
                write!(f, "{} being copied, after {errors} failed attempts", counted(*tables))
            }
            Self::SubscriptionDisabled => f.write_str("the subscription is disabled"),
            Self::NotApplying(errors) => write!(f, "changes are not being applied ({errors} failed attempts)"),
            Self::SlotLost => f.write_str("its slot on the primary is gone or unusable, so changes are missing"),
            Self::NotStreaming => f.write_str("is not streaming from the primary"),
            Self::Outside(objection) => objection.fmt(f),
            Self::NeedsUp => f.write_str("lacks something that only `up` provides"),
        }
    }
}

fn counted(tables: usize) -> String {
    if tables == 1 { "1 table is".into() } else { format!("{tables} tables are") }
}

impl Hold {
    /// Holds `what` for this reason.
    pub fn new(what: impl Into<String>, reason: Reason) -> Self {
        Self { what: what.into(), reason }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

impl Serialize for Hold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Hold", 4)?;
        json.serialize_field("what", &self.what)?;
        json.serialize_field("reason", self.reason.label())?;
        json.serialize_field("text", &self.reason.to_string())?;
        json.serialize_field("help", &self.reason.help())?;
        json.end()
    }
}

#[cfg(test)]
mod tests;
