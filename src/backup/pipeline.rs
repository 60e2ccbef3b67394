//! Between a program's output and an object in a store: compressed, encrypted when anybody is to have a key, hashed, streamed.
//!
//! `source (Read) -> zstd -> age -> SHA-256 -> channel -> Store::put`, and the same way back. The left side is a thread that
//! reads and blocks, the right side is async; between them lie at most four chunks, so memory does not grow with the data.
//! Nothing here knows what the bytes are.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use hypertide::backup::manifest::Part;
//! # use hypertide::backup::pipeline::{self, Keys, Plain, Seal};
//! # use hypertide::model::backup::{ObjectKey, Sealing};
//! # use hypertide::store::Store;
//! # async fn example(store: Arc<dyn Store>, key: ObjectKey, keys: Keys) -> Result<(), pipeline::PipelineError> {
//! let how = Seal::new(&Sealing::default())?;
//! let sealed = pipeline::seal(Plain(&b"rows"[..]), &how, &*store, &key, |_| ()).await?;
//! let record = sealed.record(key.name(), Part::Archive, None, &how);
//! pipeline::check(&store, &key, &record, Some(&keys)).await?;
//! // `Read` and `Source`: give it to a thread, or to `ToolWriter::feed`.
//! let rows = pipeline::unseal(store, key, &record, Some(&keys), |_| ())?;
//! # Ok(())
//! # }
//! ```

mod encode;
mod error;
mod keys;
mod outgoing;
mod source;
#[cfg(test)]
mod tests;
mod unseal;

use tokio::sync::oneshot;

pub use encode::Seal;
pub use error::PipelineError;
pub use keys::Keys;
pub use source::{Plain, Source, StopOnDrop, Stopper};
pub use unseal::{Checked, Expected, Unsealed, check, unseal};

use super::manifest::{ObjectRecord, Part};
use crate::model::backup::ObjectKey;
use crate::store::{Fault, Store};

/// Bytes that are handed over at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks that wait between a thread and a store.
const CHUNKS_BETWEEN: usize = 4;

/// How far a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes in the store.
    pub stored_bytes: u64,
}

/// What became of a stream that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes in the store.
    pub stored_bytes: u64,
    /// SHA-256 of the bytes in the store, hexadecimal.
    pub sha256: String,
}

impl Sealed {
    /// The object as a manifest lists it.
    pub fn record(&self, name: &str, part: Part, table: Option<String>, how: &Seal) -> ObjectRecord {
        ObjectRecord {
            name: name.to_owned(),
            part,
            table,
            raw_bytes: self.raw_bytes,
            stored_bytes: self.stored_bytes,
            sha256: self.sha256.clone(),
            is_compressed: how.is_compressed,
            is_encrypted: how.is_encrypted(),
        }
    }
}

/// Stores everything a source gives as one object.
///
/// # Guarantees
///
/// - A source that fails stores nothing; its error is the cause of the one that is returned.
/// - Dropping the future stores nothing and ends the thread: at once when the source can be stopped ([`Source::stopper`]),
///   else when its current read returns.
/// - `on_bytes` is told as the store takes the bytes.
pub async fn seal(
    source: impl Source,
    how: &Seal,
    store: &dyn Store,
    key: &ObjectKey,
    on_bytes: impl Fn(Progress) + Send,
) -> Result<Sealed, PipelineError> {
    let mut stop = StopOnDrop::new(source.stopper());
    let (sink, bytes) = outgoing::channel(on_bytes);
    let (tell, outcome) = oneshot::channel();
    let (owned_how, owned_key) = (how.clone(), key.clone());
    let thread = std::thread::Builder::new().name("seal".into());
    thread
        .spawn(move || {
            // Nobody listens any more when the future was dropped.
            let _ = tell.send(encode::encode(source, &owned_how, sink, &owned_key));
        })
        .map_err(|source| PipelineError::Thread { source })?;
    let stored = match store.put(key, Box::pin(bytes)).await {
        Ok(stored) => stored,
        Err(error) if error.fault == Fault::Producer => {
            return Err(match outcome.await {
                Ok(Err(failure)) => failure,
                Ok(Ok(_)) | Err(_) => error.into(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let sealed = outcome.await.map_err(|_| PipelineError::Lost { key: key.clone() })??;
    stop.disarm();
    if sealed.stored_bytes != stored {
        let because = format!("{} bytes were given to the store and it has {stored}", sealed.stored_bytes);
        return Err(PipelineError::Damaged { key: key.clone(), because });
    }
    Ok(sealed)
}
