//! The agent's schedule of data jobs: runs those that are due, on the primary and nowhere else.
//!
//! Runs beside the passes and takes no lock of theirs. When a job is due is `timed`'s business, how it runs is `jobs`'.

use std::convert::Infallible;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::error::in_one_line;
use crate::jobs::{self, JobError, Ran, Which};
use crate::metrics::PassMetrics;
use crate::model::job::DataJob;
use crate::plan::jobs as plan;
use crate::postgres::ledger::JOBS;
use crate::site::Site;
use crate::tasks::agent::Handles;
use crate::tasks::timed::{self, Due, Kind, Timed};

/// Runs what is due until told to stop. A run that is under way then is ended, and made up for.
pub async fn run(site: &Site, handles: &Handles, metrics: &PassMetrics) -> Result<(), Infallible> {
    let wanted = site.desired.jobs.iter();
    let jobs = wanted.map(|job| Timed { name: &job.name, schedule: plan::schedule(job), job }).collect();
    let kind = Kind { run: "a run of a job", ledger: JOBS, jobs };
    let begin = |due| one(site, due, &handles.stop, metrics).boxed_local();
    timed::run(site, handles, kind, begin, |seen| {
        metrics.saw_findings(seen);
        for (name, job) in &seen.jobs {
            metrics.saw_job(name, job.succeeded.as_ref());
        }
    })
    .await;
    Ok(())
}

async fn one(site: &Site, due: Due<'_, DataJob>, stop: &CancellationToken, metrics: &PassMetrics) {
    let Due { job, target, occurrence, attempt, .. } = due;
    let which = Which { scheduled_for: Some(occurrence), attempt };
    let began = std::time::Instant::now();
    let name = job.name.as_str();
    match jobs::run(site, &target, job, which, stop).await {
        Ok(Ran::Done(work)) => {
            metrics.count_job(name, false);
            tracing::info!(job = name, rows = work.rows, seconds = began.elapsed().as_secs_f64(), "a job is done");
        }
        Ok(Ran::Elsewhere) => tracing::info!(job = name, "waits: somebody else runs this job"),
        Err(JobError::Stopped(_)) => {}
        Err(error) => {
            metrics.count_job(name, true);
            tracing::error!(job = name, attempt, "a job failed: {}", in_one_line(&error));
        }
    }
}
