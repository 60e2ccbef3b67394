//! Statements that change a server, one function per step. Each can be repeated without harm.

use std::collections::{BTreeMap, BTreeSet};

use super::session::{PostgresError, Session};
use crate::model::chunk::ChunkToMirror;
use crate::model::cluster::Seat;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::pack::{Migration, Pack};

/// Password verifiers by role name.
pub type Verifiers = BTreeMap<String, String>;

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

/// Creates the login roles, or gives existing ones these verifiers.
pub async fn create_roles(session: &Session, verifiers: &Verifiers) -> Result<(), PostgresError> {
    let mut statements = vec!["begin".to_owned()];
    for (role, verifier) in verifiers {
        let attributes = match role.as_str() {
            "replicator" => "login replication",
            _ => "login",
        };
        let name = Ident::new(role).expect("role names are constants").quoted();
        // Verifiers are base64 with `$` and `:`; none of them contains a quote.
        statements.push(format!(
            "do $do$ begin if to_regrole('{name}') is null then create role {name} {attributes}; end if; end $do$"
        ));
        statements.push(format!("alter role {name} password '{verifier}'"));
    }
    statements.extend(["grant pg_monitor to monitor".to_owned(), "commit".to_owned()]);
    session.run("create the login roles", &statements.join(";\n")).await
}

/// The verifiers a server holds for these roles.
pub async fn verifiers(session: &Session, roles: &[&str]) -> Result<Verifiers, PostgresError> {
    let rows = session
        .client()
        .query(
            "select rolname::text, rolpassword from pg_authid where rolname = any ($1) and rolpassword is not null",
            &[&roles],
        )
        .await
        .map_err(|source| session.failed("read the password verifiers", source))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Creates the cluster's database, in UTF-8 whatever the image's template is.
pub async fn create_database(session: &Session, database: &Ident) -> Result<(), PostgresError> {
    let exists = session
        .client()
        .query_opt("select from pg_database where datname = $1", &[&database.as_str()])
        .await
        .map_err(|source| session.failed("look for the database", source))?;
    if exists.is_some() {
        return Ok(());
    }
    let sql = format!("create database {} template template0 encoding 'UTF8'", database.quoted());
    session.run("create the database", &sql).await
}

/// Installs TimescaleDB and hypertide's schema, and writes down what the node is.
pub async fn install_catalog(session: &Session, node: &NodeName, seat: Seat) -> Result<(), PostgresError> {
    session.run("install hypertide's schema", include_str!("../../sql/setup/catalog.sql")).await?;
    session
        .client()
        .execute(
            "insert into hypertide.node (node, seat, epoch) values ($1, $2, 1) on conflict do nothing",
            &[&node.as_str(), &seat.word()],
        )
        .await
        .map_err(|source| session.failed("write down what the node is", source))?;
    let public = BTreeSet::from([Ident::new("public").expect("valid")]);
    grant_access(session, &public, seat == Seat::Primary).await
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
    let rows = transaction.query(include_str!("../../sql/setup/without_identity.sql"), &[&schemas]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Creates the publication for whole schemas and gives access to them.
pub async fn create_publication(
    session: &Session,
    name: &Ident,
    schemas: &BTreeSet<Ident>,
) -> Result<(), PostgresError> {
    let sql = format!("create publication {} for tables in schema {}", name.quoted(), quoted_list(schemas));
    session.run("create the publication", &sql).await?;
    grant_access(session, schemas, true).await
}

/// Adds schemas to the publication and gives access to them.
pub async fn publish_schemas(session: &Session, name: &Ident, schemas: &BTreeSet<Ident>) -> Result<(), PostgresError> {
    let sql = format!("alter publication {} add tables in schema {}", name.quoted(), quoted_list(schemas));
    session.run("add schemas to the publication", &sql).await?;
    grant_access(session, schemas, true).await
}

/// Adds single tables to the publication.
pub async fn publish_tables(
    session: &Session,
    name: &Ident,
    tables: &BTreeSet<TableName>,
) -> Result<(), PostgresError> {
    let tables: Vec<String> = tables.iter().map(TableName::quoted).collect();
    let sql = format!("alter publication {} add table {}", name.quoted(), tables.join(", "));
    session.run("add chunks to the publication", &sql).await
}

async fn grant_access(session: &Session, schemas: &BTreeSet<Ident>, is_writable: bool) -> Result<(), PostgresError> {
    let schemas: Vec<&str> = schemas.iter().map(Ident::as_str).collect();
    session
        .client()
        .execute(
            "select hypertide.grant_access(nspname, $2) from pg_namespace where nspname = any ($1)",
            &[&schemas, &is_writable],
        )
        .await
        .map_err(|source| session.failed("grant access to schemas", source))?;
    Ok(())
}

/// Creates a physical slot that keeps WAL from now on.
pub async fn create_physical_slot(session: &Session, slot: &Ident) -> Result<(), PostgresError> {
    session
        .client()
        .execute(
            "select pg_create_physical_replication_slot($1, true)
             where not exists (select from pg_replication_slots where slot_name = $1)",
            &[&slot.as_str()],
        )
        .await
        .map_err(|source| session.failed("create the replication slot", source))?;
    Ok(())
}

/// Drops a slot; a walsender that still holds it is ended first.
pub async fn drop_slot(session: &Session, slot: &Ident) -> Result<(), PostgresError> {
    let failed = |source| session.failed("drop the replication slot", source);
    let client = session.client();
    client
        .execute(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots
             where slot_name = $1 and active_pid is not null",
            &[&slot.as_str()],
        )
        .await
        .map_err(failed)?;
    client
        .execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1",
            &[&slot.as_str()],
        )
        .await
        .map_err(failed)?;
    Ok(())
}

/// Moves chunk numbers out of the publisher's way and makes new sessions read-only.
pub async fn prepare_subscriber(session: &Session, database: &Ident) -> Result<(), PostgresError> {
    let sql = format!(
        "select hypertide.reserve_chunk_names();\n\
         alter database {} set default_transaction_read_only = on;",
        database.quoted()
    );
    session.run("prepare the subscriber", &sql).await
}

/// Makes chunks exactly as the publisher has them. All that can be made are made; the first failure is told.
///
/// `stale` are chunks that the publisher has dropped: where one is in the way of a new chunk, it goes.
pub async fn make_chunks(
    session: &Session,
    chunks: &[ChunkToMirror],
    stale: &BTreeSet<TableName>,
) -> Result<(), PostgresError> {
    let stale: Vec<String> = stale.iter().map(TableName::quoted).collect();
    let mut first_failure = Ok(());
    for chunk in chunks {
        let ChunkToMirror { name, hypertable, range } = chunk;
        let made = session
            .client()
            .execute(
                "select hypertide.make_chunk($1::text::regclass, $2, $3, $4::text::name, $5::text::name, $6)",
                &[&hypertable.quoted(), &range.start, &range.end, &name.schema.as_str(), &name.table.as_str(), &stale],
            )
            .await;
        if let Err(source) = made
            && first_failure.is_ok()
        {
            first_failure = Err(session.failed(&format!("create chunk {name}"), source));
        }
    }
    first_failure
}

/// Creates a subscription and its slot on the publisher.
pub async fn subscribe(
    session: &Session,
    name: &Ident,
    connection: &str,
    publication: &Ident,
) -> Result<(), PostgresError> {
    let exists = session
        .client()
        .query_opt("select from pg_subscription where subname = $1", &[&name.as_str()])
        .await
        .map_err(|source| session.failed("look for the subscription", source))?;
    if exists.is_some() {
        return Ok(());
    }
    // `failover`: standbys keep this slot too, so that the subscriber survives a promotion.
    let sql = format!(
        "create subscription {} connection '{}' publication {} \
         with (copy_data = true, streaming = parallel, failover = true)",
        name.quoted(),
        connection.replace('\'', "''"),
        publication.quoted()
    );
    session.run("create the subscription", &sql).await
}

/// Lets the subscription see what this publication publishes now, and copies what is new.
pub async fn refresh_subscription(session: &Session, name: &Ident, publication: &Ident) -> Result<(), PostgresError> {
    let sql = format!(
        "alter subscription {} set publication {} with (refresh = true, copy_data = true)",
        name.quoted(),
        publication.quoted()
    );
    session.run("refresh the subscription", &sql).await
}

/// Drops the subscription with its slots on the publisher, those of unfinished copies too; where the publisher cannot be
/// reached, the subscription alone.
pub async fn unsubscribe(session: &Session, name: &Ident) -> Result<(), PostgresError> {
    let exists = session
        .client()
        .query_opt("select from pg_subscription where subname = $1", &[&name.as_str()])
        .await
        .map_err(|source| session.failed("look for the subscription", source))?;
    if exists.is_none() {
        return Ok(());
    }
    let name = name.quoted();
    session.run("disable the subscription", &format!("alter subscription {name} disable")).await?;
    let dropped = session.run("drop the subscription", &format!("drop subscription {name}")).await;
    let Err(error) = dropped else { return Ok(()) };
    tracing::warn!(%error, "drops the subscription without its slots");
    session.run("let go of the slot", &format!("alter subscription {name} set (slot_name = none)")).await?;
    session.run("drop the subscription", &format!("drop subscription {name}")).await
}

/// Empties tables; a hypertable loses its chunks.
pub async fn empty_tables(session: &Session, tables: &BTreeSet<TableName>) -> Result<(), PostgresError> {
    if tables.is_empty() {
        return Ok(());
    }
    let tables: Vec<String> = tables.iter().map(TableName::quoted).collect();
    // No CASCADE: a table outside of the publication that refers to one of these is not ours to empty. Thousands of
    // chunks take their time.
    let sql = format!("set statement_timeout = 0; truncate table {}; reset statement_timeout", tables.join(", "));
    session.run("empty the replica", &sql).await
}

fn quoted_list(names: &BTreeSet<Ident>) -> String {
    names.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ")
}
