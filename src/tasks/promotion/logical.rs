//! What is peculiar to an unplanned change to a logical replica: it cannot be fed log. So the old primary, killed and marked, is started
//! once more: with the mark it takes no writes, and PostgreSQL decodes on a standby what its subscriber still lacks.

use std::time::{Duration, Instant};

use super::PromotionError;
use crate::model::lsn::Lsn;
use crate::plan::failover::sequence::Promotion;
use crate::plan::failover::sequence::phase::Phase;
use crate::plan::readiness::Ineligible;
use crate::plan::sequences::Occasion;
use crate::postgres::session::{Session, Target};
use crate::postgres::{catch_up, handover, setup, succession};
use crate::site::Site;
use crate::tasks::sequences;
use crate::tasks::switchover::{Stopwatch, SwitchoverError};

/// How long the old primary may take to start and to recover what it had written.
const WAKE_PATIENCE: Duration = Duration::from_secs(30);

/// How long the replica may take to apply the rest: its worker looks for the publisher every few seconds.
const APPLY_PATIENCE: Duration = Duration::from_mins(1);

/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts the old primary, marked, until the replica has applied its log to this end. `None`: it did not come about, and nothing more can
/// be had from it; it is stopped again then.
pub(super) async fn drain(
    site: &Site,
    from: &Target,
    replica: &Session,
    end: Lsn,
) -> Result<Option<Session>, PromotionError> {
    let container = site.desired.cluster.container(&from.node);
    let drained = async {
        site.engine.start_container(&container).await?;
        let primary = reach(site, from, &container).await?;
        let primary = match primary {
            Some(primary) if succession::is_in_recovery(&primary).await? => primary,
            _ => return Ok(None),
        };
        let has_all = catch_up::wait_until_replayed(&primary, end, WAKE_PATIENCE).await?
            && catch_up::wait_until_applied(replica, &replica.node.slot(), end, APPLY_PATIENCE).await?;
        Ok::<_, PromotionError>(has_all.then_some(primary))
    };
    let drained = drained.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the old primary does not tell what the replica lacks");
        None
    });
    if drained.is_none() {
        site.engine.kill_container(&container).await?;
    }
    Ok(drained)
}

async fn reach(site: &Site, from: &Target, container: &str) -> Result<Option<Session>, PromotionError> {
    let began = Instant::now();
    while began.elapsed() < WAKE_PATIENCE {
        if let Ok(session) = Session::connect(from).await {
            return Ok(Some(session));
        }
        if !site.engine.is_running(container).await? {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
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
