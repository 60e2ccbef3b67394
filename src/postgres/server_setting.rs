//! Settings of a whole server that change while it runs, each in force when the function returns.
//!
//! They are written into `postgresql.auto.conf`, which is copied with the data: where a copy must not have them, somebody takes them away.

use std::time::Duration;

use postgres_protocol::escape::escape_literal;

use super::session::{PostgresError, Session};
use crate::plan::step::StandbySetting;

/// Between two looks whether the server has read its files.
const GLANCE: Duration = Duration::from_millis(2);

/// Gives a setting a value; an empty one takes it away. Names of settings are ours.
pub async fn set(session: &Session, name: &str, value: &str) -> Result<(), PostgresError> {
    let sql = if value.is_empty() {
        format!("alter system reset {name}")
    } else {
        format!("alter system set {name} = {}", escape_literal(value))
    };
    apply(session, &format!("set {name}"), &sql).await
}

/// Has nobody wait for replicas here, for a node that becomes the primary: what it has of that came with the copy of another one.
pub async fn wait_for_nobody(session: &Session) -> Result<(), PostgresError> {
    for setting in [StandbySetting::SynchronousNames, StandbySetting::SynchronizedSlots] {
        let name = setting.name();
        let row = session.client().query_one("select coalesce(current_setting($1, true), '')", &[&name]).await;
        let row = row.map_err(|source| session.failed(&format!("ask for {name}"), source))?;
        if !row.get::<_, &str>(0).is_empty() {
            set(session, name, "").await?;
        }
    }
    Ok(())
}

/// Runs a statement that changes the files, and waits until the server has taken it in: it reads them before this very session does.
pub async fn apply(session: &Session, doing: &str, sql: &str) -> Result<(), PostgresError> {
    let loaded = async || {
        let row = session.client().query_one("select pg_conf_load_time()::text", &[]).await;
        row.map(|row| row.get::<_, String>(0)).map_err(|source| session.failed(doing, source))
    };
    let before = loaded().await?;
    session.run(doing, sql).await?;
    session.run(doing, "select pg_reload_conf()").await?;
    let waiting = async {
        while loaded().await? == before {
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    };
    session.promptly(doing, waiting).await
}
