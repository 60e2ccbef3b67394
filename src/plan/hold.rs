//! Every reason for which something wanted is not done, as one closed list.
//!
//! The label is shared by JSON, logs and metrics. The sentence and the help are for people: `words`.

mod words;

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::backups::Trouble;
use super::failover::reason::{Question, Way};
use super::migrations::Refusal;
use super::monitoring::obstacle::Obstacle;
use super::outside::objection::Objection;
use crate::model::cluster::{Edition, Seat};
use crate::model::names::{Ident, NodeName, TableName};

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
    /// It was about to give up its place to another node, and whether that has taken it cannot be seen.
    GivesWay(String),
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
    /// Changes are on their way for a table that nobody has any more, and that is no chunk.
    WantsDropped(TableName),
    /// The slot on the primary is gone or lost its WAL.
    SlotLost,
    /// It has applied changes that the primary, a standby before, does not have: so many bytes of log.
    Ahead(u64),
    /// The standby is not streaming.
    NotStreaming,
    /// Commits are to wait for a replica and wait for none: none has caught up.
    NotSynchronous,
    /// Commits wait, and all replicas that they wait for are lost.
    CommitsWait(Vec<NodeName>),
    /// A standby that does not stream: logical replicas may be ahead of it, and could not follow it.
    NotAwaited,
    /// Something towards the outside does not go.
    Outside(Box<Objection>),
    /// Something is wrong with a backup job.
    Backup(Box<Trouble>),
    /// What clients connect to does not run.
    EndpointDown,
    /// It runs and holds its clients.
    EndpointPaused,
    /// The certificate it is to show is not there, or does not fit its key.
    NoCertificate(String),
    /// Prometheus or Grafana cannot be had beside the cluster.
    Monitoring(Obstacle),
    /// It was stopped while failover is paused, so the agent does not start it.
    FailoverPaused,
    /// The primary serves nobody, and what is to be done is not hypertide's to decide.
    AsksOperator(Box<Question>, Vec<Way>),
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
            Self::GivesWay(_) => "gives_way",
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
            Self::WantsDropped(_) => "wants_dropped_table",
            Self::SlotLost => "slot_lost",
            Self::Ahead(_) => "ahead_of_primary",
            Self::NotStreaming => "not_streaming",
            Self::NotSynchronous => "not_synchronous",
            Self::CommitsWait(_) => "commits_wait",
            Self::NotAwaited => "not_awaited",
            Self::Outside(objection) => objection.label(),
            Self::Backup(trouble) => trouble.label(),
            Self::EndpointDown => "endpoint_down",
            Self::EndpointPaused => "endpoint_paused",
            Self::NoCertificate(_) => "no_certificate",
            Self::Monitoring(obstacle) => obstacle.label(),
            Self::FailoverPaused => "failover_paused",
            Self::AsksOperator(..) => "asks_operator",
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
            | Self::NotStreaming
            | Self::NotSynchronous
            | Self::NotAwaited
            | Self::GivesWay(_) => Weight::Waiting,
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
            | Self::WantsDropped(_)
            | Self::SlotLost
            | Self::CommitsWait(_)
            | Self::Ahead(_)
            | Self::Outside(_)
            | Self::Backup(_)
            | Self::EndpointDown
            | Self::EndpointPaused
            | Self::NoCertificate(_)
            | Self::Monitoring(_)
            | Self::FailoverPaused
            | Self::AsksOperator(..)
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
