//! A directory as a store: an object is a file of that path, written beside it first, synced, then renamed.
//!
//! In: keys and streams. Out: files that only their owner may read. Never follows a link inside the store, and never touches a
//! file that no key or leftover can name. The store's own directory is made by the first object when the one above it exists,
//! and counts as empty until then; a disk that is not mounted should therefore not be the store itself but the directory above.

mod part;
mod walk;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::bytes::BufMut;

use super::{Bytes, Doing, Fault, Leftover, Listed, Store, StoreError};
use crate::model::backup::{ObjectKey, StoreUrl};
use part::{Order, Part};

/// What goes to the disk at once: large enough that handing it to a thread costs nothing beside it.
const CHUNK: usize = 512 << 10;

/// Chunks that wait for the disk.
const QUEUE: usize = 4;

/// A directory.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    url: StoreUrl,
}

impl Disk {
    /// The store in this directory; nothing is touched yet.
    pub fn new(root: PathBuf) -> Self {
        Self { url: StoreUrl::Disk(root.clone()), root }
    }

    /// Runs blocking work on a thread of its own and sorts its failure.
    async fn on_thread<T: Send + 'static>(
        &self,
        doing: Doing,
        key: Option<&ObjectKey>,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = self.root.clone();
        let done = spawn_blocking(move || work(&root)).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        done.map_err(|error| StoreError::new(doing, &self.url, key, fault(&error), error))
    }

    async fn write(&self, key: &ObjectKey, mut bytes: Bytes<'_>) -> Result<u64, StoreError> {
        let (chunks, inbox) = mpsc::channel(QUEUE);
        let (returned, spare) = mpsc::channel(QUEUE + 2);
        let target = key.clone();
        let writer = self.on_thread(Doing::Put, Some(key), move |root| part::write(root, &target, inbox, &returned));
        let feeder = feed(&mut bytes, chunks, spare);
        // A feeder that stops without the order to finish makes the writer remove what it has written.
        match tokio::join!(feeder, writer) {
            (Err(error), _) => Err(StoreError::new(Doing::Put, &self.url, Some(key), Fault::Producer, error)),
            (Ok(()), written) => written,
        }
    }
}

impl Store for Disk {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes<'a>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.write(key, bytes))
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Bytes<'static>, StoreError>> {
        Box::pin(async move {
            let relative = key.as_str().to_owned();
            let open = move |root: &Path| {
                let file = File::open(root.join(relative))?;
                if !file.metadata()?.is_file() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "no such object, but others below it"));
                }
                Ok(file)
            };
            let file = self.on_thread(Doing::Get, Some(key), open).await?;
            Ok(Box::pin(BufReader::with_capacity(CHUNK, tokio::fs::File::from_std(file))) as Bytes<'static>)
        })
    }

    fn list<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            let start = below.cloned();
            self.on_thread(Doing::List, below, move |root| Ok(walk::found(root, start.as_ref())?.objects)).await
        })
    }

    fn remove<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let relative = key.as_str().to_owned();
            self.on_thread(Doing::Remove, Some(key), move |root| unlink(root, &root.join(relative))).await
        })
    }

    fn leftovers<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Leftover>, StoreError>> {
        Box::pin(async move {
            let start = below.cloned();
            self.on_thread(Doing::List, below, move |root| Ok(walk::found(root, start.as_ref())?.leftovers)).await
        })
    }

    fn discard<'a>(&'a self, leftover: &'a Leftover) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let (key, token) = (leftover.key.clone(), leftover.token.clone());
            let discard = move |root: &Path| {
                if Part::target_of(&token) != Some(key.name()) {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "that is no leftover of this object"));
                }
                unlink(root, &root.join(key.as_str()).with_file_name(token))
            };
            self.on_thread(Doing::Remove, Some(&leftover.key), discard).await
        })
    }
}

/// Hands a stream to the writer in chunks, and at its end the order to finish. A writer that has gone is not this function's
/// to report. Gives back what the producer failed with.
async fn feed(
    bytes: &mut Bytes<'_>,
    chunks: mpsc::Sender<Order>,
    mut spare: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let mut chunk = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        chunk.clear();
        let mut is_end = false;
        while chunk.len() < CHUNK && !is_end {
            let room = CHUNK - chunk.len();
            is_end = bytes.read_buf(&mut (&mut chunk).limit(room)).await? == 0;
        }
        if !chunk.is_empty() && chunks.send(Order::Write(chunk)).await.is_err() {
            return Ok(());
        }
        if is_end {
            // The writer reports itself when it is gone.
            let _ = chunks.send(Order::Finish).await;
            return Ok(());
        }
    }
}

/// Removes a file and the directories that are empty without it, up to the store's own.
fn unlink(root: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {
            let parent = path.parent().unwrap_or(root);
            match sync_directory(parent) {
                // It was empty to somebody else, who removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => synced?,
            }
            remove_empty(root, parent);
            Ok(())
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        // Other objects lie below the key; it is none itself.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes directories that hold nothing, from this one up to the store's own, which stays. Whoever writes into one of them at
/// the same time makes it anew.
fn remove_empty(root: &Path, from: &Path) {
    for directory in from.ancestors().take_while(|directory| directory.starts_with(root) && *directory != root) {
        if fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

/// Makes what was done to a directory's entries durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some file systems in user space or on the network cannot.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Fault::Missing,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Fault::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full,
        io::ErrorKind::StaleNetworkFileHandle
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NotConnected => Fault::Unavailable,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::contract::{self, key, keys};

    fn store() -> (tempfile::TempDir, Disk) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = Disk::new(dir.path().join("store"));
        (dir, disk)
    }

    #[tokio::test]
    async fn keeps_the_contract_of_stores() {
        let (dir, disk) = store();
        contract::holds(&disk).await;
        let left: Vec<_> = fs::read_dir(dir.path().join("store")).expect("it was made").collect();
        assert!(left.is_empty(), "no directory stays: {left:?}");
    }

    #[tokio::test]
    async fn objects_and_directories_are_for_their_owner_only() {
        let (dir, disk) = store();
        disk.put(&key("a/b"), Box::pin(&b"x"[..])).await.expect("writable");
        let mode = |path: &str| fs::metadata(dir.path().join(path)).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode("store"), mode("store/a"), mode("store/a/b")), (0o700, 0o700, 0o600));
    }

    #[tokio::test]
    async fn the_directory_above_the_store_has_to_exist() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = Disk::new(dir.path().join("not-mounted/store"));
        let put = disk.put(&key("a"), Box::pin(&b"x"[..])).await.expect_err("no such directory");
        let list = disk.list(None).await.expect_err("no such directory");
        assert_eq!((put.fault, list.fault), (Fault::Missing, Fault::Missing), "{put}, {list}");
        assert!(put.to_string().starts_with("cannot write file:///"), "{put}");
        assert!(put.to_string().contains("not-mounted/store/a: "), "{put}");
    }

    #[tokio::test]
    async fn files_that_are_not_ours_are_neither_listed_nor_left_over() {
        let (dir, disk) = store();
        let root = dir.path().join("store");
        fs::create_dir_all(root.join(".snapshots")).expect("writable");
        for foreign in [".hidden", ".snapshots/x", "two words", ".0123.part-x", ".0123456789abcdef.part-"] {
            fs::write(root.join(foreign), "x").expect("writable");
        }
        std::os::unix::fs::symlink("/etc", root.join("link")).expect("writable");
        fs::write(root.join(".0123456789abcdef.part-x"), "x").expect("writable");
        assert!(keys(&disk, None).await.is_empty());
        let left = disk.leftovers(None).await.expect("readable");
        assert_eq!(left.iter().map(|left| left.key.as_str()).collect::<Vec<_>>(), ["x"]);
        let stranger = Leftover { token: "../../etc/passwd".into(), ..left[0].clone() };
        assert_eq!(disk.discard(&stranger).await.expect_err("that is no token").fault, Fault::Other);
        disk.discard(&left[0]).await.expect("ours");
        assert!(!root.join(".0123456789abcdef.part-x").exists() && root.join(".hidden").exists());
    }
}
