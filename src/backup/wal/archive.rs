//! The archive of the log in a store: what its objects are called, and which are there.
//!
//! `<scope>/wal/<timeline>/<segment>-<sum>.zst[.age]`, `<scope>/wal/<timeline>.history-<sum>.zst[.age]`, and
//! `<scope>/wal/archive.json`, which says whose log it is. The sum is that of the bytes before they were sealed: a reader checks
//! what it gets, and a segment that is stored a second time is seen to be the same, or another, without reading it and without
//! a key.
//!
//! In: keys from a store. Out: what they stand for, and back. Never writes.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::segment::Segment;
use crate::model::backup::{ObjectKey, Scope};
use crate::store::{Listed, Store, StoreError};

/// The part of every key after the scope.
const FOLDER: &str = "wal";

/// Says whose log the archive holds.
const IDENTITY: &str = "archive.json";

/// The first 16 digits of the SHA-256 of a file's bytes: enough to tell two contents apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum(String);

/// Whose log an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The format of the archive; 1.
    pub format: u32,
    /// `pg_control_system().system_identifier`.
    pub system_identifier: String,
}

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogFile {
    /// A segment.
    Segment(Segment),
    /// Where a timeline comes from.
    History(u32),
}

/// A file of the log as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: ObjectKey,
    /// Bytes in the store.
    pub bytes: u64,
    /// When it was stored, by the store's clock.
    pub written: SystemTime,
    /// Of the bytes before they were sealed.
    pub sum: Sum,
    /// Compressed by zstd.
    pub is_compressed: bool,
    /// Encrypted by age.
    pub is_encrypted: bool,
}

/// What is in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// By file.
    pub files: BTreeMap<LogFile, Stored>,
    /// Files that are stored with several contents: two servers wrote here, or one went back in time.
    pub conflicts: Vec<LogFile>,
}

impl Sum {
    /// Reads to the end.
    pub fn of(mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(Self::finish(hasher)),
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Of what a hasher saw.
    pub fn finish(hasher: Sha256) -> Self {
        let digest: [u8; 32] = hasher.finalize().into();
        let first: [u8; 8] = digest[..8].try_into().expect("32 bytes begin with 8");
        Self(format!("{:016x}", u64::from_be_bytes(first)))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LogFile {
    /// Reads PostgreSQL's name for it.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(digits) = name.strip_suffix(".history") {
            let is_timeline =
                digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
            return u32::from_str_radix(digits, 16).ok().filter(|_| is_timeline).map(Self::History);
        }
        Segment::from_str(name).ok().map(Self::Segment)
    }
}

impl fmt::Display for LogFile {
    /// PostgreSQL's name for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => segment.fmt(f),
            Self::History(timeline) => write!(f, "{timeline:08X}.history"),
        }
    }
}

/// Everything of a scope's archive lies below this key.
pub fn below(scope: &Scope) -> ObjectKey {
    format!("{scope}/{FOLDER}").parse().expect("both parts are plain")
}

/// Where it is written down whose log it is.
pub fn identity_key(scope: &Scope) -> ObjectKey {
    below(scope).join(IDENTITY).expect("a plain part")
}

/// Where a file of the log goes; `suffix` is that of the sealing.
pub fn key(scope: &Scope, file: LogFile, sum: &Sum, suffix: &str) -> ObjectKey {
    let name = match file {
        LogFile::Segment(segment) => format!("{:08X}/{file}-{sum}{suffix}", segment.timeline),
        LogFile::History(_) => format!("{file}-{sum}{suffix}"),
    };
    below(scope).join(&name).expect("hexadecimal digits and a suffix are plain parts")
}

/// What an object below an archive's key is; `None`: nothing of the archive's.
pub fn parse(listed: &Listed) -> Option<(LogFile, Stored)> {
    let name = listed.key.name();
    let (rest, is_encrypted) = name.strip_suffix(".age").map_or((name, false), |rest| (rest, true));
    let (rest, is_compressed) = rest.strip_suffix(".zst").map_or((rest, false), |rest| (rest, true));
    let (file, sum) = rest.split_once('-')?;
    let is_sum = sum.len() == 16 && sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let stored = Stored {
        key: listed.key.clone(),
        bytes: listed.bytes,
        written: listed.written,
        sum: Sum(sum.to_owned()),
        is_compressed,
        is_encrypted,
    };
    LogFile::parse(file).filter(|_| is_sum).map(|file| (file, stored))
}

impl Archive {
    /// Of what a store listed below [`below`].
    pub fn of(listed: &[Listed]) -> Self {
        let mut archive = Self::default();
        for (file, stored) in listed.iter().filter_map(parse) {
            archive.add(file, stored);
        }
        archive
    }

    /// Looks into a store.
    pub async fn list(store: &dyn Store, scope: &Scope) -> Result<Self, StoreError> {
        Ok(Self::of(&store.list(Some(&below(scope))).await?))
    }

    /// Takes note of a file. Of several contents the first counts; one that is there twice, encrypted and not, is no conflict.
    pub fn add(&mut self, file: LogFile, stored: Stored) {
        match self.files.get(&file) {
            None => {
                self.files.insert(file, stored);
            }
            Some(known) if known.sum == stored.sum => {}
            Some(_) if self.conflicts.contains(&file) => {}
            Some(_) => self.conflicts.push(file),
        }
    }

    /// Its segments, by timeline and place.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment> {
        self.files.keys().filter_map(|file| match file {
            LogFile::Segment(segment) => Some(*segment),
            LogFile::History(_) => None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub fn listed(key: &ObjectKey) -> Listed {
        Listed { key: key.clone(), bytes: 100, written: SystemTime::UNIX_EPOCH }
    }

    fn scope() -> Scope {
        "trading".parse().expect("valid")
    }

    #[test]
    fn objects_have_the_names_that_are_written_down() {
        let sum = Sum::of(b"log".as_slice()).expect("memory");
        let segment = LogFile::Segment("00000002000000010000002A".parse().expect("valid"));
        assert_eq!(
            key(&scope(), segment, &sum, ".zst.age").as_str(),
            "trading/wal/00000002/00000002000000010000002A-836ff184e7b41b1e.zst.age"
        );
        let history = key(&scope(), LogFile::History(2), &sum, ".zst");
        assert_eq!(history.as_str(), "trading/wal/00000002.history-836ff184e7b41b1e.zst");
        assert_eq!(identity_key(&scope()).as_str(), "trading/wal/archive.json");
        assert_eq!(parse(&listed(&identity_key(&scope()))), None);
    }

    #[test]
    fn two_contents_of_one_segment_are_a_conflict_and_the_first_counts() {
        let file = LogFile::Segment(Segment { timeline: 1, number: 5 });
        let stored =
            |content: &[u8], suffix: &str| listed(&key(&scope(), file, &Sum::of(content).expect("memory"), suffix));
        let same = Archive::of(&[stored(b"a", ".zst"), stored(b"a", ".zst.age")]);
        assert!(same.conflicts.is_empty());
        let other = Archive::of(&[stored(b"a", ".zst"), stored(b"b", ".zst"), stored(b"c", ".zst")]);
        assert_eq!(other.conflicts, [file]);
        assert_eq!(other.files[&file].sum, Sum::of(b"a".as_slice()).expect("memory"));
    }

    proptest! {
        #[test]
        fn keys_come_back_from_their_text(
            timeline in 1_u32..,
            number in 0_u64..(1 << 40),
            content: [u8; 4],
            suffix in prop_oneof![Just(""), Just(".zst"), Just(".age"), Just(".zst.age")],
            is_history: bool,
        ) {
            let file = if is_history { LogFile::History(timeline) } else { LogFile::Segment(Segment { timeline, number }) };
            let sum = Sum::of(content.as_slice()).unwrap();
            let (parsed, stored) = parse(&listed(&key(&scope(), file, &sum, suffix))).unwrap();
            prop_assert_eq!(parsed, file);
            prop_assert_eq!(stored.sum, sum);
            prop_assert_eq!(stored.is_compressed, suffix.contains("zst"));
            prop_assert_eq!(stored.is_encrypted, suffix.contains("age"));
        }
    }
}
