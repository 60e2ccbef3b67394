//! The agent's schedule of backup jobs: runs those that are due, tries again what failed, prunes, drills, and tells others.
//!
//! Runs beside the passes and takes no lock of theirs. `plan::schedule` decides; what is on record in the database is what it
//! decides on, so that another agent, or this one after a restart, goes on where the last one stopped. One run of a job at a
//! time, whoever began it.

mod job;
pub mod maker;
mod prover;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::backup::catalog::Proof;
use crate::error::in_one_line;
use crate::metrics::PassMetrics;
use crate::model::backup::{BackupId, BackupJob, Work};
use crate::model::backup_runs::BackupsSeen;
use crate::plan::backups as plan;
use crate::plan::schedule::{Schedule, Verdict};
use crate::postgres::backups;
use crate::postgres::session::Target;
use crate::site::Site;
use crate::tasks::agent::Handles;
use crate::tasks::primary::ToPrimary;
use job::Due;

/// How often it is asked whether something is due.
const TICK: Duration = Duration::from_secs(5);

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
    let jobs: Vec<(&BackupJob, Option<Schedule>)> = site
        .desired
        .backups
        .iter()
        .filter(|job| matches!(job.work, Work::Backup(_)))
        .map(|job| (job, plan::schedule(job)))
        .collect();
    if jobs.is_empty() {
        handles.stop.cancelled().await;
        return Ok(());
    }
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut primary = ToPrimary::new(site, handles.latest.clone());
    let mut running: FuturesUnordered<LocalBoxFuture<'_, &str>> = FuturesUnordered::new();
    let mut under_way: BTreeMap<&str, Option<DateTime<Utc>>> = BTreeMap::new();
    let mut last_word = String::new();
    loop {
        tokio::select! {
            () = handles.stop.cancelled() => break,
            Some(done) = running.next(), if !running.is_empty() => drop(under_way.remove(done)),
            _ = ticks.tick() => {}
        }
        let (seen, target) = match look(&mut primary, &jobs).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(word) => {
                if word != last_word {
                    tracing::warn!("cannot tell which backups are due: {word}");
                    last_word = word;
                }
                primary.forget();
                continue;
            }
        };
        last_word.clear();
        for (job, schedule) in &jobs {
            let (Some(schedule), Some(known)) = (schedule, seen.jobs.get(&job.name)) else { continue };
            let is_running = under_way.contains_key(job.name.as_str());
            match schedule.decide(&plan::history(known), is_running, seen.now) {
                Verdict::Run { occurrence, attempt, why } => {
                    tracing::info!(job = job.name, why = why.word(), attempt, "begins a backup");
                    under_way.insert(&job.name, None);
                    let (target, stop, verified) = (target.clone(), handles.stop.clone(), known.verified);
                    let due = Due { site, job, target, stop, occurrence, attempt, verified };
                    running.push(due.run(maker, metrics).boxed_local());
                }
                Verdict::Wait { left_out: Some(left_out), .. } => {
                    let told = under_way.entry(&job.name).or_default();
                    if *told != Some(left_out) {
                        tracing::warn!(job = job.name, %left_out, "leaves a backup out: the one before still runs");
                        *told = Some(left_out);
                    }
                }
                Verdict::Wait { .. } => {}
            }
        }
    }
    // They were told as well, and take away what they wrote.
    while running.next().await.is_some() {}
    Ok(())
}

/// What is on record, and where; `None` without a primary. Jobs that are new are known from now on.
async fn look(
    primary: &mut ToPrimary<'_>,
    jobs: &[(&BackupJob, Option<Schedule>)],
) -> Result<Option<(BackupsSeen, Target)>, String> {
    let Some(target) = primary.target().map_err(|error| in_one_line(&error))? else { return Ok(None) };
    let session = primary.session().await.map_err(|error| in_one_line(&error))?;
    let Some(session) = session else { return Ok(None) };
    let mut seen = backups::read(session).await.map_err(|error| in_one_line(&error))?;
    let is_known = |name: &String| jobs.iter().any(|(job, _)| job.name == *name);
    if seen.jobs.len() != jobs.len() || !seen.jobs.keys().all(is_known) {
        let names: Vec<String> = jobs.iter().map(|(job, _)| job.name.clone()).collect();
        backups::know_jobs(session, &names).await.map_err(|error| in_one_line(&error))?;
        seen = backups::read(session).await.map_err(|error| in_one_line(&error))?;
    }
    Ok(Some((seen, target)))
}
