//! Finding the backup that a person means.

use super::{Catalog, Entry};
use crate::backup::manifest::Manifest;
use crate::model::backup::{BackupId, Kind, Scope};

/// The word for the newest one.
const LATEST: &str = "latest";

/// Candidates that a message names.
const NAMED: usize = 5;

/// What is looked for, beside the name.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only of this job.
    pub job: Option<String>,
    /// Only of this scope.
    pub scope: Option<Scope>,
}

/// No backup was found, or more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is none of that name.
    #[error("there is no backup `{0}`")]
    Unknown(String),
    /// There is none at all that can be used.
    #[error("there is no backup that could be used")]
    None,
    /// Several names begin like that.
    #[error("`{typed}` could be {}", several(candidates))]
    Ambiguous {
        /// What was typed.
        typed: String,
        /// The names.
        candidates: Vec<String>,
    },
}

fn several(candidates: &[String]) -> String {
    let more = if candidates.len() > NAMED { " and others" } else { "" };
    let shown: Vec<&str> = candidates.iter().take(NAMED).map(String::as_str).collect();
    format!("{}{more}", shown.join(", "))
}

impl FindError {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown(_) | Self::None => "`hypertide backup list` shows what there is".into(),
            Self::Ambiguous { .. } => "type more of the name".into(),
        }
    }
}

impl Wanted {
    /// It is looked for.
    pub fn has(&self, entry: &Entry) -> bool {
        let job = || entry.manifest().and_then(|manifest| manifest.job.as_ref());
        self.kind.is_none_or(|kind| entry.kind() == Some(kind))
            && self.scope.as_ref().is_none_or(|scope| entry.scope == *scope)
            && self.job.as_ref().is_none_or(|wanted| job() == Some(wanted))
    }
}

/// The base backups that one builds upon, the whole one first; else the name of one that is gone.
pub fn chain(of: &Manifest, find: impl Fn(&BackupId) -> Option<Manifest>) -> Result<Vec<Manifest>, BackupId> {
    let mut chain: Vec<Manifest> = Vec::new();
    while let at = chain.first().unwrap_or(of)
        && let Some(parent) = &at.parent
    {
        // A parent began before its child, so names only get smaller and the way ends.
        let found = find(parent).filter(|_| *parent < at.id).ok_or_else(|| parent.clone())?;
        chain.insert(0, found);
    }
    Ok(chain)
}

impl Catalog {
    /// Every backup, the newest first.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.scopes.values().flat_map(|contents| &contents.entries).collect();
        all.sort_by(|one, other| other.id.cmp(&one.id));
        all
    }

    /// The backup of a name, of the only name that begins so, or, for `latest`, the newest one that can be used.
    pub fn find(&self, typed: &str, wanted: &Wanted) -> Result<&Entry, FindError> {
        let entries = self.entries();
        let all: Vec<&&Entry> = entries.iter().filter(|entry| wanted.has(entry)).collect();
        if typed == LATEST {
            return all.into_iter().find(|entry| entry.unusable().is_none()).copied().ok_or(FindError::None);
        }
        let found: Vec<&&Entry> = match all.iter().filter(|entry| entry.id.as_str() == typed).collect::<Vec<_>>() {
            exact if exact.len() == 1 => exact.into_iter().copied().collect(),
            _ => all.into_iter().filter(|entry| !typed.is_empty() && entry.id.as_str().starts_with(typed)).collect(),
        };
        match found.as_slice() {
            [] => Err(FindError::Unknown(typed.to_owned())),
            [only] => Ok(**only),
            many => Err(FindError::Ambiguous {
                typed: typed.to_owned(),
                candidates: many.iter().map(|entry| format!("{}/{}", entry.scope, entry.id)).collect(),
            }),
        }
    }
}
