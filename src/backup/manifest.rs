//! The manifest: what a backup is, in one JSON document beside its objects, written last. No manifest, no backup.
//!
//! In: text from a store. Out: a checked [`Manifest`], and back. What grows with the number of chunks is not in here but in the
//! object of [`Part::Contents`], so that listing backups stays cheap.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::backup::{BackupId, Kind, Scope};

/// The format this version writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// The manifest's name below the backup's own key.
pub const FILE_NAME: &str = "manifest.json";

/// One backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// Its name.
    pub id: BackupId,
    /// Whose it is.
    pub scope: Scope,
    /// What it holds.
    pub kind: Kind,
    /// The job that made it; `None`: made by hand.
    pub job: Option<String>,
    /// The database it is about; a base backup and globals hold the others as well.
    pub database: String,
    /// The server it was taken from.
    pub source: SourceFacts,
    /// Where in the log its rows are.
    pub position: Position,
    /// When it was begun.
    pub began: DateTime<Utc>,
    /// When everything was stored.
    pub finished: DateTime<Utc>,
    /// Time spent on fingerprints, in seconds, part of the whole.
    pub fingerprint_seconds: f64,
    /// Its objects, in the order in which a restore wants them.
    pub objects: Vec<ObjectRecord>,
    /// Sums over [`Part::Contents`].
    pub totals: Totals,
    /// The base backup that an incremental one builds upon.
    pub parent: Option<BackupId>,
    /// Programs that made it, `name version`, hypertide first.
    pub tools: Vec<String>,
}

/// The server a backup was taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// The node; `None` for a database without a cluster.
    pub node: Option<String>,
    /// `primary`, `standby`, `subscriber`, or `external` where nobody can tell.
    pub role: String,
    /// `pg_control_system().system_identifier`.
    pub system_identifier: String,
    /// PostgreSQL's version, `17.6`.
    pub postgres: String,
    /// Its major version.
    pub postgres_major: u32,
    /// TimescaleDB's version in the database; `None` without it.
    pub timescaledb: Option<String>,
    /// `apache` or `timescale`.
    pub edition: Option<String>,
    /// `shared_preload_libraries`.
    pub preload: String,
    /// The image's content address, when the server is a container of ours.
    pub image: Option<String>,
    /// The reference that image was known by.
    pub image_reference: Option<String>,
}

/// Where in the log a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The timeline.
    pub timeline: u32,
    /// Dumps: the log was here or later when the snapshot was taken. Base backups: recovery starts here.
    pub lsn: String,
    /// Base backups: consistent from here on.
    pub end_lsn: Option<String>,
    /// Base backups: a named restore point at which the rows are those of [`Part::Contents`].
    pub restore_point: Option<RestorePoint>,
}

/// A named position in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePoint {
    /// Its name, for `recovery_target_name`.
    pub name: String,
    /// Where it is.
    pub lsn: String,
}

/// What an object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A `pg_dump` archive in custom format: schema, TimescaleDB's catalog, and rows that no [`Part::Rows`] has.
    Archive,
    /// A `pg_dump` archive with the rows of some tables only.
    Rows,
    /// Readable DDL.
    Ddl,
    /// One table as `COPY` text, with a header line.
    Table,
    /// SQL that makes roles, tablespaces and settings.
    Globals,
    /// The data directory as tar.
    Base,
    /// PostgreSQL's own manifest of a base backup, which the next incremental one needs.
    BaseManifest,
    /// The log from the end of a base backup to its restore point: whole segments as tar.
    BaseLog,
    /// Tables, chunks, counts and fingerprints ([`crate::backup::contents`]).
    Contents,
}

/// One object of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Its name below the backup's own key.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// The table, for [`Part::Table`]: `schema.table`.
    pub table: Option<String>,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes in the store.
    pub stored_bytes: u64,
    /// SHA-256 of the bytes in the store, hexadecimal.
    pub sha256: String,
    /// Compressed by zstd.
    pub is_compressed: bool,
    /// Encrypted by age.
    pub is_encrypted: bool,
}

/// Sums over a backup's contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Plain tables, chunks not counted.
    pub tables: u64,
    /// Hypertables.
    pub hypertables: u64,
    /// Chunks.
    pub chunks: u64,
    /// Rows.
    pub rows: u64,
    /// Fingerprints taken over from an earlier backup, since the table certainly did not change.
    pub reused: u64,
}

/// A text is no manifest of ours.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON we write.
    #[error("{what} is no manifest: {because}")]
    Malformed {
        /// Where it is.
        what: String,
        /// What is odd.
        because: String,
    },
    /// Written by a later version of hypertide.
    #[error("{what} has format {format}, and this hypertide reads up to {FORMAT}")]
    Newer {
        /// Where it is.
        what: String,
        /// Its format.
        format: u32,
    },
}

impl ManifestError {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::Malformed { .. } => "the backup is not usable; `hypertide backup verify` looks at all of them".into(),
            Self::Newer { .. } => "use the hypertide that made it, or a later one".into(),
        }
    }
}

impl Manifest {
    /// Reads a manifest; `what` names the text in errors.
    pub fn parse(text: &[u8], what: &str) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let odd =
            |error: serde_json::Error| ManifestError::Malformed { what: what.to_owned(), because: error.to_string() };
        let Format { format } = serde_json::from_slice(text).map_err(odd)?;
        if format > FORMAT {
            return Err(ManifestError::Newer { what: what.to_owned(), format });
        }
        serde_json::from_slice(text).map_err(odd)
    }

    /// The document as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("keys are text and numbers are finite")
    }

    /// The object for a part, where there is one.
    pub fn object(&self, part: Part) -> Option<&ObjectRecord> {
        self.objects.iter().find(|object| object.part == part)
    }

    /// Bytes in the store, the manifest itself not counted.
    pub fn stored_bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.stored_bytes).sum()
    }
}
