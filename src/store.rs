//! Where backups are kept: objects under keys, written whole or not at all.
//!
//! One trait and its implementations: a directory and a bucket. All of them pass the same tests (`store/contract.rs`). A store
//! knows nothing about backups, and nothing here decides what stays.

#[cfg(test)]
mod contract;
pub mod disk;
#[cfg(test)]
pub mod memory;
pub mod open;
pub mod s3;

use std::fmt;
use std::pin::Pin;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::io::AsyncRead;

use crate::model::backup::{ObjectKey, StoreUrl};

/// A stream of bytes on its way into or out of a store.
pub type Bytes<'a> = Pin<Box<dyn AsyncRead + Send + 'a>>;

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub written: SystemTime,
}

/// What a writer that was killed left behind: a temporary file, an upload that was never completed. Invisible to readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The key that was to be written.
    pub key: ObjectKey,
    /// What tells it from others of the same key: the upload's id, the temporary file's name.
    pub token: String,
    /// When it was begun, by the store's clock.
    pub begun: SystemTime,
}

/// What was tried on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Opening the store itself.
    Open,
    /// Writing an object.
    Put,
    /// Reading an object.
    Get,
    /// Listing keys.
    List,
    /// Removing an object or a leftover.
    Remove,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Put => "write",
            Self::Get => "read",
            Self::List => "list",
            Self::Remove => "remove",
        })
    }
}

/// Why a store did not do what it was asked for; decides what a person is told and whether another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such object, directory or bucket.
    Missing,
    /// Not allowed: file permissions, wrong or expired credentials, a policy.
    Denied,
    /// No room left: disk full, quota.
    Full,
    /// The clocks differ too much for a signature to count.
    ClockSkew,
    /// The service is overloaded, throttles, fails (5xx), or the connection broke: worth another attempt.
    Unavailable,
    /// What was to be written could not be read: the producer failed, so nothing was stored.
    Producer,
    /// Anything else.
    Other,
}

/// A call to a store failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {what}: {because}")]
pub struct StoreError {
    /// What was tried.
    pub doing: Doing,
    /// On what: the store's address, with the key when there is one.
    pub what: String,
    /// Which kind of failure it is.
    pub fault: Fault,
    /// What the system or service said, in a line, without secrets.
    pub because: String,
}

impl StoreError {
    /// A failure at an object, or at the store as a whole.
    pub fn new(
        doing: Doing,
        store: &StoreUrl,
        key: Option<&ObjectKey>,
        fault: Fault,
        because: impl fmt::Display,
    ) -> Self {
        let what =
            key.map_or_else(|| store.to_string(), |key| format!("{}/{key}", store.to_string().trim_end_matches('/')));
        Self { doing, what, fault, because: because.to_string().lines().collect::<Vec<_>>().join("; ") }
    }

    /// What the user can do.
    pub fn help(&self) -> String {
        match self.fault {
            Fault::Missing => {
                "check the store's address: the bucket, or the directory above the store's own, has to exist".into()
            }
            Fault::Denied => {
                "check who may write there: the directory's owner and mode, or the credentials (AWS_PROFILE, \
                 AWS_ACCESS_KEY_ID, ~/.aws/credentials) and the bucket's policy"
                    .into()
            }
            Fault::Full => {
                "make room, or let `hypertide backup prune` do it; what was stored before is untouched".into()
            }
            Fault::ClockSkew => "set this host's clock (NTP): signatures are refused when it is minutes off".into(),
            Fault::Unavailable => "try again later; what was stored before is untouched".into(),
            Fault::Producer => "the causes above say what failed; nothing was stored".into(),
            Fault::Other => "`-v` shows more; what was stored before is untouched".into(),
        }
    }
}

/// Objects under keys.
///
/// # Guarantees
///
/// - [`put`](Self::put) makes an object appear whole or not at all: a reader never sees half of one, also when the writer is
///   killed, and bytes that end in an error store nothing. Bytes are durable when it returns. A key is written once; a second
///   time replaces it whole.
/// - [`get`](Self::get) streams; memory does not grow with the object. A stream that breaks ends in an error, which carries a
///   [`StoreError`] where more is known than the operating system says.
/// - [`list`](Self::list) shows what was put before it was called, in the order of keys.
/// - [`remove`](Self::remove) of what is not there succeeds, and so does [`discard`](Self::discard).
///
/// # Caveats
///
/// - A [`put`](Self::put) whose future is dropped stores nothing and tidies up on its own, as far as the runtime still runs; what
///   it cannot tidy is a [`Leftover`].
/// - The writer of a [`Leftover`] may still be alive; only its age tells.
/// - No key may lie below another one (`a/b` below `a`): a directory cannot hold both.
pub trait Store: fmt::Debug + Send + Sync {
    /// Where it is.
    fn url(&self) -> &StoreUrl;

    /// Writes an object from a stream and tells how many bytes it has.
    fn put<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes<'a>) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Opens an object for reading; [`Fault::Missing`] when there is none.
    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Bytes<'static>, StoreError>>;

    /// Every object whose key is this one or lies below it; all of them without one.
    fn list<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>>;

    /// Removes an object.
    fn remove<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What killed writers left behind below a key.
    fn leftovers<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Leftover>, StoreError>>;

    /// Removes one of those.
    fn discard<'a>(&'a self, leftover: &'a Leftover) -> BoxFuture<'a, Result<(), StoreError>>;
}
