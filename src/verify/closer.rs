//! A closer look at one table: both sides stand still at one position of the log, and are read, or made equal, as of
//! then.
//!
//! Writers of that one table wait while the replica applies what they have committed, for milliseconds when it keeps
//! up. Then both sides have a snapshot, and everybody goes on.

use std::time::Duration;

use super::{CATCH_UP, Outcome, Rows, Run, VerifyError};
use crate::error::in_one_line;
use crate::model::lsn::Lsn;
use crate::plan::verify::{self as plan, Busy, Fingerprint, Problem, Published, Verdict};
use crate::postgres::catch_up;
use crate::postgres::compare::fence::{self, Locking};
use crate::postgres::compare::repair::{Repair, repair};
use crate::postgres::compare::{self, Side};
use crate::postgres::session::PostgresError;

/// How long writers may be held off while the replica applies the last of it.
const HOLD: Duration = Duration::from_secs(2);

/// How often the lock is asked for, and how long its other holder is left alone in between.
const LOCK_ATTEMPTS: usize = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(300);

/// What the transaction on the replica is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Reading.
    Look,
    /// Changing.
    Repair,
}

/// Both sides at one position.
enum Still {
    /// Both sessions are in a transaction that sees the table as of this position.
    At(Lsn),
    /// They are not, and the table gets this verdict; none when the primary has dropped it.
    Not(Option<Verdict>),
}

impl Run<'_> {
    /// Compares one table with both sides standing still, and repairs it when that was ordered. `None`: it is gone.
    pub(super) async fn closer(&self, table: &Published) -> Result<Option<Outcome>, VerifyError> {
        let result = self.closer_inner(table).await;
        if result.is_err() {
            // Nobody waits for us any longer than needed; where the session is gone, so is its transaction.
            for session in [&self.keeper, &self.theirs, &self.ours] {
                let _ = fence::rollback(session).await;
            }
        }
        Ok(result?)
    }

    async fn closer_inner(&self, table: &Published) -> Result<Option<Outcome>, PostgresError> {
        let lsn = match self.stand_still(table, Purpose::Look).await? {
            Still::At(lsn) => lsn,
            Still::Not(verdict) => return Ok(verdict.map(|verdict| Outcome::of(verdict, self.lsn))),
        };
        let names = std::iter::once(&table.name);
        let state = compare::subscribed(&self.ours, &self.subscription, names).await?.pop().and_then(|ours| ours.state);
        let (theirs, ours) = self.read(table).await?;
        fence::rollback(&self.theirs).await?;
        fence::rollback(&self.ours).await?;
        let verdict = match plan::judge(&theirs, &ours) {
            None => return Ok(None),
            // Somebody let it be copied afresh meanwhile.
            Some(Verdict::Differs) if state != Some('r') => Verdict::Unsynced,
            Some(verdict) => verdict,
        };
        let rows = counted(&theirs, &ours);
        let found = Outcome { rows, ..Outcome::of(verdict, lsn) };
        if verdict == Verdict::Differs && self.order.is_repair {
            return self.repair(table, found).await.map(Some);
        }
        Ok(Some(found))
    }

    /// Makes the replica's table equal. What the server refuses leaves everything as it was, and is told.
    async fn repair(&self, table: &Published, found: Outcome) -> Result<Outcome, PostgresError> {
        let lsn = match self.stand_still(table, Purpose::Repair).await? {
            Still::At(lsn) => lsn,
            Still::Not(verdict) => {
                let trouble = verdict.and_then(Verdict::because).unwrap_or("the primary has dropped it");
                return Ok(Outcome { trouble: Some(format!("not repaired: {trouble}")), ..found });
            }
        };
        match self.take_over(table).await {
            Ok((repair, rows, true)) => {
                fence::commit(&self.ours).await?;
                fence::rollback(&self.theirs).await?;
                Ok(Outcome { rows, repair: Some(repair), ..Outcome::of(Verdict::Equal, lsn) })
            }
            Ok((_, _, false)) => {
                fence::rollback(&self.ours).await?;
                fence::rollback(&self.theirs).await?;
                let trouble =
                    "not repaired: a copy of the primary's rows reads differently here; compare the columns' types";
                Ok(Outcome { trouble: Some(trouble.into()), ..found })
            }
            Err(error) if !self.ours.is_closed() && !self.theirs.is_closed() => {
                fence::rollback(&self.ours).await?;
                fence::rollback(&self.theirs).await?;
                Ok(Outcome { trouble: Some(format!("not repaired: {}", in_one_line(&error))), ..found })
            }
            Err(error) => Err(error),
        }
    }

    /// Repairs within the open transactions, and reads both sides again in them: nobody else can have changed anything,
    /// so this is as exact as another look.
    async fn take_over(&self, table: &Published) -> Result<(Repair, Option<Rows>, bool), PostgresError> {
        let repaired = repair(&self.theirs, &self.ours, table).await?;
        let (theirs, ours) = self.read(table).await?;
        Ok((repaired, counted(&theirs, &ours), plan::judge(&theirs, &ours) == Some(Verdict::Equal)))
    }

    /// Brings both sides to one position. On anything but success no transaction stays open.
    async fn stand_still(&self, table: &Published, purpose: Purpose) -> Result<Still, PostgresError> {
        let behind = || Ok(Still::Not(Some(Verdict::Busy(Busy::Behind))));
        // Most of the catching up is done before anybody has to wait for it.
        if self.catch_up(CATCH_UP).await?.is_none() {
            return behind();
        }
        let mut locking = Locking::Busy;
        for attempt in 0..LOCK_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            locking = fence::raise(&self.keeper, &table.name).await?;
            if locking != Locking::Busy {
                break;
            }
        }
        match locking {
            Locking::Had => {}
            Locking::Busy => return Ok(Still::Not(Some(Verdict::Busy(Busy::Locked)))),
            Locking::Gone => return Ok(Still::Not(None)),
        }
        // Whoever wrote to the table has committed, and is visible to snapshots from now on: the mark comes after all
        // of it.
        let Some(lsn) = self.catch_up(HOLD).await? else {
            fence::rollback(&self.keeper).await?;
            return behind();
        };
        let ours = async {
            match purpose {
                Purpose::Look => fence::keep(&self.ours, &table.name).await,
                Purpose::Repair => fence::own(&self.ours, &table.name).await,
            }
        };
        let (theirs, ours) = tokio::try_join!(fence::keep(&self.theirs, &table.name), ours)?;
        fence::commit(&self.keeper).await?;
        let verdict = match (theirs, ours) {
            (Locking::Had, Locking::Had) => return Ok(Still::At(lsn)),
            (Locking::Gone, _) => None,
            (_, Locking::Gone) => Some(Verdict::MissingHere),
            (Locking::Busy, _) | (_, Locking::Busy) => Some(Verdict::Busy(Busy::Locked)),
        };
        fence::rollback(&self.theirs).await?;
        fence::rollback(&self.ours).await?;
        Ok(Still::Not(verdict))
    }

    /// Lets the replica apply what is committed now; `None` when it does not in time.
    async fn catch_up(&self, patience: Duration) -> Result<Option<Lsn>, PostgresError> {
        let lsn = catch_up::mark(&self.theirs).await?;
        let is_applied = catch_up::wait_until_applied(&self.ours, &self.subscription, lsn, patience).await?;
        Ok(is_applied.then_some(lsn))
    }

    async fn read(&self, table: &Published) -> Result<(Print, Print), PostgresError> {
        let wanted = [table];
        let (theirs, ours) = tokio::try_join!(
            compare::fingerprints(&self.theirs, &wanted, Side::Primary),
            compare::fingerprints(&self.ours, &wanted, Side::Replica)
        )?;
        let only = |prints: Vec<Print>| prints.into_iter().next().unwrap_or(Err(Problem::NoTable));
        Ok((only(theirs), only(ours)))
    }
}

type Print = Result<Fingerprint, Problem>;

fn counted(theirs: &Print, ours: &Print) -> Option<Rows> {
    let (theirs, ours) = theirs.as_ref().ok().zip(ours.as_ref().ok())?;
    Some(Rows { primary: theirs.rows, replica: ours.rows })
}
