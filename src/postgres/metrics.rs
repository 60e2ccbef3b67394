//! Sessions of the collectors: a question takes its time and not more, and waits for nobody's lock.

use std::time::Duration;

use tokio_postgres::Config;

use super::look::{odd, one_json};
use super::password::Password;
use super::session::{PostgresError, Session, Target};
use super::tls::Tls;
use crate::metrics::ground::{self, Ground};
use crate::model::collecting::WatchedDatabase;

/// How long a question waits for a table that somebody has locked.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// By how much the server gives up on a question before we do: then the session is of use for the next one.
const EARLIER: Duration = Duration::from_secs(1);

/// Connects to the cluster's database. `patience` is how long we wait for an answer.
///
/// # Errors
/// The server cannot be reached, or has no such database yet.
pub async fn connect(target: &Target, patience: Duration) -> Result<Session, PostgresError> {
    bounded(Session::watch(target).await?, patience).await
}

/// Connects to a database outside the cluster, likewise.
///
/// # Errors
/// The server cannot be reached, or does not let us in.
pub async fn connect_elsewhere(
    database: &WatchedDatabase,
    password: Option<&Password>,
    tls: &Tls,
    patience: Duration,
) -> Result<Session, PostgresError> {
    let WatchedDatabase { name, host, port, user, .. } = database;
    let mut config = Config::new();
    config.host(host).port(*port).user(user).dbname(database.database.as_str());
    if let Some(password) = password {
        config.password(password.reveal());
    }
    bounded(Session::open(config, tls, name, format!("{host}:{port}")).await?, patience).await
}

async fn bounded(session: Session, patience: Duration) -> Result<Session, PostgresError> {
    let (statement, lock) = (patience.saturating_sub(EARLIER).as_millis(), LOCK_PATIENCE.as_millis());
    let settings = format!("set statement_timeout = '{statement}ms'; set lock_timeout = '{lock}ms'");
    session.run("bound the collectors in time", &settings).await?;
    Ok(session)
}

/// Asks a question that is answered by one row of JSON. `top` is how many rows are wanted, where the question takes that.
///
/// # Errors
/// The server says no, or gives up.
pub async fn ask(session: &Session, collector: &str, sql: &str, top: Option<i64>) -> Result<String, PostgresError> {
    let doing = format!("collect {collector}");
    match &top {
        Some(top) => one_json(session, &doing, sql, &[top]).await,
        None => one_json(session, &doing, sql, &[]).await,
    }
}

/// Asks what there is to be asked.
///
/// # Errors
/// The server says no, or gives up.
pub async fn ground(session: &Session) -> Result<Ground, PostgresError> {
    let json = one_json(session, "see what there is to collect", ground::QUESTION, &[]).await?;
    serde_json::from_str(&json).map_err(|error| odd(session, &error))
}
