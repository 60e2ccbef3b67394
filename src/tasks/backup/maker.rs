//! Makes the backups of a cluster's jobs: looks, chooses the node, reads from it; and has them proven.

use chrono::Utc;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Made, Maker, prover};
use crate::backup::catalog::Proof;
use crate::backup::pipeline::Keys;
use crate::backup::run::{self, Base, Order, Origin};
use crate::error::in_one_line;
use crate::model::backup::{BackupId, BackupJob, Kind, Work};
use crate::model::observed::Observed;
use crate::observe::observe;
use crate::plan::backup_source::{self, Chosen};
use crate::site::Site;
use crate::store::open;
use crate::tasks::converge::primary_target;

/// A cluster's own backups.
#[derive(Clone, Copy, Debug)]
pub struct OfSite<'a>(pub &'a Site);

impl Maker for OfSite<'_> {
    fn make<'a>(&'a self, job: &'a BackupJob, stop: CancellationToken) -> LocalBoxFuture<'a, Result<Made, String>> {
        self.make_one(job, stop).boxed_local()
    }

    fn drill<'a>(&'a self, job: &'a BackupJob, id: &'a BackupId) -> LocalBoxFuture<'a, Result<Proof, String>> {
        prover::prove(self.0, job, id).boxed_local()
    }
}

impl OfSite<'_> {
    async fn make_one(&self, job: &BackupJob, stop: CancellationToken) -> Result<Made, String> {
        let site = self.0;
        let kind = match job.work {
            Work::Backup(kind) => kind,
            Work::Wal { .. } => return Err("the log is archived all the time, and not by runs".to_owned()),
        };
        let observed = observe(site, None).await.map_err(|error| in_one_line(&error))?;
        let chosen = backup_source::choose(&job.source, kind, &site.desired, &observed);
        let chosen = chosen.map_err(|error| in_one_line(&error))?;
        tracing::info!(job = job.name, node = %chosen.node, "takes the backup from there: {}", chosen.why);
        let primary = primary_target(site, &observed);
        let origin = Origin::node(site, &chosen.node, chosen.port, chosen.role, primary.as_ref()).await;
        let base = match kind {
            Kind::Base => Some(base(site, job, &observed, &chosen)?),
            _ => None,
        };
        let order = Order {
            job: Some(job.name.clone()),
            scope: site.desired.cluster.as_str().parse().expect("a cluster's name is a scope"),
            kind,
            origin: origin.map_err(|error| in_one_line(&error))?,
            store: open::open(&job.store).await.map_err(|error| in_one_line(&error))?,
            sealing: job.sealing.clone(),
            parallel: job.parallel,
            tables: job.tables.clone(),
            has_fingerprints: kind != Kind::Globals,
            base,
            stop,
        };
        let began = Utc::now();
        let manifest = run::run(order, &|_| ()).await.map_err(|error| in_one_line(&error))?;
        tracing::debug!(job = job.name, seconds = (Utc::now() - began).num_seconds(), "the backup is stored");
        Ok(Made { stored_bytes: manifest.stored_bytes(), rows: manifest.totals.rows, id: manifest.id })
    }
}

/// What a base backup needs besides: the primary as well, which alone can mark a moment in the log.
fn base(site: &Site, job: &BackupJob, observed: &Observed, chosen: &Chosen) -> Result<Base, String> {
    let source = site.target(&chosen.node, chosen.port, &site.desired.database);
    Ok(Base {
        source: source.map_err(|error| in_one_line(&error))?,
        primary: primary_target(site, observed).ok_or("no node is seen to be the primary")?,
        incrementals: job.incrementals,
        keys: job.identity.as_deref().map(Keys::read).transpose().map_err(|error| in_one_line(&error))?,
    })
}
