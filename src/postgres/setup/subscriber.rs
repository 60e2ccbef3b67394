//! What a logical replica needs besides chunks: protection from writes, and a subscription.

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;

use crate::model::names::{Ident, TableName};
use crate::postgres::session::{PostgresError, Session};

/// Moves chunk numbers out of the publisher's way and makes new sessions read-only.
pub async fn prepare_subscriber(session: &Session, database: &Ident) -> Result<(), PostgresError> {
    let sql = format!(
        "select hypertide.reserve_chunk_names();\n\
         alter database {} set default_transaction_read_only = on;",
        database.quoted()
    );
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
    later_when_absent(session.run("create the subscription", &sql).await)
}

/// Lets the subscription see what this publication publishes now, and copies what is new.
pub async fn refresh_subscription(session: &Session, name: &Ident, publication: &Ident) -> Result<(), PostgresError> {
    let sql = format!(
        "alter subscription {} set publication {} with (refresh = true, copy_data = true)",
        name.quoted(),
        publication.quoted()
    );
    later_when_absent(session.run("refresh the subscription", &sql).await)
}

/// A chunk that traffic has made on the publisher since we looked is not here yet; the next pass makes it and tries again.
fn later_when_absent(tried: Result<(), PostgresError>) -> Result<(), PostgresError> {
    match tried {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
            tracing::info!(%error, "something was published in the meantime; it is subscribed to in the next pass");
            Ok(())
        }
        other => other,
    }
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
    // As a replica: the triggers that keep applications from writing are not meant for us.
    let sql = format!(
        "set statement_timeout = 0; set session_replication_role = replica; truncate table {}; \
         reset session_replication_role; reset statement_timeout",
        tables.join(", ")
    );
    session.run("empty the replica", &sql).await
}
