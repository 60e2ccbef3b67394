//! A backup as a restore reads it: its manifest, and its objects by what they are for.
//!
//! In: a store, a key, identities. Out: readers for threads, and the small objects whole. Never writes.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::RestoreError;
use crate::backup::contents::Contents;
use crate::backup::manifest::{Manifest, ObjectRecord, Part};
use crate::backup::pipeline::{self, Keys, PipelineError, Source, StopOnDrop, Unsealed};
use crate::backup::verify;
use crate::model::backup::ObjectKey;
use crate::store::Store;

/// Text that is read whole is not longer than this.
const MOST_TEXT: u64 = 512 << 20;

/// One backup in a store.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where it is.
    pub store: Arc<dyn Store>,
    /// What it is.
    pub manifest: Manifest,
    /// What it is decrypted with.
    pub keys: Option<Keys>,
}

impl Origin {
    /// The key that everything of it lies below.
    pub fn key(&self) -> Result<ObjectKey, RestoreError> {
        Ok(verify::key(&self.manifest.scope, &self.manifest.id)?)
    }

    /// The records for a part, in the manifest's order.
    pub fn records(&self, part: Part) -> Vec<&ObjectRecord> {
        self.manifest.objects.iter().filter(|record| record.part == part).collect()
    }

    /// The one record for a part.
    pub fn record(&self, part: Part, name: &'static str) -> Result<&ObjectRecord, RestoreError> {
        self.manifest.object(part).ok_or(RestoreError::NoPart { part: name })
    }

    /// An object as it was before it was sealed, checked while it is read.
    pub fn open(&self, record: &ObjectRecord) -> Result<Unsealed, RestoreError> {
        let key = self.key()?.join(&record.name)?;
        Ok(pipeline::unseal(self.store.clone(), key, record, self.keys.as_ref(), |_| ())?)
    }

    /// A small object, whole.
    pub async fn read(&self, record: &ObjectRecord) -> Result<Vec<u8>, RestoreError> {
        let mut unsealed = self.open(record)?;
        let _stop = StopOnDrop::new(unsealed.stopper());
        let (tell, outcome) = oneshot::channel();
        let key = self.key()?.join(&record.name)?;
        let thread = std::thread::Builder::new().name("read".into());
        thread
            .spawn(move || {
                let mut bytes = Vec::new();
                let read = (&mut unsealed).take(MOST_TEXT).read_to_end(&mut bytes);
                // To the end: what was read is what was stored only then.
                let read = read.and_then(|_| io::copy(&mut unsealed, &mut io::sink()));
                // Nobody listens any more when the restore was given up.
                let _ = tell.send(read.map(|_| bytes));
            })
            .map_err(|source| PipelineError::Thread { source })?;
        match outcome.await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(PipelineError::from_io(error, |source| PipelineError::Read { key, source }).into()),
            Err(_) => Err(PipelineError::Lost { key }.into()),
        }
    }

    /// What was in the database.
    pub async fn contents(&self) -> Result<Contents, RestoreError> {
        let record = self.record(Part::Contents, "contents")?;
        let bytes = self.read(record).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| RestoreError::Odd { object: record.name.clone(), because: error.to_string() })
    }
}
