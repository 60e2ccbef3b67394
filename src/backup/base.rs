//! Base backups: the data directory as `pg_basebackup` streams it, whole or what changed since an earlier one, and with it all the
//! log that is needed to recover it up to a marked moment.
//!
//! In: the server the files come from, the server that takes writes (often the same), and the store. Out: objects in the store,
//! where they are in the log, and what the database held at the mark. Writes no manifest of ours.
//!
//! The map: [`chain`] decides upon what a backup builds; [`watched`], [`tar`] and [`label`] read the stream that passes by; [`mark`] and
//! [`trail`] come after it.

pub mod chain;
pub mod feed;
pub mod label;
pub mod mark;
pub mod tar;
pub mod trail;
pub mod watched;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::manifest::{Manifest, ObjectRecord, Part, Position, RestorePoint};
use super::pipeline::{self, Keys, PipelineError, Progress, Seal, Unsealed};
use super::source::Reading;
use super::tools::{Tool, ToolError, Toolbox};
use crate::model::backup::{BackupId, BackupNameError, ObjectKey, Scope};
use crate::model::lsn::Lsn;
use crate::model::segment::SEGMENT_BYTES;
use crate::postgres::base::{self, ServerNow};
use crate::postgres::catch_up;
use crate::postgres::session::{PostgresError, Session, Target};
use crate::store::{Fault, Store, StoreError};
use chain::{Choice, Why};
use mark::Marking;
use watched::Watched;

/// How long a standby may take to replay a checkpoint of now. One that takes longer lags, and its backup would begin long ago.
const CATCH_UP_PATIENCE: Duration = Duration::from_mins(2);

/// PostgreSQL's manifest of a parent is held in memory on its way to the server: some 150 bytes for each file.
const LARGEST_MANIFEST: u64 = 512 * 1024 * 1024;

/// What to back up, and where to.
#[derive(Debug)]
pub struct Order<'a> {
    /// The backup's name.
    pub id: &'a BackupId,
    /// Whose it is.
    pub scope: &'a Scope,
    /// The job, whose earlier backups this one may build upon.
    pub job: Option<&'a str>,
    /// Incremental backups after each whole one.
    pub incrementals: u32,
    /// Manifests of complete backups in the store.
    pub manifests: &'a [Manifest],
    /// The server the files come from.
    pub source: &'a Target,
    /// The server that takes writes.
    pub primary: &'a Target,
    /// Programs, for the former.
    pub tools: &'a Toolbox,
    /// Where to.
    pub store: &'a Arc<dyn Store>,
    /// How objects are made.
    pub how: &'a Seal,
    /// To read an encrypted parent with.
    pub keys: Option<&'a Keys>,
}

/// A base backup whose objects are stored.
#[derive(Debug)]
pub struct Taken {
    /// The objects, in the order in which a restore wants them.
    pub objects: Vec<ObjectRecord>,
    /// Where they are in the log.
    pub position: Position,
    /// What it builds upon.
    pub parent: Option<BackupId>,
    /// Why it builds upon nothing.
    pub is_whole_because: Option<Why>,
    /// The database at the mark; why there is none otherwise.
    pub reading: Result<Reading, String>,
}

/// A base backup did not come about.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A server.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A program.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The stream into the store, or out of it.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] BackupNameError),
    /// Files in further directories.
    #[error("{node} has tablespaces ({}), and a base backup streams one directory only", names.join(", "))]
    Tablespaces {
        /// Which server.
        node: String,
        /// Their names.
        names: Vec<String>,
    },
    /// No incremental backups without summaries.
    #[error("{node} keeps no summaries of its log, which incremental backups are made from")]
    NotSummarized {
        /// Which server.
        node: String,
    },
    /// The log that belongs to the backup was removed while it ran.
    #[error("{node} removed log that the base backup needs while it ran")]
    LogRemoved {
        /// Which server.
        node: String,
        /// What the program said.
        #[source]
        source: PipelineError,
    },
    /// The standby is too far behind.
    #[error("{node} had not replayed {position} after {} s", CATCH_UP_PATIENCE.as_secs())]
    Behind {
        /// Which standby.
        node: String,
        /// A position of the primary's.
        position: Lsn,
    },
    /// The two servers have nothing to do with each other.
    #[error("{source_node} is no standby of {primary}: they differ in {what}")]
    NotRelated {
        /// The one the files come from.
        source_node: String,
        /// The one that takes writes.
        primary: String,
        /// System identifier or timeline.
        what: &'static str,
    },
    /// The program ended well and its output says nothing.
    #[error("pg_basebackup ended without saying where its backup is in the log")]
    Untold,
    /// The parent's manifest is too large.
    #[error("PostgreSQL's manifest of {parent} has {bytes} bytes")]
    LargeManifest {
        /// The parent.
        parent: BackupId,
        /// Its size.
        bytes: u64,
    },
}

impl BaseError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Postgres(error) => error.help(),
            Self::Tool(error) => error.help(),
            Self::Pipeline(error) => error.help(),
            Self::Store(error) => Some(error.help()),
            Self::Tablespaces { .. } => {
                Some("move what is in them to `pg_default`, or take `kind: full`, which holds rows and no files".into())
            }
            Self::NotSummarized { .. } => Some(
                "set `summarize_wal` to on (the presets do; `hypertide up` applies it), or leave out `incrementals`".into(),
            ),
            Self::LogRemoved { .. } => Some(
                "more log was written during the backup than `max_slot_wal_keep_size` keeps: raise it, or take the backup \
                 when less is written"
                    .into(),
            ),
            Self::Behind { node, .. } => Some(format!("`hypertide status` shows how far {node} is; `from: primary` does without")),
            Self::NotRelated { .. } => Some("choose another node with `from`".into()),
            Self::LargeManifest { .. } => Some("leave out `incrementals`".into()),
            Self::Key(_) | Self::Untold => None,
        }
    }

    /// It cannot be made as asked.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Tablespaces { .. } | Self::NotSummarized { .. } | Self::NotRelated { .. })
    }

    /// Trying again later may be all that is needed.
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::LogRemoved { .. }
            | Self::Behind { .. }
            | Self::Pipeline(PipelineError::Source { .. } | PipelineError::Lost { .. }) => true,
            Self::Postgres(error) => error.code().is_none(),
            Self::Store(error) | Self::Pipeline(PipelineError::Store(error)) => error.fault == Fault::Unavailable,
            _ => false,
        }
    }
}

/// Takes one. `on_bytes` is told how far the data directory is.
pub async fn take(order: &Order<'_>, on_bytes: impl Fn(Progress) + Send) -> Result<Taken, BaseError> {
    let held = hold(order).await?;
    let choice = choose(order, &held).await?;
    let (parent, is_whole_because) = match choice {
        Choice::Whole(why) => (None, Some(why)),
        Choice::Upon(parent) => (Some(parent), None),
    };
    let manifest = match &parent {
        Some(parent) => Some(parents_manifest(order, parent).await?),
        None => None,
    };
    let (mut objects, told) = stream(order, manifest, on_bytes).await?;

    let (timeline, end) = told.summary.end();
    let mut position =
        Position { timeline, lsn: told.label.start.to_string(), end_lsn: Some(end.to_string()), restore_point: None };
    let is_from_standby = held.source.is_some();
    let reading = if timeline != held.now.timeline {
        Err("the timeline changed while it ran".into())
    } else if held.now.segment_bytes != SEGMENT_BYTES {
        Err(format!("the segments of the log have {} bytes instead of {SEGMENT_BYTES}", held.now.segment_bytes))
    } else {
        match mark::make(order.primary, order.id).await? {
            Marking::Not(because) => Err(because),
            Marking::Done(mark) => {
                base::switch(&held.primary).await?;
                let segments = trail::segments(timeline, end, is_from_standby, mark.lsn);
                if !segments.is_empty() {
                    objects.push(store_trail(order, &held.primary, &segments).await?);
                }
                position.restore_point = Some(RestorePoint { ..mark.point });
                Ok(mark.reading)
            }
        }
    };
    if let Err(because) = &reading {
        tracing::warn!(backup = %order.id, "the base backup has no mark to compare it at: {because}");
    }
    Ok(Taken { objects, position, parent, is_whole_because, reading })
}

/// Both servers, with slots that keep the log from before the backup until this is dropped.
struct Held {
    primary: Session,
    /// The standby, where the files come from one.
    source: Option<Session>,
    now: ServerNow,
}

impl Held {
    fn source(&self) -> &Session {
        self.source.as_ref().unwrap_or(&self.primary)
    }
}

/// Sees to it that the log cannot be removed from under the backup, and that a backup from a standby ends behind what the primary
/// keeps from now on.
async fn hold(order: &Order<'_>) -> Result<Held, BaseError> {
    let slot = format!("hypertide_{}", order.id.as_str().to_ascii_lowercase().replace('-', "_"));
    let primary = Session::watch(order.primary).await?;
    let now = base::server(&primary).await?;
    if !now.tablespaces.is_empty() {
        return Err(BaseError::Tablespaces { node: primary.node.to_string(), names: now.tablespaces });
    }
    base::hold_log(&primary, &slot).await?;
    if order.source.node == order.primary.node {
        return Ok(Held { primary, source: None, now });
    }
    let source = Session::watch(order.source).await?;
    let theirs = base::server(&source).await?;
    let not_related =
        |what| BaseError::NotRelated { source_node: source.node.to_string(), primary: primary.node.to_string(), what };
    if !theirs.is_in_recovery || theirs.system_identifier != now.system_identifier {
        return Err(not_related("their system identifier"));
    }
    // An incremental backup has to begin behind its parent, and a standby begins at the last checkpoint it has replayed.
    let position = base::checkpoint(&primary).await?;
    if !catch_up::wait_until_replayed(&source, position, CATCH_UP_PATIENCE).await? {
        return Err(BaseError::Behind { node: source.node.to_string(), position });
    }
    base::hold_log(&source, &slot).await?;
    Ok(Held { primary, source: Some(source), now })
}

async fn choose(order: &Order<'_>, held: &Held) -> Result<Choice, BaseError> {
    let source = held.source();
    let mut server = chain::Server {
        system_identifier: held.now.system_identifier.clone(),
        timeline: held.now.timeline,
        summarized_from: None,
    };
    if order.incrementals > 0 {
        if !base::server(source).await?.summarizes {
            return Err(BaseError::NotSummarized { node: source.node.to_string() });
        }
        server.summarized_from = base::summarized_from(source, server.timeline).await?;
    }
    Ok(chain::choose(order.manifests, order.job, order.incrementals, &server, order.keys.is_some()))
}

async fn parents_manifest(order: &Order<'_>, parent: &BackupId) -> Result<Vec<u8>, BaseError> {
    let manifest = order.manifests.iter().find(|manifest| manifest.id == *parent);
    let record = manifest.and_then(|manifest| manifest.object(Part::BaseManifest));
    let record = record.expect("the chain was chosen from these manifests, for this object");
    if record.raw_bytes > LARGEST_MANIFEST {
        return Err(BaseError::LargeManifest { parent: parent.clone(), bytes: record.raw_bytes });
    }
    let key = key(order.scope, parent, &record.name)?;
    let mut unsealed: Unsealed = pipeline::unseal(order.store.clone(), key.clone(), record, order.keys, |_| ())?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        unsealed.read_to_end(&mut bytes).map(|_| bytes)
    });
    let read = reading.await.map_err(|_| PipelineError::Lost { key: key.clone() })?;
    Ok(read.map_err(|error| PipelineError::from_io(error, |source| PipelineError::Read { key, source }))?)
}

/// The data directory and PostgreSQL's manifest of it, both at once.
async fn stream(
    order: &Order<'_>,
    parent: Option<Vec<u8>>,
    on_bytes: impl Fn(Progress) + Send,
) -> Result<(Vec<ObjectRecord>, watched::Told), BaseError> {
    let mut tool = Tool::new("pg_basebackup")
        .args(["--format=tar", "--pgdata=-", "--wal-method=fetch", "--checkpoint=fast", "--compress=none"])
        .args(["--manifest-checksums=CRC32C", "--no-password", "--label=hypertide"])
        .connected_to(&order.source.database);
    if let Some(bytes) = parent {
        tool = tool.file("--incremental=", "backup_manifest", bytes);
    }
    let output = order.tools.reading(&tool)?;
    // The parent's manifest is with the server now.
    drop(tool);
    let (feeder, manifest) = feed::channel();
    let (watched, telling) = Watched::new(output, feeder);
    let suffix = order.how.suffix();
    let (base_name, manifest_name) = (format!("base.tar{suffix}"), format!("backup_manifest{suffix}"));
    let (base_key, manifest_key) =
        (key(order.scope, order.id, &base_name)?, key(order.scope, order.id, &manifest_name)?);
    let store: &dyn Store = &**order.store;
    let base = pipeline::seal(watched, order.how, store, &base_key, on_bytes);
    let manifest = pipeline::seal(manifest, order.how, store, &manifest_key, |_| ());
    // The stream's own failure is why the manifest has no end.
    let (base, manifest) = futures_util::future::join(base, manifest).await;
    let base = base.map_err(|error| of_stream(error, order))?;
    let manifest = manifest?;
    let told = telling.take().ok_or(BaseError::Untold)?;
    let objects = vec![
        base.record(&base_name, Part::Base, None, order.how),
        manifest.record(&manifest_name, Part::BaseManifest, None, order.how),
    ];
    Ok((objects, told))
}

/// What a failed stream means.
fn of_stream(error: PipelineError, order: &Order<'_>) -> BaseError {
    let said = match &error {
        PipelineError::Source { source, .. } => {
            source.get_ref().and_then(|inner| inner.downcast_ref::<ToolError>()).map(ToString::to_string)
        }
        _ => None,
    };
    let removed = ["has already been removed", "could not find WAL file", "could not find any WAL files"];
    if said.is_some_and(|said| removed.iter().any(|words| said.contains(words))) {
        return BaseError::LogRemoved { node: order.source.node.to_string(), source: error };
    }
    error.into()
}

async fn store_trail(
    order: &Order<'_>,
    primary: &Session,
    segments: &[crate::model::segment::Segment],
) -> Result<ObjectRecord, BaseError> {
    let name = format!("wal.tar{}", order.how.suffix());
    let key = key(order.scope, order.id, &name)?;
    let (feeder, fed) = feed::channel();
    let feeding = trail::feed(primary, segments, feeder);
    let storing = pipeline::seal(fed, order.how, &**order.store, &key, |_| ());
    let (fed, stored) = futures_util::future::join(feeding, storing).await;
    // A server that fails is why the stream has no end; a store that fails is why nobody read.
    let _ = fed?;
    Ok(stored?.record(&name, Part::BaseLog, None, order.how))
}

fn key(scope: &Scope, id: &BackupId, name: &str) -> Result<ObjectKey, BackupNameError> {
    format!("{scope}/{id}/{name}").parse()
}
