//! Compares a logical replica with its primary, table by table, and repairs what differs.
//!
//! Reads each table on both sides without holding anybody up: equal is equal, whenever it was read. What looks
//! different is looked at more closely ([`closer`]), with both sides standing still at one position of the log. Puts
//! what came of it on record on the primary. Never changes a publication or a subscription, and without being asked to
//! repair, no row.

mod closer;
mod report;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::desired::DesiredNode;
use crate::model::lsn::Lsn;
use crate::model::names::{Ident, NodeName, TableName};
use crate::plan::provision::CATALOG_VERSION;
use crate::plan::verify::{self as plan, BEHIND_AT_MOST, Busy, Choice, OnRecord, Published, Subscribed, Verdict};
use crate::postgres::catch_up;
use crate::postgres::compare::record::{self, Entry, Finished};
use crate::postgres::compare::{self, Side};
use crate::postgres::look;
use crate::postgres::session::{PostgresError, Session};
use crate::site::{ReachError, Site};
pub use report::{Finding, Report, Rows, VerifyError};

/// How long the replica may take to apply what the primary has committed, while nobody waits for us.
const CATCH_UP: Duration = Duration::from_secs(5);

/// How long a person's verification waits for one that is under way; an agent's lets go between two stretches.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts at that lock.
const BREATH: Duration = Duration::from_millis(50);

/// Told how far a verification is, in words.
pub type Listener<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// What to verify, and how.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The primary.
    pub primary: &'a DesiredNode,
    /// A logical replica of it.
    pub replica: &'a DesiredNode,
    /// Compare what did not change as well.
    pub is_full: bool,
    /// Make equal what differs.
    pub is_repair: bool,
    /// Rest to stay below this many rows a second, and give way to whoever does not.
    pub rows_per_second: Option<u64>,
}

/// Compares one replica with its primary.
///
/// # Errors
/// A side that cannot be reached, a replica that does not follow or is far behind, somebody else at the same work. A
/// table that cannot be compared is no error but a verdict.
pub async fn verify(site: &Site, order: Order<'_>, listener: Listener<'_>) -> Result<Report, VerifyError> {
    let mut run = Run::begin(site, order).await?;
    let outcome = run.compare_all(&site.desired.publication.name, listener).await;
    // The lock ends with its session anyway; this is for whoever waits for it.
    if outcome.is_ok() {
        record::unlock(&run.keeper, &order.replica.name).await?;
    }
    outcome
}

/// Nobody compares this replica while it is held.
#[derive(Debug)]
pub struct HeldOff {
    _session: Session,
}

/// Keeps everybody from comparing a replica that is about to be copied afresh or to go, and forgets what is on record.
pub async fn hold_off(site: &Site, primary: &DesiredNode, replica: &NodeName) -> Result<HeldOff, VerifyError> {
    // Where the cluster's database does not exist yet, nobody compares anything.
    let session = look::connect(&site.target(&primary.name, primary.port, &site.desired.database)?).await?;
    lock(&session, replica, LOCK_PATIENCE).await?;
    record::forget(&session, replica).await?;
    Ok(HeldOff { _session: session })
}

/// Waits for the right to compare a replica.
async fn lock(session: &Session, replica: &NodeName, patience: Duration) -> Result<(), VerifyError> {
    let began = Instant::now();
    while !record::try_lock(session, replica).await? {
        if began.elapsed() >= patience {
            return Err(VerifyError::UnderWay { replica: replica.clone() });
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// One verification while it runs.
struct Run<'a> {
    order: Order<'a>,
    subscription: Ident,
    /// On the primary: holds the lock and the record, and keeps writers off.
    keeper: Session,
    /// On the primary: reads.
    theirs: Session,
    /// On the replica: reads, and repairs.
    ours: Session,
    /// Everything the primary had committed before this was applied when the run began.
    lsn: Lsn,
    began: Instant,
    /// Tables in a row for which the replica did not catch up.
    behind: usize,
}

/// What came of one table, for the report and for the record.
struct Outcome {
    verdict: Verdict,
    lsn: Lsn,
    rows: Option<Rows>,
    repair: Option<compare::repair::Repair>,
    trouble: Option<String>,
}

impl<'a> Run<'a> {
    /// Connects, takes the lock and waits until the replica is up to date.
    async fn begin(site: &Site, order: Order<'a>) -> Result<Self, VerifyError> {
        let began = Instant::now();
        let replica = &order.replica.name;
        let subscription = replica.slot();
        let (keeper, theirs, ours) =
            tokio::try_join!(connect(site, order.primary), connect(site, order.primary), connect(site, order.replica))?;
        // Whoever keeps within a budget gives way; the next time comes.
        let patience = if order.rows_per_second.is_some() { Duration::ZERO } else { LOCK_PATIENCE };
        lock(&keeper, replica, patience).await?;
        let not_following =
            || VerifyError::NotFollowing { replica: replica.clone(), primary: order.primary.name.clone() };
        if !catch_up::is_followed(&theirs, &subscription).await? {
            return Err(not_following());
        }
        let lsn = catch_up::mark(&theirs).await?;
        if !catch_up::wait_until_applied(&ours, &subscription, lsn, CATCH_UP).await? {
            return Err(VerifyError::Behind { replica: replica.clone(), patience_secs: CATCH_UP.as_secs() });
        }
        Ok(Self { order, subscription, keeper, theirs, ours, lsn, began, behind: 0 })
    }

    async fn compare_all(&mut self, publication: &Ident, listener: Listener<'_>) -> Result<Report, VerifyError> {
        let replica = &self.order.replica.name;
        let published = compare::published(&self.theirs, publication).await?;
        let names = || published.iter().map(|table| &table.name);
        let subscribed = compare::subscribed(&self.ours, &self.subscription, names()).await?;
        let known: BTreeMap<TableName, OnRecord> = record::read(&self.keeper, replica).await?;
        let Choice { compare, settled } = plan::choose(&published, &subscribed, &known, self.order.is_full);

        let mut report = Report::new(replica.clone(), self.lsn);
        for (place, verdict) in settled {
            report.add(&published[place].name, &Outcome::of(verdict, self.lsn));
        }
        let budget = self.order.rows_per_second;
        let most_rows = budget.map_or(plan::ROWS_AT_ONCE, |budget| budget.min(plan::ROWS_AT_ONCE));
        let mut done = 0;
        for batch in plan::batches(&compare, |place| published[place].rows, most_rows) {
            listener(&format!("comparing {replica}: {done} of {} tables", compare.len()));
            let stretch = Instant::now();
            let tables: Vec<(&Published, &Subscribed)> =
                batch.iter().map(|place| (&published[*place], &subscribed[*place])).collect();
            let rows = self.compare_batch(&tables, &mut report, listener).await?;
            done += batch.len();
            if let Some(budget) = budget {
                self.rest(plan::rest(rows, stretch.elapsed(), budget)).await?;
            }
        }
        report.seconds = self.began.elapsed().as_secs_f64();
        let finished = Finished {
            took: self.began.elapsed(),
            lsn: self.lsn,
            compared: report.compared,
            unchanged: report.unchanged,
            left_out: report.left_out,
            rows: report.rows,
            is_full: self.order.is_full,
        };
        record::finish(&self.keeper, replica, finished, names()).await?;
        Ok(report)
    }

    /// Compares some tables, puts them on record and gives the rows that were read.
    async fn compare_batch(
        &mut self,
        tables: &[(&Published, &Subscribed)],
        report: &mut Report,
        listener: Listener<'_>,
    ) -> Result<u64, VerifyError> {
        let wanted: Vec<&Published> = tables.iter().map(|(table, _)| *table).collect();
        let (theirs, ours) = tokio::try_join!(
            compare::fingerprints(&self.theirs, &wanted, Side::Primary),
            compare::fingerprints(&self.ours, &wanted, Side::Replica)
        )?;
        let mut rows_read = 0;
        let mut entries = Vec::new();
        for ((table, replica), (theirs, ours)) in tables.iter().zip(theirs.iter().zip(&ours)) {
            rows_read += theirs.as_ref().map_or(0, |theirs| theirs.rows);
            let outcome = match plan::judge(theirs, ours) {
                None => continue,
                Some(Verdict::Differs) => {
                    listener(&format!("looking closer at {}", table.name));
                    let Some(outcome) = self.look_closer(table).await? else { continue };
                    rows_read += outcome.rows.map_or(0, |rows| rows.primary);
                    outcome
                }
                Some(verdict) => {
                    let rows = theirs.as_ref().ok().zip(ours.as_ref().ok());
                    let rows = rows.map(|(theirs, ours)| Rows { primary: theirs.rows, replica: ours.rows });
                    Outcome { rows, ..Outcome::of(verdict, self.lsn) }
                }
            };
            if let (true, Some(rows)) = (outcome.verdict.is_compared(), outcome.rows) {
                // A repair is activity too, and later than what was read before.
                let is_repaired = outcome.repair.is_some();
                entries.push(Entry {
                    table: &table.name,
                    lsn: outcome.lsn,
                    is_equal: outcome.verdict == Verdict::Equal,
                    rows: (rows.primary, rows.replica),
                    activity: (table.activity.as_deref(), replica.activity.as_deref().filter(|_| !is_repaired)),
                });
            }
            report.add(&table.name, &outcome);
        }
        report.rows += rows_read;
        record::write(&self.keeper, &self.order.replica.name, &entries).await?;
        Ok(rows_read)
    }

    /// What looked different, unless the replica is known to be behind.
    async fn look_closer(&mut self, table: &Published) -> Result<Option<Outcome>, VerifyError> {
        if self.behind >= BEHIND_AT_MOST {
            return Ok(Some(Outcome::of(Verdict::Busy(Busy::Behind), self.lsn)));
        }
        let outcome = self.closer(table).await?;
        let is_behind = outcome.as_ref().is_some_and(|outcome| outcome.verdict == Verdict::Busy(Busy::Behind));
        self.behind = if is_behind { self.behind + 1 } else { 0 };
        Ok(outcome)
    }

    /// Rests without the lock, so that somebody in more of a hurry can take over.
    async fn rest(&self, pause: Duration) -> Result<(), VerifyError> {
        if pause.is_zero() {
            return Ok(());
        }
        let replica = &self.order.replica.name;
        record::unlock(&self.keeper, replica).await?;
        tokio::time::sleep(pause).await;
        lock(&self.keeper, replica, Duration::ZERO).await
    }
}

impl Outcome {
    /// A verdict and nothing more.
    fn of(verdict: Verdict, lsn: Lsn) -> Self {
        Self { verdict, lsn, rows: None, repair: None, trouble: None }
    }
}

/// A session of one's own, with everything a comparison needs on the other end.
async fn connect(site: &Site, node: &DesiredNode) -> Result<Session, VerifyError> {
    let target = site.target(&node.name, node.port, &site.desired.database)?;
    let session = Session::connect(&target).await?;
    compare::prepare(&session).await?;
    let row = session
        .client()
        .query_one("select coalesce(max(version), 0) from hypertide.catalog", &[])
        .await
        .map_err(|source| session.failed("read the version of hypertide's schema", source))?;
    let version: i32 = row.get(0);
    if version.unsigned_abs() < CATALOG_VERSION {
        return Err(VerifyError::OldCatalog { node: node.name.clone() });
    }
    Ok(session)
}

impl From<PostgresError> for VerifyError {
    fn from(error: PostgresError) -> Self {
        Self::Reach(ReachError::Postgres(error))
    }
}
