//! A restored server stays by itself: it follows nobody, archives nothing, holds no slot, applies no subscription, and runs no job.
//!
//! In: a server that has recovered a base backup and writes. Out: the jobs that were scheduled in the database that counts.

use super::error::RestoreError;
use super::jobs::{self, ScheduledJob};
use super::place::Place;
use crate::model::names::{Ident, NodeName};
use crate::postgres::failover_pause;

/// Cuts every tie of a recovered server, in each of its databases.
pub async fn isolate(place: &Place, database: &Ident) -> Result<Vec<ScheduledJob>, RestoreError> {
    let maintenance = place.maintenance().await?;
    for statement in statements(include_str!("../../../sql/restore/isolate.sql")) {
        maintenance.run("forget the server it came from", &statement).await?;
    }
    let ask = "select datname::text from pg_database where datallowconn and not datistemplate";
    let failed = |error| maintenance.failed("list databases", error);
    let mut of_database = Vec::new();
    for row in maintenance.client().query(ask, &[]).await.map_err(failed)? {
        let name = Ident::new(row.get(0))?;
        let session = place.session(&name).await?;
        session.run("let go of subscriptions", include_str!("../../../sql/restore/detach.sql")).await?;
        let jobs = jobs::turn_off(&session).await?;
        if name == *database {
            of_database = jobs;
        }
    }
    Ok(of_database)
}

/// What hypertide wrote down about the node that the rows came from becomes what this one is.
pub async fn become_primary(place: &Place, database: &Ident, node: &NodeName) -> Result<(), RestoreError> {
    let session = place.session(database).await?;
    let ask = "select to_regclass('hypertide.node') is not null";
    let failed = |error| session.failed("write down what the node is", error);
    if !session.client().query_one(ask, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)? {
        return Ok(());
    }
    let update = "update hypertide.node set node = $1, seat = 'primary'";
    session.client().execute(update, &[&node.as_str()]).await.map_err(failed)?;
    // Whoever paused failover there does not mean this server. A backup may be older than the table.
    let ask = "select to_regclass('hypertide.failover_pause') is not null";
    if session.client().query_one(ask, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)? {
        failover_pause::resume(&session).await?;
    }
    Ok(())
}

/// Statements that may not run together in a transaction, one by one.
fn statements(script: &str) -> Vec<String> {
    let lines = script.lines().filter(|line| !line.starts_with("--"));
    lines
        .collect::<Vec<_>>()
        .join("\n")
        .split(';')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}
