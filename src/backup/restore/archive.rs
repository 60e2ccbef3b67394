//! The one way in which a logical backup becomes a database, for drills and restores alike.
//!
//! TimescaleDB's own order, without which a restore loses rows silently: the very version of the extension, `timescaledb_pre_restore`,
//! its catalog serially, rows, the rest, jobs off, `timescaledb_post_restore`. A program that is not content, even with one row, fails
//! the whole; then the half of a database is removed.
//!
//! In: a backup, and a place. Out: a database under the name that was asked for, its jobs off. Touches no other database.

use futures_util::future::try_join_all;
use postgres_protocol::escape::escape_literal;

use super::copy;
use super::error::RestoreError;
use super::jobs::{self, ScheduledJob};
use super::origin::Origin;
use super::phases::Phases;
use super::place::Place;
use super::roles;
use crate::backup::contents::Contents;
use crate::backup::manifest::{ObjectRecord, Part};
use crate::backup::tools::Tool;
use crate::model::backup::Kind;
use crate::model::names::Ident;
use crate::postgres::session::Session;

/// What a restored database is like.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Jobs that were scheduled and are off now, retention last.
    pub jobs: Vec<ScheduledJob>,
}

/// Makes a database from a backup of kind full, schema or tables.
pub async fn into_database(
    origin: &Origin,
    contents: &Contents,
    place: &Place,
    database: &Ident,
    phases: &mut Phases<'_>,
) -> Result<Restored, RestoreError> {
    place.create(database).await?;
    let restored = fill(origin, contents, place, database, phases).await;
    if restored.is_err()
        && let Err(error) = place.remove(database).await
    {
        tracing::warn!(%error, %database, "a half-restored database is left; remove it");
    }
    restored
}

async fn fill(
    origin: &Origin,
    contents: &Contents,
    place: &Place,
    database: &Ident,
    phases: &mut Phases<'_>,
) -> Result<Restored, RestoreError> {
    phases.begin("schema");
    let session = place.session(database).await?;
    roles::create_missing(&session, contents).await?;
    let version = origin.manifest.source.timescaledb.as_deref();
    if let Some(version) = version {
        pre_restore(&session, version).await?;
    }
    drop(session);

    let archive = origin.record(Part::Archive, "archive")?;
    let rows = origin.records(Part::Rows);
    if rows.is_empty() {
        restore(origin, place, database, archive, &[]).await?;
    } else {
        // The catalog's rows first: foreign keys among them, and the chunks that the others fill.
        restore(origin, place, database, archive, &["--section=pre-data", "--section=data"]).await?;
        phases.begin("rows");
        try_join_all(rows.into_iter().map(|part| restore(origin, place, database, part, &["--data-only"]))).await?;
        phases.begin("indexes and constraints");
        restore(origin, place, database, archive, &["--section=post-data"]).await?;
    }

    // A new session: in the first one, TimescaleDB knows nothing of what came since.
    let session = place.session(database).await?;
    let jobs = jobs::turn_off(&session).await?;
    if version.is_some() {
        session.run("finish the restore", "select public.timescaledb_post_restore()").await?;
    }
    drop(session);

    if matches!(origin.manifest.kind, Kind::Schema | Kind::Tables) && version.is_some() {
        phases.begin("empty chunks");
        let session = place.session(database).await?;
        session.run("drop empty chunks", include_str!("../../../sql/restore/drop_empty_chunks.sql")).await?;
    }
    if origin.manifest.kind == Kind::Tables {
        phases.begin("rows");
        for record in origin.records(Part::Table) {
            copy::table(origin, place, database, record).await?;
        }
    }
    Ok(Restored { jobs })
}

/// The very version, since the catalog's rows fit no other.
async fn pre_restore(session: &Session, version: &str) -> Result<(), RestoreError> {
    let create = format!("create extension timescaledb version {}", escape_literal(version));
    session.run(&format!("create TimescaleDB {version}"), &create).await?;
    Ok(session.run("begin the restore", "select public.timescaledb_pre_restore()").await?)
}

async fn restore(
    origin: &Origin,
    place: &Place,
    database: &Ident,
    record: &ObjectRecord,
    more: &[&str],
) -> Result<(), RestoreError> {
    let tool = Tool::new("pg_restore").arg("--exit-on-error").args(more.iter().copied()).connected_to(database);
    place.feed(&tool, &record.name, origin.open(record)?).await
}
