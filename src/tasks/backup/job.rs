//! One run of one job, from its beginning on record to its last hook.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{Made, Maker};
use crate::backup::hooks::{self, Event};
use crate::backup::prune::{self, Known};
use crate::backup::{catalog, mirror};
use crate::error::in_one_line;
use crate::metrics::PassMetrics;
use crate::model::backup::{BackupJob, DrillEvery, Scope, Work};
use crate::plan::retention::Policies;
use crate::postgres::attempt::Attempt;
use crate::postgres::backups::{self, DrillEnd};
use crate::postgres::ledger::{self, RunEnd};
use crate::postgres::session::{Session, Target};
use crate::site::Site;
use crate::store::open;

/// How long a run that is told to stop may take to tidy up.
const TIDY_PATIENCE: Duration = Duration::from_secs(45);

/// A run that is due.
pub(super) struct Due<'a> {
    pub site: &'a Site,
    pub job: &'a BackupJob,
    pub target: Target,
    /// Cancelled when the agent is to end.
    pub stop: CancellationToken,
    pub occurrence: DateTime<Utc>,
    pub attempt: u32,
    /// When a backup of the job was last proven.
    pub verified: Option<DateTime<Utc>>,
}

impl Due<'_> {
    /// Runs it to its end. Whatever goes wrong is logged and on record.
    pub(super) async fn run(self, maker: &dyn Maker, metrics: &PassMetrics) {
        let job = self.job;
        let began = Utc::now();
        let attempt =
            match Attempt::begin(ledger::BACKUPS, &self.target, &job.name, Some(self.occurrence), self.attempt).await {
                Ok(Some(attempt)) => attempt,
                Ok(None) => {
                    tracing::info!(job = job.name, "waits: somebody else makes a backup of this job");
                    return;
                }
                Err(error) => {
                    tracing::warn!(job = job.name, "cannot put a backup on record: {}", in_one_line(&error));
                    return;
                }
            };
        let made = self.make(maker).await;
        if self.stop.is_cancelled() && made.is_err() {
            // On record it stays open, which without its lock reads as interrupted: it is made up for.
            return;
        }
        if let Err(error) = attempt.end(&end(&made)).await {
            tracing::warn!(job = job.name, "cannot put the end of a backup on record: {}", in_one_line(&error));
        }
        metrics.count_backup(&job.name, made.is_err());
        let event = self.event(began, &made);
        match &made {
            Ok(made) => {
                let (id, bytes, rows) = (&made.id, made.stored_bytes, made.rows);
                tracing::info!(job = job.name, %id, bytes, rows, seconds = (event.finished - began).num_seconds(), "made a backup");
                hooks::tell(&job.on_success, &event).await;
                self.look_after(maker, made).await;
            }
            Err(because) if self.attempt < job.retries => {
                tracing::warn!(
                    job = job.name,
                    attempt = self.attempt,
                    "a backup failed, and is tried again: {because}"
                );
            }
            Err(because) => {
                tracing::error!(job = job.name, "a backup failed: {because}");
                hooks::tell(&job.on_failure, &event).await;
            }
        }
    }

    /// Makes the backup within the job's time.
    async fn make(&self, maker: &dyn Maker) -> Result<Made, String> {
        let stop = self.stop.child_token();
        let mut making = maker.make(self.job, stop.clone());
        if let Ok(made) = tokio::time::timeout(self.job.timeout, &mut making).await {
            return made;
        }
        stop.cancel();
        // One that succeeds after all is late and whole.
        match tokio::time::timeout(TIDY_PATIENCE, making).await {
            Ok(Ok(made)) => Ok(made),
            _ => Err(format!("it took longer than {} s (`timeout`)", self.job.timeout.as_secs())),
        }
    }

    fn event(&self, began: DateTime<Utc>, made: &Result<Made, String>) -> Event {
        let job = self.job;
        Event {
            event: if made.is_ok() { "backup_succeeded" } else { "backup_failed" },
            cluster: self.site.desired.cluster.to_string(),
            job: job.name.clone(),
            kind: match job.work {
                Work::Backup(kind) => kind.word(),
                Work::Wal { .. } => "wal",
            },
            store: job.store.url.to_string(),
            backup: made.as_ref().ok().map(|made| made.id.to_string()),
            began,
            finished: Utc::now(),
            attempts: self.attempt + 1,
            stored_bytes: made.as_ref().ok().map(|made| made.stored_bytes),
            rows: made.as_ref().ok().map(|made| made.rows),
            error: made.as_ref().err().cloned(),
        }
    }

    /// Proves the backup when that is due, removes what need not stay, and mirrors what is left. In this order: a backup that
    /// was just proven lets an older one go.
    async fn look_after(&self, maker: &dyn Maker, made: &Made) {
        if self.is_drill_due(Utc::now()) {
            self.drill(maker, made).await;
        }
        let scope: Scope = self.site.desired.cluster.as_str().parse().expect("a cluster's name is a scope");
        if let Err(because) = self.prune(&scope).await {
            tracing::warn!(job = self.job.name, "could not remove old backups: {because}");
        }
    }

    fn is_drill_due(&self, now: DateTime<Utc>) -> bool {
        match self.job.drill {
            DrillEvery::Never => false,
            DrillEvery::Backup => true,
            // Half an hour early counts, so that a weekly drill of a daily job stays on its day.
            DrillEvery::Days(days) => {
                self.verified.is_none_or(|last| now - last > TimeDelta::days(days.into()) - TimeDelta::minutes(30))
            }
        }
    }

    async fn drill(&self, maker: &dyn Maker, made: &Made) {
        let (job, id) = (&self.job.name, &made.id);
        let held = tokio::select! {
            held = maker.drill(self.job, id) => held,
            // Its server goes with it, and the next backup's drill is due as this one was.
            () = self.stop.cancelled() => return,
        };
        let proof = match held {
            Ok(proof) if proof.is_good() => {
                tracing::info!(job, %id, rows = proof.rows, "a drill found the backup equal");
                proof
            }
            Ok(proof) => {
                tracing::error!(job, %id, differences = proof.differences, "a drill did not find the backup equal");
                proof
            }
            // It says nothing about the backup; the next one is due as this one was.
            Err(because) => {
                tracing::warn!(job, %id, "a drill could not be held: {because}");
                return;
            }
        };
        let took = proof.finished.map(|finished| (finished - proof.began).num_milliseconds());
        let end = DrillEnd {
            outcome: proof.outcome,
            millis: took.and_then(|millis| u64::try_from(millis).ok()),
            rows: proof.rows,
            differences: proof.differences,
        };
        let recorded = async {
            let session = Session::connect(&self.target).await?;
            backups::record_drill(&session, id.as_str(), &end).await
        };
        if let Err(error) = recorded.await {
            tracing::warn!(job, "cannot put a drill on record: {}", in_one_line(&error));
        }
    }

    async fn prune(&self, scope: &Scope) -> Result<(), String> {
        let desired = &self.site.desired;
        let store = open::open(&self.job.store).await.map_err(|error| in_one_line(&error))?;
        let store = store.as_ref();
        // The job's own backups only: another job prunes when it has succeeded itself.
        let jobs = [(self.job.name.clone(), self.job.keep.clone())].into();
        let longest_run = desired.backups.iter().map(|job| job.timeout).max().unwrap_or_default();
        let known = Known { policies: Policies { jobs, ..Policies::default() }, longest_run, ..Known::default() };
        let plan = prune::plan(store, scope, &known, Utc::now()).await.map_err(|error| in_one_line(&error))?;
        let told = |id: &_| tracing::info!(job = self.job.name, %id, "removes a backup");
        plan.execute(store, told).await.map_err(|error| in_one_line(&error))?;
        let contents =
            catalog::load(store, Some(scope)).await.map_err(|error| in_one_line(&error))?.scopes.remove(scope);
        let session = Session::connect(&self.target).await.map_err(|error| in_one_line(&error))?;
        let mirrored = mirror::mirror(&session, &self.job.store.url, scope, &contents.unwrap_or_default()).await;
        mirrored.map_err(|error| in_one_line(&error))
    }
}

fn end(made: &Result<Made, String>) -> RunEnd {
    match made {
        Ok(made) => RunEnd {
            backup: Some(made.id.to_string()),
            stored_bytes: Some(made.stored_bytes),
            rows: Some(made.rows),
            ..RunEnd::default()
        },
        Err(because) => RunEnd { error: Some(because.clone()), ..RunEnd::default() },
    }
}
