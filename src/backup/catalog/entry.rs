//! One backup as a catalogue has it: what its manifest says, whether its objects are there, and what proofs there are.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup::manifest::{Manifest, ManifestError};
use crate::model::backup::{BackupId, Kind, Scope};
use crate::model::lsn::Lsn;
use crate::plan::retention::Backup;
use crate::store::Listed;

/// A backup in a store.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub id: BackupId,
    /// Whose it is.
    pub scope: Scope,
    /// What it is, or why it is of no use.
    pub shape: Shape,
    /// Drills, the newest first.
    pub drills: Vec<Proof>,
    /// Checks of its objects, the newest first.
    pub checks: Vec<Proof>,
}

/// Whether a backup is one.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Its manifest was read, and every object is there in its size.
    Complete(Box<Manifest>),
    /// Its manifest was read, and not every object is there as it says.
    Incomplete(Box<Manifest>, Unusable),
    /// Its manifest is of no use.
    Unusable(Unusable),
}

/// Why a backup cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The manifest is none, or of a later version.
    #[error("{message}")]
    Manifest {
        /// What is wrong with it.
        message: String,
        /// It is of a later hypertide, and not broken.
        is_newer: bool,
    },
    /// The manifest is far larger than any.
    #[error("its manifest has {bytes} bytes, which is no manifest of hypertide's")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The manifest is about something else.
    #[error("its manifest says that it is {says}")]
    Stranger {
        /// Scope and name in it.
        says: String,
    },
    /// An object is not there.
    #[error("its object {name} is missing")]
    Missing {
        /// The object's name.
        name: String,
    },
    /// An object has another size.
    #[error("its object {name} has {found} bytes instead of {wanted}")]
    Size {
        /// The object's name.
        name: String,
        /// Its size as listed.
        found: u64,
        /// Its size as the manifest says.
        wanted: u64,
    },
}

impl From<ManifestError> for Unusable {
    fn from(error: ManifestError) -> Self {
        let is_newer = matches!(error, ManifestError::Newer { .. });
        Self::Manifest { message: error.to_string(), is_newer }
    }
}

/// What a drill or a check came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it was over; null when that cannot be read.
    pub finished: Option<DateTime<Utc>>,
    /// The word it ended with; `unreadable` when it cannot be read.
    pub outcome: String,
    /// Rows that were compared.
    pub rows: Option<u64>,
    /// Differences that were found.
    pub differences: Option<u64>,
}

/// The words for one that went well.
const GOOD: [&str; 2] = ["equal", "good"];

impl Proof {
    /// Reads one; an odd one still counts as an attempt.
    pub(super) fn parse(bytes: &[u8], listed: &Listed) -> Self {
        #[derive(Deserialize)]
        struct Report {
            began: DateTime<Utc>,
            finished: Option<DateTime<Utc>>,
            outcome: String,
            rows: Option<u64>,
            difference_count: Option<u64>,
        }
        serde_json::from_slice::<Report>(bytes).map_or_else(
            |_| Self::unreadable(listed),
            |report| Self {
                began: report.began,
                finished: report.finished,
                outcome: report.outcome,
                rows: report.rows,
                differences: report.difference_count,
            },
        )
    }

    pub(super) fn unreadable(listed: &Listed) -> Self {
        let name = listed.key.name().trim_end_matches(".json");
        let began = NaiveDateTime::parse_from_str(name, "%Y%m%dT%H%M%SZ").map(|time| time.and_utc());
        Self {
            began: began.unwrap_or_else(|_| listed.written.into()),
            finished: None,
            outcome: "unreadable".to_owned(),
            rows: None,
            differences: None,
        }
    }

    /// It found nothing wrong.
    pub fn is_good(&self) -> bool {
        GOOD.contains(&self.outcome.as_str())
    }
}

/// What a manifest is worth, given the objects that are there.
pub(super) fn shape(manifest: Manifest, scope: &Scope, id: &BackupId, objects: &[Listed]) -> Shape {
    if (&manifest.scope, &manifest.id) != (scope, id) {
        return Shape::Unusable(Unusable::Stranger { says: format!("{}/{}", manifest.scope, manifest.id) });
    }
    let wrong = manifest.objects.iter().find_map(|record| {
        let key = format!("{scope}/{id}/{}", record.name);
        let name = record.name.clone();
        match objects.iter().find(|listed| listed.key.as_str() == key) {
            None => Some(Unusable::Missing { name }),
            Some(listed) if listed.bytes != record.stored_bytes => {
                Some(Unusable::Size { name, found: listed.bytes, wanted: record.stored_bytes })
            }
            Some(_) => None,
        }
    });
    match wrong {
        None => Shape::Complete(Box::new(manifest)),
        Some(wrong) => Shape::Incomplete(Box::new(manifest), wrong),
    }
}

impl Entry {
    /// The manifest, where it was read.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.shape {
            Shape::Complete(manifest) | Shape::Incomplete(manifest, _) => Some(manifest),
            Shape::Unusable(_) => None,
        }
    }

    /// Why it cannot be used.
    pub const fn unusable(&self) -> Option<&Unusable> {
        match &self.shape {
            Shape::Complete(_) => None,
            Shape::Incomplete(_, because) | Shape::Unusable(because) => Some(because),
        }
    }

    /// What it holds, by its name.
    pub fn kind(&self) -> Option<Kind> {
        let word = self.id.as_str().split('-').nth(1)?;
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The stable word for its state: `verified`, `failed_drill`, `damaged`, `complete`, `incomplete`, `newer` or `unreadable`.
    pub fn state(&self) -> &'static str {
        match &self.shape {
            Shape::Unusable(Unusable::Manifest { is_newer: true, .. }) => "newer",
            Shape::Unusable(_) => "unreadable",
            Shape::Incomplete(..) => "incomplete",
            Shape::Complete(_) if self.checks.first().is_some_and(|check| check.outcome == "damaged") => "damaged",
            Shape::Complete(_) => match self.drills.first() {
                None => "complete",
                Some(drill) if drill.is_good() => "verified",
                Some(_) => "failed_drill",
            },
        }
    }

    /// It is complete, its last drill found it equal, and no later check found it damaged.
    pub fn is_verified(&self) -> bool {
        self.state() == "verified"
    }

    /// When it was last restored and found equal.
    pub fn verified_at(&self) -> Option<DateTime<Utc>> {
        self.drills.iter().find(|drill| drill.is_good()).map(|drill| drill.finished.unwrap_or(drill.began))
    }

    /// The backup as far as its staying is concerned; `None` when its manifest cannot be read.
    pub fn staying(&self) -> Option<Backup> {
        let manifest = self.manifest()?;
        let log_from = || Some((manifest.position.timeline, manifest.position.lsn.parse::<Lsn>().ok()?));
        Some(Backup {
            id: self.id.clone(),
            kind: manifest.kind,
            job: manifest.job.clone(),
            is_verified: self.is_verified(),
            parent: manifest.parent.clone(),
            stored_bytes: manifest.stored_bytes(),
            log_from: if manifest.kind == Kind::Base { log_from() } else { None },
        })
    }
}
