//! The directory that `pg_receivewal` writes into: what is finished waits there to be stored.
//!
//! In: a directory. Out: what is in it. Removes only what it is told to.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::archive::LogFile;
use super::segment::{SEGMENT_BYTES, Segment};

/// What `pg_receivewal` appends to the segment that it writes at the moment.
const PARTIAL: &str = ".partial";

/// A file of the spool could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct SpoolError {
    /// What was tried.
    pub doing: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Spool {
    dir: PathBuf,
}

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What is whole: histories first, since a segment of a timeline is of no use without its history, then segments in order.
    pub finished: Vec<LogFile>,
    /// Segments that are being received, or that were when a receiver ended.
    pub partial: Vec<Segment>,
    /// Everything together.
    pub bytes: u64,
}

impl Spool {
    /// Makes the directory unless it is there.
    pub fn open(dir: PathBuf) -> Result<Self, SpoolError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|source| SpoolError { doing: "make", path: dir.clone(), source })?;
        Ok(Self { dir })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Looks into it. What has another name than the log's is nobody's business.
    pub fn look(&self) -> Result<Held, SpoolError> {
        let failed = |source| SpoolError { doing: "list", path: self.dir.clone(), source };
        let mut held = Held::default();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let bytes = match entry.metadata() {
                Ok(metadata) => metadata.len(),
                // A receiver renames what it has finished.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            if let Some(segment) = name.strip_suffix(PARTIAL).and_then(|name| name.parse().ok()) {
                held.partial.push(segment);
            } else if let Some(file) = LogFile::parse(&name) {
                held.finished.push(file);
            } else {
                continue;
            }
            held.bytes += bytes;
        }
        held.finished.sort_unstable_by_key(|file| (matches!(file, LogFile::Segment(_)), *file));
        held.partial.sort_unstable();
        Ok(held)
    }

    /// Where a finished file is.
    pub fn path_of(&self, file: LogFile) -> PathBuf {
        self.dir.join(file.to_string())
    }

    /// Opens a finished file.
    pub fn read(&self, file: LogFile) -> Result<File, SpoolError> {
        let path = self.path_of(file);
        File::open(&path).map_err(|source| SpoolError { doing: "read", path, source })
    }

    /// Removes a finished file that is stored.
    pub fn remove(&self, file: LogFile) -> Result<(), SpoolError> {
        Self::unlink(self.path_of(file))
    }

    /// Removes the beginnings of segments, so that the next receiver begins where its slot is.
    pub fn forget_partial(&self, held: &Held) -> Result<(), SpoolError> {
        held.partial.iter().try_for_each(|segment| Self::unlink(self.dir.join(format!("{segment}{PARTIAL}"))))
    }

    /// Removes beginnings of segments that a receiver was killed over while it made room for them: nothing is written in those yet,
    /// and the next receiver would refuse to begin.
    pub fn mend_partial(&self) -> Result<(), SpoolError> {
        for segment in self.look()?.partial {
            let path = self.dir.join(format!("{segment}{PARTIAL}"));
            match fs::metadata(&path) {
                Ok(found) if found.len() != 0 && found.len() != SEGMENT_BYTES => Self::unlink(path)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn unlink(path: PathBuf) -> Result<(), SpoolError> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SpoolError { doing: "remove", path, source: error })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_come_first_and_strangers_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path().join("a/wal")).unwrap();
        for name in [
            "000000020000000000000006",
            "000000010000000000000005",
            "00000002.history",
            "000000020000000000000007.partial",
            "README",
        ] {
            fs::write(spool.path().join(name), b"12345").unwrap();
        }
        let held = spool.look().unwrap();
        let names: Vec<String> = held.finished.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["00000002.history", "000000010000000000000005", "000000020000000000000006"]);
        assert_eq!((held.partial.len(), held.bytes), (1, 20));
        spool.remove(held.finished[0]).unwrap();
        spool.remove(held.finished[0]).unwrap();
        spool.mend_partial().unwrap();
        assert_eq!(spool.look().unwrap().partial.len(), 0, "its five bytes are no segment");
        fs::write(spool.path().join("000000020000000000000007.partial"), b"").unwrap();
        spool.mend_partial().unwrap();
        let held = spool.look().unwrap();
        assert_eq!(held.partial.len(), 1);
        spool.forget_partial(&held).unwrap();
        let held = spool.look().unwrap();
        assert_eq!((held.finished.len(), held.partial.len()), (2, 0));
        assert!(spool.path().join("README").exists());
    }
}
