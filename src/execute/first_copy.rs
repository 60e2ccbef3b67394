//! The first copy of a logical replica, which runs beside the passes that mirror its chunks, and the subscription that follows.
//!
//! In: two servers, and a publication. Out: a subscription that lacks no row. Everything is owned, since it outlives the step that
//! begins it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::task::JoinHandle;

use super::{Cause, ExecuteError};
use crate::docker::engine::Engine;
use crate::docker::exec::Waiting;
use crate::model::names::{Ident, TableName};
use crate::plan::provision::SUPERUSER;
use crate::postgres::first_copy::{Copied, CopyLane, FirstCopy, PublishedTable, published, published_then};
use crate::postgres::session::{Session, Target};
use crate::postgres::{setup, stillness};

/// Tables copied at a time; each takes a session on both sides.
const LANES: usize = 4;

/// Between two looks at what is left.
const BREATH: Duration = Duration::from_millis(200);

/// How long a published table may be missing on the replica: a pass that mirrors it takes less than a second.
const PATIENCE: Duration = Duration::from_mins(2);

/// Copies that run beside the passes of one process. They end with it.
#[derive(Debug, Default)]
pub struct Copies {
    running: Mutex<BTreeMap<String, JoinHandle<Result<(), Cause>>>>,
}

/// What one copy needs to know.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) engine: Engine,
    /// Where a command can be run on the publisher.
    pub(super) publisher_container: String,
    pub(super) publisher: Target,
    pub(super) replica: Target,
    pub(super) publication: Ident,
    /// How the replica reaches the publisher.
    pub(super) connection: String,
}

/// A copy that others can see.
#[derive(Debug)]
pub(super) struct Begun {
    task: Task,
    mark: FirstCopy,
    snapshot: String,
    // The snapshot lasts as long as it.
    _exporter: Waiting,
}

type Queue = Mutex<VecDeque<PublishedTable>>;

/// What one session has done of the queue.
#[derive(Default)]
struct Lane {
    here: Vec<TableName>,
    not_here: Vec<PublishedTable>,
}

impl Copies {
    /// Lets one go on by itself.
    pub(super) fn go_on(&self, step: String, begun: Begun) {
        self.lock().insert(step, tokio::spawn(begun.finish()));
    }

    /// Some copy goes on.
    pub fn are_running(&self) -> bool {
        self.lock().values().any(|copy| !copy.is_finished())
    }

    /// How one failed that has ended.
    pub async fn failure(&self) -> Option<ExecuteError> {
        let ended: Vec<_> = {
            let mut running = self.lock();
            let names: Vec<String> =
                running.iter().filter(|(_, copy)| copy.is_finished()).map(|(name, _)| name.clone()).collect();
            names.into_iter().filter_map(|name| running.remove_entry(&name)).collect()
        };
        for (step, copy) in ended {
            match copy.await {
                Ok(Err(cause)) => return Some(ExecuteError { step, cause }),
                Err(panic) => return Some(ExecuteError { step, cause: Cause::Unplanned(panic.to_string()) }),
                Ok(Ok(())) => {}
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, JoinHandle<Result<(), Cause>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.lock().values().for_each(JoinHandle::abort);
    }
}

impl Task {
    /// Creates the slot, and with it the moment that is copied. `None`: somebody else's copy runs, or has ended just now.
    pub(super) async fn begin(self) -> Result<Option<Begun>, Cause> {
        let slot = self.replica.node.slot();
        let Some(mark) = FirstCopy::begin(&self.replica, &slot).await? else { return Ok(None) };
        // Nobody is subscribed and nobody else copies, so a slot is what an interrupted attempt has left.
        setup::drop_slot(&Session::connect(&self.publisher).await?, &slot).await?;
        // tokio-postgres does not speak the replication protocol; the server's own psql does.
        let database = format!("dbname={} replication=database", self.publisher.database);
        let command = ["psql", "-XAtq", "--username", SUPERUSER, "--dbname", &database].map(str::to_owned).to_vec();
        let create =
            format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER true);\n", slot.quoted());
        let (answer, exporter) =
            self.engine.exec_waiting(&self.publisher_container, command, &create).await.map_err(Cause::Docker)?;
        // slot | consistent point | snapshot | plugin
        let snapshot = answer.split('|').nth(2).ok_or_else(|| Cause::Unplanned(format!("the snapshot in {answer}")))?;
        Ok(Some(Begun { snapshot: snapshot.to_owned(), task: self, mark, _exporter: exporter }))
    }
}

impl Begun {
    /// Copies everything and subscribes.
    pub(super) async fn finish(self) -> Result<(), Cause> {
        let Task { publisher, publication, connection, .. } = &self.task;
        let mut left = published_then(publisher, &self.snapshot, publication).await?;
        let mut copied = Vec::new();
        let mut patient_until = Instant::now() + PATIENCE;
        loop {
            self.mark.tell(left.len()).await?;
            let before = copied.len();
            left = self.copy(left, &mut copied).await?;
            if left.is_empty() {
                break;
            }
            if copied.len() > before {
                patient_until = Instant::now() + PATIENCE;
            }
            self.wait(&left, patient_until).await?;
        }
        // PostgreSQL subscribes to all that is published by now; a pass makes here what has come since.
        let theirs = Session::connect(publisher).await?;
        loop {
            let stillness = stillness::begin(publisher).await?;
            let now = published(&theirs, publication).await?;
            let is_ready = stillness.is_some() && self.mark.not_here(&now).await?.is_empty();
            if is_ready && self.mark.subscribe(connection, publication, &copied).await? {
                return Ok(());
            }
            drop(stillness);
            self.wait(&now, patient_until).await?;
        }
    }

    async fn wait(&self, tables: &[PublishedTable], until: Instant) -> Result<(), Cause> {
        if Instant::now() > until {
            let tables = self.mark.not_here(tables).await?;
            return Err(Cause::NotMirrored { node: self.task.replica.node.clone(), tables });
        }
        tokio::time::sleep(BREATH).await;
        Ok(())
    }

    /// Copies what can be, and adds it to `copied`; gives back what the replica does not have yet.
    async fn copy(
        &self,
        tables: Vec<PublishedTable>,
        copied: &mut Vec<TableName>,
    ) -> Result<Vec<PublishedTable>, Cause> {
        let lanes = LANES.min(tables.len());
        let queue = Mutex::new(VecDeque::from(tables));
        let lists = tokio::select! {
            lists = try_join_all((0..lanes).map(|_| self.lane(&queue))) => lists?,
            failed = self.tell(&queue) => return Err(failed),
        };
        let mut not_here = Vec::new();
        for list in lists {
            copied.extend(list.here);
            not_here.extend(list.not_here);
        }
        Ok(not_here)
    }

    /// Copies one table of the queue after the other.
    async fn lane(&self, queue: &Queue) -> Result<Lane, Cause> {
        let Task { publisher, replica, .. } = &self.task;
        let copies = CopyLane::open(publisher, replica, &self.snapshot, self.mark.is_again).await?;
        let mut lane = Lane::default();
        while let Some(table) = next(queue) {
            match copies.copy(&table).await? {
                Copied::Here => lane.here.push(table.name),
                Copied::Gone => {}
                Copied::NotHere => lane.not_here.push(table),
            }
        }
        Ok(lane)
    }

    /// Says again and again how many tables are left; ends only when that fails.
    async fn tell(&self, queue: &Queue) -> Cause {
        loop {
            tokio::time::sleep(BREATH).await;
            let left = queue.lock().unwrap_or_else(PoisonError::into_inner).len();
            if let Err(error) = self.mark.tell(left).await {
                return error.into();
            }
        }
    }
}

fn next(queue: &Queue) -> Option<PublishedTable> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}
