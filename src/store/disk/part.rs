//! The writing half of a directory: one file on its way to become an object, on a thread of its own.
//!
//! A part is a file beside its target, `.<16 random hexadecimal digits>.part-<target>`: hidden, so that no key can name it. It is
//! synced, renamed, and the directory is synced. Whatever ends before that, but a kill, removes it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::{remove_empty, sync_directory};
use crate::model::backup::ObjectKey;

/// After so many bytes the disk is asked to begin writing, so that the sync at the end has little left to wait for.
const STRIDE: u64 = 8 << 20;

/// How often a directory is made again that somebody else found empty and removed.
const ATTEMPTS: u32 = 20;

/// What the writer is told.
pub enum Order {
    /// More of the object.
    Write(Vec<u8>),
    /// That was all of it.
    Finish,
}

/// Writes an object as orders come in and tells its size. Buffers go back through `returned`.
pub fn write(
    root: &Path,
    key: &ObjectKey,
    mut orders: mpsc::Receiver<Order>,
    returned: &mpsc::Sender<Vec<u8>>,
) -> io::Result<u64> {
    let target = root.join(key.as_str());
    let mut part = Part::begin(root, &target)?;
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Write(chunk) => {
                part.write(&chunk)?;
                // The feeder makes itself a new one when this does not reach it.
                let _ = returned.try_send(chunk);
            }
            Order::Finish => return part.finish(),
        }
    }
    Err(io::Error::new(io::ErrorKind::Interrupted, "given up before its end"))
}

/// A file that is not an object yet.
pub struct Part<'a> {
    root: &'a Path,
    target: &'a Path,
    path: PathBuf,
    file: File,
    written: u64,
    asked: u64,
    is_finished: bool,
}

impl<'a> Part<'a> {
    const INFIX: &'static str = ".part-";
    const DIGITS: usize = 16;

    /// The name of the object that a file of this name was to become, when it is a part.
    pub fn target_of(name: &str) -> Option<&str> {
        let (digits, rest) = name.strip_prefix('.')?.split_at_checked(Self::DIGITS)?;
        let is_random = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        rest.strip_prefix(Self::INFIX).filter(|target| is_random && !target.is_empty() && !target.contains('/'))
    }

    fn begin(root: &'a Path, target: &'a Path) -> io::Result<Self> {
        let (directory, name) = (target.parent().unwrap_or(root), target.file_name().unwrap_or_default());
        let random = getrandom::u64().map_err(io::Error::other)?;
        let path = directory.join(format!(".{random:0width$x}{}{}", Self::INFIX, name.display(), width = Self::DIGITS));
        let mut attempt = 0;
        let file = loop {
            attempt += 1;
            let made = make_directories(root, directory);
            match made.and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && root.is_dir() && attempt < ATTEMPTS => {}
                opened => break opened?,
            }
        };
        Ok(Self { root, target, path, file, written: 0, asked: 0, is_finished: false })
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)?;
        self.written += chunk.len() as u64;
        if self.written - self.asked >= STRIDE {
            // On Linux this begins to write dirty pages back and does not wait. It is a hint; failing to take it harms nothing.
            let length = std::num::NonZeroU64::new(self.written - self.asked);
            let _ = rustix::fs::fadvise(&self.file, self.asked, length, rustix::fs::Advice::DontNeed);
            self.asked = self.written;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        self.file.sync_all()?;
        fs::rename(&self.path, self.target)?;
        self.is_finished = true;
        sync_directory(self.target.parent().unwrap_or(self.root))?;
        Ok(self.written)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // Best effort: what stays is found as a leftover.
            let _ = fs::remove_file(&self.path);
            remove_empty(self.root, self.path.parent().unwrap_or(self.root));
        }
    }
}

/// Makes a directory of the store and those above it, each durably; the one above the store itself has to be there.
fn make_directories(root: &Path, directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().unwrap_or(root);
    if directory != root {
        make_directories(root, above)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory(above),
    }
}
