//! The JSON that `sql/observe` answers with, and its way into the model.

pub(super) mod backups;
mod verified;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::model::chunk::{Chunk, Dimension, Hypertable, Partitioning, Slice};
use crate::model::cluster::{Edition, Seat};
use crate::model::health::SynchronousState;
use crate::model::lsn::Lsn;
use crate::model::names::{Ident, NameError, TableName};
use crate::model::observed::{
    ColumnSeen, DatabaseSeen, PublicationSeen, SeatRow, SenderSeen, ServerSeen, SlotSeen, SubscriptionSeen, TableSeen,
    WalStatus,
};
use crate::model::pack::{AppliedMigration, MigrationId};
use crate::model::promotion::{FailoverPause, PastPromotion, PromotionCount};
use crate::model::seen::Seen;
use backups::BackupsRow;
use verified::VerifiedRow;

/// The bit of a chunk's status that says that its rows, or some of them, are compressed.
const STATUS_COMPRESSED: i32 = 1;

/// `sql/observe/server.sql`.
#[derive(Debug, Deserialize)]
pub struct ServerRow {
    in_recovery: bool,
    timeline: u32,
    #[serde(deserialize_with = "lsn")]
    lsn: Option<Lsn>,
    postgres_major: u32,
    roles: BTreeMap<String, String>,
    slots: BTreeMap<String, SlotRow>,
    senders: BTreeMap<String, SenderRow>,
    synchronous_names: String,
    synchronized_slots: String,
    is_receiving: bool,
    #[serde(deserialize_with = "lsn")]
    received: Option<Lsn>,
    heard_millis: Option<u64>,
    upstream: Option<String>,
    #[serde(deserialize_with = "lsns")]
    branches: Vec<Lsn>,
    yields_to: Option<String>,
    /// The cluster's database exists.
    pub has_database: bool,
    /// This very connection is to the cluster's database.
    pub is_connected_to_it: bool,
    /// TimescaleDB's version in the database connected to.
    pub extension: Option<String>,
    /// hypertide's schema is in the database connected to.
    pub has_catalog: bool,
}

#[derive(Debug, Deserialize)]
struct SlotRow {
    is_logical: bool,
    active: bool,
    #[serde(deserialize_with = "lsn")]
    confirmed: Option<Lsn>,
    retained_bytes: u64,
    wal_status: Option<String>,
    lost: bool,
}

#[derive(Debug, Deserialize)]
struct SenderRow {
    #[serde(deserialize_with = "lsn")]
    replayed: Option<Lsn>,
    #[serde(deserialize_with = "lsn")]
    flushed: Option<Lsn>,
    is_streaming: bool,
    silent_millis: Option<u64>,
    sync_state: Option<String>,
}

/// `sql/observe/database.sql`.
#[derive(Debug, Deserialize)]
pub struct DatabaseRow {
    extension: Option<String>,
    license: Option<String>,
    catalog: Option<u32>,
    seat: Option<NodeRow>,
    migrations: Vec<MigrationRow>,
    is_read_only: bool,
    chunk_names_reserved: bool,
    holds_rows: bool,
    tables_to_copy: Option<usize>,
    has_marks: bool,
    publication: Option<PublicationRow>,
    tables: Vec<TableRow>,
    strangers: Vec<(String, String)>,
    hypertables: Vec<HypertableRow>,
    #[serde(deserialize_with = "positions")]
    retired: Vec<(String, String, Lsn)>,
    auto_publication: Option<bool>,
    risky_settings: BTreeSet<String>,
    jobs: Vec<(String, String, String)>,
    behind_millis: BTreeMap<String, i64>,
    subscription: Option<SubscriptionRow>,
    verified: BTreeMap<String, VerifiedRow>,
    backups: BackupsRow,
    promotions: Vec<PastPromotion>,
    promotion_counts: Vec<PromotionCount>,
    failover_paused: Option<FailoverPause>,
    /// Object ids of the hypertables.
    pub roots: Vec<u32>,
    /// Of the lists in `sql/observe/chunks.sql`, at the time of this row.
    pub digest: String,
    /// Of the list in `sql/observe/subscribed_tables.sql`.
    pub subscribed_digest: String,
}

/// Schema and name of a chunk, of its hypertable, its status bits, and its slices.
type ChunkRow = (String, String, String, String, i32, Vec<(i64, i64)>);

/// `sql/observe/chunks.sql`.
#[derive(Debug, Deserialize)]
pub struct ChunksRow {
    chunks: Vec<ChunkRow>,
    members: Vec<(String, String)>,
    digest: String,
}

/// `sql/observe/subscribed_tables.sql`.
#[derive(Debug, Deserialize)]
pub struct SubscribedRow {
    tables: Vec<(String, String, char)>,
    digest: String,
}

/// Chunks and which of them are published one by one, kept while their digest stays the same.
#[derive(Clone, Debug)]
pub struct ChunkLists {
    /// Of everything below.
    pub digest: String,
    chunks: BTreeMap<TableName, Chunk>,
    members: BTreeSet<TableName>,
}

/// The tables of a subscription, kept while their digest stays the same.
#[derive(Clone, Debug)]
pub struct SubscribedTables {
    /// Of the tables and their states.
    pub digest: String,
    tables: BTreeMap<TableName, char>,
}

#[derive(Debug, Deserialize)]
struct NodeRow {
    node: String,
    seat: String,
    epoch: u64,
    follows: Option<String>,
    #[serde(default)]
    resumes: bool,
}

#[derive(Debug, Deserialize)]
struct MigrationRow {
    pack: String,
    number: u32,
    what: String,
    checksum: String,
}

#[derive(Debug, Deserialize)]
struct PublicationRow {
    all_tables: bool,
    schemas: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct TableRow {
    schema: String,
    table: String,
    has_identity: bool,
    is_guarded: bool,
    columns: Vec<(String, String, bool, bool)>,
}

#[derive(Debug, Deserialize)]
struct HypertableRow {
    schema: String,
    table: String,
    chunk_schema: String,
    chunk_prefix: String,
    compressed: bool,
    now: Option<i64>,
    is_fed: bool,
    dimensions: Vec<DimensionRow>,
}

#[derive(Debug, Deserialize)]
struct DimensionRow {
    column: String,
    column_type: String,
    interval: Option<i64>,
    partitions: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct SubscriptionRow {
    enabled: bool,
    flushes: bool,
    publications: Vec<String>,
    is_applying: bool,
    #[serde(deserialize_with = "lsn")]
    applied: Option<Lsn>,
    upstream: Option<String>,
    #[serde(deserialize_with = "lsn")]
    committed: Option<Lsn>,
    apply_errors: Option<u64>,
    sync_errors: Option<u64>,
}

/// Positions come as text, or null where there is none.
fn lsn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Lsn>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|text| Lsn::from_str(&text))
        .transpose()
        .map_err(serde::de::Error::custom)
}

fn lsns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Lsn>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Lsn::from_str(text)).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

fn positions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String, Lsn)>, D::Error> {
    Vec::<(String, String, String)>::deserialize(deserializer)?
        .into_iter()
        .map(|(schema, table, position)| Ok((schema, table, Lsn::from_str(&position)?)))
        .collect::<Result<_, <Lsn as FromStr>::Err>>()
        .map_err(serde::de::Error::custom)
}

impl ServerRow {
    /// The server, without its database.
    pub fn into_model(self) -> Result<ServerSeen, NameError> {
        let idents = |name: String| Ident::new(&name);
        Ok(ServerSeen {
            in_recovery: self.in_recovery,
            timeline: self.timeline,
            lsn: self.lsn.unwrap_or_default(),
            postgres_major: self.postgres_major,
            roles: self
                .roles
                .into_iter()
                .map(|(role, digest)| Ok((idents(role)?, digest)))
                .collect::<Result<_, _>>()?,
            slots: self
                .slots
                .into_iter()
                .map(|(name, slot)| {
                    let slot = SlotSeen {
                        is_logical: slot.is_logical,
                        active: slot.active,
                        confirmed: slot.confirmed,
                        retained_bytes: slot.retained_bytes,
                        wal_status: slot.wal_status.as_deref().and_then(WalStatus::from_word),
                        lost: slot.lost,
                    };
                    Ok((idents(name)?, slot))
                })
                .collect::<Result<_, _>>()?,
            senders: self.senders.into_iter().map(|(name, sender)| (name, sender.into_model())).collect(),
            synchronous_names: self.synchronous_names,
            synchronized_slots: self.synchronized_slots,
            is_receiving: self.is_receiving,
            received: self.received,
            heard_millis: self.heard_millis,
            upstream: self.upstream,
            branches: self.branches,
            yields_to: self.yields_to,
            database: Seen::Absent,
        })
    }
}

impl SenderRow {
    fn into_model(self) -> SenderSeen {
        SenderSeen {
            replayed: self.replayed,
            flushed: self.flushed,
            is_streaming: self.is_streaming,
            silent_millis: self.silent_millis,
            synchronous: self.sync_state.as_deref().and_then(SynchronousState::from_word),
        }
    }
}

impl DatabaseRow {
    /// The database, with the lists that belong to it.
    pub fn into_model(self, lists: ChunkLists, subscribed: SubscribedTables) -> Result<DatabaseSeen, NameError> {
        Ok(DatabaseSeen {
            extension: self.extension,
            edition: self.license.as_deref().map(|license| match license {
                "timescale" => Edition::Community,
                _ => Edition::Apache,
            }),
            catalog: self.catalog,
            seat: self.seat.and_then(|row| {
                let NodeRow { node, seat, epoch, follows, resumes } = row;
                Some(SeatRow { node, seat: Seat::from_word(&seat)?, epoch, follows, resumes })
            }),
            migrations: self
                .migrations
                .into_iter()
                .map(|row| AppliedMigration {
                    id: MigrationId { pack: row.pack, number: row.number, what: row.what },
                    checksum: row.checksum,
                })
                .collect(),
            is_read_only: self.is_read_only,
            chunk_names_reserved: self.chunk_names_reserved,
            holds_rows: self.holds_rows,
            tables_to_copy: self.tables_to_copy,
            publication: self.publication.map(|row| row.into_model(lists.members)).transpose()?,
            tables: self.tables.into_iter().map(TableRow::into_model).collect::<Result<_, _>>()?,
            strangers: self
                .strangers
                .iter()
                .map(|(schema, table)| TableName::new(schema, table))
                .collect::<Result<_, _>>()?,
            hypertables: self.hypertables.into_iter().map(HypertableRow::into_model).collect::<Result<_, _>>()?,
            chunks: lists.chunks,
            retired: self
                .retired
                .into_iter()
                .map(|(schema, table, lsn)| Ok((TableName::new(&schema, &table)?, lsn)))
                .collect::<Result<_, _>>()?,
            auto_publication: self.auto_publication,
            risky_settings: self.risky_settings,
            jobs: self
                .jobs
                .into_iter()
                .map(|(job, schema, table)| Ok((job, TableName::new(&schema, &table)?)))
                .collect::<Result<_, _>>()?,
            behind_millis: self
                .behind_millis
                .into_iter()
                // A clock that was set back makes no lag negative.
                .map(|(slot, millis)| Ok((Ident::new(&slot)?, u64::try_from(millis).unwrap_or_default())))
                .collect::<Result<_, _>>()?,
            subscription: self.subscription.map(|row| row.into_model(subscribed.tables)).transpose()?,
            verified: verified::into_model(self.verified)?,
            backups: self.backups.into_model(),
            promotions: self.promotions,
            promotion_counts: self.promotion_counts,
            failover_paused: self.failover_paused,
            has_marks: self.has_marks,
            outside: Seen::Absent,
        })
    }
}

impl TableRow {
    fn into_model(self) -> Result<(TableName, TableSeen), NameError> {
        let columns = self.columns.into_iter().map(|(name, column_type, is_required, is_generated)| {
            Ok((Ident::new(&name)?, ColumnSeen { column_type, is_required, is_generated }))
        });
        let seen = TableSeen {
            has_identity: self.has_identity,
            is_guarded: self.is_guarded,
            columns: columns.collect::<Result<_, _>>()?,
        };
        Ok((TableName::new(&self.schema, &self.table)?, seen))
    }
}

impl HypertableRow {
    fn into_model(self) -> Result<(TableName, Hypertable), NameError> {
        let name = TableName::new(&self.schema, &self.table)?;
        let dimensions = self.dimensions.into_iter().map(|row| {
            let partitioning = match (row.interval, row.partitions) {
                (_, Some(partitions)) => Partitioning::Hash { partitions: partitions.max(1) },
                (interval, None) => Partitioning::Range { interval: interval.unwrap_or(1).max(1) },
            };
            Ok(Dimension { column: Ident::new(&row.column)?, column_type: row.column_type, partitioning })
        });
        let hypertable = Hypertable {
            name: name.clone(),
            chunk_schema: Ident::new(&self.chunk_schema)?,
            chunk_prefix: self.chunk_prefix,
            dimensions: dimensions.collect::<Result<_, _>>()?,
            compressed: self.compressed,
            now: self.now,
            is_fed: self.is_fed,
        };
        Ok((name, hypertable))
    }
}

impl ChunksRow {
    /// The lists.
    pub fn into_model(self) -> Result<ChunkLists, NameError> {
        let chunks = self.chunks.into_iter().map(|(schema, table, root_schema, root, status, slices)| {
            let chunk = Chunk {
                hypertable: TableName::new(&root_schema, &root)?,
                slices: slices.into_iter().map(|(start, end)| Slice { start, end }).collect(),
                compressed: status & STATUS_COMPRESSED != 0,
            };
            Ok((TableName::new(&schema, &table)?, chunk))
        });
        let members = self.members.iter().map(|(schema, table)| TableName::new(schema, table));
        Ok(ChunkLists {
            digest: self.digest,
            chunks: chunks.collect::<Result<_, _>>()?,
            members: members.collect::<Result<_, _>>()?,
        })
    }
}

impl SubscribedRow {
    /// The list.
    pub fn into_model(self) -> Result<SubscribedTables, NameError> {
        let tables =
            self.tables.into_iter().map(|(schema, table, state)| Ok((TableName::new(&schema, &table)?, state)));
        Ok(SubscribedTables { digest: self.digest, tables: tables.collect::<Result<_, _>>()? })
    }
}

impl PublicationRow {
    fn into_model(self, members: BTreeSet<TableName>) -> Result<PublicationSeen, NameError> {
        Ok(PublicationSeen {
            all_tables: self.all_tables,
            schemas: self.schemas.iter().map(|schema| Ident::new(schema)).collect::<Result<BTreeSet<_>, _>>()?,
            members,
        })
    }
}

impl SubscriptionRow {
    fn into_model(self, tables: BTreeMap<TableName, char>) -> Result<SubscriptionSeen, NameError> {
        Ok(SubscriptionSeen {
            enabled: self.enabled,
            flushes: self.flushes,
            is_applying: self.is_applying,
            publications: self.publications.iter().map(|name| Ident::new(name)).collect::<Result<_, _>>()?,
            tables,
            applied: self.applied,
            upstream: self.upstream,
            committed: self.committed,
            wanting: None,
            apply_errors: self.apply_errors.unwrap_or_default(),
            sync_errors: self.sync_errors.unwrap_or_default(),
        })
    }
}
