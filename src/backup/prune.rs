//! Removing from a store what `plan::retention` says may go.
//!
//! In: a store and what is known of its jobs. Out: what goes and stays, and then less in the store. A backup's manifest goes
//! first, so that one that is removed half is no backup; what is left of it is found as an orphan the next time. Cut off
//! anywhere, another run goes on. Decides nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::catalog::{self, Contents};
use super::manifest::FILE_NAME;
use crate::model::backup::{BackupId, ObjectKey, Scope};
use crate::plan::retention::reason::Because;
use crate::plan::retention::{self, Decision, Inventory, Policies, Pruning};
use crate::store::{Leftover, Store, StoreError};

/// How long what has no manifest is left alone when nobody says otherwise: no object takes longer to write.
const GRACE: Duration = Duration::from_hours(24);

/// What is known beside the store.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What jobs keep.
    pub policies: Policies,
    /// Backups that are being made now.
    pub running: BTreeSet<BackupId>,
    /// The longest time a job may take; what has no manifest is left alone for at least as long.
    pub longest_run: Duration,
    /// Somebody knows better how long that has to be.
    pub grace: Option<Duration>,
}

/// A decided prune of one scope.
#[derive(Debug)]
pub struct Prune {
    /// Whose backups.
    pub scope: Scope,
    /// What goes and stays.
    pub pruning: Pruning,
    contents: Contents,
    leftovers: Vec<Leftover>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Backups.
    pub backups: u64,
    /// Remains of backups that had no manifest.
    pub orphans: u64,
    /// Uploads and temporary files that were never completed.
    pub unfinished: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of all that.
    pub bytes: u64,
}

/// Looks into a store and decides.
pub async fn plan(store: &dyn Store, scope: &Scope, known: &Known, now: DateTime<Utc>) -> Result<Prune, StoreError> {
    let mut catalog = catalog::load(store, Some(scope)).await?;
    let contents = catalog.scopes.remove(scope).unwrap_or_default();
    let (unfinished, leftovers): (Vec<_>, Vec<_>) = catalog::unfinished(store, scope).await?.into_iter().unzip();
    let mut inventory = Inventory {
        orphans: contents.orphans.clone(),
        segments: contents.segments.clone(),
        running: known.running.clone(),
        unfinished,
        ..Inventory::default()
    };
    for entry in &contents.entries {
        match entry.staying() {
            Some(backup) => inventory.backups.push(backup),
            None => drop(inventory.unreadable.insert(entry.id.clone())),
        }
    }
    // An object that is still being written counts as written to.
    for orphan in &mut inventory.orphans {
        let begun =
            inventory.unfinished.iter().filter(|part| part.id.as_ref() == Some(&orphan.id)).map(|part| part.begun);
        orphan.last_written = begun.chain([orphan.last_written]).max().unwrap_or(orphan.last_written);
    }
    let grace = known.grace.unwrap_or_else(|| GRACE.max(known.longest_run));
    let pruning = retention::plan(&inventory, &known.policies, grace, now);
    Ok(Prune { scope: scope.clone(), pruning, contents, leftovers })
}

impl Prune {
    /// There is nothing to remove.
    pub fn is_empty(&self) -> bool {
        let is_kept = |because: &Because| matches!(because, Because::Kept(_));
        self.pruning.backups.iter().chain(&self.pruning.orphans).all(Decision::is_kept)
            && self.pruning.unfinished.iter().all(is_kept)
            && self.pruning.log.removed.is_empty()
    }

    /// Uploads and temporary files that were never completed, and why each stays or goes.
    pub fn unfinished(&self) -> impl Iterator<Item = (&ObjectKey, &Because)> {
        self.leftovers.iter().map(|leftover| &leftover.key).zip(&self.pruning.unfinished)
    }

    /// Removes it. `told` hears of each backup.
    ///
    /// # Errors
    /// The store refused. What was removed until then is gone; another run goes on.
    pub async fn execute(&self, store: &dyn Store, told: impl Fn(&BackupId)) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        for decision in self.pruning.backups.iter().filter(|decision| !decision.is_kept()) {
            told(&decision.id);
            removed.bytes += self.remove(store, &decision.id).await?;
            removed.backups += 1;
        }
        for decision in self.pruning.orphans.iter().filter(|decision| !decision.is_kept()) {
            told(&decision.id);
            removed.bytes += self.remove(store, &decision.id).await?;
            removed.orphans += 1;
        }
        for (leftover, because) in self.leftovers.iter().zip(&self.pruning.unfinished) {
            if matches!(because, Because::Removed(_)) {
                store.discard(leftover).await?;
                removed.unfinished += 1;
            }
        }
        for key in &self.pruning.log.removed {
            store.remove(key).await?;
            removed.segments += 1;
        }
        removed.bytes += self.pruning.log.removed_bytes;
        Ok(removed)
    }

    /// Removes everything of one backup, the manifest first.
    async fn remove(&self, store: &dyn Store, id: &BackupId) -> Result<u64, StoreError> {
        let mut objects: Vec<_> = self.contents.objects.get(id).into_iter().flatten().collect();
        let depth = |key: &str| key.matches('/').count();
        objects.sort_by_key(|listed| !(listed.key.name() == FILE_NAME && depth(listed.key.as_str()) == 2));
        for listed in &objects {
            store.remove(&listed.key).await?;
        }
        Ok(objects.iter().map(|listed| listed.bytes).sum())
    }
}

#[cfg(test)]
mod tests;
