//! A logical backup into a database of a running server: beside what is there, compared, then under its name.
//!
//! What has the name keeps it until the new database is complete and equal. A restore that is cut off leaves a database with a name
//! of its own, which the next restore removes.

use std::time::{Duration, Instant};

use super::archive;
use super::error::RestoreError;
use super::found;
use super::jobs::{self, ScheduledJob};
use super::origin::Origin;
use super::phases::Phases;
use super::place::Place;
use crate::backup::contents::Difference;
use crate::backup::drill::compare;
use crate::model::names::Ident;

/// What databases that are being restored are called, before a random number.
const PREFIX: &str = "hypertide_restoring_";

/// How long sessions of others may keep a database from getting its name; TimescaleDB's scheduler is one of them.
const RENAME_PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug)]
pub struct IntoDatabase {
    /// What is not as it was; then nothing has been put in anybody's place.
    pub differences: Vec<Difference>,
    /// Jobs that were scheduled when the backup was taken.
    pub jobs: Vec<ScheduledJob>,
    /// Tables and chunks that were compared.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Restores, compares, and gives it its name; `replaces`: what has that name goes in the same moment.
pub async fn into_database(
    origin: &Origin,
    place: &Place,
    name: &Ident,
    replaces: bool,
    random: u32,
    phases: &mut Phases<'_>,
) -> Result<IntoDatabase, RestoreError> {
    remove_leftovers(place).await?;
    let temporary = Ident::new(&format!("{PREFIX}{random:08x}"))?;
    let wanted = origin.contents().await?;
    let restored = archive::into_database(origin, &wanted, place, &temporary, phases).await?;
    phases.begin("compare");
    let compared = found::contents(place, &temporary, origin.manifest.kind, &wanted).await;
    let contents = match compared {
        Ok(contents) => contents,
        Err(error) => {
            place.remove(&temporary).await?;
            return Err(error);
        }
    };
    let differences = compare::compare(origin.manifest.kind, &wanted, &contents);
    let out = IntoDatabase {
        differences,
        jobs: restored.jobs,
        tables: contents.tables.len() as u64,
        rows: contents.tables.values().map(|table| table.rows).sum(),
    };
    if !out.differences.is_empty() {
        place.remove(&temporary).await?;
        return Ok(out);
    }
    phases.begin("name");
    if replaces {
        let old = Ident::new(&format!("hypertide_replaced_{random:08x}"))?;
        rename(place, name, &old).await?;
        if let Err(error) = rename(place, &temporary, name).await {
            rename(place, &old, name).await?;
            return Err(error);
        }
        place.remove(&old).await?;
    } else {
        rename(place, &temporary, name).await?;
    }
    Ok(out)
}

/// Turns jobs on, retention last.
pub async fn enable(place: &Place, name: &Ident, jobs: &[ScheduledJob]) -> Result<(), RestoreError> {
    let session = place.session(name).await?;
    for job in jobs {
        jobs::turn_on(&session, job).await?;
    }
    Ok(())
}

/// Databases of restores that were cut off: nobody is connected to them but TimescaleDB's scheduler.
async fn remove_leftovers(place: &Place) -> Result<(), RestoreError> {
    let session = place.maintenance().await?;
    let ask = "select d.datname::text from pg_database d where starts_with(d.datname, $1) and not exists (
                 select from pg_stat_activity a where a.datid = d.oid and a.backend_type = 'client backend')";
    let failed = |error| session.failed("look for databases of restores that were cut off", error);
    for row in session.client().query(ask, &[&PREFIX]).await.map_err(failed)? {
        let name: String = row.get(0);
        tracing::info!(name, "removing a database that an interrupted restore left");
        place.remove(&Ident::new(&name)?).await?;
    }
    Ok(())
}

/// Ends the sessions of a database and renames it, before anybody is back.
async fn rename(place: &Place, from: &Ident, to: &Ident) -> Result<(), RestoreError> {
    let session = place.maintenance().await?;
    let close = format!("alter database {} allow_connections false", from.quoted());
    let open = format!("alter database {} allow_connections true", from.quoted());
    let rename = format!("alter database {} rename to {}", from.quoted(), to.quoted());
    let doing = format!("rename the database {from} to {to}");
    let began = Instant::now();
    session.run(&doing, &close).await?;
    loop {
        let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1";
        let ended = session.client().query(end, &[&from.as_str()]).await;
        ended.map_err(|error| session.failed(&doing, error))?;
        match session.run(&doing, &rename).await {
            Ok(()) => {
                let open = format!("alter database {} allow_connections true", to.quoted());
                return Ok(session.run(&doing, &open).await?);
            }
            Err(error) if began.elapsed() > RENAME_PATIENCE => {
                session.run(&doing, &open).await?;
                return Err(error.into());
            }
            Err(error) => tracing::debug!(%error, "once more"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
