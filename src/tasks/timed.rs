//! Runs jobs when they are due: the loop that backups and data jobs have in common.
//!
//! `plan::schedule` decides; what is on record in the database is what it decides on, so that another agent, or this one after a
//! restart, goes on where the last one stopped. One run of a job at a time, whoever began it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::in_one_line;
use crate::model::backup_runs::{BackupsSeen, JobSeen};
use crate::plan::backups::history;
use crate::plan::schedule::{Schedule, Verdict};
use crate::postgres::ledger::Ledger;
use crate::postgres::session::Target;
use crate::site::Site;
use crate::tasks::agent::Handles;
use crate::tasks::primary::ToPrimary;

/// How often it is asked whether something is due.
const TICK: Duration = Duration::from_secs(5);

/// A job of a kind.
pub(super) struct Timed<'a, J> {
    pub name: &'a str,
    /// `None`: it runs when somebody asks for it.
    pub schedule: Option<Schedule>,
    pub job: &'a J,
}

/// One kind of jobs.
pub(super) struct Kind<'a, J> {
    /// What a run of one is called, with its article.
    pub run: &'static str,
    pub ledger: Ledger,
    pub jobs: Vec<Timed<'a, J>>,
}

/// A run that is due.
pub(super) struct Due<'a, J> {
    pub job: &'a J,
    /// The primary.
    pub target: Target,
    pub occurrence: DateTime<Utc>,
    pub attempt: u32,
    /// What is on record about the job.
    pub known: JobSeen,
}

/// Runs what is due until told to stop; `begin` runs one to its end, and `saw` is told what is on record after each look.
pub(super) async fn run<'a, J>(
    site: &'a Site,
    handles: &'a Handles,
    kind: Kind<'a, J>,
    begin: impl Fn(Due<'a, J>) -> LocalBoxFuture<'a, ()>,
    saw: impl Fn(&BackupsSeen),
) {
    if kind.jobs.is_empty() {
        handles.stop.cancelled().await;
        return;
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
        let (seen, target) = match look(&mut primary, &kind).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(word) => {
                if word != last_word {
                    tracing::warn!("cannot tell when {} is due: {word}", kind.run);
                    last_word = word;
                }
                primary.forget();
                continue;
            }
        };
        last_word.clear();
        saw(&seen);
        for Timed { name, schedule, job } in &kind.jobs {
            let (Some(schedule), Some(known)) = (schedule, seen.jobs.get(*name)) else { continue };
            match schedule.decide(&history(known), under_way.contains_key(name), seen.now) {
                Verdict::Run { occurrence, attempt, why } => {
                    tracing::info!(job = name, why = why.word(), attempt, "begins {}", kind.run);
                    // The look that comes before it is on record finds this time due as well.
                    under_way.insert(name, Some(occurrence));
                    let due = Due { job: *job, target: target.clone(), occurrence, attempt, known: known.clone() };
                    let (name, run) = (*name, begin(due));
                    running.push(Box::pin(async move {
                        run.await;
                        name
                    }));
                }
                Verdict::Wait { left_out: Some(left_out), .. } => {
                    let told = under_way.entry(name).or_default();
                    if *told != Some(left_out) {
                        tracing::warn!(job = name, %left_out, "leaves {} out: the one before still runs", kind.run);
                        *told = Some(left_out);
                    }
                }
                Verdict::Wait { .. } => {}
            }
        }
    }
    // They were told as well, and take away what they did.
    while running.next().await.is_some() {}
}

/// What is on record, and where; `None` without a primary. Jobs that are new are known from now on.
async fn look<J>(primary: &mut ToPrimary<'_>, kind: &Kind<'_, J>) -> Result<Option<(BackupsSeen, Target)>, String> {
    let Some(target) = primary.target().map_err(|error| in_one_line(&error))? else { return Ok(None) };
    let session = primary.session().await.map_err(|error| in_one_line(&error))?;
    let Some(session) = session else { return Ok(None) };
    let read = async || kind.ledger.read(session).await.map_err(|error| in_one_line(&error));
    let mut seen = read().await?;
    let is_known = |name: &String| kind.jobs.iter().any(|job| job.name == name);
    if seen.jobs.len() != kind.jobs.len() || !seen.jobs.keys().all(is_known) {
        let names: Vec<String> = kind.jobs.iter().map(|job| job.name.to_owned()).collect();
        kind.ledger.know_jobs(session, &names).await.map_err(|error| in_one_line(&error))?;
        seen = read().await?;
    }
    Ok(Some((seen, target)))
}
