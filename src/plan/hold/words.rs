//! What people read of each reason: a sentence that says what is, and one that says what to do.

use std::fmt;

use super::Reason;
use crate::model::cluster::{Edition, Seat};
use crate::model::names::NodeName;

/// Tables that one sentence names.
const NAMED: usize = 3;

impl Reason {
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
            Self::GivesWay(to) => format!("bring {to} back; `hypertide logs {to}` shows what it says"),
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
            Self::WantsDropped(table) => format!(
                "as superuser, `CREATE TABLE {table} (…)` on this node with the columns it had, and drop it when the lag is \
                 gone; or `hypertide replication resync` the node"
            ),
            Self::CopyFails(..) => "`hypertide logs` of this node names the table and what is wrong with it".into(),
            Self::SlotLost | Self::Ahead(_) => "`hypertide replication resync` the node: it is copied afresh".into(),
            Self::NotStreaming => "`hypertide logs` of this node says why it does not connect".into(),
            Self::NotSynchronous => {
                "none has caught up yet, or none is left: `hypertide status` shows each; an acknowledged commit may be on the \
                 primary alone meanwhile"
                    .into()
            }
            Self::CommitsWait(lost) => {
                let lost = named(lost);
                format!(
                    "bring {lost} back; or `hypertide replica remove` it; or have commits go on with \
                     `replication.synchronous: {{mode: on, when_lost: continue}}` and `hypertide up`"
                )
            }
            Self::NotAwaited => "bring it back; logical replicas wait for it again once it has caught up".into(),
            Self::Outside(objection) => objection.help(),
            Self::Backup(trouble) => trouble.help(),
            Self::NoCertificate(_) => "`endpoint.tls` takes PEM: a certificate, then those between it and its authority; its key, without a \
                 password. Mend them, then run `hypertide up`"
                .into(),
            Self::EndpointDown => "the agent starts it within a second; without an agent, run `hypertide up`".into(),
            Self::EndpointPaused => {
                "a promotion does this and ends it; else `hypertide restart endpoint-rw` (or `-ro`) lets them go on".into()
            }
            Self::FailoverPaused => {
                "`hypertide up` starts it; then `hypertide failover resume` has the agent look after it again".into()
            }
            Self::AsksOperator(_, ways) if ways.is_empty() => "`hypertide status` shows every node".into(),
            Self::AsksOperator(_, ways) => ways.iter().map(ToString::to_string).collect::<Vec<_>>().join("; or "),
            Self::Monitoring(obstacle) => obstacle.help(),
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
            Self::GivesWay(to) => {
                write!(f, "it was about to give up its place to {to}, and whether {to} has taken it cannot be seen")
            }
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
            Self::WantsDropped(table) => {
                write!(
                    f,
                    "changes for {table} cannot be applied: it was dropped on the primary before it came to be here"
                )
            }
            Self::Ahead(bytes) => {
                write!(f, "it has applied {bytes} bytes of the old primary's log that the new one does not have")
            }
            Self::SlotLost => f.write_str("its slot on the primary is gone or unusable, so changes are missing"),
            Self::NotStreaming => f.write_str("is not streaming from the primary"),
            Self::NotSynchronous => f.write_str("commits are to wait for a replica, and wait for none now"),
            Self::CommitsWait(lost) => {
                write!(f, "commits wait for {}, which does not answer: nothing is written until it does", named(lost))
            }
            Self::NotAwaited => {
                f.write_str("does not stream, so logical replicas are not kept from running ahead of it")
            }
            Self::Outside(objection) => objection.fmt(f),
            Self::Backup(trouble) => trouble.fmt(f),
            Self::NoCertificate(because) => write!(f, "stays without the certificate it is to show: {because}"),
            Self::EndpointDown => f.write_str("does not run, so no client can connect there"),
            Self::EndpointPaused => f.write_str("holds its clients: they wait"),
            Self::Monitoring(obstacle) => obstacle.fmt(f),
            Self::FailoverPaused => f.write_str("is stopped, and failover is paused, so the agent does not start it"),
            Self::AsksOperator(question, _) => question.fmt(f),
            Self::NeedsUp => f.write_str("lacks something that only `up` provides"),
        }
    }
}

fn named(nodes: &[NodeName]) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" or ")
}

fn counted(tables: usize) -> String {
    if tables == 1 { "1 table is".into() } else { format!("{tables} tables are") }
}
