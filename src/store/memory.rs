//! A store that is gone with the process, for tests of what uses one.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::{Bytes, Doing, Fault, Leftover, Listed, Store, StoreError};
use crate::model::backup::{ObjectKey, StoreUrl};

/// Objects in memory. Its address is made up.
#[derive(Debug)]
pub struct Memory {
    url: StoreUrl,
    objects: Mutex<BTreeMap<ObjectKey, (Vec<u8>, SystemTime)>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { url: StoreUrl::Disk(PathBuf::from("/memory")), objects: Mutex::default() }
    }
}

impl Memory {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, (Vec<u8>, SystemTime)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of an object as they are, for a test to read or to damage.
    pub fn with<T>(&self, key: &ObjectKey, look: impl FnOnce(&mut Vec<u8>) -> T) -> Option<T> {
        self.objects().get_mut(key).map(|(bytes, _)| look(bytes))
    }
}

impl Store for Memory {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, mut bytes: Bytes<'a>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut all = Vec::new();
            let size = bytes
                .read_to_end(&mut all)
                .await
                .map_err(|error| StoreError::new(Doing::Put, &self.url, Some(key), Fault::Producer, error))?;
            self.objects().insert(key.clone(), (all, SystemTime::now()));
            Ok(size as u64)
        })
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Bytes<'static>, StoreError>> {
        Box::pin(async move {
            let Some((bytes, _)) = self.objects().get(key).cloned() else {
                return Err(StoreError::new(Doing::Get, &self.url, Some(key), Fault::Missing, "no such object"));
            };
            Ok(Box::pin(Cursor::new(bytes)) as Bytes<'static>)
        })
    }

    fn list<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            let objects = self.objects();
            let listed = objects.iter().filter(|(key, _)| below.is_none_or(|below| key.is_within(below)));
            Ok(listed
                .map(|(key, (bytes, written))| Listed {
                    key: key.clone(),
                    bytes: bytes.len() as u64,
                    written: *written,
                })
                .collect())
        })
    }

    fn remove<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.objects().remove(key);
            Ok(())
        })
    }

    fn leftovers<'a>(&'a self, _: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Leftover>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn discard<'a>(&'a self, _: &'a Leftover) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract_of_stores() {
        crate::store::contract::holds(&Memory::default()).await;
    }
}
