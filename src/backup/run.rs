//! One run: a snapshot, the programs that read it, their output in a store, and the manifest last.
//!
//! In: an open session to the source, tools that reach it, a store. Out: the manifest of a backup that is whole, or an error and
//! nothing: what was written is removed on the way out. A process that is killed leaves objects without a manifest, which are no
//! backup and are removed later. It decides nothing about what is taken from where.

mod origin;
mod physical;
mod progress;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use futures_util::future::{LocalBoxFuture, try_join, try_join_all};
use tokio_util::sync::CancellationToken;

pub use physical::Base;
use physical::Files;
pub use progress::{Meter, Progress};

use super::contents::{Contents, NEEDED_ROLE};
use super::error::BackupError;
use super::full::{self, Piece};
use super::manifest::{self, Manifest, ObjectRecord, Part, Position, SourceFacts, Totals};
use super::pipeline::{self, Plain, Seal};
use super::source::{Fingerprints, Reading};
use super::tools::{ToolError, Toolbox};
use super::{globals, schema, tables};
use crate::model::backup::{BackupId, Kind, ObjectKey, Scope, Sealing};
use crate::model::names::{Ident, TableName};
use crate::postgres::contents::objects::Depth;
use crate::postgres::contents::source::{self, ServerFacts};
use crate::postgres::session::Session;
use crate::store::Store;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(250);

/// How long tidying up after a failure may take.
const TIDY_PATIENCE: Duration = Duration::from_secs(30);

/// Where the rows come from.
pub struct Origin<'a> {
    /// A session of this run's own.
    pub session: Session,
    /// A standby's primary, which counts what is written. Without it every table is read.
    pub primary: Option<Session>,
    /// Makes ready the tools that reach the same server, which takes as long as looking around in it.
    pub tools: LocalBoxFuture<'a, Result<Toolbox, ToolError>>,
    /// The database.
    pub database: Ident,
    /// The node; `None` without a cluster.
    pub node: Option<String>,
    /// What the node is, where somebody knows better than the server itself.
    pub role: Option<String>,
    /// The content address of the image it runs.
    pub image: Option<String>,
}

/// What is to be made.
pub struct Order<'a> {
    /// The job it is for.
    pub job: Option<String>,
    /// Whose it is.
    pub scope: Scope,
    /// What it holds.
    pub kind: Kind,
    /// From where.
    pub origin: Origin<'a>,
    /// To where.
    pub store: Arc<dyn Store>,
    /// How objects are made.
    pub sealing: Sealing,
    /// Connections that copy rows at the same time, of [`Kind::Full`].
    pub parallel: u32,
    /// The tables of [`Kind::Tables`].
    pub tables: Vec<TableName>,
    /// Take fingerprints. Without them nothing can be compared after a restore; for measuring.
    pub has_fingerprints: bool,
    /// What [`Kind::Base`] needs, and nothing else does.
    pub base: Option<Base>,
    /// Ends the run.
    pub stop: CancellationToken,
}

/// Makes a backup.
///
/// # Guarantees
///
/// - It is listed from the moment this returns `Ok`, and not before: the manifest is written last.
/// - Whatever ends it early, nothing of an older backup is touched.
pub async fn run(order: Order<'_>, tell: &dyn Fn(Progress)) -> Result<Manifest, BackupError> {
    let began = Utc::now().trunc_subsecs(0);
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(|error| BackupError::Random { source: error.into() })?;
    let id = BackupId::new(began, order.kind, u16::from_ne_bytes(random));
    let place = Place::new(order.store.clone(), &order.scope, &id);
    let stop = order.stop.clone();
    tell(Progress::Began { id: id.clone(), kind: order.kind });
    let made = tokio::select! {
        made = Box::pin(make(order, id, &place, began, tell)) => made,
        () = stop.cancelled() => Err(BackupError::Stopped),
    };
    if made.is_err() {
        place.tidy().await;
    }
    made
}

/// Where the objects of one backup are.
struct Place {
    store: Arc<dyn Store>,
    root: ObjectKey,
}

impl Place {
    fn new(store: Arc<dyn Store>, scope: &Scope, id: &BackupId) -> Self {
        let root = format!("{scope}/{id}").parse().expect("a scope and a backup's name are plain parts");
        Self { store, root }
    }

    fn key(&self, name: &str) -> ObjectKey {
        self.root.join(name).expect("names of objects are plain parts")
    }

    /// Removes everything, as far as that is possible in time.
    async fn tidy(&self) {
        let removed = tokio::time::timeout(TIDY_PATIENCE, async {
            for leftover in self.store.leftovers(Some(&self.root)).await? {
                self.store.discard(&leftover).await?;
            }
            for listed in self.store.list(Some(&self.root)).await? {
                self.store.remove(&listed.key).await?;
            }
            Ok::<_, crate::store::StoreError>(())
        });
        match removed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(backup = %self.root, %error, "what a failed backup wrote is still there"),
            Err(_) => {
                tracing::warn!(backup = %self.root, "what a failed backup wrote is still there: the store is slow");
            }
        }
    }
}

async fn make(
    order: Order<'_>,
    id: BackupId,
    place: &Place,
    began: DateTime<Utc>,
    tell: &dyn Fn(Progress),
) -> Result<Manifest, BackupError> {
    let how = Seal::new(&order.sealing)?;
    let Order { job, scope, kind, origin, sealing, parallel, tables, has_fingerprints, base, .. } = order;
    let Origin { session, primary, tools, database, node, role, image } = origin;
    let meter = Meter::default();
    // Without rows nothing is counted, and nobody has to be asked or waited for.
    let has_rows = has_fingerprints && !matches!(kind, Kind::Schema | Kind::Globals);
    let looking = look(kind, session, primary.filter(|_| has_rows), base, place, &scope);
    let (looked, tools) = try_join(looking, async { Ok(tools.await?) }).await?;
    let work = Work { place, how: &how, tools: &tools, database: &database, meter: &meter, tell };
    let making = async {
        match looked {
            Looked::Rows(mut reading) => {
                if kind == Kind::Tables {
                    if tables.is_empty() {
                        return Err(BackupError::NoTables);
                    }
                    reading.restrict_to(&tables);
                }
                work.dump(*reading, kind, parallel, &tables, has_rows).await
            }
            Looked::Roles(session) => work.globals(&session, !sealing.recipients.is_empty()).await,
            Looked::Files(files) => Box::pin(work.base(*files, &id, &scope, job.as_deref(), has_rows)).await,
        }
    };
    let program = match kind {
        Kind::Globals => "pg_dumpall",
        Kind::Base => "pg_basebackup",
        Kind::Full | Kind::Schema | Kind::Tables => "pg_dump",
    };
    let version = async { Ok(tools.version(program).await?) };
    let (made, version) = try_join(making, version).await?;
    let facts = made.facts;
    let manifest = Manifest {
        format: manifest::FORMAT,
        id,
        scope,
        kind,
        job,
        database: facts.database,
        source: SourceFacts {
            role: role.unwrap_or_else(|| role_of(node.is_some(), facts.is_in_recovery).to_owned()),
            node,
            system_identifier: facts.system_identifier,
            postgres: facts.postgres,
            postgres_major: facts.postgres_major,
            timescaledb: facts.timescaledb,
            edition: facts.edition,
            preload: facts.preload,
            image,
            image_reference: None,
        },
        position: made.position.unwrap_or(Position {
            timeline: facts.timeline,
            lsn: facts.lsn,
            end_lsn: None,
            restore_point: None,
        }),
        began,
        finished: Utc::now(),
        fingerprint_seconds: made.fingerprints.took.as_secs_f64(),
        objects: made.objects,
        totals: totals(&made.contents, made.fingerprints.reused),
        parent: made.parent,
        tools: vec![format!("hypertide {}", env!("CARGO_PKG_VERSION")), format!("{program} {version}")],
    };
    let bytes = Cursor::new(manifest.to_json());
    place.store.put(&place.key(manifest::FILE_NAME), Box::pin(bytes)).await?;
    tell(Progress::Done { stored_bytes: manifest.stored_bytes() });
    Ok(manifest)
}

/// What is known of the server before anything is made.
enum Looked {
    Rows(Box<Reading>),
    Roles(Box<Session>),
    Files(Box<Files>),
}

/// Looks around while the tools are made ready.
async fn look(
    kind: Kind,
    session: Session,
    primary: Option<Session>,
    base: Option<Base>,
    place: &Place,
    scope: &Scope,
) -> Result<Looked, BackupError> {
    Ok(match kind {
        Kind::Full | Kind::Schema | Kind::Tables => Looked::Rows(Box::new(Reading::begin(session, primary).await?)),
        Kind::Globals => Looked::Roles(Box::new(session)),
        Kind::Base => {
            let base = base.ok_or(BackupError::NoFiles)?;
            Looked::Files(Box::new(Files::look(&session, base, place, scope).await?))
        }
    })
}

const fn role_of(has_node: bool, is_in_recovery: bool) -> &'static str {
    match (has_node, is_in_recovery) {
        (_, true) => "standby",
        (true, false) => "primary",
        (false, false) => "external",
    }
}

fn totals(contents: &Contents, reused: u64) -> Totals {
    let count =
        |is_chunk: bool| contents.tables.values().filter(|facts| facts.hypertable.is_some() == is_chunk).count();
    Totals {
        tables: count(false) as u64,
        hypertables: contents.objects.keys().filter(|name| name.starts_with("hypertable ")).count() as u64,
        chunks: count(true) as u64,
        rows: contents.tables.values().map(|facts| facts.rows).sum(),
        reused,
    }
}

/// What came of the part that depends on the kind.
struct Made {
    facts: ServerFacts,
    objects: Vec<ObjectRecord>,
    contents: Contents,
    fingerprints: Fingerprints,
    /// Where the objects are in the log, when not where the server was at the snapshot.
    position: Option<Position>,
    /// What they build upon.
    parent: Option<BackupId>,
}

/// What every part of a run needs.
struct Work<'a> {
    place: &'a Place,
    how: &'a Seal,
    tools: &'a Toolbox,
    database: &'a Ident,
    meter: &'a Meter,
    tell: &'a dyn Fn(Progress),
}

impl Work<'_> {
    async fn dump(
        &self,
        reading: Reading,
        kind: Kind,
        parallel: u32,
        wanted: &[TableName],
        has_rows: bool,
    ) -> Result<Made, BackupError> {
        let plain = |name: &str, part, tool| Piece { name: name.to_owned(), part, table: None, tool };
        let pieces = match kind {
            Kind::Schema => vec![plain("archive.dump", Part::Archive, schema::archive(&reading, self.database).await?)],
            // With what it takes to make them: the database may be gone when somebody wants the rows.
            Kind::Tables => {
                let archive = schema::archive(&reading, self.database).await?;
                let mut pieces = vec![plain("archive.dump", Part::Archive, archive)];
                pieces.extend(tables::pieces(&reading, self.database, wanted).await?);
                pieces
            }
            _ => full::pieces(&reading, self.database, parallel).await?,
        };
        self.meter.expect(reading.tables.iter().map(|table| table.bytes).sum());
        let storing = try_join_all(pieces.iter().map(|piece| self.store_piece(piece)));
        let depth = if kind == Kind::Full { Depth::Dump } else { Depth::Schema };
        let looking = async {
            let defined = reading.objects(depth).await?;
            let fingerprints = if has_rows {
                reading.read_changed(|bytes| self.meter.read(bytes)).await?
            } else {
                Fingerprints::default()
            };
            Ok((defined, fingerprints))
        };
        let (mut objects, (defined, mut fingerprints)) = self.told(try_join(storing, looking)).await?;
        if has_rows {
            let rest = async { Ok(reading.read_rest(&mut fingerprints, |bytes| self.meter.read(bytes)).await?) };
            self.told(rest).await?;
        }
        let mut contents = reading.contents(defined, has_rows.then_some(&fingerprints)).await?;
        if kind == Kind::Schema {
            let text = schema::ddl::write(&reading, self.tools, self.database).await?;
            objects.push(self.store_bytes(schema::ddl::FILE_NAME, Part::Ddl, text.into_bytes()).await?);
        }
        if kind == Kind::Tables {
            let is_wanted = |name: &str| {
                wanted.iter().any(|table| name == format!("table {table}") || name == format!("hypertable {table}"))
            };
            contents.objects.retain(|name, _| is_wanted(name) || name.starts_with(NEEDED_ROLE));
        }
        let text = serde_json::to_vec(&contents).expect("keys are text");
        objects.push(self.store_bytes("contents.json", Part::Contents, text).await?);
        let facts = reading.facts.clone();
        // Kept fingerprints only make the next backup cheaper.
        if let Err(error) = reading.end(has_rows.then_some(&fingerprints)).await {
            tracing::warn!(%error, "the next backup reads every table again");
        }
        Ok(Made { facts, objects, contents, fingerprints, position: None, parent: None })
    }

    async fn globals(&self, session: &Session, with_passwords: bool) -> Result<Made, BackupError> {
        let facts = source::facts(session).await?;
        let text = globals::write(session, self.tools, self.database, with_passwords).await?;
        let objects = vec![self.store_bytes("globals.sql", Part::Globals, text).await?];
        let (contents, fingerprints) = (Contents::default(), Fingerprints::default());
        Ok(Made { facts, objects, contents, fingerprints, position: None, parent: None })
    }

    async fn store_piece(&self, piece: &Piece) -> Result<ObjectRecord, BackupError> {
        let name = format!("{}{}", piece.name, self.how.suffix());
        let output = self.tools.reading(&piece.tool)?;
        let stream = self.meter.stream();
        let sealed =
            pipeline::seal(output, self.how, &*self.place.store, &self.place.key(&name), move |at| stream.at(at))
                .await?;
        if sealed.raw_bytes == 0 {
            // Each of them begins with a header, whatever is in the database.
            let (program, because) = (piece.tool.program().to_owned(), "it succeeded and wrote nothing".to_owned());
            return Err(ToolError::Lost { program, because }.into());
        }
        Ok(sealed.record(&name, piece.part, piece.table.clone(), self.how))
    }

    async fn store_bytes(&self, name: &str, part: Part, bytes: Vec<u8>) -> Result<ObjectRecord, BackupError> {
        let name = format!("{name}{}", self.how.suffix());
        let source = Plain(Cursor::new(bytes));
        let sealed = pipeline::seal(source, self.how, &*self.place.store, &self.place.key(&name), |_| ()).await?;
        Ok(sealed.record(&name, part, None, self.how))
    }

    /// Tells how far it is while something runs.
    async fn told<T>(&self, work: impl Future<Output = Result<T, BackupError>>) -> Result<T, BackupError> {
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => (self.tell)(self.meter.progress()),
            }
        }
    }
}
