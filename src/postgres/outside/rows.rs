//! The JSON that `sql/observe/outside.sql` answers with, and its way into the model.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::names::{Ident, NameError, TableName};
use crate::model::outside::{
    ChunkMemberSeen, Identity, MemberSeen, Operation, OutsideSeen, PublishedSeen, RelationKind, RelationSeen,
    SubscribedSeen,
};

#[derive(Debug, Deserialize)]
pub(super) struct OutsideRow {
    publications: Vec<PublicationRow>,
    relations: Vec<RelationRow>,
    schemas: Vec<String>,
    chunks: Vec<(String, String, String, String)>,
    subscriptions: Vec<SubscriptionRow>,
}

#[derive(Debug, Deserialize)]
struct PublicationRow {
    name: String,
    comment: Option<String>,
    all_tables: bool,
    via_root: bool,
    operations: BTreeSet<Operation>,
    schemas: Vec<String>,
    tables: Vec<MemberRow>,
    chunks: Vec<(String, String, String, String, bool)>,
    counts: (usize, usize),
}

#[derive(Debug, Deserialize)]
struct RelationRow {
    schema: String,
    table: String,
    kind: RelationKind,
    is_full: bool,
    identity: Option<Vec<String>>,
    columns: BTreeMap<String, bool>,
    compressed: bool,
}

#[derive(Debug, Deserialize)]
struct SubscriptionRow {
    name: String,
    comment: Option<String>,
    enabled: bool,
    connection: String,
    publications: Vec<String>,
    is_applying: bool,
    lag_bytes: Option<u64>,
    errors: Option<u64>,
    tables: usize,
    copying: usize,
}

/// Schema, table, columns, filter.
type MemberRow = (String, String, Option<Vec<String>>, Option<String>);

fn idents(names: &[String]) -> Result<BTreeSet<Ident>, NameError> {
    names.iter().map(|name| Ident::new(name)).collect()
}

impl OutsideRow {
    pub(super) fn into_model(self) -> Result<OutsideSeen, NameError> {
        let mut seen = OutsideSeen { schemas: idents(&self.schemas)?, ..OutsideSeen::default() };
        for row in self.publications {
            seen.publications.insert(Ident::new(&row.name)?, row.into_model()?);
        }
        for row in self.relations {
            seen.relations.insert(TableName::new(&row.schema, &row.table)?, row.into_model()?);
        }
        for (schema, chunk, root_schema, root) in self.chunks {
            seen.chunks.insert(TableName::new(&schema, &chunk)?, TableName::new(&root_schema, &root)?);
        }
        for row in self.subscriptions {
            let subscription = SubscribedSeen {
                publications: idents(&row.publications)?,
                comment: row.comment,
                enabled: row.enabled,
                connection: row.connection,
                is_applying: row.is_applying,
                tables: row.tables,
                copying: row.copying,
                lag_bytes: row.lag_bytes,
                errors: row.errors.unwrap_or_default(),
            };
            seen.subscriptions.insert(Ident::new(&row.name)?, subscription);
        }
        Ok(seen)
    }
}

impl PublicationRow {
    fn into_model(self) -> Result<PublishedSeen, NameError> {
        let mut seen = PublishedSeen {
            comment: self.comment,
            all_tables: self.all_tables,
            via_root: self.via_root,
            operations: self.operations,
            schemas: idents(&self.schemas)?,
            table_count: self.counts.0,
            chunk_count: self.counts.1,
            ..PublishedSeen::default()
        };
        for (schema, table, columns, filter) in self.tables {
            let columns = columns.map(|columns| idents(&columns)).transpose()?;
            seen.tables.insert(TableName::new(&schema, &table)?, MemberSeen { columns, filter });
        }
        for (schema, chunk, root_schema, root, is_like_root) in self.chunks {
            let root = TableName::new(&root_schema, &root)?;
            seen.chunks.insert(TableName::new(&schema, &chunk)?, ChunkMemberSeen { root, is_like_root });
        }
        Ok(seen)
    }
}

impl RelationRow {
    fn into_model(self) -> Result<RelationSeen, NameError> {
        let identity = match self.identity {
            _ if self.is_full => Identity::Full,
            Some(columns) => Identity::Columns(idents(&columns)?),
            None => Identity::Nothing,
        };
        let columns = self.columns.into_iter().map(|(name, is_generated)| Ok((Ident::new(&name)?, is_generated)));
        Ok(RelationSeen {
            kind: self.kind,
            identity,
            columns: columns.collect::<Result<_, NameError>>()?,
            compressed: self.compressed,
        })
    }
}
