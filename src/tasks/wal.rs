//! Keeps the log going into its archive: receives it, stores it, closes segments that wait too long, and writes down how far it is.
//!
//! Two halves side by side: one sees to the receiver, the slot and the open segment, the other empties the spool into the store. Either
//! may be held up for hours while the other goes on. Where the configuration has no archive, its slot is dropped, so that
//! nothing keeps the log on the primary.

mod receiving;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use receiving::Receiving;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::backup::pipeline::Seal;
use crate::backup::wal::continuity::Gap;
use crate::backup::wal::receiver::Upstream;
use crate::backup::wal::ship::{ShipError, Shipper};
use crate::backup::wal::spool::Spool;
use crate::backup::wal::state::Phase;
use crate::backup::wal::{bases, pace};
use crate::error::in_one_line;
use crate::model::backup::{BackupJob, Scope, Work};
use crate::model::lsn::Lsn;
use crate::postgres::session::Session;
use crate::postgres::wal::{self, Record, SlotState};
use crate::site::{Reach, Site};
use crate::store;
use crate::tasks::agent::Handles;
use crate::tasks::primary::ToPrimary;

/// How often the primary is asked where its log is; what is told about the archive is this old at most.
const TICK: Duration = Duration::from_secs(1);

/// How often the spool is looked at.
const SPOOL_TICK: Duration = Duration::from_millis(250);

/// How often a slot that nobody needs is looked for.
const TIDY_TICK: Duration = Duration::from_secs(30);

/// How often the record is renewed when nothing changes, so that whoever reads it sees that somebody is there.
const RENEW: Duration = Duration::from_mins(1);

/// Where the spool is in an agent's container: on its volume.
const SPOOL: &str = "/var/lib/hypertide/wal";

/// The only size of segments there is an archive for.
const SEGMENT_SIZE: &str = "16MB";

/// Archives until told to stop.
pub async fn run(site: &Site, handles: &Handles) -> Result<(), Infallible> {
    let archived = site.desired.backups.iter().find_map(|job| match job.work {
        Work::Wal { max_age } => Some((job, max_age)),
        Work::Backup(_) => None,
    });
    let work = async {
        match archived {
            Some((job, max_age)) => Archiver::new(site, handles, job, max_age).work().await,
            None => tidy(site, handles).await,
        }
    };
    tokio::select! {
        () = handles.stop.cancelled() => Ok(()),
        never = work => match never {},
    }
}

/// Drops the slot of an archive that is not wanted any more.
async fn tidy(site: &Site, handles: &Handles) -> Infallible {
    let mut primary = ToPrimary::new(site, handles.latest.clone());
    let mut ticks = interval(TIDY_TICK);
    loop {
        ticks.tick().await;
        let tidied = match primary.session().await {
            Ok(Some(session)) => match wal::drop_slot(session).await {
                Ok(true) => {
                    tracing::info!("no archive of the log is wanted: its slot was dropped");
                    wal::forget(session).await
                }
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            },
            Ok(None) => continue,
            Err(error) => {
                tracing::debug!("{}", in_one_line(&error));
                continue;
            }
        };
        if let Err(error) = tidied {
            tracing::debug!("{}", in_one_line(&error));
            primary.forget();
        }
    }
}

/// One archive.
struct Archiver<'a> {
    site: &'a Site,
    handles: &'a Handles,
    job: &'a BackupJob,
    max_age: Duration,
    /// Known once the primary has answered.
    system_identifier: RefCell<Option<String>>,
    /// Up to where the archive goes.
    archived: Cell<Option<(u32, Lsn)>>,
    gap: RefCell<Option<String>>,
    /// What keeps the log from coming, and from being stored.
    receiving: RefCell<Option<String>>,
    storing: RefCell<Option<String>>,
    is_resting: Cell<bool>,
    spool_bytes: Cell<u64>,
}

impl<'a> Archiver<'a> {
    fn new(site: &'a Site, handles: &'a Handles, job: &'a BackupJob, max_age: Duration) -> Self {
        Self {
            site,
            handles,
            job,
            max_age,
            system_identifier: RefCell::default(),
            archived: Cell::default(),
            gap: RefCell::default(),
            receiving: RefCell::default(),
            storing: RefCell::default(),
            is_resting: Cell::default(),
            spool_bytes: Cell::default(),
        }
    }

    async fn work(&self) -> Infallible {
        let dir = match self.site.reach {
            Reach::Network => PathBuf::from(SPOOL),
            Reach::Published => self.site.state_dir.join("wal"),
        };
        loop {
            match Spool::open(dir.clone()) {
                Ok(spool) => {
                    let halves =
                        futures_util::future::join(Box::pin(self.receive(&spool)), Box::pin(self.store(&spool)));
                    match halves.await {}
                }
                Err(error) => self.fails(&self.storing, &in_one_line(&error)),
            }
            sleep(TIDY_TICK).await;
        }
    }

    /// Takes note of what fails, and tells it when it is new.
    fn fails(&self, side: &RefCell<Option<String>>, because: &str) {
        if side.borrow().as_deref() != Some(because) {
            tracing::warn!(job = self.job.name, "the log is not archived: {because}");
            *side.borrow_mut() = Some(because.to_owned());
        }
    }

    fn goes_on(&self, side: &RefCell<Option<String>>) {
        if side.borrow_mut().take().is_some() {
            tracing::info!(job = self.job.name, "archiving the log goes on");
        }
    }

    // The half that receives.

    async fn receive(&self, spool: &Spool) -> Infallible {
        let mut primary = ToPrimary::new(self.site, self.handles.latest.clone());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut receiver = Receiving::default();
        let mut written = Written::default();
        loop {
            ticks.tick().await;
            let session = match primary.session().await {
                Ok(Some(session)) => session,
                Ok(None) => {
                    self.fails(&self.receiving, "no node is seen to take writes");
                    continue;
                }
                Err(error) => {
                    self.fails(&self.receiving, &in_one_line(&error));
                    continue;
                }
            };
            let seen = self.tend(session, spool, &mut receiver).await;
            match seen {
                Ok(Some(problem)) => self.fails(&self.receiving, &problem),
                Ok(None) => self.goes_on(&self.receiving),
                Err(problem) => {
                    self.fails(&self.receiving, &problem);
                    primary.forget();
                    continue;
                }
            }
            if let Err(error) = self.write_down(session, &mut written).await {
                tracing::debug!("{error}");
                primary.forget();
            }
        }
    }

    /// One look at slot, receiver and open segment. A problem is told either way; an error means that the session is of no use.
    async fn tend(&self, session: &Session, spool: &Spool, receiver: &mut Receiving) -> Result<Option<String>, String> {
        let told = |error: &dyn std::error::Error| in_one_line(error);
        let archived = self.archived.get().map(|(_, lsn)| lsn);
        let seen = wal::look(session, archived).await.map_err(|error| told(&error))?;
        if seen.segment_size != SEGMENT_SIZE {
            return Ok(Some(format!(
                "its segments have {}, and only {SEGMENT_SIZE} can be archived",
                seen.segment_size
            )));
        }
        *self.system_identifier.borrow_mut() = Some(seen.system_identifier.clone());
        let held = spool.look().map_err(|error| told(&error))?;
        self.spool_bytes.set(held.bytes);

        if seen.slot != SlotState::Good {
            receiver.stop().await;
            if seen.slot == SlotState::Lost {
                wal::drop_slot(session).await.map_err(|error| told(&error))?;
                tracing::error!(
                    "the primary did not keep the log until it was received (`max_slot_wal_keep_size`): the archive has a hole \
                     from here on; take a base backup"
                );
            }
            // Where the new slot begins, nothing that was received before leads on to.
            spool.forget_partial(&held).map_err(|error| told(&error))?;
            wal::create_slot(session).await.map_err(|error| told(&error))?;
        }

        let was_resting = self.is_resting.replace(!pace::may_receive(held.bytes, self.is_resting.get()));
        if self.is_resting.get() {
            if !was_resting {
                tracing::warn!(job = self.job.name, "the spool is full: the log waits on the primary");
            }
            receiver.stop().await;
            return Ok(None);
        }
        let problem = receiver.keep(&self.upstream(session), spool).await;
        // What cannot go anywhere is not worth a segment of its own.
        let may_switch = problem.is_none() && self.storing.borrow().is_none();
        let now = receiver.aged(seen.log);
        if may_switch && pace::is_switch_due(&now, self.max_age) {
            wal::switch(session).await.map_err(|error| told(&error))?;
        }
        Ok(problem)
    }

    fn upstream(&self, session: &Session) -> Upstream {
        let nodes = self.handles.latest.borrow();
        let port = nodes
            .fresh(std::time::Instant::now())
            .and_then(|latest| latest.status.nodes.iter().find(|node| node.name == session.node))
            .and_then(|node| node.address.rsplit_once(':')?.1.parse().ok())
            .unwrap_or_default();
        let (host, port) = self.site.address(&session.node, port);
        Upstream { host, port, user: "replicator".into(), passfile: self.site.state_dir.join("pgpass") }
    }

    async fn write_down(&self, session: &Session, written: &mut Written) -> Result<(), String> {
        let phase =
            Phase::of(self.receiving.borrow().as_deref(), self.storing.borrow().as_deref(), self.is_resting.get());
        let record = Record {
            job: self.job.name.clone(),
            store: self.job.store.url.to_string(),
            archived: self.archived.get(),
            phase: phase.word(),
            because: phase.because().map(str::to_owned),
            gap: self.gap.borrow().clone(),
            spool_bytes: self.spool_bytes.get(),
        };
        if !written.is_due(&record) {
            return Ok(());
        }
        wal::record(session, &record).await.map_err(|error| in_one_line(&error))?;
        *written = Written { last: Some((record, Instant::now())) };
        Ok(())
    }

    // The half that stores.

    async fn store(&self, spool: &Spool) -> Infallible {
        let mut failures = 0;
        loop {
            match self.store_all(spool).await {
                Ok(never) => match never {},
                Err(error) => {
                    failures = if self.storing.borrow().is_none() { 1 } else { failures + 1 };
                    if error.is_for_good() {
                        tracing::error!(job = self.job.name, "{}", in_one_line(&error));
                    }
                    self.fails(&self.storing, &in_one_line(&error));
                }
            }
            sleep(pace::pause(failures)).await;
        }
    }

    async fn store_all(&self, spool: &Spool) -> Result<Infallible, ShipError> {
        let system_identifier = loop {
            if let Some(known) = self.system_identifier.borrow().clone() {
                break known;
            }
            sleep(SPOOL_TICK).await;
        };
        let scope: Scope = self.site.desired.cluster.as_str().parse().expect("a cluster's name is narrower");
        let store = store::open::open(&self.job.store).await?;
        let how = Seal::new(&self.job.sealing)?;
        let mut shipper = Shipper::open(store.clone(), &scope, how, &system_identifier).await?;
        let mut gaps = Vec::new();
        self.told(&shipper, &store, &scope, &mut gaps).await?;
        self.goes_on(&self.storing);
        let mut looked_for_bases = Instant::now();
        loop {
            let held = spool.look()?;
            for file in &held.finished {
                shipper.ship(spool, *file).await?;
                spool.remove(*file)?;
                self.told(&shipper, &store, &scope, &mut gaps).await?;
                self.goes_on(&self.storing);
            }
            if !gaps.is_empty() && looked_for_bases.elapsed() > RENEW {
                looked_for_bases = Instant::now();
                gaps.clear();
                self.told(&shipper, &store, &scope, &mut gaps).await?;
            }
            sleep(SPOOL_TICK).await;
        }
    }

    /// Takes note of how far the archive goes, and of its newest hole that matters.
    async fn told(
        &self,
        shipper: &Shipper,
        store: &std::sync::Arc<dyn store::Store>,
        scope: &Scope,
        known: &mut Vec<Gap>,
    ) -> Result<(), ShipError> {
        let coverage = shipper.coverage();
        self.archived.set(coverage.last().map(|segment| (segment.timeline, segment.to())));
        if coverage.gaps == *known {
            return Ok(());
        }
        let newest = bases::newest_start(&**store, scope).await?;
        let matters = coverage.gaps.iter().rfind(|gap| newest.is_none_or(|start| gap.behind() > start));
        let text = matters.map(|gap| {
            format!("{gap}: nothing is recovered past it from a base backup before {}; take a new one", gap.behind())
        });
        if let Some(text) = &text
            && self.gap.borrow().as_ref() != Some(text)
        {
            tracing::error!(job = self.job.name, "the archive of the log has a hole: {text}");
        }
        *self.gap.borrow_mut() = text;
        *known = coverage.gaps;
        Ok(())
    }
}

/// What was last written down.
#[derive(Default)]
struct Written {
    last: Option<(Record, Instant)>,
}

impl Written {
    /// It changed in what matters, or it is a while ago. The spool's size alone does not matter.
    fn is_due(&self, record: &Record) -> bool {
        self.last.as_ref().is_none_or(|(last, at)| {
            at.elapsed() > RENEW || Record { spool_bytes: last.spool_bytes, ..record.clone() } != *last
        })
    }
}
