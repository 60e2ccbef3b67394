//! One look at a server and at the cluster's database in it.

use tokio_postgres::error::SqlState;

use super::rows::{ChunkLists, ChunksRow, DatabaseRow, ServerRow, SubscribedRow, SubscribedTables};
use super::session::{PostgresError, Session, Target};
use crate::model::names::Ident;
use crate::model::observed::{DatabaseSeen, ServerSeen};
use crate::model::seen::Seen;
use crate::plan::provision::{CATALOG_VERSION, ROLES, SUPERUSER};

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

/// Connects to the cluster's database, or to `postgres` while there is none. No session for changing a user's rows.
pub async fn connect(target: &Target) -> Result<Session, PostgresError> {
    match Session::watch(target).await {
        Err(error) if error.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
            let maintenance = Ident::new("postgres").expect("valid");
            Session::watch(&Target { database: maintenance, ..target.clone() }).await
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
    let catalog = catalog_version(session).await?;
    if catalog < Some(CATALOG_VERSION) {
        // What this program asks for is not installed yet.
        return Ok(DatabaseSeen { catalog: catalog.or(Some(0)), ..DatabaseSeen::default() });
    }
    let (publication, subscription) = (interest.publication.as_str(), interest.subscription.as_str());
    let json = one_json(
        session,
        "observe the database",
        include_str!("../../sql/observe/database.sql"),
        &[&publication, &subscription, &interest.schemas],
    )
    .await?;
    let row: DatabaseRow = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    let lists = match session.chunk_lists().filter(|known| known.digest == row.digest) {
        Some(known) => known,
        None => chunk_lists(session, &row.roots, publication).await?,
    };
    let subscribed = match session.subscribed().filter(|known| known.digest == row.subscribed_digest) {
        Some(known) => known,
        None => subscribed_tables(session, subscription).await?,
    };
    row.into_model(lists, subscribed).map_err(|error| odd(session, &error))
}

async fn catalog_version(session: &Session) -> Result<Option<u32>, PostgresError> {
    let row = session
        .client()
        .query_one("select max(version) from hypertide.catalog", &[])
        .await
        .map_err(|source| session.failed("read the version of hypertide's schema", source))?;
    Ok(row.get::<_, Option<i32>>(0).and_then(|version| u32::try_from(version).ok()))
}

/// Reads the chunks, and keeps them with the session.
async fn chunk_lists(session: &Session, roots: &[u32], publication: &str) -> Result<ChunkLists, PostgresError> {
    let json =
        one_json(session, "list the chunks", include_str!("../../sql/observe/chunks.sql"), &[&roots, &publication])
            .await?;
    let row: ChunksRow = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    let lists = row.into_model().map_err(|error| odd(session, &error))?;
    session.keep_chunk_lists(lists.clone());
    Ok(lists)
}

/// Reads the tables of the subscription, and keeps them with the session.
async fn subscribed_tables(session: &Session, subscription: &str) -> Result<SubscribedTables, PostgresError> {
    let sql = include_str!("../../sql/observe/subscribed_tables.sql");
    let json = one_json(session, "list the tables of the subscription", sql, &[&subscription]).await?;
    let row: SubscribedRow = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    let tables = row.into_model().map_err(|error| odd(session, &error))?;
    session.keep_subscribed(tables.clone());
    Ok(tables)
}

/// How often a subscription has failed to apply, since statistics were reset.
pub async fn apply_errors(session: &Session, subscription: &Ident) -> Result<i64, PostgresError> {
    let row = session
        .client()
        .query_one(
            "select coalesce(sum(apply_error_count), 0)::bigint from pg_stat_subscription_stats where subname = $1",
            &[&subscription.as_str()],
        )
        .await
        .map_err(|source| session.failed("count the errors of the subscription", source))?;
    Ok(row.get(0))
}

/// The number of the chunk that was made last.
pub async fn newest_chunk(session: &Session) -> Result<i64, PostgresError> {
    let row = session
        .client()
        .query_one("select last_value from _timescaledb_catalog.chunk_id_seq", &[])
        .await
        .map_err(|source| session.failed("read the number of the newest chunk", source))?;
    Ok(row.get(0))
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
