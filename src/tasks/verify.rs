//! The agent's schedule of comparing logical replicas with the primary, within a budget of rows per second.
//!
//! Runs beside the passes and takes no lock of theirs. Repairs nothing: a difference is put on record, where `status`
//! and every plan see it. Whoever verifies by hand goes first.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::error::in_one_line;
use crate::model::desired::VerifySchedule;
use crate::model::names::NodeName;
use crate::observe::observe;
use crate::plan::provision::CATALOG_VERSION;
use crate::plan::verify::{Outcome, Sides, is_due, sides};
use crate::postgres::compare::record;
use crate::site::Site;
use crate::verify::{Order, Report, VerifyError, verify};

/// How often it is asked whether a verification is due.
const TICK: Duration = Duration::from_secs(10);

/// How long a replica that could not be verified is left alone.
const SETBACK: Duration = Duration::from_mins(1);

/// Tables that one line of the log names.
const NAMED: usize = 5;

/// Verifies whenever it is due, until told to stop; does nothing where the configuration turns it off. One that is under
/// way ends with its sessions, and what it had compared stays on record.
pub async fn run(site: &Site, stop: &CancellationToken) -> Result<(), Infallible> {
    match &site.desired.verify {
        None => stop.cancelled().await,
        Some(schedule) => tokio::select! {
            () = stop.cancelled() => {}
            never = Box::pin(verify_when_due(site, schedule)) => match never {},
        },
    }
    Ok(())
}

async fn verify_when_due(site: &Site, schedule: &VerifySchedule) -> Infallible {
    let began = Instant::now();
    let mut ticks = interval_at(tokio::time::Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut setbacks: BTreeMap<NodeName, Instant> = BTreeMap::new();
    loop {
        ticks.tick().await;
        setbacks.retain(|_, since| since.elapsed() < SETBACK);
        let (sides, due) = match due(site, schedule, began.elapsed()).await {
            Ok(Some(due)) => due,
            Ok(None) => continue,
            Err(error) => {
                tracing::debug!(error, "cannot tell whether a verification is due");
                continue;
            }
        };
        for replica in sides.replicas.iter().filter(|replica| due.contains(&replica.name)) {
            if setbacks.contains_key(&replica.name) {
                continue;
            }
            let rows_per_second = Some(schedule.rows_per_second);
            let order = Order { primary: &sides.primary, replica, is_full: false, is_repair: false, rows_per_second };
            match verify(site, order, &|_| ()).await {
                Ok(report) => tell(&report),
                Err(error) => {
                    setbacks.insert(replica.name.clone(), Instant::now());
                    tell_failure(&replica.name, &error);
                }
            }
        }
    }
}

/// Who is due; `None` when nobody can be, as without a primary that answers.
async fn due(
    site: &Site,
    schedule: &VerifySchedule,
    running: Duration,
) -> Result<Option<(Sides, Vec<NodeName>)>, String> {
    let observed = observe(site, None).await.map_err(|error| in_one_line(&error))?;
    let Some(sides) = sides(&site.desired, &observed) else { return Ok(None) };
    let server = observed.nodes.get(&sides.primary.name).and_then(|seen| seen.server.present());
    let catalog = server.and_then(|server| server.database.present()).and_then(|database| database.catalog);
    if sides.replicas.is_empty() || catalog < Some(CATALOG_VERSION) {
        return Ok(None);
    }
    let session = site.session(&sides.primary.name, sides.primary.port).await.map_err(|error| in_one_line(&error))?;
    let last = record::last(&session).await.map_err(|error| in_one_line(&error))?;
    let names = sides.replicas.iter().map(|replica| replica.name.clone());
    let due = names.filter(|name| is_due(last.get(name.as_str()).copied(), schedule, running)).collect();
    Ok(Some((sides, due)))
}

fn tell(report: &Report) {
    let Report { replica, compared, unchanged, left_out, rows, lsn, .. } = report;
    let seconds = report.seconds.round();
    match report.outcome {
        Outcome::Equal => {
            tracing::info!(%replica, compared, unchanged, rows, %lsn, seconds, "verified: every table is equal");
        }
        Outcome::Incomplete => {
            let said = "verified in part: no table differs";
            tracing::info!(%replica, compared, unchanged, left_out, rows, %lsn, seconds, "{said}");
        }
        Outcome::Differs => {
            let differing = report.tables.iter().filter(|finding| finding.verdict.label() == "differs");
            let names: Vec<String> = differing.take(NAMED).map(|finding| finding.table.to_string()).collect();
            let said = format!("tables differ from the primary's, among them {}", names.join(", "));
            tracing::warn!(%replica, compared, unchanged, left_out, rows, %lsn, seconds, "{said}");
        }
    }
}

fn tell_failure(replica: &NodeName, error: &VerifyError) {
    let error_text = in_one_line(error);
    if error.is_worth_a_retry() {
        tracing::debug!(%replica, error = error_text, "not verified now");
    } else {
        tracing::warn!(%replica, error = error_text, "could not verify");
    }
}
