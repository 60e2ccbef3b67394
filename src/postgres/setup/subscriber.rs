//! What a logical replica needs besides chunks: protection from writes, and a subscription.

use std::collections::BTreeSet;

use postgres_protocol::escape::escape_literal;

use crate::model::names::{Ident, TableName};
use crate::postgres::session::{PostgresError, Session};

/// How long writers of a table may have to wait while its triggers are taken away.
const LOCK_PATIENCE: &str = "100ms";

/// Makes new sessions read-only, and moves chunk numbers out of the publisher's way where they are in the same range.
pub async fn prepare_subscriber(
    session: &Session,
    database: &Ident,
    reserves_chunk_names: bool,
) -> Result<(), PostgresError> {
    let reserve = if reserves_chunk_names { "select hypertide.reserve_chunk_names();" } else { "" };
    let sql = format!("{reserve} alter database {} set default_transaction_read_only = on", database.quoted());
    session.run("prepare the subscriber", &sql).await
}

/// Puts the triggers on tables that refuse every write but replication's.
pub async fn guard_tables(session: &Session, tables: &BTreeSet<TableName>) -> Result<(), PostgresError> {
    let tables: Vec<String> = tables.iter().map(TableName::quoted).collect();
    session
        .client()
        .execute("select hypertide.guard_tables($1::text[]::regclass[])", &[&tables])
        .await
        .map_err(|source| session.failed("make tables read-only", source))?;
    Ok(())
}

/// Takes those triggers away, when nobody holds one of the tables for longer than writers can wait.
pub async fn unguard_tables(session: &Session, tables: &BTreeSet<TableName>) -> Result<(), PostgresError> {
    let tables: Vec<String> = tables.iter().map(|table| escape_literal(&table.quoted())).collect();
    let sql = format!(
        "set local lock_timeout = '{LOCK_PATIENCE}'; select hypertide.unguard_tables(array[{}]::text[]::regclass[])",
        tables.join(", ")
    );
    session.run_whole("let tables be written to", &sql).await
}

/// The subscription is there.
pub async fn is_subscribed(session: &Session, name: &Ident) -> Result<bool, PostgresError> {
    let found = session.client().query_opt("select from pg_subscription where subname = $1", &[&name.as_str()]).await;
    Ok(found.map_err(|source| session.failed("look for the subscription", source))?.is_some())
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

/// Has the apply worker flush each commit at once, or when the server flushes anyhow. The worker is begun anew.
pub async fn set_apply_flush(session: &Session, name: &Ident, flushes: bool) -> Result<(), PostgresError> {
    let value = if flushes { "local" } else { "off" };
    let sql = format!("alter subscription {} set (synchronous_commit = {value})", name.quoted());
    session.run("set how the subscription commits", &sql).await
}

/// Drops the subscription with its slots on the publisher, those of unfinished copies too; where the publisher cannot be
/// reached, the subscription alone.
pub async fn unsubscribe(session: &Session, name: &Ident) -> Result<(), PostgresError> {
    if !is_subscribed(session, name).await? {
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
    // As a replica: the triggers that keep applications from writing are not meant for us. What it had to go on from is gone.
    let sql = format!(
        "set statement_timeout = 0; set session_replication_role = replica; truncate table {}; \
         reset session_replication_role; reset statement_timeout; \
         update hypertide.node set resumes = false where resumes",
        tables.join(", ")
    );
    session.run("empty the replica", &sql).await
}
