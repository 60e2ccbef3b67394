//! What the primary needs so that others can follow it: publication and slots.

use std::collections::BTreeSet;

use super::database::grant_access;
use crate::model::names::{Ident, TableName};
use crate::postgres::session::{PostgresError, Session};

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

/// Lets TimescaleDB (2.25 and later) publish each new chunk of a published hypertable in the transaction that makes it. For
/// the whole server: sessions that are open get it too.
pub async fn enable_auto_publication(session: &Session) -> Result<(), PostgresError> {
    let doing = "let TimescaleDB publish new chunks";
    session.run(doing, "alter system set timescaledb.enable_chunk_auto_publication = on").await?;
    session.run(doing, "select pg_reload_conf()").await
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

fn quoted_list(names: &BTreeSet<Ident>) -> String {
    names.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ")
}
