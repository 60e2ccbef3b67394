//! An unplanned change of the primary, to a replica: the old one is kept from writing before the new one may.
//!
//! In: who is to take the place, and what may be lost. Out: a report, or why not. The end of the log is read from the old primary's
//! volume, so what would be lost is known, and what the replica lacks it gets first: a standby is fed it (`tail`), a logical replica has it
//! from the old primary itself (`logical`). The reconcile lock is held on every server that answers, so that nobody starts the old primary
//! meanwhile.

mod logical;
mod stead;
mod tail;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::history;
use super::switchover::{Report, Stopwatch, SwitchoverError, take_lock, take_over};
use crate::docker::engine::DockerError;
use crate::docker::files::File;
use crate::docker::keeper::KeeperError;
use crate::docker::{image, spec};
use crate::error::in_one_line;
use crate::execute::endpoint;
use crate::model::cluster::Mode;
use crate::model::desired::{DesiredNode, Endpoint};
use crate::model::health::SynchronousState;
use crate::model::names::NodeName;
use crate::model::observed::{Observed, RunState};
use crate::model::promotion::Occasion;
use crate::model::seen::Seen;
use crate::observe::{ObserveError, observe};
use crate::plan::failover::loss::{Accepted, Loss};
use crate::plan::failover::request::{self, Choice, Refusal};
use crate::plan::failover::sequence::phase::Phase;
use crate::plan::failover::sequence::{Kind, Promotion};
use crate::plan::failover::{Policy, seen};
use crate::plan::readiness::Ineligible;
use crate::plan::topology;
use crate::postgres::session::{PostgresError, Session, Target};
use crate::postgres::{handover, setup, succession};
use crate::site::{ReachError, Site};

/// How long the standby may take to replay what it is fed.
const FEED_PATIENCE: Duration = Duration::from_mins(2);

/// How long the engine may list a container as running that has ended, and between two looks.
const REST_PATIENCE: Duration = Duration::from_secs(5);
const REST_PAUSE: Duration = Duration::from_millis(50);

/// The word for no loss where nobody had to look for one.
const NOTHING: &str = "nothing";

/// It did not come about.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// It must not be.
    #[error("no promotion: {}", .0.vetoes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Refusal),
    /// The cluster could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The container that reads the old primary's volume.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// A node could not be reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// A server said no, or nothing.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A lock, or the promotion itself.
    #[error(transparent)]
    Switchover(#[from] SwitchoverError),
    /// The old primary could not be kept from writing.
    #[error("{node} could not be marked, so it might write when it is started: {because}")]
    NotFenced {
        /// The old primary.
        node: NodeName,
        /// Why.
        because: String,
    },
    /// What it was fed did not arrive.
    #[error("{node} had not replayed the rest of the old primary's log after {} s", FEED_PATIENCE.as_secs())]
    NotFed {
        /// The standby.
        node: NodeName,
    },
}

impl PromotionError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(match refusal.accepted_by() {
                Some(Accepted::Bytes(bytes)) => format!(
                    "`--accept-data-loss {bytes}` does it nevertheless; bringing the old primary back loses nothing"
                ),
                Some(Accepted::Any) => {
                    "`--accept-data-loss all` does it nevertheless; bringing the old primary back loses nothing".into()
                }
                None => "`hypertide status` shows every node".into(),
            }),
            Self::Docker(error) => error.help(),
            Self::Keeper(error) => error.help(),
            Self::Postgres(error) | Self::Reach(ReachError::Postgres(error)) => error.help(),
            Self::Switchover(error) => error.help(),
            Self::Observe(_) | Self::Reach(_) => Some("run `hypertide doctor`".into()),
            Self::NotFenced { .. } => Some("nothing was promoted; `hypertide up` starts it again".into()),
            Self::NotFed { node } => Some(format!("nothing was promoted; `hypertide logs {node}` tells why")),
        }
    }
}

/// What was lost, with the rest of the report.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Promoted {
    /// What was done.
    #[serde(flatten)]
    pub report: Report,
    /// What was lost, in a stable word.
    pub loss: &'static str,
    /// Bytes of log that were lost; `None`: not known.
    pub lost_bytes: Option<u64>,
    /// Transactions that were lost; `None`: not known.
    pub lost_transactions: Option<u64>,
}

impl Promoted {
    /// Nothing was lost.
    pub(super) const fn lossless(report: Report) -> Self {
        Self { report, loss: NOTHING, lost_bytes: Some(0), lost_transactions: Some(0) }
    }
}

/// Whether it may be, as far as can be told before the old primary is at rest: all but what would be lost.
pub fn may_be(site: &Site, observed: &Observed, to: &NodeName) -> Result<Choice, Refusal> {
    let situation = seen::situation(&site.desired, observed);
    let choice = request::promotion(&Policy::new(&site.desired, false), &situation, to, Some(Accepted::Any))?;
    match choice.mode {
        // The others are held by name until somebody has them copied afresh.
        Mode::Physical => Ok(choice),
        Mode::Logical => {
            request::leaving_nothing_behind(choice, &site.desired, &topology::nodes(&site.desired, observed))
        }
    }
}

/// Carries out what [`may_be`]. `known`: how commits waited for each replica when the old primary said so last; empty: nobody watched. What others did since that look is seen in another one, under the locks.
///
/// # Guarantees
/// - The old primary has no process, or one that began with the mark in its data by which no start takes writes, before the replica
///   may.
/// - Nothing is lost that was not accepted: `accepted`, or what the configuration says.
pub async fn run(
    site: &Site,
    observed: &Observed,
    Choice { from, to, mode, .. }: &Choice,
    accepted: Option<Accepted>,
    occasion: &Occasion,
    known: &BTreeMap<NodeName, Seen<SynchronousState>>,
) -> Result<Promoted, PromotionError> {
    let nodes = topology::nodes(&site.desired, observed);
    let mut locks = Vec::new();
    for node in nodes.iter().filter(|node| answers(observed, &node.name) && node.name != *from) {
        locks.push(take_lock(&target(site, node)?).await?);
    }
    may_be(site, &observe(site, None).await?, to).map_err(PromotionError::Refused)?;
    let mut watch = Stopwatch::start();
    let container = site.desired.cluster.container(from);
    watch.time(Phase::Fence, site.engine.kill_container(&container)).await?;

    // Now that it rests, what it wrote can be read.
    let observed = at_rest(site, from).await?;
    let mut situation = seen::situation(&site.desired, &observed);
    for (name, member) in &mut situation.members {
        if let (Seen::Unknown { .. }, Some(state)) = (&member.health.synchronous, known.get(name)) {
            member.health.synchronous = state.clone();
        }
    }
    let replica = Session::connect(&target(site, find(&nodes, to))?).await?;
    let mut position = match mode {
        Mode::Physical => succession::received(&replica).await?,
        Mode::Logical => handover::applied_at_least(&replica, &to.slot()).await?,
    };
    let tail = tail::read(site, &observed, from, to, position).await?;
    if let Seen::Unknown { because } = &tail {
        tracing::warn!("the end of the log of {from} could not be read from its volume: {because}");
    }
    // A logical one has to be asked whether it is complete, which takes an old primary that answers and cannot write.
    let mut woken = None;
    if *mode == Mode::Logical {
        let node = find(&nodes, from);
        let drained = match &tail {
            Seen::Present(tail) => {
                mark(site, &observed, from, to).await?;
                let has_container = observed.nodes.get(from).is_some_and(|seen| seen.container.is_present());
                let asleep = logical::Asleep { node, target: &target(site, node)?, has_container };
                let draining = Box::pin(logical::drain(site, &observed, asleep, &replica, tail.end));
                watch.time(Phase::Drain, draining).await
            }
            Seen::Absent => Err("its volume is gone".to_owned()),
            Seen::Unknown { because } => Err(because.clone()),
        };
        let objections = match drained {
            Ok(primary) => {
                position = tail.present().map_or(position, |tail| tail.end);
                let objections = logical::objections(site, &primary.session, &replica, &mut watch).await?;
                woken = Some(primary);
                objections
            }
            Err(because) => vec![Ineligible::Unproven(because)],
        };
        if let Some(member) = situation.members.get_mut(to) {
            member.objections = Seen::Present(objections);
        }
    }
    if let Some(member) = situation.members.get_mut(to) {
        member.health.replayed = Seen::Present(position);
    }
    if let Some(member) = situation.members.get_mut(from) {
        member.health.tail = tail;
    }
    let policy = Policy::new(&site.desired, false);
    let choice = match request::promotion(&policy, &situation, to, accepted) {
        Ok(choice) => choice,
        Err(refusal) => {
            if let Some(primary) = woken {
                primary.let_go().await;
            }
            return Err(PromotionError::Refused(refusal));
        }
    };
    let epoch = situation.members.get(from).and_then(|member| member.health.epoch.present().copied());
    let (loss, salvage) = (choice.loss.clone(), choice.salvage.clone());
    let promotion = Promotion::new(Kind::Failover, choice, epoch.unwrap_or_default());

    if woken.is_none() {
        watch.time(Phase::Fence, mark(site, &observed, from, to)).await?;
    }
    if let Some(salvage) = &salvage {
        let feeding = Box::pin(tail::feed(site, &observed, salvage, to, &replica));
        if !watch.time(Phase::SalvageTail, feeding).await? {
            return Err(PromotionError::NotFed { node: to.clone() });
        }
    }
    match mode {
        Mode::Physical => {
            for follower in topology::standbys(&nodes, from).filter(|name| *name != to).chain([from]) {
                setup::create_physical_slot(&replica, &follower.slot()).await?;
            }
            take_over(&replica, &promotion, &mut watch).await?;
        }
        Mode::Logical => {
            let primary = woken.as_ref().map(|primary| &primary.session);
            logical::take_over(site, &promotion, primary, &replica, &mut watch).await?;
        }
    }
    if site.desired.endpoint != Endpoint::Direct {
        // Who writes is settled; the next pass leads it there.
        if let Err(error) = watch.time(Phase::RepointEndpoint, endpoint::release(site, to)).await {
            tracing::warn!("the endpoint does not lead to {to} yet: {}", in_one_line(&error));
        }
    }
    let report = watch.report(&promotion);
    if let Some(primary) = woken {
        primary.let_go().await;
    }
    let lost_transactions = match &loss {
        Some(Loss::Nothing(_)) => Some(0),
        Some(Loss::Exactly { transactions, .. }) => *transactions,
        _ => None,
    };
    let promoted = Promoted {
        report,
        loss: loss.as_ref().map_or(NOTHING, Loss::label),
        lost_bytes: loss.as_ref().and_then(Loss::bytes),
        lost_transactions,
    };
    history::write_down(&replica, &promotion, occasion, &promoted).await;
    site.forget_session(from);
    site.forget_session(to);
    Ok(promoted)
}

/// A look that shows the old primary as it is. The engine's list is a moment behind: it may still show what was just ended as running.
async fn at_rest(site: &Site, node: &NodeName) -> Result<Observed, ObserveError> {
    let began = Instant::now();
    loop {
        let observed = observe(site, None).await?;
        let state = observed.nodes.get(node).and_then(|seen| seen.container.present()).map(|container| container.state);
        let rests = state.is_none_or(|state| matches!(state, RunState::Created | RunState::Exited));
        if rests || began.elapsed() > REST_PATIENCE {
            return Ok(observed);
        }
        tokio::time::sleep(REST_PAUSE).await;
    }
}

fn answers(observed: &Observed, node: &NodeName) -> bool {
    observed.nodes.get(node).is_some_and(|seen| seen.server.is_present())
}

fn find<'a>(nodes: &'a [DesiredNode], name: &NodeName) -> &'a DesiredNode {
    nodes.iter().find(|node| node.name == *name).expect("a request names nodes of the cluster")
}

fn target(site: &Site, node: &DesiredNode) -> Result<Target, ReachError> {
    site.target(&node.name, node.port, &site.desired.database)
}

/// The image that a node's container is made from: the old primary's own may be what is broken.
fn image_of(observed: &Observed, node: &NodeName) -> Option<String> {
    observed.nodes.get(node)?.container.present().map(|container| container.image_id.clone())
}

/// Marks the data of a node at rest, and looks whether the mark is there. Where nothing is left there is nothing to mark.
async fn mark(site: &Site, observed: &Observed, node: &NodeName, to: &NodeName) -> Result<(), PromotionError> {
    let seen = observed.nodes.get(node);
    if seen.is_none_or(|seen| seen.volume.is_absent()) {
        return Ok(());
    }
    let not_fenced = |because: String| PromotionError::NotFenced { node: node.clone(), because };
    let engine = &site.engine;
    let own = site.desired.cluster.container(node);
    let helper = format!("{own}.fence");
    let container = if seen.is_some_and(|seen| seen.container.is_present()) {
        own
    } else {
        // Its volume is reached through a container that is never started, of the image that the replica runs.
        let image = image_of(observed, to).ok_or_else(|| not_fenced("its image is not known".into()))?;
        engine.discard_container(&helper).await?;
        engine.create_container(&helper, spec::helper(&site.desired.cluster, node, &image, "true")).await?;
        helper.clone()
    };
    let marking = async {
        let owner =
            image::postgres_uid(engine.client(), &container).await.map_err(|error| not_fenced(error.to_string()))?;
        let text = format!("{to}\n");
        let file = File { path: spec::STANDBY_SIGNAL, bytes: text.as_bytes(), mode: 0o600, owner };
        engine.put_files(&container, &[file]).await?;
        match engine.read_file(&container, spec::STANDBY_SIGNAL).await? {
            Some(bytes) if bytes == text.as_bytes() => Ok(()),
            _ => Err(not_fenced("the mark is not there".into())),
        }
    };
    let marked = marking.await;
    if container == helper {
        engine.discard_container(&helper).await?;
    }
    marked
}
