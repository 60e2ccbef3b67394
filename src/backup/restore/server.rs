//! A backup into a server of its own: a node beside the cluster, or the primary of a new one.
//!
//! The volume is filled and compared in a container without network; only then does anything of the old go, and the new server
//! starts. A restore that is cut off leaves a volume without a container, which carries the label of what it is.

use super::archive;
use super::base::DataDirectory;
use super::error::RestoreError;
use super::found;
use super::isolate;
use super::jobs::{self, ScheduledJob};
use super::log;
use super::origin::Origin;
use super::phases::Phases;
use super::place::Place;
use super::recovery::{Stop, Then};
use crate::backup::contents::Difference;
use crate::backup::drill::compare;
use crate::backup::sandbox::{PGDATA, SCRATCH, Sandbox};
use crate::docker::engine::Engine;
use crate::docker::shared_dir::SharedPlace;
use crate::model::backup::Kind;
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::model::observed::ImageFacts;
use crate::plan::restore::Target;
use crate::postgres::setup::{self, Verifiers};

/// Who may log in to a server that a dump was restored into: those of its own host without a password, all others with theirs.
const HBA: &str = "# Written by hypertide.\n\
                   local all all trust\n\
                   local replication all trust\n\
                   host all all all scram-sha-256\n\
                   host replication all all scram-sha-256\n";

/// What is to be made.
#[derive(Debug)]
pub struct Order<'a> {
    /// Runs the container.
    pub engine: &'a Engine,
    /// Where this process shares directories with containers.
    pub shared: &'a SharedPlace,
    /// Whose it is.
    pub cluster: &'a ClusterName,
    /// What the server is called.
    pub node: &'a NodeName,
    /// What it is made on.
    pub image: &'a ImageFacts,
    /// Its volume, empty.
    pub volume: &'a str,
    /// Login roles and their passwords' verifiers.
    pub verifiers: &'a Verifiers,
    /// Up to where the log is followed.
    pub target: &'a Target,
    /// Along which timeline.
    pub timeline: u32,
    /// Jobs are turned on again when everything is equal.
    pub enable_jobs: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Filled {
    /// What is not as it was.
    pub differences: Vec<Difference>,
    /// Jobs that were scheduled when the backup was taken.
    pub jobs: Vec<ScheduledJob>,
    /// Tables and chunks that were compared.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// What could not be compared.
    pub notes: Vec<String>,
}

/// Fills a volume. `chain` holds the base backups that this one builds upon, the whole one first.
pub async fn fill(
    order: &Order<'_>,
    origin: &Origin,
    chain: Vec<Origin>,
    phases: &mut Phases<'_>,
) -> Result<Filled, RestoreError> {
    phases.begin("server");
    let is_base = origin.manifest.kind == Kind::Base;
    let sandbox =
        Sandbox::on_volume(order.engine, order.shared, &order.image.id, Some(order.cluster), order.volume).await?;
    let filled = if is_base {
        physical(order, origin, chain, &sandbox, phases).await
    } else {
        logical(order, origin, &sandbox, phases).await
    };
    sandbox.remove().await?;
    filled
}

fn settings(origin: &Origin) -> Vec<String> {
    let mut settings = vec!["autovacuum=off", "max_wal_size=4GB", "jit=off", "max_locks_per_transaction=1024"];
    settings.push("max_logical_replication_workers=0");
    if origin.manifest.source.timescaledb.is_some() {
        settings.extend(["shared_preload_libraries=timescaledb", "timescaledb.max_background_workers=0"]);
        settings.push("timescaledb.telemetry_level=off");
    }
    settings.into_iter().map(str::to_owned).collect()
}

async fn logical(
    order: &Order<'_>,
    origin: &Origin,
    sandbox: &Sandbox,
    phases: &mut Phases<'_>,
) -> Result<Filled, RestoreError> {
    sandbox.init().await?;
    let server = sandbox.start(&settings(origin)).await?;
    sandbox.wait_ready(&server).await?;
    let place = Place::sandbox(sandbox);
    let database = Ident::new(&origin.manifest.database)?;
    // Before the dump names them, so that they can log in.
    setup::create_roles(&place.maintenance().await?, order.verifiers).await?;
    let wanted = origin.contents().await?;
    let restored = archive::into_database(origin, &wanted, &place, &database, phases).await?;
    phases.begin("compare");
    let contents = found::contents(&place, &database, origin.manifest.kind, &wanted).await?;
    let differences = compare::compare(origin.manifest.kind, &wanted, &contents);
    let mut filled = Filled { differences, jobs: restored.jobs, ..Filled::default() };
    count(&mut filled, &contents);
    if filled.differences.is_empty() {
        finish(order, &place, &database, &filled).await?;
        phases.begin("sync");
        sandbox.stop().await?;
        let script =
            format!("printf '%s' '{HBA}' > \"$PGDATA\"/pg_hba.conf && initdb --pgdata \"$PGDATA\" --sync-only");
        sandbox.exec_ok(&["sh", "-c", &script]).await?;
        put_in_place(sandbox).await?;
    }
    Ok(filled)
}

async fn physical(
    order: &Order<'_>,
    origin: &Origin,
    chain: Vec<Origin>,
    sandbox: &Sandbox,
    phases: &mut Phases<'_>,
) -> Result<Filled, RestoreError> {
    let place = Place::sandbox(sandbox);
    let database = Ident::new(&origin.manifest.database)?;
    let mut filled = Filled::default();
    let parts: Vec<Origin> = chain.into_iter().chain([origin.clone()]).collect();
    let data = DataDirectory::unpack(sandbox, &parts, true, phases).await?;

    // First to the moment that is on record, unless the target lies before it.
    let comparable = log::to_restore_point(origin, &data, &mut filled.notes).await?;
    let comparable = comparable.filter(|(_, at)| match order.target {
        Target::Lsn(lsn) => lsn >= at,
        Target::Time(time) => *time >= origin.manifest.finished,
        Target::Backup | Target::Name(_) | Target::Latest => true,
    });
    phases.begin("recover");
    if let Some((name, _)) = &comparable {
        data.recover(&Stop::Name(name.clone()), Then::Pause, origin.manifest.position.timeline).await?;
        phases.begin("compare");
        let wanted = origin.contents().await?;
        let contents = found::contents(&place, &database, origin.manifest.kind, &wanted).await?;
        filled.differences = compare::compare(Kind::Base, &wanted, &contents);
        count(&mut filled, &contents);
        if !filled.differences.is_empty() {
            data.stop().await?;
            return Ok(filled);
        }
    }
    let stop = match order.target {
        Target::Backup if comparable.is_some() => None,
        Target::Name(name) if comparable.as_ref().is_some_and(|(point, _)| point == name) => None,
        Target::Backup => Some(Stop::Consistent),
        Target::Time(time) => Some(Stop::Time(*time)),
        Target::Lsn(lsn) => Some(Stop::Lsn(*lsn)),
        Target::Name(name) => Some(Stop::Name(name.clone())),
        Target::Latest => Some(Stop::End),
    };
    if let Some(stop) = stop {
        phases.begin("follow the log");
        if comparable.is_some() {
            data.stop().await?;
        }
        if *order.target != Target::Backup {
            data.add_log(log::all(origin, order.timeline).await?).await?;
        }
        data.recover(&stop, Then::Pause, order.timeline).await?;
    }
    phases.begin("promote");
    data.promote().await?;
    filled.jobs = isolate::isolate(&place, &database).await?;
    setup::create_roles(&place.maintenance().await?, order.verifiers).await?;
    finish(order, &place, &database, &filled).await?;
    data.stop().await?;
    data.tidy().await?;
    put_in_place(sandbox).await?;
    Ok(filled)
}

/// From here on, and not before, the volume holds a data directory.
async fn put_in_place(sandbox: &Sandbox) -> Result<(), RestoreError> {
    let script = format!("mv \"$PGDATA\" '{PGDATA}' && sync '{SCRATCH}'");
    sandbox.exec_ok(&["sh", "-c", &script]).await?;
    Ok(())
}

/// What is left to do in the database itself.
async fn finish(order: &Order<'_>, place: &Place, database: &Ident, filled: &Filled) -> Result<(), RestoreError> {
    isolate::become_primary(place, database, order.node).await?;
    if order.enable_jobs {
        let session = place.session(database).await?;
        for job in &filled.jobs {
            jobs::turn_on(&session, job).await?;
        }
    }
    Ok(())
}

fn count(filled: &mut Filled, contents: &crate::backup::contents::Contents) {
    filled.tables = contents.tables.len() as u64;
    filled.rows = contents.tables.values().map(|table| table.rows).sum();
}
