//! What a logical replica needs: chunks like the publisher's, and a subscription.

use std::collections::BTreeSet;

use crate::model::chunk::ChunkToMirror;
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
