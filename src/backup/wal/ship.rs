//! From the spool into the archive, one file at a time.
//!
//! In: a finished file of the spool. Out: it is in the store, seen there, and known by its sum. What is there already with the same
//! bytes is left as it is; what is there with other bytes is never replaced. Removes nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

use super::archive::{self, Archive, Identity, LogFile, Sum};
use super::continuity::Coverage;
use super::fetch::{self, FetchError};
use super::history::{History, HistoryError};
use super::segment::{SEGMENT_BYTES, Segment};
use super::spool::{Spool, SpoolError};
use crate::backup::pipeline::{self, PipelineError, Plain, Seal};
use crate::model::backup::{ObjectKey, Scope};
use crate::store::{Fault, Listed, Store, StoreError};

/// The first bytes of a segment, which say whose it is (`XLogLongPageHeaderData`).
const HEADER_BYTES: usize = 40;

/// The format of archives.
const FORMAT: u32 = 1;

/// A file could not be archived.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The archive that is there could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The archive holds another server's log.
    #[error("{key} in {store} belongs to the log of server {theirs}, and this one is {ours}")]
    ForeignArchive {
        /// Where it is said.
        key: ObjectKey,
        /// The store.
        store: String,
        /// The other's system identifier.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The archive has a format of a later version, or none.
    #[error("{key} in {store} is not readable: {because}")]
    OddArchive {
        /// Where it is said.
        key: ObjectKey,
        /// The store.
        store: String,
        /// What is odd.
        because: String,
    },
    /// A segment is there already and holds something else.
    #[error("{file} is in the archive as {key} and holds other bytes than the one received now")]
    Conflict {
        /// Which.
        file: LogFile,
        /// The one that is there.
        key: ObjectKey,
    },
    /// A file of the spool is not what its name says.
    #[error("{file} in the spool is not that segment of this server: {because}")]
    Odd {
        /// Which.
        file: LogFile,
        /// What is odd.
        because: String,
    },
    /// A history that was received cannot be read.
    #[error("cannot read {file}")]
    History {
        /// Which.
        file: LogFile,
        /// What is odd.
        source: HistoryError,
    },
    /// The store does not show what was put there.
    #[error("{key} was stored and is not listed with its {bytes} bytes")]
    NotSeen {
        /// Which object.
        key: ObjectKey,
        /// Its size.
        bytes: u64,
    },
}

impl ShipError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.help()),
            Self::Pipeline(error) => error.help(),
            Self::Fetch(error) => error.help(),
            Self::ForeignArchive { .. } => Some(
                "give this cluster another store or prefix, or move the other server's archive away; nothing of it was \
                 touched"
                    .into(),
            ),
            Self::OddArchive { .. } => Some("use the hypertide that made it, or a later one".into()),
            Self::Conflict { .. } => Some(
                "two servers write here, or this one went back in time: give it another store, and take a base backup".into(),
            ),
            Self::Odd { .. } => Some("move the file away; `hypertide status` tells whether the archive has a hole then".into()),
            Self::Spool(_) | Self::History { .. } | Self::NotSeen { .. } => None,
        }
    }

    /// Nothing but a person changes this.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::ForeignArchive { .. } | Self::OddArchive { .. } | Self::Conflict { .. } | Self::Odd { .. })
    }
}

/// Puts files into one archive, and knows what is in it.
#[derive(Debug)]
pub struct Shipper {
    store: Arc<dyn Store>,
    scope: Scope,
    how: Seal,
    system_identifier: String,
    archive: Archive,
    histories: BTreeMap<u32, History>,
}

impl Shipper {
    /// Opens an archive for a server; claims one that nobody has.
    ///
    /// # Errors
    /// It belongs to another server, or the store does not answer.
    pub async fn open(
        store: Arc<dyn Store>,
        scope: &Scope,
        how: Seal,
        system_identifier: &str,
    ) -> Result<Self, ShipError> {
        claim(&*store, scope, system_identifier).await?;
        let archive = Archive::list(&*store, scope).await?;
        // Without a key the histories of an encrypted archive are not readable, and holes between timelines not seen.
        let histories = match fetch::histories(&store, &archive, None).await {
            Err(FetchError::Pipeline(PipelineError::NoIdentity { .. })) => BTreeMap::new(),
            histories => histories?,
        };
        let (scope, system_identifier) = (scope.clone(), system_identifier.to_owned());
        Ok(Self { store, scope, how, system_identifier, archive, histories })
    }

    /// What is in the archive without a hole, and the holes.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(self.archive.segments(), &self.histories)
    }

    /// The last segment of the newest timeline.
    pub fn last(&self) -> Option<Segment> {
        self.archive.segments().next_back()
    }

    /// When the last segment was stored, by the store's clock.
    pub fn last_written(&self) -> Option<SystemTime> {
        self.last().and_then(|segment| self.archive.files.get(&LogFile::Segment(segment))).map(|stored| stored.written)
    }

    /// Stores one file; when this returns, it may be removed from the spool.
    pub async fn ship(&mut self, spool: &Spool, file: LogFile) -> Result<(), ShipError> {
        let facts = self.read(spool, file).await?;
        match self.archive.files.get(&file) {
            Some(there) if there.sum == facts.sum => return Ok(()),
            Some(there) => return Err(ShipError::Conflict { file, key: there.key.clone() }),
            None => {}
        }
        let key = archive::key(&self.scope, file, &facts.sum, self.how.suffix());
        let sealed = pipeline::seal(Plain(spool.read(file)?), &self.how, &*self.store, &key, |_| ()).await?;
        let seen = self.store.list(Some(&key)).await?;
        let is_it = |listed: &&Listed| listed.key == key && listed.bytes == sealed.stored_bytes;
        let Some(listed) = seen.iter().find(is_it) else {
            return Err(ShipError::NotSeen { key, bytes: sealed.stored_bytes });
        };
        if let Some((file, stored)) = archive::parse(listed) {
            self.archive.add(file, stored);
        }
        if let (LogFile::History(timeline), Some(history)) = (file, facts.history) {
            self.histories.insert(timeline, history);
        }
        Ok(())
    }

    /// Reads a file once: whether it is what its name says, and its sum.
    async fn read(&self, spool: &Spool, file: LogFile) -> Result<Facts, ShipError> {
        let (path, mut opened) = (spool.path_of(file), spool.read(file)?);
        let reading = tokio::task::spawn_blocking(move || -> io::Result<(Vec<u8>, u64, Sum)> {
            let bytes = opened.metadata()?.len();
            let mut head = Vec::new();
            let most = if matches!(file, LogFile::Segment(_)) { HEADER_BYTES as u64 } else { 1024 * 1024 };
            (&mut opened).take(most).read_to_end(&mut head)?;
            let sum = Sum::of(head.as_slice().chain(opened))?;
            Ok((head, bytes, sum))
        });
        let failed = |source| SpoolError { doing: "read", path: path.clone(), source };
        let read = reading.await.map_err(|error| failed(io::Error::other(error)))?;
        let (head, bytes, sum) = read.map_err(failed)?;
        let history = match file {
            LogFile::Segment(segment) => {
                is_ours(&head, bytes, segment, &self.system_identifier)
                    .map_err(|because| ShipError::Odd { file, because })?;
                None
            }
            LogFile::History(_) => {
                let parsed = History::parse(&String::from_utf8_lossy(&head));
                Some(parsed.map_err(|source| ShipError::History { file, source })?)
            }
        };
        Ok(Facts { sum, history })
    }
}

struct Facts {
    sum: Sum,
    history: Option<History>,
}

/// Whether a segment's first page says what its name says.
fn is_ours(head: &[u8], bytes: u64, segment: Segment, system_identifier: &str) -> Result<(), String> {
    let number = |from: usize| head.get(from..from + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let (Some(address), Some(system)) = (number(8), number(24)) else { return Err("it is too short".into()) };
    if bytes != SEGMENT_BYTES {
        return Err(format!("it has {bytes} bytes instead of {SEGMENT_BYTES}"));
    }
    if address != segment.from().0 {
        return Err("it begins at another position".into());
    }
    if system.to_string() != system_identifier {
        return Err(format!("it is of server {system}, and this one is {system_identifier}"));
    }
    Ok(())
}

/// Sees to it that the archive is this server's.
async fn claim(store: &dyn Store, scope: &Scope, system_identifier: &str) -> Result<(), ShipError> {
    use tokio::io::AsyncReadExt;

    let key = archive::identity_key(scope);
    let odd = |because: String| ShipError::OddArchive { key: key.clone(), store: store.url().to_string(), because };
    let text = match store.get(&key).await {
        Ok(bytes) => {
            let mut text = Vec::new();
            bytes.take(64 * 1024).read_to_end(&mut text).await.map_err(|error| odd(error.to_string()))?;
            text
        }
        Err(error) if error.fault == Fault::Missing => {
            let identity = Identity { format: FORMAT, system_identifier: system_identifier.to_owned() };
            let text = serde_json::to_vec_pretty(&identity).expect("keys are text");
            store.put(&key, Box::pin(io::Cursor::new(text))).await?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let identity: Identity = serde_json::from_slice(&text).map_err(|error| odd(error.to_string()))?;
    if identity.format > FORMAT {
        return Err(odd(format!("it has format {}", identity.format)));
    }
    if identity.system_identifier != system_identifier {
        return Err(ShipError::ForeignArchive {
            key,
            store: store.url().to_string(),
            theirs: identity.system_identifier,
            ours: system_identifier.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::Sealing;
    use crate::store::memory::Memory;

    const SYSTEM: u64 = 7_398_413_200_512_331_011;

    fn scope() -> Scope {
        "trading".parse().unwrap()
    }

    fn segment(number: u64) -> LogFile {
        LogFile::Segment(Segment { timeline: 1, number })
    }

    /// A segment with a proper first page, filled with something.
    fn write(spool: &Spool, number: u64, system: u64, fill: u8) {
        let mut bytes = vec![fill; usize::try_from(SEGMENT_BYTES).unwrap()];
        bytes[8..16].copy_from_slice(&(number * SEGMENT_BYTES).to_le_bytes());
        bytes[24..32].copy_from_slice(&system.to_le_bytes());
        std::fs::write(spool.path_of(segment(number)), bytes).unwrap();
    }

    async fn shipper(store: &Arc<dyn Store>, system: u64) -> Result<Shipper, ShipError> {
        let how = Seal::new(&Sealing::default()).unwrap();
        Shipper::open(store.clone(), &scope(), how, &system.to_string()).await
    }

    fn place() -> (tempfile::TempDir, Spool, Arc<dyn Store>) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path().join("wal")).unwrap();
        (dir, spool, Arc::new(Memory::default()))
    }

    #[tokio::test]
    async fn what_is_stored_twice_is_fine_when_it_is_the_same_and_an_error_when_it_is_not() {
        let (_dir, spool, store) = place();
        write(&spool, 5, SYSTEM, 1);
        write(&spool, 7, SYSTEM, 1);
        let mut first = shipper(&store, SYSTEM).await.unwrap();
        first.ship(&spool, segment(5)).await.unwrap();
        first.ship(&spool, segment(7)).await.unwrap();
        // The next agent finds the spool as the first left it.
        let mut second = shipper(&store, SYSTEM).await.unwrap();
        assert_eq!(second.last(), Some(Segment { timeline: 1, number: 7 }));
        assert_eq!(second.coverage().gaps.len(), 1);
        second.ship(&spool, segment(5)).await.unwrap();
        let objects = store.list(None).await.unwrap();
        assert_eq!(objects.len(), 3, "{objects:?}");
        write(&spool, 5, SYSTEM, 2);
        let error = second.ship(&spool, segment(5)).await.unwrap_err();
        assert!(matches!(error, ShipError::Conflict { .. }) && error.is_for_good(), "{error}");
        assert_eq!(store.list(None).await.unwrap(), objects);
    }

    #[tokio::test]
    async fn another_servers_archive_is_not_touched() {
        let (_dir, spool, store) = place();
        shipper(&store, SYSTEM).await.unwrap();
        let error = shipper(&store, 8).await.unwrap_err();
        assert!(error.to_string().contains(&format!("the log of server {SYSTEM}, and this one is 8")), "{error}");
        let mut shipper = shipper(&store, SYSTEM).await.unwrap();
        write(&spool, 5, 8, 1);
        let error = shipper.ship(&spool, segment(5)).await.unwrap_err();
        assert!(error.to_string().contains("it is of server 8"), "{error}");
        write(&spool, 5, SYSTEM, 1);
        std::fs::rename(spool.path_of(segment(5)), spool.path_of(segment(6))).unwrap();
        let error = shipper.ship(&spool, segment(6)).await.unwrap_err();
        assert!(error.to_string().contains("it begins at another position"), "{error}");
        std::fs::write(spool.path_of(segment(6)), vec![0; 100]).unwrap();
        let error = shipper.ship(&spool, segment(6)).await.unwrap_err();
        assert!(error.to_string().contains("it has 100 bytes"), "{error}");
    }
}
