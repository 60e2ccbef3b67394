//! What is peculiar to an unplanned change to a logical replica: it cannot be fed log. So the old primary, killed and marked, is started
//! once more: with the mark it takes no writes, and PostgreSQL decodes on a standby what its subscriber still lacks. Where its own
//! container does not come up, another server does that on its volume (`stead`).

use std::time::{Duration, Instant};

use super::PromotionError;
use super::stead::Stead;
use crate::error::in_one_line;
use crate::model::desired::DesiredNode;
use crate::model::lsn::Lsn;
use crate::model::observed::Observed;
use crate::plan::failover::sequence::Promotion;
use crate::plan::failover::sequence::phase::Phase;
use crate::plan::readiness::Ineligible;
use crate::plan::sequences::Occasion;
use crate::postgres::session::{PostgresError, Session, Target};
use crate::postgres::{catch_up, handover, setup, succession};
use crate::site::Site;
use crate::tasks::sequences;
use crate::tasks::switchover::{Stopwatch, SwitchoverError};

/// How long the old primary may take to start and to recover what it had written.
pub(super) const WAKE_PATIENCE: Duration = Duration::from_secs(30);

/// How long the replica may take to apply the rest: its worker looks for the publisher every few seconds.
const APPLY_PATIENCE: Duration = Duration::from_mins(1);

/// Between two attempts to reach it.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// An old primary that tells what it has and takes no writes.
#[derive(Debug)]
pub(super) struct Woken {
    /// To it.
    pub(super) session: Session,
    /// The server that runs on its volume in its stead.
    stead: Option<Stead>,
}

impl Woken {
    /// Ends what runs in its stead; the old primary itself goes on as a replica.
    pub(super) async fn let_go(self) {
        if let Some(stead) = self.stead {
            drop(self.session);
            stead.end().await;
        }
    }
}

/// The old primary, killed and marked, and how it is reached.
#[derive(Clone, Copy)]
pub(super) struct Asleep<'a> {
    pub(super) node: &'a DesiredNode,
    pub(super) target: &'a Target,
    /// Its own container is there.
    pub(super) has_container: bool,
}

/// Has the old primary start, by itself or in another container, until the replica has applied its log to this end.
///
/// # Errors
/// Why nothing more can be had from it, for people. Nothing runs on its volume then.
pub(super) async fn drain(
    site: &Site,
    observed: &Observed,
    from: Asleep<'_>,
    replica: &Session,
    end: Lsn,
) -> Result<Woken, String> {
    let container = site.desired.cluster.container(&from.node.name);
    let own = if from.has_container {
        wake(site, from.target, &container).await
    } else {
        Err("its container is gone".to_owned())
    };
    let woken = match own {
        Ok(session) => Woken { session, stead: None },
        Err(because) => {
            tracing::warn!(
                "{} does not come up, so its volume is asked through another server: {because}",
                from.node.name
            );
            // It may be about to come up after all, and holds its port.
            site.engine.kill_container(&container).await.map_err(|error| in_one_line(&error))?;
            let stead = Stead::start(site, observed, from.node, &replica.node).await?;
            match stead.session(from.target).await {
                Ok(session) => Woken { session, stead: Some(stead) },
                Err(because) => {
                    stead.end().await;
                    return Err(because);
                }
            }
        }
    };
    let drained = applies_all(&woken.session, replica, end).await.unwrap_or_else(|error| Some(in_one_line(&error)));
    let Some(because) = drained else { return Ok(woken) };
    woken.let_go().await;
    site.engine.kill_container(&container).await.map_err(|error| in_one_line(&error))?;
    Err(because)
}

/// Starts its own container and waits until it answers. It ends again when it does not.
async fn wake(site: &Site, from: &Target, container: &str) -> Result<Session, String> {
    site.engine.start_container(container).await.map_err(|error| in_one_line(&error))?;
    let began = Instant::now();
    while began.elapsed() < WAKE_PATIENCE {
        if let Ok(session) = Session::connect(from).await {
            return Ok(session);
        }
        if !site.engine.is_running(container).await.map_err(|error| in_one_line(&error))? {
            return Err("its container ends when it is started".to_owned());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("it did not answer within {} s", WAKE_PATIENCE.as_secs()))
}

/// Waits until the replica has everything. Gives why it has not.
async fn applies_all(primary: &Session, replica: &Session, end: Lsn) -> Result<Option<String>, PostgresError> {
    if !succession::is_in_recovery(primary).await? {
        return Ok(Some("it takes writes in spite of its mark".into()));
    }
    if !catch_up::wait_until_replayed(primary, end, WAKE_PATIENCE).await? {
        return Ok(Some(format!("it did not recover its log within {} s", WAKE_PATIENCE.as_secs())));
    }
    let has_all = catch_up::wait_until_applied(replica, &replica.node.slot(), end, APPLY_PATIENCE).await?;
    Ok((!has_all).then(|| format!("{} did not apply the rest within {} s", replica.node, APPLY_PATIENCE.as_secs())))
}

/// What speaks against the replica, now that the old primary tells what it has.
pub(super) async fn objections(
    site: &Site,
    primary: &Session,
    replica: &Session,
    watch: &mut Stopwatch,
) -> Result<Vec<Ineligible>, PromotionError> {
    let (publication, subscription) = (&site.desired.publication.name, replica.node.slot());
    watch.time(Phase::Publish, handover::prepare(replica, primary, publication)).await?;
    let looking = handover::lacking(replica, primary, &subscription, publication);
    let lacking = watch.time(Phase::AwaitMirror, looking).await?.len();
    Ok(if lacking == 0 { Vec::new() } else { vec![Ineligible::NotCopied(lacking)] })
}

/// Makes it the primary. What the old one still tells is taken over, and it goes on from there when it comes back.
pub(super) async fn take_over(
    site: &Site,
    promotion: &Promotion,
    primary: Option<&Session>,
    replica: &Session,
    watch: &mut Stopwatch,
) -> Result<(), PromotionError> {
    let (publication, slot) = (&site.desired.publication.name, promotion.from.slot());
    if let Some(primary) = primary {
        let setting = sequences::set_by(primary, replica, publication, Occasion::Final);
        watch.time(Phase::AdvanceSequences, setting).await?;
        watch.time(Phase::KeepChanges, handover::keep_changes(replica, &slot)).await?;
    } else {
        // Whatever was kept for it once, its rows are not those of this replica.
        setup::drop_slot(replica, &slot).await?;
        handover::grant(replica, true).await?;
    }
    let (to, subscription) = (&promotion.to, promotion.to.slot());
    let taking = handover::take_over(replica, to, promotion.epoch, &subscription, &site.desired.database);
    Ok(watch.time(Phase::Promote, taking).await.map_err(SwitchoverError::from)?)
}
