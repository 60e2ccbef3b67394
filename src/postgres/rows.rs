//! The JSON that `sql/observe` answers with, and its way into the model.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::model::chunk::Hypertable;
use crate::model::cluster::{Edition, Seat};
use crate::model::lsn::Lsn;
use crate::model::names::{Ident, NameError, TableName};
use crate::model::observed::{
    DatabaseSeen, PublicationSeen, SeatRow, SenderSeen, ServerSeen, SlotSeen, SubscriptionSeen, TableSeen,
};
use crate::model::pack::{AppliedMigration, MigrationId};
use crate::model::seen::Seen;

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
    is_receiving: bool,
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
    lost: bool,
}

#[derive(Debug, Deserialize)]
struct SenderRow {
    #[serde(deserialize_with = "lsn")]
    replayed: Option<Lsn>,
    replay_lag_millis: Option<u64>,
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
    publication: Option<PublicationRow>,
    tables: Vec<(String, String, bool)>,
    hypertables: Vec<HypertableRow>,
    chunks: Vec<(String, String, String, String)>,
    subscription: Option<SubscriptionRow>,
}

#[derive(Debug, Deserialize)]
struct NodeRow {
    node: String,
    seat: String,
    epoch: u64,
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
    members: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
struct HypertableRow {
    schema: String,
    table: String,
    chunk_schema: String,
    dimensions: u16,
    compressed: bool,
}

#[derive(Debug, Deserialize)]
struct SubscriptionRow {
    enabled: bool,
    publications: Vec<String>,
    is_applying: bool,
    #[serde(deserialize_with = "lsn")]
    applied: Option<Lsn>,
    apply_errors: Option<u64>,
    sync_errors: Option<u64>,
    tables: Vec<(String, String, char)>,
}

/// Positions come as text, or null where there is none.
fn lsn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Lsn>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|text| Lsn::from_str(&text))
        .transpose()
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
                        lost: slot.lost,
                    };
                    Ok((idents(name)?, slot))
                })
                .collect::<Result<_, _>>()?,
            senders: self
                .senders
                .into_iter()
                .map(|(name, sender)| {
                    (name, SenderSeen { replayed: sender.replayed, replay_lag_millis: sender.replay_lag_millis })
                })
                .collect(),
            is_receiving: self.is_receiving,
            database: Seen::Absent,
        })
    }
}

impl DatabaseRow {
    /// The database, without ranges of chunks.
    pub fn into_model(self) -> Result<DatabaseSeen, NameError> {
        let mut hypertables = BTreeMap::new();
        for row in self.hypertables {
            let name = TableName::new(&row.schema, &row.table)?;
            let hypertable = Hypertable {
                name: name.clone(),
                chunk_schema: Ident::new(&row.chunk_schema)?,
                dimensions: row.dimensions,
                compressed: row.compressed,
            };
            hypertables.insert(name, hypertable);
        }
        Ok(DatabaseSeen {
            extension: self.extension,
            edition: self.license.as_deref().map(|license| match license {
                "timescale" => Edition::Community,
                _ => Edition::Apache,
            }),
            catalog: self.catalog,
            seat: self
                .seat
                .and_then(|row| Some(SeatRow { node: row.node, seat: Seat::from_word(&row.seat)?, epoch: row.epoch })),
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
            publication: self.publication.map(PublicationRow::into_model).transpose()?,
            tables: self
                .tables
                .into_iter()
                .map(|(schema, table, has_identity)| Ok((TableName::new(&schema, &table)?, TableSeen { has_identity })))
                .collect::<Result<_, _>>()?,
            hypertables,
            chunks: self
                .chunks
                .into_iter()
                .map(|(schema, chunk, root_schema, root)| {
                    Ok((TableName::new(&schema, &chunk)?, TableName::new(&root_schema, &root)?))
                })
                .collect::<Result<_, _>>()?,
            ranges: BTreeMap::new(),
            subscription: self.subscription.map(SubscriptionRow::into_model).transpose()?,
        })
    }
}

impl PublicationRow {
    fn into_model(self) -> Result<PublicationSeen, NameError> {
        Ok(PublicationSeen {
            all_tables: self.all_tables,
            schemas: self.schemas.iter().map(|schema| Ident::new(schema)).collect::<Result<BTreeSet<_>, _>>()?,
            members: self
                .members
                .iter()
                .map(|(schema, table)| TableName::new(schema, table))
                .collect::<Result<BTreeSet<_>, _>>()?,
        })
    }
}

impl SubscriptionRow {
    fn into_model(self) -> Result<SubscriptionSeen, NameError> {
        Ok(SubscriptionSeen {
            enabled: self.enabled,
            is_applying: self.is_applying,
            publications: self.publications.iter().map(|name| Ident::new(name)).collect::<Result<_, _>>()?,
            tables: self
                .tables
                .into_iter()
                .map(|(schema, table, state)| Ok((TableName::new(&schema, &table)?, state)))
                .collect::<Result<_, _>>()?,
            applied: self.applied,
            apply_errors: self.apply_errors.unwrap_or_default(),
            sync_errors: self.sync_errors.unwrap_or_default(),
        })
    }
}
