//! The database a logical backup is taken from: one session that holds a snapshot, and everything that is read in it.
//!
//! In: a session of one's own. Out: the snapshot's name for `pg_dump`, and the [`Contents`] at that very moment. The fingerprints
//! are taken while the dump runs; those that an earlier backup left and that certainly still hold are taken over.
//!
//! What is written is counted on the server that takes the writes. A standby's reading therefore asks its primary, and begins once
//! the standby has replayed all that was counted by then: what counts the same afterwards was the same in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::contents::{Contents, TableFacts};
use crate::model::names::TableName;
use crate::model::rows::{DumpTable, Fingerprint, Method, SnapshotName};
use crate::plan::reuse;
use crate::postgres::catch_up;
use crate::postgres::contents::known::{self, Known};
use crate::postgres::contents::objects::{self, Depth, SEQUENCE_VALUE};
use crate::postgres::contents::source::{self, ServerFacts};
use crate::postgres::contents::{self, Inner, tables};
use crate::postgres::session::{PostgresError, Session};

/// How long a standby may take to replay what its primary has counted; after that everything is read.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

/// A database at one moment.
#[derive(Debug)]
pub struct Reading {
    session: Session,
    counter: Counter,
    /// What the server is, and where its log was just before the moment.
    pub facts: ServerFacts,
    /// The moment's name for other sessions.
    pub snapshot: SnapshotName,
    /// At or after the moment.
    taken: Instant,
    inner: Inner,
    /// Every table and chunk with rows, by name.
    pub tables: Vec<DumpTable>,
    /// What was known about tables before the moment.
    known: BTreeMap<u32, Known>,
    values: BTreeMap<String, String>,
}

/// Fingerprints in the order of [`Reading::tables`], and what they took.
#[derive(Clone, Debug, Default)]
pub struct Fingerprints {
    found: Vec<Option<Fingerprint>>,
    /// Tables whose fingerprint was taken over.
    pub reused: u64,
    /// Time spent on reading rows.
    pub took: Duration,
}

/// A session that is ready for a snapshot: everything is known that has to be known before it.
#[derive(Debug)]
pub struct Prepared {
    session: Session,
    counter: Counter,
    facts: ServerFacts,
    known: BTreeMap<u32, Known>,
}

/// Where changes of the rows are counted, and fingerprints kept.
#[derive(Debug)]
enum Counter {
    /// By the server that is read.
    Here,
    /// By the primary of the standby that is read.
    Primary(Box<Session>),
    /// By nobody whom we can ask.
    Nowhere,
}

/// A snapshot at whose rows nobody has looked yet.
#[derive(Debug)]
pub struct Snapped {
    prepared: Prepared,
    snapshot: SnapshotName,
    taken: Instant,
}

impl Prepared {
    /// Takes the snapshot and nothing else, for whoever keeps writers off meanwhile.
    pub async fn take(self) -> Result<Snapped, PostgresError> {
        let snapshot = contents::begin(&self.session).await?;
        Ok(Snapped { prepared: self, snapshot, taken: Instant::now() })
    }
}

impl Snapped {
    /// Lists what is there and keeps every table from being dropped.
    pub async fn look(self) -> Result<Reading, PostgresError> {
        let Self { prepared: Prepared { session, counter, facts, known }, snapshot, taken } = self;
        let inner = contents::inner(&session).await?;
        let tables = tables::list(&session, &inner).await?;
        tables::lock(&session, &tables).await?;
        let values = objects::sequence_values(&session, &inner).await?;
        Ok(Reading { session, counter, facts, snapshot, taken, inner, tables, known, values })
    }
}

impl Reading {
    /// Begins a snapshot and keeps every table in it from being dropped. `primary` is asked when the session is a standby's.
    pub async fn begin(session: Session, primary: Option<Session>) -> Result<Self, PostgresError> {
        Self::prepare(session, primary).await?.take().await?.look().await
    }

    /// Everything that comes before the snapshot.
    pub async fn prepare(session: Session, primary: Option<Session>) -> Result<Prepared, PostgresError> {
        contents::prepare(&session).await?;
        let facts = source::facts(&session).await?;
        let (counter, known) = if !facts.has_catalog {
            (Counter::Nowhere, BTreeMap::new())
        } else if facts.is_in_recovery {
            match counted_by(&session, primary).await {
                Some((primary, known)) => (Counter::Primary(Box::new(primary)), known),
                None => (Counter::Nowhere, BTreeMap::new()),
            }
        } else {
            // Counters only grow: what is counted before the snapshot is in it.
            let inner = contents::inner(&session).await?;
            let known = known::known(&session, tables::list(&session, &inner).await?.iter()).await?;
            (Counter::Here, known)
        };
        Ok(Prepared { session, counter, facts, known })
    }

    /// Who is asked for counters.
    fn counting(&self) -> Option<&Session> {
        match &self.counter {
            Counter::Here => Some(&self.session),
            Counter::Primary(primary) => Some(primary),
            Counter::Nowhere => None,
        }
    }

    /// Relations of TimescaleDB's own making.
    pub fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The session that holds the snapshot, for questions that belong to it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Every table with its size, those with compressed rows included.
    pub async fn sizes(&self) -> Result<Vec<(TableName, u64)>, PostgresError> {
        let mut sizes = tables::sizes(&self.session, &self.inner.compressed).await?;
        sizes.extend(self.tables.iter().map(|table| (table.name.clone(), table.bytes)));
        Ok(sizes)
    }

    /// Leaves everything out but these tables and the chunks of those that are hypertables.
    pub fn restrict_to(&mut self, wanted: &[TableName]) {
        self.tables.retain(|table| {
            wanted.contains(&table.name) || table.hypertable.as_ref().is_some_and(|name| wanted.contains(name))
        });
    }

    fn candidate(&self, table: &DumpTable) -> Option<&Fingerprint> {
        self.known.get(&table.oid)?.unchanged().filter(|kept| kept.method == table.method)
    }

    /// Reads the rows of all tables but those that seem unchanged. `on_bytes` is told how much was read.
    pub async fn read_changed(&self, on_bytes: impl Fn(u64)) -> Result<Fingerprints, PostgresError> {
        let wanted: Vec<usize> = self.places(|table| self.candidate(table).is_none());
        let mut fingerprints = Fingerprints { found: vec![None; self.tables.len()], ..Fingerprints::default() };
        self.read(&wanted, &mut fingerprints, on_bytes).await?;
        Ok(fingerprints)
    }

    /// Settles the rest: what is certain is taken over, everything else is read. Called when the dump is done, since certainty
    /// takes time.
    pub async fn read_rest(
        &self,
        fingerprints: &mut Fingerprints,
        on_bytes: impl Fn(u64),
    ) -> Result<(), PostgresError> {
        let left = self.places(|table| self.candidate(table).is_some());
        if left.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let now = match self.counting() {
            Some(counting) => self.known_now(counting, &left).await.unwrap_or_else(|error| {
                tracing::info!(%error, "every table is read, since nobody says which of them changed");
                BTreeMap::new()
            }),
            None => BTreeMap::new(),
        };
        let (mut certain, mut wanted) = (0, Vec::new());
        for place in left {
            let (Some(table), Some(slot)) = (self.tables.get(place), fingerprints.found.get_mut(place)) else {
                continue;
            };
            let before = self.known.get(&table.oid).and_then(|known| known.activity.as_ref());
            let is_same = before.is_some() && now.get(&table.oid).and_then(|now| now.activity.as_ref()) == before;
            match self.candidate(table) {
                Some(kept) if is_same => {
                    certain += 1;
                    *slot = Some(kept.clone());
                }
                _ => wanted.push(place),
            }
        }
        fingerprints.reused += certain;
        fingerprints.took += began.elapsed();
        self.read(&wanted, fingerprints, on_bytes).await
    }

    /// What is known of these tables when all that the snapshot shows is counted; nothing as long as that is not certain.
    async fn known_now(&self, counting: &Session, places: &[usize]) -> Result<BTreeMap<u32, Known>, PostgresError> {
        let age = self.taken.elapsed();
        if !reuse::is_settled(age, &source::backends(counting).await?) {
            return Ok(BTreeMap::new());
        }
        known::known(counting, places.iter().filter_map(|place| self.tables.get(*place))).await
    }

    fn places(&self, is_wanted: impl Fn(&DumpTable) -> bool) -> Vec<usize> {
        self.tables.iter().enumerate().filter(|(_, table)| is_wanted(table)).map(|(place, _)| place).collect()
    }

    async fn read(
        &self,
        wanted: &[usize],
        into: &mut Fingerprints,
        on_bytes: impl Fn(u64),
    ) -> Result<(), PostgresError> {
        let began = Instant::now();
        let chosen: Vec<&DumpTable> = wanted.iter().filter_map(|place| self.tables.get(*place)).collect();
        let found = tables::fingerprints(&self.session, &chosen, on_bytes).await?;
        for (place, fingerprint) in wanted.iter().zip(found) {
            if let Some(slot) = into.found.get_mut(*place) {
                *slot = Some(fingerprint);
            }
        }
        into.took += began.elapsed();
        Ok(())
    }

    /// Everything that is defined in the database, at the moment of the snapshot; of sequences also how far they are just now.
    pub async fn objects(&self, depth: Depth) -> Result<BTreeMap<String, String>, PostgresError> {
        objects::objects(&self.session, &self.inner, depth).await
    }

    /// What is in the database, once the dump is done. Without fingerprints: everything but rows.
    pub async fn contents(
        &self,
        mut objects: BTreeMap<String, String>,
        fingerprints: Option<&Fingerprints>,
    ) -> Result<Contents, PostgresError> {
        if objects.keys().any(|name| name.starts_with(SEQUENCE_VALUE)) {
            // One that moved while the dump ran may have any of several values in it.
            let now = objects::sequence_values(&self.session, &self.inner).await?;
            let stood_still = |name: &str| now.get(name).is_some_and(|value| self.values.get(name) == Some(value));
            objects.retain(|name, _| !name.starts_with(SEQUENCE_VALUE) || stood_still(name));
        }
        let tables = fingerprints.map(|fingerprints| facts(&self.tables, &fingerprints.found)).unwrap_or_default();
        Ok(Contents { tables, objects })
    }

    /// Lets go of the snapshot, and keeps the fingerprints for the next backup where that is possible.
    pub async fn end(self, fingerprints: Option<&Fingerprints>) -> Result<(), PostgresError> {
        self.session.run("end the snapshot", "rollback").await?;
        let (Some(fingerprints), Some(counting)) = (fingerprints, self.counting()) else { return Ok(()) };
        let found = self.tables.iter().zip(&fingerprints.found).filter_map(|(table, fingerprint)| {
            let activity = self.known.get(&table.oid)?.activity.as_deref()?;
            Some((table, activity, fingerprint.as_ref()?))
        });
        counting.run("prepare to keep fingerprints", "set synchronous_commit = local").await?;
        known::keep(counting, found).await
    }
}

/// What is known of a standby's tables, once the standby has replayed everything that was counted by then. `None`: nothing, and
/// every table has to be read.
async fn counted_by(standby: &Session, primary: Option<Session>) -> Option<(Session, BTreeMap<u32, Known>)> {
    let primary = primary?;
    let asked = async {
        let inner = contents::inner(standby).await?;
        let tables = tables::list(standby, &inner).await?;
        let known = known::known(&primary, tables.iter()).await?;
        // Of what is counted the commit is in the log, so before the mark.
        let mark = catch_up::mark(&primary).await?;
        let has_all = catch_up::wait_until_replayed(standby, mark, REPLAY_PATIENCE).await?;
        Ok::<_, PostgresError>(has_all.then_some(known))
    };
    match asked.await {
        Ok(Some(known)) => Some((primary, known)),
        Ok(None) => {
            tracing::info!("every table is read: the standby did not catch up within {} s", REPLAY_PATIENCE.as_secs());
            None
        }
        Err(error) => {
            tracing::info!(%error, "every table is read, since the primary does not say which of them changed");
            None
        }
    }
}

fn facts(tables: &[DumpTable], found: &[Option<Fingerprint>]) -> BTreeMap<String, TableFacts> {
    let facts = |(table, fingerprint): (&DumpTable, &Option<Fingerprint>)| {
        let fingerprint = fingerprint.as_ref()?;
        let facts = TableFacts {
            hypertable: table.hypertable.as_ref().map(ToString::to_string),
            rows: fingerprint.rows,
            hash: fingerprint.tagged(),
        };
        Some((table.name.to_string(), facts))
    };
    tables.iter().zip(found).filter_map(facts).collect()
}

/// What is in a database that a backup was restored into, read in the way in which `wanted` was. Without tables in `wanted` no
/// rows are read.
pub async fn found(session: &Session, wanted: &Contents, depth: Depth) -> Result<Contents, PostgresError> {
    contents::prepare(session).await?;
    session.run("begin a snapshot", "begin transaction isolation level repeatable read, read only").await?;
    let inner = contents::inner(session).await?;
    let mut objects = objects::objects(session, &inner, depth).await?;
    objects.retain(|name, _| !name.starts_with(SEQUENCE_VALUE) || wanted.objects.contains_key(name));
    let mut tables = BTreeMap::new();
    if !wanted.tables.is_empty() {
        let mut list = tables::list(session, &inner).await?;
        for table in &mut list {
            let told = wanted.tables.get(&table.name.to_string()).and_then(|facts| Method::of(&facts.hash));
            table.method = told.unwrap_or(table.method);
        }
        let all: Vec<&DumpTable> = list.iter().collect();
        let fingerprints = tables::fingerprints(session, &all, |_| ()).await?;
        tables = facts(&list, &fingerprints.into_iter().map(Some).collect::<Vec<_>>());
    }
    session.run("end the snapshot", "rollback").await?;
    Ok(Contents { tables, objects })
}
