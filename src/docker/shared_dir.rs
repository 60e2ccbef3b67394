//! A directory that this process and containers see at the same time: for FIFOs that carry bulk data past the engine, for
//! a server's socket, for small files.
//!
//! In: where this process runs. Out: a directory, its path on both sides, and the mount that makes it so. On the host it is a
//! directory for its owner only, whose inner part is bind-mounted; in the agent's container it is a directory on the agent's
//! volume, which the other container mounts as well. It is removed when dropped, and with it goes the leash: containers that
//! wait on it ([`SharedDir::LEASH`]) end when this process lets go of it, also when it is killed.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bollard::models::{Mount, MountType};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::pipe::fcntl_setpipe_size;

/// Both sides are woken less often by a large pipe; Linux lets everybody have this much.
const PIPE_BYTES: usize = 1024 * 1024;

/// Where the inner part is mounted in a container, when this process is on the host.
pub const INSIDE: &str = "/run/hypertide";

/// Where the agent's volume is mounted, in the agent's container and in those that it shares it with.
pub const VOLUME_DIR: &str = "/var/lib/hypertide";

/// Below that, the shared directories.
const VOLUME_PARENT: &str = "/var/lib/hypertide/shared";

/// What every shared directory's name begins with, and that of others that a process keeps to itself.
pub const PREFIX: &str = "ht-";

/// The file in it that its process holds a lock on.
const LOCK: &str = "lock";

/// A socket's path has 107 bytes, of which `/s/.s.PGSQL.5432` and our own name take 30.
const LONGEST_PARENT: usize = 70;

/// How often it is tried to remove a directory into which somebody still writes; what is left then goes with the next sweep.
const ATTEMPTS: usize = 5;

/// A directory whose owner is about to lock it is not taken for a leftover.
const SETTLING: Duration = Duration::from_mins(1);

/// Where this process shares directories with containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedPlace {
    /// On the host.
    Host,
    /// On this volume, which is mounted at [`VOLUME_DIR`] here.
    Volume(String),
}

/// A shared directory could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SharedDirError {
    /// The engine is on another host, or might be.
    #[error("cannot share a directory with containers of the engine at {engine}")]
    Remote {
        /// Its address.
        engine: String,
    },
    /// A file or directory could not be made.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl SharedDirError {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::Remote { .. } => {
                "run hypertide on the engine's own host, or let the agent do it: it runs in a container there".into()
            }
            Self::File { path, .. } => {
                format!("make room in {} and make it writable", path.parent().unwrap_or(path).display())
            }
        }
    }
}

/// See the file's head. Its parts belong to this process alone; containers may write into it.
#[derive(Debug)]
pub struct SharedDir {
    root: PathBuf,
    here: PathBuf,
    inside: String,
    mount: Mount,
    next: AtomicU32,
    _leash: File,
    _lock: File,
}

/// A FIFO in a shared directory.
#[derive(Clone, Debug)]
pub struct Fifo {
    /// Its path in this process.
    pub here: PathBuf,
    /// Its path in a container.
    pub inside: String,
}

impl SharedPlace {
    fn parent(&self) -> Result<PathBuf, SharedDirError> {
        match self {
            Self::Volume(_) => Ok(VOLUME_PARENT.into()),
            Self::Host => {
                if !is_local_engine() {
                    let engine = std::env::var("DOCKER_HOST").unwrap_or_default();
                    return Err(SharedDirError::Remote { engine });
                }
                let parent = std::env::temp_dir();
                let is_short = parent.as_os_str().len() <= LONGEST_PARENT;
                Ok(if is_short && parent.is_absolute() { parent } else { "/tmp".into() })
            }
        }
    }

    /// Removes what killed processes left here; what cannot be removed stays for the next time.
    pub fn sweep(&self) {
        if let Ok(parent) = self.parent() {
            sweep(&parent);
        }
    }
}

/// Removes directories of this program's from here whose process was killed: those with [`PREFIX`] and a [`LOCK`] that nobody
/// holds.
pub fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if is_named && is_left_over(&path) {
            tracing::debug!(path = %path.display(), "removing what a killed process left");
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Makes a directory this process's own until the file is closed, by whatever.
pub fn hold(root: &Path) -> io::Result<File> {
    let lock = File::create(root.join(LOCK))?;
    lock.try_lock()?;
    Ok(lock)
}

/// The process that made the shared directory whose inner part this is was killed. False also where nobody can tell.
pub fn is_abandoned(here: &Path) -> bool {
    here.parent().is_some_and(is_let_go)
}

/// There is a lock, and nobody holds it.
fn is_let_go(root: &Path) -> bool {
    File::open(root.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

/// This process reaches the engine over a socket of its own host, so that both see the same files.
pub fn is_local_engine() -> bool {
    std::env::var("DOCKER_HOST").map_or(true, |engine| engine.starts_with("unix://"))
}

/// Nobody holds its lock. What is not ours, or not a directory of this kind, is nobody's to remove.
fn is_left_over(root: &Path) -> bool {
    let Ok(facts) = fs::symlink_metadata(root) else { return false };
    if !facts.is_dir() || facts.uid() != rustix::process::geteuid().as_raw() {
        return false;
    }
    let is_old = facts.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > SETTLING);
    is_old && is_let_go(root)
}

impl SharedDir {
    /// The name of the FIFO that ends when its owner does.
    pub const LEASH: &str = "leash";

    /// Makes one.
    pub fn create(place: &SharedPlace) -> Result<Self, SharedDirError> {
        let parent = place.parent()?;
        // The volume's directories are entered by other users of the containers that share it; on the host nobody enters.
        let mode = if *place == SharedPlace::Host { 0o700 } else { 0o711 };
        if matches!(place, SharedPlace::Volume(_)) {
            DirBuilder::new().recursive(true).mode(0o711).create(&parent).map_err(failed("make", &parent))?;
        }
        let root = parent.join(format!("{PREFIX}{:08x}", random(&parent)?));
        DirBuilder::new().mode(mode).create(&root).map_err(failed("make", &root))?;
        let furnished = Self::furnish(root.clone(), place);
        if furnished.is_err() {
            let _ = fs::remove_dir_all(&root);
        }
        furnished
    }

    fn furnish(root: PathBuf, place: &SharedPlace) -> Result<Self, SharedDirError> {
        let lock = hold(&root).map_err(failed("lock", &root))?;
        let here = root.join("s");
        fs::create_dir(&here).map_err(failed("make", &here))?;
        // Servers and tools in containers run as another user than we do.
        fs::set_permissions(&here, Permissions::from_mode(0o777)).map_err(failed("open up", &here))?;
        let (inside, mount) = match place {
            SharedPlace::Host => (INSIDE.to_owned(), mount(MountType::BIND, &here.to_string_lossy(), INSIDE)),
            SharedPlace::Volume(name) => {
                (here.to_string_lossy().into_owned(), mount(MountType::VOLUME, name, VOLUME_DIR))
            }
        };
        let leash_path = here.join(Self::LEASH);
        make_fifo(&leash_path)?;
        // Both ends, so that opening does not wait; nobody else ever opens it for writing.
        let leash = OpenOptions::new().read(true).write(true).open(&leash_path).map_err(failed("open", &leash_path))?;
        Ok(Self { root, here, inside, mount, next: AtomicU32::new(1), _leash: leash, _lock: lock })
    }

    /// Its path in this process.
    pub fn here(&self) -> &Path {
        &self.here
    }

    /// Its path in a container.
    pub fn inside(&self) -> &str {
        &self.inside
    }

    /// What a container has to mount.
    pub fn mount(&self) -> Mount {
        self.mount.clone()
    }

    /// Makes a FIFO.
    pub fn fifo(&self) -> Result<Fifo, SharedDirError> {
        let name = self.fresh("fifo");
        let fifo = Fifo { here: self.here.join(&name), inside: format!("{}/{name}", self.inside) };
        make_fifo(&fifo.here)?;
        Ok(fifo)
    }

    /// Puts a small file there that everybody in the container may read, so nothing secret; gives its path in a container.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<String, SharedDirError> {
        let name = self.fresh(name);
        let path = self.here.join(&name);
        fs::write(&path, bytes).map_err(failed("write", &path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(failed("open up", &path))?;
        Ok(format!("{}/{name}", self.inside))
    }

    fn fresh(&self, name: &str) -> String {
        format!("{}-{name}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for SharedDir {
    fn drop(&mut self) {
        // A container that is about to end may put a file there in this very moment.
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&self.root) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => {
                    tracing::debug!(path = %self.root.display(), %error, "could not remove a shared directory");
                    return;
                }
            }
        }
    }
}

impl Fifo {
    /// The end to read from, of a pipe as large as everybody may have. Never waits: whether somebody writes shows when it is polled.
    pub fn open_reader(&self) -> Result<File, SharedDirError> {
        let end = open(&self.here, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        let end = end.map(File::from).map_err(|error| failed("open", &self.here)(error.into()))?;
        // A smaller one is slower and just as good.
        let _ = fcntl_setpipe_size(&end, PIPE_BYTES);
        Ok(end)
    }

    /// The end to write to, never waiting in a write; `None` while nobody has opened the other one.
    pub fn open_writer(&self) -> Result<Option<File>, SharedDirError> {
        match open(&self.here, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Ok(end) => Ok(Some(File::from(end))),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            Err(error) => Err(failed("open", &self.here)(error.into())),
        }
    }

    /// Takes its name away; both ends stay as they are.
    pub fn unlink(&self) {
        let _ = fs::remove_file(&self.here);
    }
}

fn make_fifo(path: &Path) -> Result<(), SharedDirError> {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0)
        .map_err(|error| failed("make", path)(error.into()))?;
    // Whatever the umask says.
    fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed("open up", path))
}

fn mount(kind: MountType, source: &str, target: &str) -> Mount {
    Mount { typ: Some(kind), source: Some(source.to_owned()), target: Some(target.to_owned()), ..Default::default() }
}

fn random(parent: &Path) -> Result<u32, SharedDirError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| failed("name a directory in", parent)(io::Error::other(error)))?;
    Ok(u32::from_ne_bytes(bytes))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SharedDirError {
    move |source| SharedDirError::File { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::FileTypeExt;

    use super::*;

    #[test]
    fn only_its_owner_enters_and_everybody_in_a_container_writes() {
        let dir = SharedDir::create(&SharedPlace::Host).expect("room");
        let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o7777;
        assert_eq!((mode(&dir.root), mode(dir.here())), (0o700, 0o777));
        assert_eq!(dir.mount().source.as_deref(), dir.here().to_str());
        let fifo = dir.fifo().expect("room");
        assert_eq!(mode(&fifo.here), 0o666);
        assert!(fs::metadata(&fifo.here).expect("it exists").file_type().is_fifo());
        let socket = dir.here().join(".s.PGSQL.5432");
        assert!(socket.as_os_str().len() < 108, "{socket:?}");
    }

    #[test]
    fn is_gone_with_its_owner_and_the_leash_ends() {
        let dir = SharedDir::create(&SharedPlace::Host).expect("room");
        let root = dir.root.clone();
        let mut leash = File::open(dir.here().join(SharedDir::LEASH)).expect("its other end is open");
        let (tell, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(leash.read(&mut [0]).map_err(|error| error.to_string())));
        assert!(ended.try_recv().is_err(), "it holds");
        drop(dir);
        assert_eq!(ended.recv().expect("the thread tells"), Ok(0));
        assert!(!root.exists());
    }

    #[test]
    fn what_somebody_holds_is_no_leftover() {
        let dir = SharedDir::create(&SharedPlace::Host).expect("room");
        let long_ago = std::time::SystemTime::now() - 2 * SETTLING;
        let age = |root: &Path| File::open(root).and_then(|it| it.set_modified(long_ago)).expect("it is ours");
        age(&dir.root);
        assert!(!is_left_over(&dir.root));
        // As a killed process leaves it.
        let left = tempfile::tempdir().expect("room");
        age(left.path());
        assert!(!is_left_over(left.path()), "it has no lock and may be anything");
        fs::write(left.path().join("lock"), "").expect("room");
        assert!(!is_left_over(left.path()), "it is too young");
        age(left.path());
        assert!(is_left_over(left.path()));

        // What is in its inner part is told by the same lock, at once.
        assert!(!is_abandoned(dir.here()) && is_abandoned(&left.path().join("s")));
        assert!(!is_abandoned(Path::new("/nowhere/s")), "another host's");
    }

    #[test]
    fn a_fifo_is_opened_for_writing_once_somebody_reads() {
        let dir = SharedDir::create(&SharedPlace::Host).expect("room");
        let fifo = dir.fifo().expect("room");
        assert!(fifo.open_writer().expect("a FIFO").is_none());
        let reader = fifo.open_reader().expect("a FIFO");
        assert!(fifo.open_writer().expect("a FIFO").is_some());
        drop(reader);
    }
}
