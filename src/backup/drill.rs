//! The proof that a backup restores: it is restored, into a throw-away server without network, and what came back is compared with
//! what was there.
//!
//! In: a backup, and an engine. Out: a [`DrillReport`], kept beside the backup. The server has the image of the backup, runs no job,
//! and is gone afterwards, however the drill ends: what a killed one leaves is removed by the next.

pub mod compare;
mod physical;
pub mod probe;
pub mod report;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use report::{DrillReport, Outcome};

use super::contents::Contents;
use super::manifest::{Manifest, Part};
use super::pipeline::Keys;
use super::restore::error::RestoreError;
use super::restore::origin::Origin;
use super::restore::phases::Phases;
use super::restore::place::Place;
use super::restore::{archive, found, globals, images};
use super::sandbox::Sandbox;
use super::verify;
use crate::docker::engine::Engine;
use crate::docker::shared_dir::SharedPlace;
use crate::model::backup::{Kind, ObjectKey, Scope};
use crate::model::names::{ClusterName, Ident};
use crate::model::observed::ImageFacts;
use crate::plan::restore::Refusal;
use crate::store::{Store, StoreError};
use probe::{Probe, ProbeOutcome};
use report::{FORMAT, Later, NAMED};

/// A drill could not be held. One that was held and went badly is a report.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The store, Docker, or what the backup is made of.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// Keeping the result failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No image here can bring it to life.
    #[error("{0}")]
    Refused(Refusal),
}

impl DrillError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Restore(error) => error.help(),
            Self::Store(error) => Some(error.help()),
            Self::Refused(refusal) => Some(refusal.help()),
        }
    }
}

/// What a drill works with.
#[derive(Clone, Debug)]
pub struct Means {
    /// Runs the throw-away server.
    pub engine: Engine,
    /// Where this process shares directories with containers.
    pub shared: SharedPlace,
    /// Whose the containers are, if a cluster's.
    pub cluster: Option<ClusterName>,
    /// Where the backup is.
    pub store: Arc<dyn Store>,
    /// Identities, for what is encrypted.
    pub keys: Option<Keys>,
    /// The image to use; `None`: the backup's own, or one of the same versions.
    pub image: Option<String>,
    /// Chooses the later moment of a base backup.
    pub chance: u64,
}

/// What came of the restore.
#[derive(Debug, Default)]
struct Found {
    wanted: Contents,
    contents: Contents,
    inserts: Vec<Probe>,
    later: Option<Later>,
    notes: Vec<String>,
}

/// Restores a backup and compares. `chain` holds the base backups that this one builds upon, the whole one first.
pub async fn drill(
    means: &Means,
    manifest: Manifest,
    chain: Vec<Manifest>,
    now: impl Fn() -> DateTime<Utc>,
    told: &dyn Fn(&str),
) -> Result<DrillReport, DrillError> {
    let began = now();
    let image = images::choose(&means.engine, &manifest, means.image.as_deref()).await?.map_err(DrillError::Refused)?;
    let mut phases = Phases::new(told);
    let origin = Origin { store: means.store.clone(), manifest, keys: means.keys.clone() };
    let held = hold(means, &origin, chain, &image, &mut phases).await;
    let mut report = DrillReport {
        format: FORMAT,
        backup: origin.manifest.id.clone(),
        kind: origin.manifest.kind,
        began,
        finished: began,
        outcome: Outcome::Failed,
        tables: 0,
        rows: 0,
        objects: 0,
        differences: Vec::new(),
        difference_count: 0,
        inserts: Vec::new(),
        later: None,
        image: image.reference.clone(),
        phases: Vec::new(),
        notes: Vec::new(),
        error: None,
    };
    match held {
        Ok(found) => judge(&mut report, found),
        // What says nothing about the backup is not held against it.
        Err(error) if !error.is_of_the_backup() => return Err(error.into()),
        Err(error) => report.error = Some(crate::error::in_one_line(&error)),
    }
    report.phases = phases.finish();
    report.finished = now();
    Ok(report)
}

/// Keeps a report beside the backup it is about.
pub async fn keep(store: &dyn Store, scope: &Scope, report: &DrillReport) -> Result<ObjectKey, DrillError> {
    let name = format!("drills/{}.json", report.began.format("%Y%m%dT%H%M%SZ"));
    let key = verify::key(scope, &report.backup).and_then(|key| key.join(&name)).map_err(RestoreError::from)?;
    let bytes = report.to_json();
    store.put(&key, Box::pin(bytes.as_slice())).await?;
    Ok(key)
}

/// A number that nobody chose; without a source of them the time does.
pub fn chance() -> u64 {
    getrandom::u64().unwrap_or_else(|_| Utc::now().timestamp_micros().unsigned_abs())
}

/// Turns what was found into a verdict. Pure.
fn judge(report: &mut DrillReport, found: Found) {
    let differences = compare::compare(report.kind, &found.wanted, &found.contents);
    report.tables = found.contents.tables.len() as u64;
    report.rows = found.contents.tables.values().map(|table| table.rows).sum();
    report.objects = found.contents.objects.len() as u64;
    report.difference_count = differences.len() as u64;
    report.differences = differences.into_iter().take(NAMED).collect();
    let takes_rows = found.inserts.iter().all(|probe| probe.outcome != ProbeOutcome::Broken);
    report.inserts = found.inserts;
    report.later = found.later;
    report.notes = found.notes;
    report.outcome = if report.difference_count == 0 && takes_rows { Outcome::Equal } else { Outcome::Differs };
}

async fn hold(
    means: &Means,
    origin: &Origin,
    chain: Vec<Manifest>,
    image: &ImageFacts,
    phases: &mut Phases<'_>,
) -> Result<Found, RestoreError> {
    phases.begin("server");
    let sandbox = Sandbox::create(&means.engine, &means.shared, &image.id, means.cluster.as_ref()).await?;
    let found = match origin.manifest.kind {
        Kind::Full | Kind::Schema | Kind::Tables => logical(origin, &sandbox, phases).await,
        Kind::Globals => of_globals(origin, &sandbox, phases).await,
        Kind::Base => physical::hold(means, origin, chain, &sandbox, phases).await,
    };
    phases.begin("clean up");
    // One that stays is labelled, and the next drill removes it.
    if let Err(error) = sandbox.remove().await {
        tracing::warn!(%error, "the throw-away server could not be removed");
    }
    found
}

/// Begins an empty server. It has to be right once, and never again.
async fn begin(manifest: &Manifest, sandbox: &Sandbox) -> Result<Place, RestoreError> {
    sandbox.init().await?;
    let mut settings = vec!["fsync=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=4GB", "jit=off"];
    settings.extend(["max_locks_per_transaction=1024", "max_logical_replication_workers=0"]);
    if manifest.source.timescaledb.is_some() {
        settings.extend(["shared_preload_libraries=timescaledb", "timescaledb.max_background_workers=0"]);
        settings.push("timescaledb.telemetry_level=off");
    }
    let settings: Vec<String> = settings.into_iter().map(str::to_owned).collect();
    let server = sandbox.start(&settings).await?;
    sandbox.wait_ready(&server).await?;
    Ok(Place::sandbox(sandbox))
}

async fn logical(origin: &Origin, sandbox: &Sandbox, phases: &mut Phases<'_>) -> Result<Found, RestoreError> {
    let place = begin(&origin.manifest, sandbox).await?;
    let wanted = origin.contents().await?;
    let database = Ident::new(&origin.manifest.database)?;
    archive::into_database(origin, &wanted, &place, &database, phases).await?;
    let (contents, inserts) = look(&place, &database, origin.manifest.kind, &wanted, phases).await?;
    Ok(Found { wanted, contents, inserts, ..Found::default() })
}

async fn of_globals(origin: &Origin, sandbox: &Sandbox, phases: &mut Phases<'_>) -> Result<Found, RestoreError> {
    let place = begin(&origin.manifest, sandbox).await?;
    phases.begin("roles and settings");
    let record = origin.record(Part::Globals, "globals")?;
    let text = globals::text(origin, record).await?;
    for location in globals::locations(&text) {
        sandbox.exec_ok(&["mkdir", "-p", "-m", "0700", &location]).await?;
    }
    globals::create_databases(&text, &place).await?;
    globals::run(record, text.clone(), &place).await?;
    phases.begin("compare");
    let wanted = globals::contents(&text);
    let contents = globals::contents(&globals::found(&text, &place).await?);
    Ok(Found { wanted, contents, ..Found::default() })
}

/// What is in a restored database, and whether its hypertables take rows.
async fn look(
    place: &Place,
    database: &Ident,
    kind: Kind,
    wanted: &Contents,
    phases: &mut Phases<'_>,
) -> Result<(Contents, Vec<Probe>), RestoreError> {
    phases.begin("compare");
    let contents = found::contents(place, database, kind, wanted).await?;
    phases.begin("insert");
    let mut session = place.session(database).await?;
    let inserts = probe::all(&mut session).await?;
    Ok((contents, inserts))
}
