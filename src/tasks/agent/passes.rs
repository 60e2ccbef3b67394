//! Pass after pass: one each second, and one at once when some task asks for it. Publishes what each look saw.
//!
//! Does only what `plan::remit` allows. A pass that fails is logged when its message changes, and the next one looks
//! afresh.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Handles;
use super::failover::Failover;
use crate::error::in_one_line;
use crate::execute::{AgentParts, Event, Executor};
use crate::metrics::PassMetrics;
use crate::model::observed::Observed;
use crate::observe::observe;
use crate::plan::hold::Hold;
use crate::plan::step::Plan;
use crate::plan::{self, Wanted, remit};
use crate::postgres::{lock, stillness};
use crate::site::Site;
use crate::status::Status;
use crate::status::latest::{Latest, Look};
use crate::tasks::converge::lock_target;

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
    let mut is_overtaken = false;
    let mut failover = Failover::new();
    loop {
        tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
            () = handles.wake.notified() => {}
        }
        let began = Instant::now();
        let passed = pass(site, publish, &mut failover, is_overtaken).await;
        publish.send_modify(|latest| latest.turn(Instant::now()));
        metrics.count(began.elapsed(), passed.is_err());
        is_overtaken = passed.as_ref().is_ok_and(|passed| *passed == Passed::Overtaken);
        if is_overtaken {
            handles.wake.notify_one();
        }
        // What is held is told by who follows the looks.
        let word = passed.err().unwrap_or_default();
        if word != last_word {
            if word.is_empty() {
                tracing::info!("passes succeed again");
            } else {
                tracing::warn!("a pass failed: {word}");
            }
            last_word = word;
        }
    }
}

/// What came of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// It did what there was to do, if anything.
    Done,
    /// Chunks were made faster than it could follow.
    Overtaken,
}

/// One pass: look, decide about the primary, plan, keep to the remit, execute. After one that was overtaken, the primary is to make no
/// chunk while this one lasts.
async fn pass(
    site: &Site,
    publish: &watch::Sender<Latest>,
    failover: &mut Failover,
    was_overtaken: bool,
) -> Result<Passed, String> {
    let (mut observed, mut plan) = look(site, publish, |observed| failover.look(site, observed)).await?;
    if let Some(chosen) = failover.promotes() {
        tokio::select! {
            promoted = failover.promote(site, &observed, &chosen) => {
                if let Some(promoted) = promoted.map_err(|error| in_one_line(&error))? {
                    tracing::warn!(epoch = promoted.report.epoch, "{} took the place of {}", promoted.report.to, promoted.report.from);
                }
            }
            never = look_on(site, publish) => match never {},
        }
        return Ok(Passed::Done);
    }
    if plan.steps().next().is_none() && !failover.restarts() {
        return Ok(Passed::Done);
    }
    // Held to the end of the pass. Whoever has the lock now does what we would.
    let mut held = None;
    if let Some(target) = lock_target(site, &observed) {
        let Some(lock) = lock::try_lock(&target).await.map_err(|error| in_one_line(&error))? else {
            // Whoever has it may be at something that takes long; nobody is to wait in vain for so long.
            let relief = plan.relief();
            Executor::new(site, &[], AgentParts::default(), &observed)
                .run(&relief, &listener(&AtomicBool::new(false)))
                .await
                .map_err(|error| in_one_line(&error))?;
            return Ok(Passed::Done);
        };
        let stillness =
            if was_overtaken { stillness::begin(&target).await.map_err(|error| in_one_line(&error))? } else { None };
        // What others did between the first look and the lock is in the second.
        (observed, plan) = look(site, publish, |observed| failover.look(site, observed)).await?;
        if lock_target(site, &observed).is_none_or(|now| now.node != target.node) {
            return Ok(Passed::Done);
        }
        held = Some((lock, stillness));
    }
    failover.make_restartable(site, &observed).await.map_err(|error| in_one_line(&error))?;
    let is_overtaken = AtomicBool::new(false);
    let executor = Executor::new(site, &[], AgentParts::default(), &observed);
    let listener = listener(&is_overtaken);
    tokio::select! {
        executed = executor.run(&plan, &listener) => executed.map_err(|error| in_one_line(&error))?,
        never = look_on(site, publish) => match never {},
    }
    drop(held);
    Ok(if is_overtaken.load(Ordering::Relaxed) { Passed::Overtaken } else { Passed::Done })
}

/// Writes down what is done, and whether a step was overtaken.
fn listener(is_overtaken: &AtomicBool) -> impl Fn(Event<'_>) + Send + Sync + '_ {
    |event| match event {
        Event::Done(step) => tracing::info!(step = step.label(), "done: {step}"),
        Event::Overtaken(_) => is_overtaken.store(true, Ordering::Relaxed),
        Event::Began(_) | Event::Progress(_) => {}
    }
}

/// Looks, plans and publishes; gives the agent's part of the plan. `asks` is shown each look and may have something to ask.
async fn look(
    site: &Site,
    publish: &watch::Sender<Latest>,
    asks: impl FnOnce(&Observed) -> Option<Hold>,
) -> Result<(Observed, Plan), String> {
    let (began, at) = (Instant::now(), SystemTime::now());
    let observed = observe(site, None).await.map_err(|error| {
        let because = in_one_line(&error);
        publish.send_modify(|latest| latest.missed(because.clone()));
        because
    })?;
    let wanted = Wanted { desired: &site.desired, packs: None, agent: None };
    let mut plan = remit::agent(plan::plan(&wanted, &observed));
    plan.holds.extend(asks(&observed));
    let status = Status::new(&site.desired, &observed, plan.clone());
    publish.send_modify(|latest| latest.saw(Look { status, began, at }));
    Ok((observed, plan))
}

/// While steps are taken, which can last as long as a server needs to start, what is published stays recent.
async fn look_on(site: &Site, publish: &watch::Sender<Latest>) -> Infallible {
    loop {
        tokio::time::sleep(PASS_INTERVAL).await;
        if let Err(because) = look(site, publish, |_| None).await {
            tracing::debug!("{because}");
        }
        publish.send_modify(|latest| latest.turn(Instant::now()));
    }
}
