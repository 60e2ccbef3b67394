//! The agent: a pass each second that keeps what is provisioned working and every chunk mirrored.
//!
//! Does only what `plan::remit` allows. A pass that fails is logged when its message changes, and the next one looks
//! afresh.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::in_one_line;
use crate::execute::{AgentParts, Event, Executor};
use crate::observe::observe;
use crate::plan::hold::Hold;
use crate::plan::{self, Wanted, remit};
use crate::postgres::lock;
use crate::site::Site;
use crate::tasks::converge::primary_target;

/// How often the agent looks. A chunk that traffic makes waits at most this long for its mirror.
const PASS_INTERVAL: Duration = Duration::from_secs(1);

/// Runs passes until the process is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// Signals cannot be listened to.
pub async fn run(site: &Site) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut ticks = interval(PASS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_word = String::new();
    tracing::info!(cluster = %site.desired.cluster, "agent started");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = ticks.tick() => {}
        }
        let word = match pass(site).await {
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
    tracing::info!("agent stopped");
    Ok(())
}

/// One pass: look, plan, keep to the remit, execute. Returns what is held.
async fn pass(site: &Site) -> Result<Vec<Hold>, String> {
    let observed = observe(site, None).await.map_err(|error| in_one_line(&error))?;
    let wanted = Wanted { desired: &site.desired, packs: None, agent: None };
    let plan = remit::agent(plan::plan(&wanted, &observed));
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
    Executor::new(site, &[], AgentParts::default(), &observed)
        .run(&plan, &listener)
        .await
        .map_err(|error| in_one_line(&error))?;
    Ok(plan.holds)
}
