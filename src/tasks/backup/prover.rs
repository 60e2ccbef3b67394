//! Holds the drills of a cluster's jobs: finds the backup in its store, with those that it builds upon, restores and compares.

use chrono::Utc;

use crate::backup::catalog::{self, Proof};
use crate::backup::drill::{self, Means};
use crate::backup::manifest::Manifest;
use crate::backup::pipeline::Keys;
use crate::backup::tools::shared_place;
use crate::error::in_one_line;
use crate::model::backup::{BackupId, BackupJob, Scope};
use crate::site::Site;
use crate::store::open;

/// Holds one and keeps its result beside the backup; the error in a line.
pub(super) async fn prove(site: &Site, job: &BackupJob, id: &BackupId) -> Result<Proof, String> {
    let scope: Scope = site.desired.cluster.as_str().parse().expect("a cluster's name is a scope");
    let store = open::open(&job.store).await.map_err(|error| in_one_line(&error))?;
    let catalog = catalog::load(&*store, Some(&scope)).await.map_err(|error| in_one_line(&error))?;
    let find = |id: &BackupId| catalog.entries().into_iter().find(|entry| entry.id == *id);
    let usable = |id: &BackupId| find(id).filter(|entry| entry.unusable().is_none())?.manifest().cloned();
    let manifest: Manifest = usable(id).ok_or_else(|| match find(id).and_then(catalog::Entry::unusable) {
        Some(because) => because.to_string(),
        None => format!("{id} is not in {} any more", job.store.url),
    })?;
    let chain = catalog::chain(&manifest, usable).map_err(|gone| format!("it builds upon {gone}, which is gone"))?;
    let means = Means {
        engine: site.engine.clone(),
        shared: shared_place(site),
        cluster: Some(site.desired.cluster.clone()),
        store,
        keys: job.identity.as_deref().map(Keys::read).transpose().map_err(|error| in_one_line(&error))?,
        image: None,
        chance: drill::chance(),
    };
    let told = |phase: &str| tracing::debug!(job = job.name, %id, phase, "drill");
    let report = Box::pin(drill::drill(&means, manifest, chain, Utc::now, &told)).await;
    let report = report.map_err(|error| in_one_line(&error))?;
    drill::keep(&*means.store, &scope, &report).await.map_err(|error| in_one_line(&error))?;
    if let Some(because) = &report.error {
        tracing::error!(job = job.name, %id, "the backup could not be restored: {because}");
    }
    Ok(Proof {
        began: report.began,
        finished: Some(report.finished),
        outcome: report.outcome.word().to_owned(),
        rows: Some(report.rows),
        differences: Some(report.difference_count),
    })
}
