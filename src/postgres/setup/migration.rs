//! One migration, its record and its grants, in one transaction.

use std::collections::BTreeSet;

use crate::model::names::Ident;
use crate::model::pack::{Migration, Pack};
use crate::postgres::session::{PostgresError, Session};

/// What applying a migration needs to know besides the migration.
#[derive(Clone, Copy, Debug)]
pub struct MigrationContext<'a> {
    /// The pack it belongs to.
    pub pack: &'a Pack,
    /// Applications may write on this node.
    pub is_writable: bool,
    /// Schemas whose tables are published, or are about to be; empty where nothing is replicated logically.
    pub published: &'a BTreeSet<Ident>,
}

/// A migration was not applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A statement failed; nothing of the migration stays.
    #[error(transparent)]
    Failed(#[from] PostgresError),
    /// It makes tables that must not be published as they are; nothing of the migration stays.
    #[error("migration {id} makes tables without primary key or replica identity: {}", tables.join(", "))]
    NoReplicaIdentity {
        /// Which migration.
        id: String,
        /// Which tables.
        tables: Vec<String>,
    },
}

impl MigrationError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Failed(error) => error.help(),
            Self::NoReplicaIdentity { .. } => Some(
                "give each a primary key, or `ALTER TABLE … REPLICA IDENTITY FULL`: once published, its UPDATEs and \
                 DELETEs would fail"
                    .into(),
            ),
        }
    }
}

/// Runs a migration, records it and gives access to its schemas, all in one transaction.
pub async fn apply_migration(
    session: &mut Session,
    migration: &Migration,
    context: MigrationContext<'_>,
) -> Result<(), MigrationError> {
    let id = &migration.id;
    let doing = format!("apply migration {id}");
    let node = session.node.to_string();
    let failed = |answer| PostgresError::Statement { doing: doing.clone(), node: node.clone(), answer };
    let transaction = session.client_mut().transaction().await.map_err(failed)?;
    // A migration may take as long as it takes.
    transaction.batch_execute("set local statement_timeout = 0").await.map_err(failed)?;
    if !context.is_writable {
        // Rows that a migration writes come from the primary: here they pass into nothing.
        transaction.batch_execute("set local hypertide.migrates = on").await.map_err(failed)?;
    }
    let published: Vec<&str> = context.published.iter().map(Ident::as_str).collect();
    let were_there = without_identity(&transaction, &published).await.map_err(failed)?;
    transaction.batch_execute(&migration.sql).await.map_err(failed)?;
    let number = i32::try_from(id.number).unwrap_or(i32::MAX);
    transaction
        .execute(
            "insert into hypertide.schema_migrations (pack, number, what, checksum) values ($1, $2, $3, $4)",
            &[&id.pack, &number, &id.what, &migration.checksum],
        )
        .await
        .map_err(failed)?;
    let schemas: Vec<&str> = context.pack.schemas.iter().map(Ident::as_str).collect();
    transaction
        .execute(
            "select hypertide.grant_access(nspname, $2) from pg_namespace where nspname = any ($1)",
            &[&schemas, &context.is_writable],
        )
        .await
        .map_err(failed)?;
    let mut tables = without_identity(&transaction, &published).await.map_err(failed)?;
    tables.retain(|table| !were_there.contains(table));
    if !tables.is_empty() {
        return Err(MigrationError::NoReplicaIdentity { id: id.to_string(), tables });
    }
    Ok(transaction.commit().await.map_err(failed)?)
}

/// Tables of these schemas that must not be published as they are.
async fn without_identity(
    transaction: &tokio_postgres::Transaction<'_>,
    schemas: &[&str],
) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = transaction.query(include_str!("../../../sql/setup/without_identity.sql"), &[&schemas]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
