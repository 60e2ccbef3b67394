//! The way back: an object's bytes from a store, checked, decrypted and decompressed, as a reader for a thread.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::error::PipelineError;
use super::keys::Keys;
use super::outgoing::hex;
use super::source::{Source, StopOnDrop, Stopper};
use super::{CHUNK_BYTES, CHUNKS_BETWEEN, Progress};
use crate::backup::manifest::ObjectRecord;
use crate::model::backup::ObjectKey;
use crate::store::{Store, StoreError};

/// What a check looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The bytes were decrypted and decompressed too; `false` when that takes an identity that was not given.
    pub is_decoded: bool,
}

/// What is known of an object before it is read: everything, where a manifest has a record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Compressed by zstd.
    pub is_compressed: bool,
    /// Encrypted by age.
    pub is_encrypted: bool,
    /// Its size in the store.
    pub stored_bytes: Option<u64>,
    /// SHA-256 of the bytes in the store, hexadecimal.
    pub sha256: Option<String>,
    /// Its size before it was sealed.
    pub raw_bytes: Option<u64>,
}

impl From<&ObjectRecord> for Expected {
    fn from(record: &ObjectRecord) -> Self {
        Self {
            is_compressed: record.is_compressed,
            is_encrypted: record.is_encrypted,
            stored_bytes: Some(record.stored_bytes),
            sha256: Some(record.sha256.clone()),
            raw_bytes: Some(record.raw_bytes),
        }
    }
}

/// The bytes of an object as they were before they were sealed.
///
/// Reading fails when the object is not what was expected: at the latest at its end, so that a reader that got
/// there has seen exactly what was sealed. Blocks: read it on a thread of its own, never in an async function.
pub struct Unsealed {
    state: State,
    stored: Arc<Mutex<Stored>>,
    expected: Expected,
    raw_bytes: u64,
    on_bytes: Box<dyn Fn(Progress) + Send>,
    task: AbortHandle,
}

enum State {
    Sealed(Option<Keys>),
    Open(Box<dyn Read + Send>),
    Ended,
    Failed,
}

/// Opens an object for reading on a thread. Reads ahead from now on by a task of its own, which ends when this is dropped.
///
/// Needs a runtime around it.
pub fn unseal(
    store: Arc<dyn Store>,
    key: ObjectKey,
    expected: impl Into<Expected>,
    keys: Option<&Keys>,
    on_bytes: impl Fn(Progress) + Send + 'static,
) -> Result<Unsealed, PipelineError> {
    let expected = expected.into();
    if expected.is_encrypted && keys.is_none() {
        return Err(PipelineError::NoIdentity { key });
    }
    let (sender, chunks) = mpsc::channel(CHUNKS_BETWEEN);
    let stored =
        Stored { key: key.clone(), chunks, chunk: Vec::new(), at: 0, is_at_end: false, tally: Tally::new(&expected) };
    let task = tokio::spawn(async move {
        let last = match fetch(&*store, &key, &sender).await {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // Nobody reads any more when this fails.
        let _ = sender.send(last).await;
    });
    Ok(Unsealed {
        state: State::Sealed(keys.cloned()),
        stored: Arc::new(Mutex::new(stored)),
        expected,
        raw_bytes: 0,
        on_bytes: Box::new(on_bytes),
        task: task.abort_handle(),
    })
}

/// Reads an object again and compares it with its record; decodes it as well where that is possible.
pub async fn check(
    store: &Arc<dyn Store>,
    key: &ObjectKey,
    record: &ObjectRecord,
    keys: Option<&Keys>,
) -> Result<Checked, PipelineError> {
    let is_decoded = !record.is_encrypted || keys.is_some();
    let as_it_lies =
        ObjectRecord { is_encrypted: false, is_compressed: false, raw_bytes: record.stored_bytes, ..record.clone() };
    let record = if is_decoded { record } else { &as_it_lies };
    drain(unseal(store.clone(), key.clone(), record, keys, |_| ())?).await?;
    Ok(Checked { is_decoded })
}

/// Reads to the end on a thread.
async fn drain(mut unsealed: Unsealed) -> Result<(), PipelineError> {
    let key = unsealed.key();
    let _stop = StopOnDrop::new(unsealed.stopper());
    let (tell, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name("check".into())
        .spawn(move || {
            let mut buffer = vec![0; CHUNK_BYTES];
            let drained = loop {
                match unsealed.read(&mut buffer) {
                    Ok(0) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            // Nobody listens any more when the check was given up.
            let _ = tell.send(drained);
        })
        .map_err(|source| PipelineError::Thread { source })?;
    match outcome.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(PipelineError::from_io(error, |source| PipelineError::Read { key, source })),
        Err(_) => Err(PipelineError::Lost { key }),
    }
}

enum Message {
    Chunk(Vec<u8>),
    End,
    Failed(PipelineError),
}

async fn fetch(store: &dyn Store, key: &ObjectKey, chunks: &mpsc::Sender<Message>) -> Result<(), PipelineError> {
    let mut bytes = store.get(key).await?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        while chunk.len() < CHUNK_BYTES {
            let read = bytes.read_buf(&mut chunk).await.map_err(|error| match error.downcast::<StoreError>() {
                Ok(error) => PipelineError::Store(error),
                Err(source) => PipelineError::Read { key: key.clone(), source },
            })?;
            if read == 0 {
                break;
            }
        }
        let is_last = chunk.len() < CHUNK_BYTES;
        if chunk.is_empty() || chunks.send(Message::Chunk(chunk)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

/// Counts and hashes what comes, and knows what it has to come to.
struct Tally {
    hasher: Sha256,
    bytes: u64,
    wanted_bytes: Option<u64>,
    wanted_sha256: Option<String>,
}

impl Tally {
    fn new(expected: &Expected) -> Self {
        Self {
            hasher: Sha256::new(),
            bytes: 0,
            wanted_bytes: expected.stored_bytes,
            wanted_sha256: expected.sha256.clone(),
        }
    }

    fn add(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.bytes += chunk.len() as u64;
    }

    /// What is wrong, at the end.
    fn verdict(&self) -> Result<(), String> {
        if let Some(wanted) = self.wanted_bytes.filter(|wanted| *wanted != self.bytes) {
            return Err(format!("it has {} bytes and was stored with {wanted}", self.bytes));
        }
        let Some(wanted) = &self.wanted_sha256 else { return Ok(()) };
        let found = hex(&self.hasher.clone().finalize());
        if found == *wanted { Ok(()) } else { Err(format!("its SHA-256 is {found} and was {wanted}")) }
    }
}

/// The bytes as they lie in the store.
struct Stored {
    key: ObjectKey,
    chunks: mpsc::Receiver<Message>,
    chunk: Vec<u8>,
    at: usize,
    is_at_end: bool,
    tally: Tally,
}

impl Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() && !self.is_at_end {
            match self.chunks.blocking_recv() {
                Some(Message::Chunk(chunk)) => {
                    self.tally.add(&chunk);
                    (self.chunk, self.at) = (chunk, 0);
                }
                Some(Message::End) => {
                    self.is_at_end = true;
                    self.tally.verdict().map_err(|because| self.damaged(because).into_io())?;
                }
                Some(Message::Failed(error)) => return Err(error.into_io()),
                None => return Err(PipelineError::Lost { key: self.key.clone() }.into_io()),
            }
        }
        let taken = buffer.len().min(self.chunk.len() - self.at);
        buffer[..taken].copy_from_slice(&self.chunk[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }

    /// Whatever is decoded is not enough: nothing may come after it, and it must be what was stored.
    fn expect_end(&mut self) -> io::Result<()> {
        let mut further = 0;
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer)? {
                0 if further == 0 => return Ok(()),
                0 => return Err(self.damaged(format!("{further} bytes follow its end")).into_io()),
                read => further += read,
            }
        }
    }

    fn damaged(&self, because: String) -> PipelineError {
        PipelineError::Damaged { key: self.key.clone(), because }
    }
}

/// The stored bytes, for the readers that decode them.
struct Shared(Arc<Mutex<Stored>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(buffer)
    }
}

impl Unsealed {
    fn key(&self) -> ObjectKey {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).key.clone()
    }

    /// An error of a decoder, as what it means.
    fn undecodable(&self, error: io::Error) -> io::Error {
        let damaged = |error: io::Error| PipelineError::Damaged { key: self.key(), because: error.to_string() };
        PipelineError::from_io(error, damaged).into_io()
    }

    fn open(&self, keys: Option<Keys>) -> io::Result<Box<dyn Read + Send>> {
        let stored = Shared(self.stored.clone());
        let plain: Box<dyn Read + Send> = match keys {
            Some(keys) if self.expected.is_encrypted => Box::new(self.decrypt(&keys, stored)?),
            _ => Box::new(stored),
        };
        if !self.expected.is_compressed {
            return Ok(plain);
        }
        Ok(Box::new(zstd::Decoder::new(plain).map_err(|error| self.undecodable(error))?))
    }

    fn decrypt(&self, keys: &Keys, stored: Shared) -> io::Result<age::stream::StreamReader<Shared>> {
        let identities = keys.identities.iter().map(|identity| identity as &dyn age::Identity);
        let opened = age::Decryptor::new(stored).and_then(|decryptor| decryptor.decrypt(identities));
        opened.map_err(|error| match error {
            age::DecryptError::Io(error) => self.undecodable(error),
            age::DecryptError::NoMatchingKeys => {
                PipelineError::WrongIdentity { key: self.key(), file: keys.file.clone() }.into_io()
            }
            error => PipelineError::Damaged { key: self.key(), because: error.to_string() }.into_io(),
        })
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let State::Sealed(keys) = &mut self.state {
            let keys = keys.take();
            self.state = State::Open(self.open(keys)?);
        }
        let read = match &mut self.state {
            State::Open(reader) => reader.read(buffer),
            State::Ended => return Ok(0),
            State::Sealed(_) | State::Failed => return Err(PipelineError::Lost { key: self.key() }.into_io()),
        };
        let read = read.map_err(|error| self.undecodable(error))?;
        self.raw_bytes += read as u64;
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if read == 0 {
            stored.expect_end()?;
            if let Some(wanted) = self.expected.raw_bytes.filter(|wanted| *wanted != self.raw_bytes) {
                let because = format!("it holds {} bytes and held {wanted}", self.raw_bytes);
                return Err(stored.damaged(because).into_io());
            }
        }
        (self.on_bytes)(Progress { raw_bytes: self.raw_bytes, stored_bytes: stored.tally.bytes });
        Ok(read)
    }
}

impl Read for Unsealed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.step(buffer);
        match read {
            Ok(1..) => {}
            Ok(0) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        read
    }
}

impl fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsealed").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl Source for Unsealed {
    fn stopper(&self) -> Stopper {
        let task = self.task.clone();
        Stopper::new(move || task.abort())
    }
}

impl Drop for Unsealed {
    fn drop(&mut self) {
        self.task.abort();
    }
}
