//! Pass after pass until what is wanted is there: what `up` and the other verbs that change something run.
//!
//! Each pass looks afresh. Ends when nothing is left to do, when something is refused, or when patience runs out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::in_one_line;
use crate::execute::{AgentParts, Copies, Event, ExecuteError, Executor, Listener};
use crate::model::desired::DesiredNode;
use crate::model::observed::Observed;
use crate::model::pack::Pack;
use crate::observe::{ObserveError, observe};
use crate::plan::hold::Hold;
use crate::plan::step::Plan;
use crate::plan::{self, Wanted, topology};
use crate::postgres::lock::{self, ReconcileLock};
use crate::postgres::session::Target;
use crate::postgres::stillness;
use crate::site::Site;

/// Between two looks while something passes by itself.
const BREATH: Duration = Duration::from_millis(40);

/// A look that takes longer than this weighs on the servers.
const HEAVY: Duration = Duration::from_millis(100);

/// After a heavy look the next one waits this many times as long: the copy of thousands of chunks needs the servers more
/// than we do.
const PATIENT: u32 = 8;

/// How long another reconciler may keep the lock before we say so; an agent's pass takes a fraction of a second.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// For so long a server that answered a moment ago is asked again when it does not.
const CONNECT_AGAIN: Duration = Duration::from_secs(2);

/// How often the very same steps may be planned again before they count as without effect.
const REPEATS: usize = 5;

/// What to converge to.
#[derive(Clone, Copy, Debug)]
pub struct Goal<'a> {
    /// Packs to apply.
    pub packs: &'a [Pack],
    /// The agent to have running, and its digest; `None` leaves agents alone.
    pub agent: Option<(&'a AgentParts, &'a str)>,
    /// How long to wait for what passes by itself (first copies, a node that starts).
    pub patience: Duration,
}

impl<'a> Goal<'a> {
    /// The same for the planner.
    pub fn wanted(&self, site: &'a Site) -> Wanted<'a> {
        Wanted { desired: &site.desired, packs: Some(self.packs), agent: self.agent.map(|(_, digest)| digest) }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The last look.
    pub observed: Observed,
    /// Holds that remain; none is a refusal.
    pub holds: Vec<Hold>,
    /// Steps that were taken.
    pub taken: usize,
}

/// Converging ended early.
#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    /// Could not look.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A step failed.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// Something is unsafe; nothing was touched.
    #[error("refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Hold>),
    /// The same steps are planned again and again although they succeed.
    #[error("these steps succeed without effect: {}", .0.join("; "))]
    Stuck(Vec<String>),
    /// Somebody else is at it.
    #[error("another hypertide has been changing this cluster for {} s", LOCK_PATIENCE.as_secs())]
    Busy,
}

/// Runs passes until nothing is left to do. Prometheus and Grafana come last and are tried once.
///
/// # Errors
/// The first thing that went wrong; about Prometheus or Grafana it is told when the cluster itself is done.
pub async fn converge(site: &Site, goal: &Goal<'_>, listener: Listener<'_>) -> Result<Outcome, ConvergeError> {
    let began = Instant::now();
    let mut taken = 0;
    let mut lock: Option<ReconcileLock> = None;
    let mut last = (Plan::default(), 0);
    let mut stillness = None;
    let copies = Copies::default();
    let mut of_monitoring = Ok(());
    loop {
        if let Some(failure) = copies.failure().await {
            return Err(failure.into());
        }
        let looked = Instant::now();
        let observed = observe(site, Some(goal.packs)).await?;
        let plan = plan::plan(&goal.wanted(site), &observed);
        let pause = pause_after(looked.elapsed());
        let refused: Vec<Hold> = plan.refusals().cloned().collect();
        if !refused.is_empty() {
            return Err(ConvergeError::Refused(refused));
        }
        let (cluster, beside) = plan.apart_from_monitoring();
        // What stands beside the cluster comes when that has nothing left to do, and cannot keep it from getting there.
        let is_beside = cluster.steps().next().is_none() && !copies.are_running() && of_monitoring.is_ok();
        let plan = if is_beside { beside } else { cluster };
        let steps = plan.steps().count();
        if steps == 0 {
            let is_passing = plan.holds.iter().any(|hold| hold.reason.is_passing());
            // A copy of ours ends with us, however long it takes.
            if !copies.are_running() && (!is_passing || began.elapsed() > goal.patience) {
                return of_monitoring.map(|()| Outcome { observed, holds: plan.holds, taken }).map_err(Into::into);
            }
            tokio::time::sleep(pause).await;
            continue;
        }
        if is_beside {
            // An image may take minutes to come. Nobody else makes these, and the agent is not to be kept from its passes meanwhile.
            drop(lock.take());
        } else if lock.as_ref().is_none_or(ReconcileLock::is_lost) {
            lock = lock_primary(site, &observed).await?;
            if lock.is_some() {
                // What another reconciler did since we looked is not in our observation.
                continue;
            }
        }
        last = if last.0 == plan { (plan.clone(), last.1 + 1) } else { (plan.clone(), 0) };
        if last.1 > REPEATS {
            return Err(ConvergeError::Stuck(plan.steps().map(ToString::to_string).collect()));
        }
        taken += steps;
        let parts = goal.agent.map(|(parts, _)| parts.clone()).unwrap_or_default();
        let is_overtaken = AtomicBool::new(false);
        let noting = |event: Event<'_>| {
            if let Event::Overtaken(_) = event {
                is_overtaken.store(true, Ordering::Relaxed);
            }
            listener(event);
        };
        let ran = Executor::new(site, goal.packs, parts, &observed).with_copies(&copies).run(&plan, &noting).await;
        if is_beside {
            of_monitoring = ran;
        } else {
            ran?;
        }
        drop(stillness.take());
        if let (true, Some(target)) = (is_overtaken.into_inner(), primary_target(site, &observed)) {
            // To the end of the next pass. Without it that pass tries its luck.
            stillness = stillness::begin(&target).await.unwrap_or_else(|error| {
                tracing::warn!("{}", in_one_line(&error));
                None
            });
        }
    }
}

/// Executes one plan as it is, for verbs that do part of what `up` does, or take something away.
pub async fn execute_once(
    site: &Site,
    packs: &[Pack],
    observed: &Observed,
    plan: &Plan,
    listener: Listener<'_>,
) -> Result<(), ConvergeError> {
    let _lock = lock_primary(site, observed).await?;
    Ok(Executor::new(site, packs, AgentParts::default(), observed).run(plan, listener).await?)
}

/// Takes the lock on the primary when it can be reached; without it there is nothing to collide on.
async fn lock_primary(site: &Site, observed: &Observed) -> Result<Option<ReconcileLock>, ConvergeError> {
    let Some(target) = lock_target(site, observed) else { return Ok(None) };
    let began = Instant::now();
    loop {
        match lock::try_lock(&target).await {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) if began.elapsed() > LOCK_PATIENCE => return Err(ConvergeError::Busy),
            Ok(None) => {}
            Err(_) if began.elapsed() < CONNECT_AGAIN => {}
            Err(error) => {
                tracing::warn!(%error, "went on without the reconcile lock");
                return Ok(None);
            }
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Where the lock is taken: the primary, when it answers, else the first node that does, since whoever changes the primary holds
/// it on all of them. Without one that answers there is nothing to collide on.
pub fn lock_target(site: &Site, observed: &Observed) -> Option<Target> {
    let nodes = topology::nodes(&site.desired, observed);
    let answers = |node: &&DesiredNode| observed.nodes.get(&node.name).is_some_and(|seen| seen.server.is_present());
    let any =
        || nodes.iter().find(answers).and_then(|node| site.target(&node.name, node.port, &site.desired.database).ok());
    primary_target(site, observed).or_else(any)
}

/// The primary, when it answers.
pub fn primary_target(site: &Site, observed: &Observed) -> Option<Target> {
    let nodes = topology::nodes(&site.desired, observed);
    let primary = topology::primary(&nodes, observed).ok()?;
    let node = nodes.iter().find(|node| node.name == primary)?;
    observed.nodes.get(&primary).filter(|seen| seen.server.is_present())?;
    site.target(&primary, node.port, &site.desired.database).ok()
}

/// How long to wait after a look that took this long.
fn pause_after(look: Duration) -> Duration {
    if look > HEAVY { look.saturating_mul(PATIENT) } else { BREATH }
}
