//! One look at a server and at the cluster's database in it.

use std::collections::BTreeMap;

use tokio_postgres::error::SqlState;

use super::rows::{DatabaseRow, ServerRow};
use super::session::{PostgresError, Session, Target};
use crate::model::chunk::ChunkRange;
use crate::model::names::{Ident, TableName};
use crate::model::observed::{DatabaseSeen, ServerSeen};
use crate::model::seen::Seen;
use crate::plan::provision::{ROLES, SUPERUSER};

/// What to look for.
#[derive(Clone, Debug)]
pub struct Interest {
    /// The cluster's database.
    pub database: Ident,
    /// The cluster's publication.
    pub publication: Ident,
    /// The node's subscription.
    pub subscription: Ident,
    /// Schemas that are to be replicated, whether they are yet or not.
    pub schemas: Vec<String>,
}

/// Connects to the cluster's database, or to `postgres` while there is none.
pub async fn connect(target: &Target) -> Result<Session, PostgresError> {
    match Session::connect(target).await {
        Err(error) if error.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
            let maintenance = Ident::new("postgres").expect("valid");
            Session::connect(&Target { database: maintenance, ..target.clone() }).await
        }
        connected => connected,
    }
}

/// Reads everything about one server. `None`: the session is to a database that no longer is the right one to ask, so
/// connect again.
pub async fn server(session: &Session, interest: &Interest) -> Result<Option<ServerSeen>, PostgresError> {
    let roles: Vec<&str> = ROLES.into_iter().chain([SUPERUSER]).collect();
    let json = one_json(
        session,
        "observe the server",
        include_str!("../../sql/observe/server.sql"),
        &[&roles, &interest.database.as_str()],
    )
    .await?;
    let row: ServerRow = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    if row.has_database && !row.is_connected_to_it {
        return Ok(None);
    }
    let (has_database, extension, has_catalog) = (row.has_database, row.extension.clone(), row.has_catalog);
    let mut server = row.into_model().map_err(|error| odd(session, &error))?;
    server.database = if !has_database {
        Seen::Absent
    } else if extension.is_some() && has_catalog {
        Seen::Present(database(session, interest).await?)
    } else {
        Seen::Present(DatabaseSeen { extension, ..DatabaseSeen::default() })
    };
    Ok(Some(server))
}

async fn database(session: &Session, interest: &Interest) -> Result<DatabaseSeen, PostgresError> {
    let json = one_json(
        session,
        "observe the database",
        include_str!("../../sql/observe/database.sql"),
        &[&interest.publication.as_str(), &interest.subscription.as_str(), &interest.schemas],
    )
    .await?;
    let row: DatabaseRow = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    row.into_model().map_err(|error| odd(session, &error))
}

/// The ranges of some chunks.
pub async fn ranges(
    session: &Session,
    chunks: &[&TableName],
) -> Result<BTreeMap<TableName, ChunkRange>, PostgresError> {
    let schemas: Vec<&str> = chunks.iter().map(|chunk| chunk.schema.as_str()).collect();
    let names: Vec<&str> = chunks.iter().map(|chunk| chunk.table.as_str()).collect();
    let rows = session
        .client()
        .query(include_str!("../../sql/observe/ranges.sql"), &[&schemas, &names])
        .await
        .map_err(|source| session.failed("read the ranges of chunks", source))?;
    rows.iter()
        .map(|row| {
            let name = TableName::new(row.get(0), row.get(1)).map_err(|error| odd(session, &error))?;
            Ok((name, ChunkRange { start: row.get(2), end: row.get(3) }))
        })
        .collect()
}

pub(super) async fn one_json(
    session: &Session,
    doing: &str,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<String, PostgresError> {
    let row = session.client().query_one(sql, parameters).await.map_err(|source| session.failed(doing, source))?;
    Ok(row.get(0))
}

pub(super) fn odd(session: &Session, error: &dyn std::error::Error) -> PostgresError {
    PostgresError::Unexpected { node: session.node.to_string(), because: error.to_string() }
}
