//! Pass after pass: one each second, and one at once when some task asks for it. Publishes what each look saw.
//!
//! Does only what `plan::remit` allows. A pass that fails is logged when its message changes, and the next one looks
//! afresh.

use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Handles;
use crate::error::in_one_line;
use crate::execute::{AgentParts, Event, Executor};
use crate::metrics::PassMetrics;
use crate::model::observed::Observed;
use crate::observe::observe;
use crate::plan::hold::Hold;
use crate::plan::step::Plan;
use crate::plan::{self, Wanted, remit};
use crate::postgres::lock;
use crate::site::Site;
use crate::status::Status;
use crate::status::latest::{Latest, Look};
use crate::tasks::converge::primary_target;

/// How often the agent looks. A chunk that traffic makes waits at most this long for its mirror.
const PASS_INTERVAL: Duration = Duration::from_secs(1);

/// Runs passes until told to stop; the last one is finished.
pub async fn run(
    site: &Site,
    handles: &Handles,
    publish: &watch::Sender<Latest>,
    metrics: &PassMetrics,
) -> Result<(), Infallible> {
    let mut ticks = interval(PASS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_word = String::new();
    loop {
        tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
            () = handles.wake.notified() => {}
        }
        let began = Instant::now();
        let passed = pass(site, publish).await;
        publish.send_modify(|latest| latest.turn(Instant::now()));
        metrics.count(began.elapsed(), passed.is_err());
        let word = match passed {
            Ok(holds) => holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(error) => error,
        };
        if word != last_word {
            if word.is_empty() {
                tracing::info!("all is well");
            } else {
                tracing::warn!("{word}");
            }
            last_word = word;
        }
    }
}

/// One pass: look, plan, keep to the remit, execute. Returns what is held.
async fn pass(site: &Site, publish: &watch::Sender<Latest>) -> Result<Vec<Hold>, String> {
    let (observed, plan) = look(site, publish).await?;
    if plan.steps().next().is_none() {
        return Ok(plan.holds);
    }
    // Held to the end of the pass; whoever has it now does what we would.
    let _lock = match primary_target(site, &observed) {
        Some(target) => match lock::try_lock(&target).await.map_err(|error| in_one_line(&error))? {
            Some(lock) => Some(lock),
            None => return Ok(plan.holds),
        },
        None => None,
    };
    let listener = |event: Event<'_>| {
        if let Event::Done(step) = event {
            tracing::info!(step = step.label(), "done: {step}");
        }
    };
    let executor = Executor::new(site, &[], AgentParts::default(), &observed);
    tokio::select! {
        executed = executor.run(&plan, &listener) => executed.map_err(|error| in_one_line(&error))?,
        never = look_on(site, publish) => match never {},
    }
    Ok(plan.holds)
}

/// Looks, plans and publishes; gives the agent's part of the plan.
async fn look(site: &Site, publish: &watch::Sender<Latest>) -> Result<(Observed, Plan), String> {
    let (began, at) = (Instant::now(), SystemTime::now());
    let observed = observe(site, None).await.map_err(|error| {
        let because = in_one_line(&error);
        publish.send_modify(|latest| latest.missed(because.clone()));
        because
    })?;
    let wanted = Wanted { desired: &site.desired, packs: None, agent: None };
    let plan = remit::agent(plan::plan(&wanted, &observed));
    let status = Status::new(&site.desired, &observed, plan.clone());
    publish.send_modify(|latest| latest.saw(Look { status, began, at }));
    Ok((observed, plan))
}

/// While steps are taken, which can last as long as a server needs to start, what is published stays recent.
async fn look_on(site: &Site, publish: &watch::Sender<Latest>) -> Infallible {
    loop {
        tokio::time::sleep(PASS_INTERVAL).await;
        if let Err(because) = look(site, publish).await {
            tracing::debug!("{because}");
        }
        publish.send_modify(|latest| latest.turn(Instant::now()));
    }
}
