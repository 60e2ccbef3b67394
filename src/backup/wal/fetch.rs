//! Segments out of the archive, in the order in which they are replayed, as one tar stream: for a directory that
//! `restore_command` copies from.
//!
//! In: a store, whose archive, and what is wanted of it. Out: the way ([`Route`]), then a reader for a thread. The tar holds the
//! histories of timelines, then the segments, under PostgreSQL's own names. Each file is compared with the sum in its name.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::archive::{Archive, LogFile, Stored, Sum};
use super::history::{History, HistoryError};
use super::route::{Missing, Order, Route, route};
use super::segment::SEGMENT_BYTES;
use crate::backup::pipeline::{self, Expected, Keys, PipelineError, Source, Stopper, Unsealed};
use crate::model::backup::Scope;
use crate::store::{Store, StoreError};

/// A history has a line for each timeline before it; one of this size is none.
const LONGEST_HISTORY: u64 = 1024 * 1024;

/// The log could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the archive could not be read.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The archive does not hold what is wanted.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The history of a timeline.
    #[error("cannot read {file}")]
    History {
        /// Which file.
        file: LogFile,
        /// What is odd.
        source: HistoryError,
    },
    /// Reading ended without an answer.
    #[error("reading {0} was given up")]
    GivenUp(LogFile),
}

impl FetchError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.help()),
            Self::Pipeline(error) => error.help(),
            Self::Missing(error) => Some(error.help()),
            Self::History { .. } | Self::GivenUp(_) => None,
        }
    }
}

/// What is fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The way, and up to where it leads.
    pub route: Route,
    /// The files as a tar stream.
    pub tar: LogTar,
}

/// Finds the way and opens it for reading. Needs a runtime around it, and so does the reading.
pub async fn fetch(
    store: Arc<dyn Store>,
    scope: &Scope,
    order: &Order,
    keys: Option<&Keys>,
) -> Result<Fetched, FetchError> {
    let archive = Archive::list(&*store, scope).await?;
    let histories = histories(&store, &archive, keys).await?;
    let route = route(archive.segments(), &histories, order)?;
    let of_histories = archive.files.iter().filter(|(file, _)| matches!(file, LogFile::History(_)));
    let of_segments =
        route.segments.iter().filter_map(|segment| archive.files.get_key_value(&LogFile::Segment(*segment)));
    let files = of_histories.chain(of_segments).map(|(file, stored)| (*file, stored.clone()));
    let tar = LogTar::new(store, files, keys.cloned());
    Ok(Fetched { route, tar })
}

/// Where the timelines of an archive come from.
pub async fn histories(
    store: &Arc<dyn Store>,
    archive: &Archive,
    keys: Option<&Keys>,
) -> Result<BTreeMap<u32, History>, FetchError> {
    let mut all = BTreeMap::new();
    for (file, stored) in &archive.files {
        let LogFile::History(timeline) = file else { continue };
        let opened = open(store, *file, stored, keys)?;
        let text = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            opened.take(LONGEST_HISTORY).read_to_end(&mut text).map(|_| text)
        });
        let key = || stored.key.clone();
        let text = text.await.map_err(|_| FetchError::GivenUp(*file))?;
        let text =
            text.map_err(|error| PipelineError::from_io(error, |source| PipelineError::Read { key: key(), source }))?;
        let history = History::parse(&String::from_utf8_lossy(&text))
            .map_err(|source| FetchError::History { file: *file, source })?;
        all.insert(*timeline, history);
    }
    Ok(all)
}

/// A file of the archive, compared with its sum: whoever reads to its end has seen what was stored.
#[derive(Debug)]
pub struct LogReader {
    unsealed: Unsealed,
    hasher: Option<Sha256>,
    stored: Stored,
}

/// Opens one file of the archive.
pub fn open(
    store: &Arc<dyn Store>,
    file: LogFile,
    stored: &Stored,
    keys: Option<&Keys>,
) -> Result<LogReader, PipelineError> {
    let expected = Expected {
        is_compressed: stored.is_compressed,
        is_encrypted: stored.is_encrypted,
        stored_bytes: Some(stored.bytes),
        sha256: None,
        raw_bytes: matches!(file, LogFile::Segment(_)).then_some(SEGMENT_BYTES),
    };
    let unsealed = pipeline::unseal(store.clone(), stored.key.clone(), expected, keys, |_| ())?;
    Ok(LogReader { unsealed, hasher: Some(Sha256::new()), stored: stored.clone() })
}

impl Read for LogReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unsealed.read(buffer)?;
        if read > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..read]);
            }
        } else if !buffer.is_empty()
            && let Some(hasher) = self.hasher.take()
        {
            let (found, wanted) = (Sum::finish(hasher), &self.stored.sum);
            if found != *wanted {
                let because = format!("the sum of its bytes is {found} and was {wanted}");
                return Err(io::Error::other(PipelineError::Damaged { key: self.stored.key.clone(), because }));
            }
        }
        Ok(read)
    }
}

/// Files of the archive as a tar stream.
pub struct LogTar {
    store: Arc<dyn Store>,
    files: Box<dyn Iterator<Item = (LogFile, Stored)> + Send>,
    keys: Option<Keys>,
    runtime: Handle,
    /// What is to be read next: a header, a short file, padding, the end.
    held: io::Cursor<Vec<u8>>,
    reader: Option<LogReader>,
    is_at_end: bool,
    /// Stops the file that is being read.
    stopper: Arc<Mutex<Progressing>>,
}

#[derive(Default)]
struct Progressing {
    is_stopped: bool,
    current: Stopper,
}

impl LogTar {
    fn new(store: Arc<dyn Store>, files: impl Iterator<Item = (LogFile, Stored)>, keys: Option<Keys>) -> Self {
        let files: Vec<_> = files.collect();
        Self {
            store,
            files: Box::new(files.into_iter()),
            keys,
            runtime: Handle::current(),
            held: io::Cursor::default(),
            reader: None,
            is_at_end: false,
            stopper: Arc::default(),
        }
    }

    /// Goes on to the next file, or to the end of the tar.
    fn begin_next(&mut self) -> io::Result<()> {
        let Some((file, stored)) = self.files.next() else {
            self.is_at_end = true;
            self.held = io::Cursor::new(vec![0; 1024]);
            return Ok(());
        };
        let _runtime = self.runtime.enter();
        let mut reader = open(&self.store, file, &stored, self.keys.as_ref()).map_err(io::Error::other)?;
        {
            let mut progressing = self.stopper.lock().unwrap_or_else(PoisonError::into_inner);
            if progressing.is_stopped {
                return Err(io::Error::other("told to stop"));
            }
            progressing.current = reader.unsealed.stopper();
        }
        let mut held = Vec::new();
        let size = match file {
            LogFile::Segment(_) => SEGMENT_BYTES,
            LogFile::History(_) => (&mut reader).take(LONGEST_HISTORY).read_to_end(&mut held)? as u64,
        };
        let mut header = tar::Header::new_gnu();
        header.set_path(file.to_string())?;
        header.set_size(size);
        header.set_mode(0o600);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.append(&mut held);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        self.held = io::Cursor::new(bytes);
        // A segment is a whole number of blocks, so nothing fills its last one.
        self.reader = matches!(file, LogFile::Segment(_)).then_some(reader);
        Ok(())
    }
}

impl Read for LogTar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.held.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if let Some(reader) = &mut self.reader {
                let read = reader.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
                self.reader = None;
            }
            if self.is_at_end {
                return Ok(0);
            }
            self.begin_next()?;
        }
    }
}

impl Source for LogTar {
    fn stopper(&self) -> Stopper {
        let stopper = self.stopper.clone();
        Stopper::new(move || {
            let mut progressing = stopper.lock().unwrap_or_else(PoisonError::into_inner);
            progressing.is_stopped = true;
            progressing.current.stop();
        })
    }
}

impl fmt::Debug for LogTar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTar").field("reader", &self.reader).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive;
    use super::super::route::Until;
    use super::super::segment::Segment;
    use super::*;
    use crate::backup::pipeline::{Plain, Seal};
    use crate::model::backup::Sealing;
    use crate::model::lsn::Lsn;
    use crate::store::memory::Memory;

    fn scope() -> Scope {
        "trading".parse().unwrap()
    }

    async fn put(store: &dyn Store, file: LogFile, bytes: Vec<u8>, sum: &Sum) {
        let how = Seal::new(&Sealing::default()).unwrap();
        let key = archive::key(&scope(), file, sum, how.suffix());
        pipeline::seal(Plain(io::Cursor::new(bytes)), &how, store, &key, |_| ()).await.unwrap();
    }

    fn segment(timeline: u32, number: u64) -> (LogFile, Vec<u8>) {
        let fill = u8::try_from(u64::from(timeline) * 10 + number).unwrap();
        let bytes = vec![fill; usize::try_from(SEGMENT_BYTES).unwrap()];
        (LogFile::Segment(Segment { timeline, number }), bytes)
    }

    const HISTORY: &[u8] = b"1\t0/2000010\tno recovery target specified\n";

    fn order() -> Order {
        Order { from: Lsn(SEGMENT_BYTES), timeline: 1, until: Until::End, target: None }
    }

    async fn filled() -> Arc<dyn Store> {
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let files = [segment(1, 0), segment(1, 1), segment(2, 2), (LogFile::History(2), HISTORY.to_vec())];
        for (file, bytes) in files {
            let sum = Sum::of(bytes.as_slice()).unwrap();
            put(&*store, file, bytes, &sum).await;
        }
        store
    }

    async fn unpacked(store: Arc<dyn Store>) -> io::Result<Vec<(String, usize, u8)>> {
        let Fetched { route, tar } = fetch(store, &scope(), &order(), None).await.unwrap();
        assert_eq!((route.timeline, route.reached), (2, Lsn(3 * SEGMENT_BYTES)));
        let unpack = move || {
            let mut found = Vec::new();
            for entry in ::tar::Archive::new(tar).entries()? {
                let mut entry = entry?;
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                found.push((entry.path()?.display().to_string(), bytes.len(), bytes[0]));
            }
            Ok(found)
        };
        tokio::task::spawn_blocking(unpack).await.unwrap()
    }

    #[tokio::test]
    async fn the_way_comes_as_a_tar_with_the_histories_first() {
        let names = [
            ("00000002.history", HISTORY.len(), b'1'),
            ("000000010000000000000001", 16 << 20, 11),
            ("000000020000000000000002", 16 << 20, 22),
        ];
        let expected: Vec<_> = names.map(|(name, size, first)| (name.to_owned(), size, first)).to_vec();
        assert_eq!(unpacked(filled().await).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_segment_that_is_not_what_its_name_says_is_an_error_that_names_it() {
        let store = filled().await;
        let (file, bytes) = segment(1, 1);
        let sum = Sum::of(bytes.as_slice()).unwrap();
        put(&*store, file, vec![0; bytes.len()], &sum).await;
        let error = unpacked(store).await.unwrap_err().to_string();
        assert!(error.contains("000000010000000000000001") && error.contains("is damaged"), "{error}");
    }
}
