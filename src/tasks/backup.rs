//! The agent's schedule of backup jobs: runs those that are due, tries again what failed, prunes, drills, and tells others.
//!
//! Runs beside the passes and takes no lock of theirs. When a job is due is `timed`'s business.

mod job;
pub mod maker;
mod prover;

use std::convert::Infallible;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

use crate::backup::catalog::Proof;
use crate::metrics::PassMetrics;
use crate::model::backup::{BackupId, BackupJob, Work};
use crate::plan::backups as plan;
use crate::postgres::ledger::BACKUPS;
use crate::site::Site;
use crate::tasks::agent::Handles;
use crate::tasks::timed::{self, Kind, Timed};
use job::Due;

/// What a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The backup.
    pub id: BackupId,
    /// Bytes in the store.
    pub stored_bytes: u64,
    /// Rows in it.
    pub rows: u64,
}

/// Who makes and proves backups. A future of these that is dropped stops what it began and leaves no backup.
pub trait Maker {
    /// Makes a backup of a job; the error in a line. Told to stop, it ends soon and leaves nothing.
    fn make<'a>(&'a self, job: &'a BackupJob, stop: CancellationToken) -> LocalBoxFuture<'a, Result<Made, String>>;

    /// Restores a backup of a job and compares; its result is in the store as well.
    fn drill<'a>(&'a self, job: &'a BackupJob, id: &'a BackupId) -> LocalBoxFuture<'a, Result<Proof, String>>;
}

/// Runs what is due until told to stop. A run that is under way then is cut off, leaves no backup, and is made up for.
pub async fn run(site: &Site, handles: &Handles, metrics: &PassMetrics, maker: &dyn Maker) -> Result<(), Infallible> {
    let jobs = site.desired.backups.iter().filter(|job| matches!(job.work, Work::Backup(_)));
    let jobs = jobs.map(|job| Timed { name: &job.name, schedule: plan::schedule(job), job }).collect();
    let kind = Kind { run: "a backup", ledger: BACKUPS, jobs };
    timed::run(site, handles, kind, |due| begin(site, handles, metrics, maker, due), |_| ()).await;
    Ok(())
}

fn begin<'a>(
    site: &'a Site,
    handles: &Handles,
    metrics: &'a PassMetrics,
    maker: &'a dyn Maker,
    due: timed::Due<'a, BackupJob>,
) -> LocalBoxFuture<'a, ()> {
    let timed::Due { job, target, occurrence, attempt, known } = due;
    let (stop, verified) = (handles.stop.clone(), known.verified);
    Due { site, job, target, stop, occurrence, attempt, verified }.run(maker, metrics).boxed_local()
}
