//! What is in a store: every backup with its manifest and its proofs, and everything that belongs to none.
//!
//! In: a store, and nothing else; the databases may be gone. Out: a [`Catalog`]. Nothing is left out in silence: what cannot be
//! read is listed with the reason, what lacks a manifest is listed as such. A store that does not answer is an error, and no
//! empty catalogue. Never writes.

mod entry;
mod find;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::AsyncReadExt;

pub use entry::{Entry, Proof, Shape, Unusable};
pub use find::{FindError, Wanted, chain};

use crate::backup::manifest::{FILE_NAME, Manifest};
use crate::backup::wal::archive;
use crate::model::backup::{BackupId, ObjectKey, Scope};
use crate::plan::restore;
use crate::plan::retention::{Archived, Orphan, Unfinished};
use crate::store::{Doing, Fault, Leftover, Listed, Store, StoreError};

/// Manifests that are read at the same time: enough to hide a bucket's latency.
const AT_ONCE: usize = 8;

/// Drills or checks of one backup that are read, the newest first.
const NEWEST: usize = 10;

/// A manifest is a few kilobytes; what is larger is something else, and does not go into memory.
const LARGEST: u64 = 16 << 20;

/// Everything in a store, by whose it is.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// One for each cluster or database.
    pub scopes: BTreeMap<Scope, Contents>,
}

/// What is in a store of one cluster or database.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Backups, the newest first; broken ones too.
    pub entries: Vec<Entry>,
    /// Objects of backups that have no manifest.
    pub orphans: Vec<Orphan>,
    /// The archived log.
    pub segments: Vec<Archived>,
    /// Objects by backup, for removing them.
    pub objects: BTreeMap<BackupId, Vec<Listed>>,
}

/// Reads a store; only one scope of it when that is given.
///
/// # Errors
/// The store cannot be listed, or something in it cannot be read for a reason that is the store's.
pub async fn load(store: &dyn Store, scope: Option<&Scope>) -> Result<Catalog, StoreError> {
    let below = scope.map(|scope| scope.to_string().parse::<ObjectKey>().expect("a scope is a plain part"));
    let mut catalog = Catalog::default();
    for listed in store.list(below.as_ref()).await? {
        let mut parts = listed.key.as_str().splitn(3, '/');
        let (Some(scope), Some(second), Some(_)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Ok(scope) = scope.parse::<Scope>() else { continue };
        if let Ok(id) = second.parse::<BackupId>() {
            catalog.scopes.entry(scope).or_default().objects.entry(id).or_default().push(listed);
        } else if let Some((archive::LogFile::Segment(at), stored)) = archive::parse(&listed)
            && archive::below(&scope).as_str().rsplit('/').next() == Some(second)
        {
            let segment = restore::Segment { timeline: at.timeline, number: at.number };
            let archived = Archived { key: stored.key, segment, bytes: stored.bytes };
            catalog.scopes.entry(scope).or_default().segments.push(archived);
        }
    }
    for (scope, contents) in &mut catalog.scopes {
        fill(store, scope, contents).await?;
    }
    catalog.scopes.retain(|_, contents| !contents.objects.is_empty() || !contents.segments.is_empty());
    Ok(catalog)
}

/// What killed writers left in a store, as far as its keys are those of backups or of the log.
pub async fn unfinished(store: &dyn Store, scope: &Scope) -> Result<Vec<(Unfinished, Leftover)>, StoreError> {
    let below = scope.to_string().parse::<ObjectKey>().expect("a scope is a plain part");
    let leftovers = store.leftovers(Some(&below)).await?;
    let of = |leftover: Leftover| {
        let id = leftover.key.as_str().split('/').nth(1).and_then(|part| part.parse().ok());
        (Unfinished { key: leftover.key.clone(), id, begun: leftover.begun.into() }, leftover)
    };
    Ok(leftovers.into_iter().map(of).collect())
}

/// Reads the manifests and sorts out what has none.
async fn fill(store: &dyn Store, scope: &Scope, contents: &mut Contents) -> Result<(), StoreError> {
    let is_manifest =
        |listed: &&Listed| listed.key.name() == FILE_NAME && listed.key.as_str().matches('/').count() == 2;
    let (with, without): (Vec<_>, Vec<_>) =
        contents.objects.iter().partition(|(_, objects)| objects.iter().any(|listed| is_manifest(&listed)));
    contents.orphans = without
        .into_iter()
        .map(|(id, objects)| Orphan {
            id: id.clone(),
            last_written: objects.iter().map(|listed| DateTime::<Utc>::from(listed.written)).max().unwrap_or_default(),
            bytes: objects.iter().map(|listed| listed.bytes).sum(),
        })
        .collect();
    let read = with.into_iter().map(|(id, objects)| entry(store, scope, id, objects));
    let entries: Vec<Option<Entry>> = futures_util::stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    contents.entries = entries.into_iter().flatten().collect();
    contents.entries.sort_by(|one, other| other.id.cmp(&one.id));
    Ok(())
}

/// One backup; `None` when it went while we looked.
async fn entry(
    store: &dyn Store,
    scope: &Scope,
    id: &BackupId,
    objects: &[Listed],
) -> Result<Option<Entry>, StoreError> {
    let root: ObjectKey = format!("{scope}/{id}").parse().expect("both are plain parts");
    let key = root.join(FILE_NAME).expect("a plain part");
    let listed = objects.iter().find(|listed| listed.key == key);
    let shape = match text(store, &key, listed).await? {
        None => return Ok(None),
        Some(Err(because)) => Shape::Unusable(because),
        Some(Ok(bytes)) => match Manifest::parse(&bytes, key.as_str()) {
            Ok(manifest) => entry::shape(manifest, scope, id, objects),
            Err(error) => Shape::Unusable(error.into()),
        },
    };
    let (mut drills, mut checks) = (Vec::new(), Vec::new());
    for (folder, proofs) in [("drills", &mut drills), ("checks", &mut checks)] {
        let below = format!("{root}/{folder}/");
        let mut found: Vec<&Listed> = objects.iter().filter(|listed| listed.key.as_str().starts_with(&below)).collect();
        // Their names are times.
        found.sort_by(|one, other| other.key.cmp(&one.key));
        for listed in found.into_iter().take(NEWEST) {
            match text(store, &listed.key, Some(listed)).await? {
                Some(Ok(bytes)) => proofs.push(Proof::parse(&bytes, listed)),
                Some(Err(_)) => proofs.push(Proof::unreadable(listed)),
                None => {}
            }
        }
    }
    Ok(Some(Entry { id: id.clone(), scope: scope.clone(), shape, drills, checks }))
}

/// A small object's bytes; `None` when it is gone.
async fn text(
    store: &dyn Store,
    key: &ObjectKey,
    listed: Option<&Listed>,
) -> Result<Option<Result<Vec<u8>, Unusable>>, StoreError> {
    if let Some(bytes) = listed.map(|listed| listed.bytes).filter(|bytes| *bytes > LARGEST) {
        return Ok(Some(Err(Unusable::TooLarge { bytes })));
    }
    let reader = match store.get(key).await {
        Ok(reader) => reader,
        Err(error) if error.fault == Fault::Missing => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    match reader.take(LARGEST).read_to_end(&mut bytes).await {
        Ok(_) => Ok(Some(Ok(bytes))),
        Err(error) => Err(error
            .downcast::<StoreError>()
            .unwrap_or_else(|error| StoreError::new(Doing::Get, store.url(), Some(key), Fault::Unavailable, error))),
    }
}

#[cfg(test)]
pub(in crate::backup) mod tests;
