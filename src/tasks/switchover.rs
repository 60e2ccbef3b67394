//! A planned change of the primary, to a replica: clients wait for as long as writes are refused, and nothing is lost.
//!
//! In: who gives up the place and who takes it. Out: a report, or an error after which the old primary takes writes again. It holds
//! the reconcile lock on both servers, so that nobody else acts upon what is only half true. Killed at any moment it leaves marks
//! behind from which the next pass goes on or back (`plan::succession`). What comes after it, the old primary as a replica, is an
//! ordinary plan. What is peculiar to logical replicas is in `logical`.

mod logical;

use std::time::{Duration, Instant};

use serde::Serialize;

use super::history;
use super::promotion::Promoted;
use crate::error::in_one_line;
use crate::execute::{Cause, endpoint, named};
use crate::model::cluster::Mode;
use crate::model::desired::Endpoint;
use crate::model::endpoint::{Access, Pooling};
use crate::model::names::{NodeName, TableName};
use crate::model::promotion::Occasion;
use crate::plan::failover::sequence::Promotion;
use crate::plan::failover::sequence::phase::Phase;
use crate::postgres::lock::{self, ReconcileLock};
use crate::postgres::pooler::PoolerError;
use crate::postgres::session::{PostgresError, Session, Target};
use crate::postgres::{base, catch_up, setup, succession};
use crate::site::{ReachError, Site};

/// How long another reconciler may keep a lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// Between two attempts to take it.
const LOCK_PAUSE: Duration = Duration::from_millis(40);

/// How long sessions may take to end.
const SESSIONS_PATIENCE: Duration = Duration::from_secs(5);

/// How long the endpoint waits for transactions that are under way; meanwhile others wait for it.
const TRANSACTIONS_PATIENCE: Duration = Duration::from_secs(5);

/// The same for sessions, which may last for ever and are ended then.
const SESSIONS_GRACE: Duration = Duration::from_millis(200);

/// How long clients wait for the rest of the log to arrive before it goes back.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// How long the standby may take to keep a subscriber's slot, while clients write: it looks for them every half minute or more often.
const SYNC_PATIENCE: Duration = Duration::from_secs(45);

/// How long a standby may take to replay what it has and begin to take writes.
const PROMOTE_PATIENCE: Duration = Duration::from_mins(1);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The primary before.
    pub from: NodeName,
    /// The primary now.
    pub to: NodeName,
    /// The epoch that began.
    pub epoch: u64,
    /// For how long no node took writes, in seconds.
    pub write_pause_seconds: f64,
    /// What was done, with the seconds it took.
    pub phases: Vec<(Phase, f64)>,
}

/// It did not come about.
#[derive(Debug, thiserror::Error)]
pub enum SwitchoverError {
    /// A node could not be reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// A server said no, or nothing.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// Somebody else is at it.
    #[error("another hypertide has been changing {node} for {} s", LOCK_PATIENCE.as_secs())]
    Busy {
        /// Where the lock is.
        node: NodeName,
    },
    /// Sessions did not end.
    #[error("sessions on {node} were still writing {} s after they were told to end", SESSIONS_PATIENCE.as_secs())]
    StillWriting {
        /// The primary.
        node: NodeName,
    },
    /// The rest of the log did not arrive.
    #[error("{node} had not received the rest of the log after {} s", DRAIN_PATIENCE.as_secs())]
    NotDrained {
        /// The standby.
        node: NodeName,
    },
    /// A subscriber could not go on.
    #[error("{node} did not keep the slot of {replica} within {} s", SYNC_PATIENCE.as_secs())]
    NotSynced {
        /// The standby.
        node: NodeName,
        /// Whose.
        replica: NodeName,
    },
    /// A chunk came in the last moment, or is still being copied.
    #[error("{node} lacks rows of {}", named(tables))]
    Incomplete {
        /// The logical replica.
        node: NodeName,
        /// What it lacks.
        tables: Vec<TableName>,
    },
    /// It was promoted, and does not take writes yet.
    #[error("{node} was promoted and took no writes within {} s", PROMOTE_PATIENCE.as_secs())]
    NotPromoted {
        /// The standby.
        node: NodeName,
    },
    /// The endpoint.
    #[error(transparent)]
    Endpoint(#[from] Cause),
    /// It failed, and so did going back.
    #[error("{because}; and {from} could not be let go on: {source}")]
    Stranded {
        /// What went wrong first.
        because: String,
        /// The old primary.
        from: NodeName,
        /// What went wrong then.
        source: Cause,
    },
}

impl SwitchoverError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Reach(ReachError::Postgres(error)) | Self::Postgres(error) => error.help(),
            Self::Endpoint(Cause::Reach(ReachError::Pooler(PoolerError::Busy { .. }))) => {
                Some("clients keep transactions open; the primary takes writes again: try again, or end them".into())
            }
            Self::Endpoint(_) => {
                Some("`hypertide logs endpoint-rw` shows what it says; `hypertide up` goes on from there".into())
            }
            Self::Reach(_) => Some("run `hypertide doctor`".into()),
            Self::Busy { .. } => Some("wait for it, then try again".into()),
            Self::StillWriting { node } => {
                Some(format!("`hypertide psql {node}` and pg_stat_activity tell who they are; nothing was changed"))
            }
            Self::Incomplete { .. } => {
                Some("the primary takes writes again, and a running agent mirrors what is new: try again".into())
            }
            Self::NotSynced { node, .. } => Some(format!(
                "nothing was changed; `hypertide logs {node}` tells why, and pg_replication_slots there which slots it keeps: try again"
            )),
            Self::NotDrained { node } => {
                Some(format!("`hypertide logs {node}` tells why; the primary takes writes again"))
            }
            Self::NotPromoted { node } => {
                Some(format!("`hypertide logs {node}` tells how far it is; `hypertide up` goes on from there"))
            }
            Self::Stranded { .. } => Some("`hypertide up` goes on from there, as a running agent does".into()),
        }
    }

    /// Trying again later may be all that is needed.
    pub const fn is_worth_a_retry(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::Endpoint(_)
                | Self::NotDrained { .. }
                | Self::NotSynced { .. }
                | Self::Incomplete { .. }
                | Self::NotPromoted { .. }
                | Self::Stranded { .. }
        )
    }
}

/// Both sides.
#[derive(Clone, Debug)]
pub struct Sides {
    /// The primary.
    pub from: Target,
    /// The replica that takes its place.
    pub to: Target,
    /// Those that follow the primary as standbys, and are to follow the next.
    pub followers: Vec<NodeName>,
    /// Those that subscribe to it.
    pub subscribers: Vec<NodeName>,
}

/// What a change works with, once nobody else can.
struct Hands<'a> {
    site: &'a Site,
    promotion: &'a Promotion,
    sides: &'a Sides,
    primary: Session,
    replica: Session,
}

/// Carries it out. Nothing is left to decide: whether it may be was asked before.
///
/// # Guarantees
/// - Nobody takes writes beside the primary at any moment.
/// - What the old primary has acknowledged is on the new one.
/// - On an error before the promotion the old primary takes writes again.
pub async fn run(site: &Site, promotion: &Promotion, sides: &Sides) -> Result<Report, SwitchoverError> {
    let _locks = (take_lock(&sides.from).await?, take_lock(&sides.to).await?);
    let (primary, replica) = (Session::connect(&sides.from).await?, Session::connect(&sides.to).await?);
    let hands = Hands { site, promotion, sides, primary, replica };
    let mut watch = Stopwatch::start();

    watch.time(Phase::Checkpoint, base::checkpoint(&hands.primary)).await?;
    match promotion.mode {
        Mode::Physical => {
            for follower in &sides.followers {
                // From before the promotion, so that nothing they need is removed.
                setup::create_physical_slot(&hands.replica, &follower.slot()).await?;
            }
            for subscriber in &sides.subscribers {
                if !succession::wait_until_synced(&hands.replica, &subscriber.slot(), SYNC_PATIENCE).await? {
                    return Err(SwitchoverError::NotSynced { node: promotion.to.clone(), replica: subscriber.clone() });
                }
            }
        }
        Mode::Logical => watch.time(Phase::Publish, logical::prepare(&hands)).await?,
    }
    succession::mark(&hands.primary, &promotion.to).await?;
    let handed_over = hand_over(&hands, &mut watch).await;
    if let Err(error) = handed_over {
        return Err(match go_back(&hands).await {
            Ok(()) => error,
            Err(source) => {
                SwitchoverError::Stranded { because: in_one_line(&error), from: promotion.from.clone(), source }
            }
        });
    }
    if promotion.mode == Mode::Physical {
        take_over(&hands.replica, promotion, &mut watch).await?;
    }
    if has_endpoint(site) {
        let to = [promotion.to.clone()].into();
        watch.time(Phase::RepointEndpoint, endpoint::follow(site, Access::ReadWrite, &to)).await?;
        watch.time(Phase::ResumeEndpoint, endpoint::resume(site, Access::ReadWrite)).await?;
    }
    let report = watch.report(promotion);
    history::write_down(&hands.replica, promotion, &Occasion::asked_for(), &Promoted::lossless(report.clone())).await;
    site.forget_session(&promotion.from);
    site.forget_session(&promotion.to);
    Ok(report)
}

/// Until the replica has everything and nobody can add to it. A logical one is the primary then: that is one transaction, so there is a
/// way back until its end. A standby is not promoted yet.
async fn hand_over(hands: &Hands<'_>, watch: &mut Stopwatch) -> Result<(), SwitchoverError> {
    if has_endpoint(hands.site) {
        // It is read later, while clients wait; reading takes less than writing.
        endpoint::configure(hands.site, Access::ReadWrite, &[hands.promotion.to.clone()].into()).await?;
    }
    watch.writes_end();
    drain(hands, watch).await?;
    match hands.promotion.mode {
        Mode::Physical => Ok(()),
        Mode::Logical => logical::take_over(hands, watch).await,
    }
}

fn has_endpoint(site: &Site) -> bool {
    site.desired.endpoint != Endpoint::Direct
}

/// Lets the old primary go on: writes first, then clients, then the mark, by which others would see that this is to be done.
async fn go_back(hands: &Hands<'_>) -> Result<(), Cause> {
    if hands.promotion.mode == Mode::Logical {
        logical::go_back(hands).await?;
    }
    succession::allow_writes(&hands.primary).await?;
    endpoint::release(hands.site, &hands.promotion.from).await?;
    Ok(succession::unmark(&hands.primary).await?)
}

/// Has clients wait. Where they keep their sessions, those that are there are not waited for: they are ended.
async fn hold_clients(site: &Site) -> Result<(), SwitchoverError> {
    let Endpoint::Ports { pooling, .. } = site.desired.endpoint else { return Ok(()) };
    let patience = match pooling {
        Pooling::Transaction => TRANSACTIONS_PATIENCE,
        Pooling::Session => SESSIONS_GRACE,
    };
    match endpoint::pause(site, Access::ReadWrite, patience).await {
        Err(Cause::Reach(ReachError::Pooler(PoolerError::Busy { .. }))) if pooling == Pooling::Session => Ok(()),
        paused => Ok(paused?),
    }
}

/// Has clients wait, refuses writes, and waits until the replica has what was written before.
async fn drain(hands: &Hands<'_>, watch: &mut Stopwatch) -> Result<(), SwitchoverError> {
    let Hands { site, promotion, primary, replica, .. } = hands;
    if has_endpoint(site) {
        watch.time(Phase::PauseEndpoint, hold_clients(site)).await?;
    }
    let fencing = succession::refuse_writes(primary, SESSIONS_PATIENCE);
    if !watch.time(Phase::FenceWrites, fencing).await? {
        return Err(SwitchoverError::StillWriting { node: promotion.from.clone() });
    }
    let draining = async {
        let end = catch_up::mark(primary).await?;
        match promotion.mode {
            Mode::Physical => succession::wait_until_received(replica, end, DRAIN_PATIENCE).await,
            Mode::Logical => catch_up::wait_until_applied(replica, &promotion.to.slot(), end, DRAIN_PATIENCE).await,
        }
    };
    if watch.time(Phase::Drain, draining).await? {
        Ok(())
    } else {
        Err(SwitchoverError::NotDrained { node: promotion.to.clone() })
    }
}

/// Promotes the standby and writes the new epoch down. From here on there is no way back: nobody can tell a standby to forget that
/// it was promoted.
pub(super) async fn take_over(
    standby: &Session,
    promotion: &Promotion,
    watch: &mut Stopwatch,
) -> Result<(), SwitchoverError> {
    if !watch.time(Phase::Promote, succession::promote(standby, PROMOTE_PATIENCE)).await? {
        return Err(SwitchoverError::NotPromoted { node: promotion.to.clone() });
    }
    Ok(watch.time(Phase::RaiseEpoch, succession::raise_epoch(standby, &promotion.to, promotion.epoch)).await?)
}

/// Takes the reconcile lock on a server, when nobody else gives it back in time.
pub(super) async fn take_lock(target: &Target) -> Result<ReconcileLock, SwitchoverError> {
    let began = Instant::now();
    loop {
        if let Some(lock) = lock::try_lock(target).await? {
            return Ok(lock);
        }
        if began.elapsed() > LOCK_PATIENCE {
            return Err(SwitchoverError::Busy { node: target.node.clone() });
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

/// Writes down how long each phase takes.
#[derive(Debug)]
pub(super) struct Stopwatch {
    writes_ended: Instant,
    taken: Vec<(Phase, f64)>,
}

impl Stopwatch {
    /// Nobody takes writes from here on, as far as is known.
    pub(super) fn start() -> Self {
        Self { writes_ended: Instant::now(), taken: Vec::new() }
    }

    /// They were taken until now.
    fn writes_end(&mut self) {
        self.writes_ended = Instant::now();
    }

    /// What was done, and for how long no node took writes.
    pub(super) fn report(self, promotion: &Promotion) -> Report {
        Report {
            from: promotion.from.clone(),
            to: promotion.to.clone(),
            epoch: promotion.epoch,
            write_pause_seconds: self.writes_ended.elapsed().as_secs_f64(),
            phases: self.taken,
        }
    }

    pub(super) async fn time<T, E>(&mut self, phase: Phase, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let done = work.await?;
        self.taken.push((phase, began.elapsed().as_secs_f64()));
        tracing::info!(phase = phase.label(), "done");
        Ok(done)
    }
}
