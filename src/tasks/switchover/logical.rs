//! What is peculiar to a planned change to a logical replica: it publishes before it may write, keeps every change from its first one for
//! the old primary, and becomes the primary in one transaction.

use super::{Hands, Stopwatch, SwitchoverError};
use crate::execute::Cause;
use crate::plan::failover::sequence::phase::Phase;
use crate::plan::sequences::Occasion;
use crate::postgres::handover;
use crate::postgres::session::Session;
use crate::tasks::sequences;

/// What can be done while clients still write.
pub(super) async fn prepare(hands: &Hands<'_>) -> Result<(), SwitchoverError> {
    let publication = &hands.site.desired.publication.name;
    handover::prepare(&hands.replica, &hands.primary, publication).await?;
    // So that little is left to set when they wait.
    Ok(sequences::set_by(&hands.primary, &hands.replica, publication, Occasion::Periodic).await.map(|_| ())?)
}

/// The replica has applied what was written, and nobody writes. On an error it is still a replica.
pub(super) async fn take_over(hands: &Hands<'_>, watch: &mut Stopwatch) -> Result<(), SwitchoverError> {
    let Hands { site, promotion, primary, replica, .. } = hands;
    let (publication, database) = (&site.desired.publication.name, &site.desired.database);
    let subscription = promotion.to.slot();
    let looking = handover::lacking(replica, primary, &subscription, publication);
    let tables = watch.time(Phase::AwaitMirror, looking).await?;
    if !tables.is_empty() {
        return Err(SwitchoverError::Incomplete { node: promotion.to.clone(), tables });
    }
    let setting = sequences::set_by(primary, replica, publication, Occasion::Final);
    watch.time(Phase::AdvanceSequences, setting).await?;
    watch.time(Phase::KeepChanges, handover::keep_changes(replica, &promotion.from.slot())).await?;
    let taking = handover::take_over(replica, &promotion.to, promotion.epoch, &subscription, database);
    match watch.time(Phase::Promote, taking).await {
        // The answer may have been lost and not the transaction.
        Err(error) if !is_the_primary(hands).await? => Err(error.into()),
        _ => Ok(()),
    }
}

async fn is_the_primary(hands: &Hands<'_>) -> Result<bool, SwitchoverError> {
    Ok(handover::has_taken_over(&Session::connect(&hands.sides.to).await?).await?)
}

/// The replica is one as before. Where that is not certain the old primary must not go on: the next pass looks what became of it.
pub(super) async fn go_back(hands: &Hands<'_>) -> Result<(), Cause> {
    let replica = Session::connect(&hands.sides.to).await?;
    if handover::has_taken_over(&replica).await? {
        return Err(Cause::Unplanned(format!("{} has taken the place", hands.promotion.to)));
    }
    Ok(handover::forget(&replica, &hands.promotion.from.slot()).await?)
}
