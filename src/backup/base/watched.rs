//! The stream of a base backup on its way into the store: passed on as it is, its label and PostgreSQL's own manifest taken from it.
//!
//! In: the tar as a reader. Out: the same bytes; the manifest once more through a channel, as it comes by; what both say, when
//! the stream is at its end. A stream that is no whole tar, or lacks one of the two, fails at its end.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::feed::Feeder;
use super::label::{Edges, Label, LabelError, Summary};
use super::tar::{Piece, TarError, Watcher};
use crate::backup::pipeline::{Source, Stopper};

const LABEL: &str = "backup_label";
const MANIFEST: &str = "backup_manifest";

/// A label has a dozen lines.
const LONGEST_LABEL: usize = 64 * 1024;

/// What came by is no base backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// It is no tar.
    #[error("what pg_basebackup wrote is no whole tar")]
    Tar(#[from] TarError),
    /// A text in it is odd.
    #[error("what pg_basebackup wrote cannot be read")]
    Label(#[from] LabelError),
    /// A member is missing.
    #[error("what pg_basebackup wrote holds no {0}")]
    Missing(&'static str),
    /// The manifest could not be stored.
    #[error("PostgreSQL's manifest of the backup could not be stored")]
    Unstored,
}

/// What a base backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where it begins.
    pub label: Label,
    /// Where it ends, and whose it is.
    pub summary: Summary,
}

/// Where it is told when the stream is at its end.
#[derive(Clone, Debug, Default)]
pub struct Telling(Arc<Mutex<Option<Told>>>);

impl Telling {
    /// What was told.
    pub fn take(&self) -> Option<Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The stream.
pub struct Watched<R> {
    inner: R,
    watcher: Option<Watcher>,
    collected: Collected,
    telling: Telling,
}

#[derive(Default)]
struct Collected {
    current: Option<&'static str>,
    label: Vec<u8>,
    edges: Edges,
    has_manifest: bool,
    manifest: Option<Feeder>,
    is_unstored: bool,
}

impl<R: Read> Watched<R> {
    /// Watches a stream; the manifest goes into `manifest`.
    pub fn new(inner: R, manifest: Feeder) -> (Self, Telling) {
        let telling = Telling::default();
        let collected = Collected { manifest: Some(manifest), ..Collected::default() };
        let watcher = Some(Watcher::new(&[LABEL, MANIFEST]));
        (Self { inner, watcher, collected, telling: telling.clone() }, telling)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WatchError> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let collected = &mut self.collected;
        watcher.push(bytes, &mut |piece| collected.take(piece))?;
        if collected.is_unstored { Err(WatchError::Unstored) } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), WatchError> {
        let Some(watcher) = self.watcher.take() else { return Ok(()) };
        watcher.finish()?;
        let collected = &mut self.collected;
        if collected.label.is_empty() {
            return Err(WatchError::Missing(LABEL));
        }
        if !collected.has_manifest {
            return Err(WatchError::Missing(MANIFEST));
        }
        let label = Label::parse(&String::from_utf8_lossy(&collected.label))?;
        let summary = collected.edges.summary()?;
        *self.telling.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Told { label, summary });
        match collected.manifest.take() {
            Some(feeder) => feeder.end_blocking().map_err(|_| WatchError::Unstored),
            None => Ok(()),
        }
    }
}

impl Collected {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Begin { name, .. } => {
                self.current = Some(if name == LABEL { LABEL } else { MANIFEST });
            }
            Piece::Bytes(bytes) if self.current == Some(LABEL) => {
                let room = LONGEST_LABEL.saturating_sub(self.label.len());
                self.label.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Piece::Bytes(bytes) => {
                self.edges.push(bytes);
                let given = self.manifest.as_ref().map(|feeder| feeder.give_blocking(bytes.to_vec()));
                self.is_unstored |= matches!(given, Some(Err(_)));
            }
            Piece::End => self.has_manifest |= self.current.take() == Some(MANIFEST),
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let watched = if read > 0 || buffer.is_empty() { self.push(&buffer[..read]) } else { self.finish() };
        watched.map_err(io::Error::other)?;
        Ok(read)
    }
}

impl<R: Source> Source for Watched<R> {
    fn stopper(&self) -> Stopper {
        self.inner.stopper()
    }
}

#[cfg(test)]
mod tests {
    use super::super::feed;
    use super::*;

    const LABEL_TEXT: &[u8] = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n\
        CHECKPOINT LOCATION: 0/2000080\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIMELINE: 1\n";
    const MANIFEST_TEXT: &[u8] =
        b"{ \"PostgreSQL-Backup-Manifest-Version\": 2, \"System-Identifier\": 7, \"Files\": [],\n\
        \"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000120\" }\n],\n\
        \"Manifest-Checksum\": \"x\"}\n";

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = ::tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = ::tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// What passed, what was told, and the manifest.
    async fn watched(tar: Vec<u8>) -> (io::Result<Vec<u8>>, Option<Told>, io::Result<Vec<u8>>) {
        let (feeder, mut fed) = feed::channel();
        let manifest = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            fed.read_to_end(&mut all).map(|_| all)
        });
        let passing = tokio::task::spawn_blocking(move || {
            let (mut watched, telling) = Watched::new(io::Cursor::new(tar), feeder);
            let mut all = Vec::new();
            (watched.read_to_end(&mut all).map(|_| all), telling.take())
        });
        let (passed, told) = passing.await.unwrap();
        (passed, told, manifest.await.unwrap())
    }

    #[tokio::test]
    async fn passes_everything_on_and_takes_what_it_wants() {
        let noise = vec![7; 10_000];
        let tar = tar(&[(LABEL, LABEL_TEXT), ("base/5/1", &noise), (MANIFEST, MANIFEST_TEXT)]);
        let (passed, told, manifest) = watched(tar.clone()).await;
        assert_eq!(passed.unwrap(), tar);
        assert_eq!(manifest.unwrap(), MANIFEST_TEXT);
        let told = told.unwrap();
        assert_eq!(told.label.start.to_string(), "0/2000028");
        assert_eq!(told.summary.end().1.to_string(), "0/2000120");
    }

    #[tokio::test]
    async fn what_is_not_whole_fails_and_so_does_its_manifest() {
        let whole = tar(&[(LABEL, LABEL_TEXT), (MANIFEST, MANIFEST_TEXT)]);
        for odd in [
            whole[..whole.len() - 1100].to_vec(),
            tar(&[(LABEL, LABEL_TEXT)]),
            tar(&[(MANIFEST, MANIFEST_TEXT)]),
            tar(&[(LABEL, LABEL_TEXT), (MANIFEST, b"{}")]),
        ] {
            let (passed, told, manifest) = watched(odd).await;
            assert!(passed.is_err() && told.is_none() && manifest.is_err());
        }
    }
}
