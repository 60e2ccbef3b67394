//! The backup a person means, in whichever store it is, with what it takes to read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{load_all, open_all, wanted};
use crate::backup::catalog::{self, Entry, FindError, Wanted};
use crate::backup::manifest::Manifest;
use crate::backup::pipeline::Keys;
use crate::cli::args::backup::ListArgs;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::model::backup::BackupId;
use crate::model::desired::Desired;
use crate::store::Store;

/// A backup in a store.
pub struct Picked {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What the catalogue knows about it.
    pub entry: Entry,
    /// The backups beside it, for those it builds upon.
    siblings: BTreeMap<BackupId, Manifest>,
}

/// Which ones.
pub enum Which<'a> {
    /// The one of this name; of `latest`, the newest.
    One(&'a str),
    /// All of them.
    All,
}

/// Finds backups in the stores that were typed or configured. `fits` leaves out what `latest` must not mean.
pub async fn pick(
    desired: &Desired,
    list: &ListArgs,
    which: Which<'_>,
    fits: impl Fn(&Manifest) -> bool,
) -> Result<Vec<Picked>, Failure> {
    let opened = open_all(desired, &list.store).await?;
    let (mut picked, mut silent, mut not_found) = (Vec::new(), None, None);
    for (one, read) in load_all(&opened).await? {
        let catalog = match read {
            Ok(catalog) => catalog,
            Err(failure) => {
                silent = Some(failure);
                continue;
            }
        };
        let wanted: Wanted = wanted(list, one.scope.as_ref());
        let all: Vec<&Entry> = catalog.entries().into_iter().filter(|entry| wanted.has(entry)).collect();
        let found: Vec<&Entry> = match which {
            Which::All => all,
            Which::One("latest") => {
                let usable = |entry: &&&Entry| entry.unusable().is_none() && entry.manifest().is_some_and(&fits);
                all.iter().find(usable).copied().into_iter().collect()
            }
            Which::One(typed) => match catalog.find(typed, &wanted) {
                Ok(entry) => vec![entry],
                Err(error) => {
                    not_found = Some(error);
                    Vec::new()
                }
            },
        };
        let siblings = |of: &Entry| {
            let same = catalog.entries().into_iter().filter(|entry| entry.scope == of.scope);
            same.filter_map(|entry| Some((entry.id.clone(), entry.manifest()?.clone()))).collect()
        };
        picked.extend(found.into_iter().map(|entry| Picked {
            store: one.store.clone(),
            entry: entry.clone(),
            siblings: siblings(entry),
        }));
    }
    picked.sort_by(|one, other| other.entry.id.cmp(&one.entry.id));
    if matches!(which, Which::One(_)) {
        picked.truncate(1);
    }
    if picked.is_empty() {
        // What is not in the stores that answer may be in the one that does not.
        let none = || not_found.map_or_else(|| FindError::None.into(), Failure::from);
        return Err(silent.unwrap_or_else(none));
    }
    Ok(picked)
}

impl Picked {
    /// Its manifest; what has none cannot be restored.
    pub fn manifest(&self) -> Result<&Manifest, Failure> {
        match (self.entry.manifest(), self.entry.unusable()) {
            (Some(manifest), None) => Ok(manifest),
            (_, because) => {
                let because = because.map_or_else(|| "it has no manifest".to_owned(), ToString::to_string);
                Err(Failure::new(exit::FAILED, format!("{} cannot be used: {because}", self.entry.id))
                    .with_help("`hypertide backup list` shows what else there is"))
            }
        }
    }

    /// The base backups that it builds upon, the whole one first.
    pub fn chain(&self) -> Result<Vec<Manifest>, Failure> {
        let manifest = self.manifest()?;
        catalog::chain(manifest, |id| self.siblings.get(id).cloned()).map_err(|gone| {
            Failure::new(exit::FAILED, format!("{} builds upon {gone}, which is gone", manifest.id))
                .with_help("an older whole base backup may do: `hypertide backup list --kind base`")
        })
    }

    /// What it is decrypted with: the file that was typed, else that of the job that made it.
    pub fn keys(&self, desired: &Desired, typed: Option<&Path>) -> Result<Option<Keys>, Failure> {
        let job = self.entry.manifest().and_then(|manifest| manifest.job.as_ref());
        let configured = || -> Option<PathBuf> {
            let job = desired.backups.iter().find(|configured| Some(&configured.name) == job)?;
            job.identity.clone()
        };
        let file = typed.map(Path::to_owned).or_else(configured);
        Ok(file.map(|file| Keys::read(&file)).transpose()?)
    }
}
