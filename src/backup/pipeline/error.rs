//! Why bytes did not get into a store or out of it.

use std::io;
use std::path::PathBuf;

use crate::model::backup::ObjectKey;
use crate::store::StoreError;

/// A stream failed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store; its fault says whether another attempt makes sense.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to be stored could not be read to its end.
    #[error("nothing was stored as {key}: its source failed")]
    Source {
        /// The object.
        key: ObjectKey,
        /// What the source said.
        source: io::Error,
    },
    /// Compression or encryption failed.
    #[error("cannot compress or encrypt {key}")]
    Encode {
        /// The object.
        key: ObjectKey,
        /// Why.
        source: io::Error,
    },
    /// The stream was given up before its end.
    #[error("the stream of {key} was given up before its end")]
    Lost {
        /// The object.
        key: ObjectKey,
    },
    /// The connection to the store broke while an object was read.
    #[error("cannot read {key} to its end")]
    Read {
        /// The object.
        key: ObjectKey,
        /// Why.
        source: io::Error,
    },
    /// The bytes in the store are not those that were put there.
    #[error("{key} is damaged: {because}")]
    Damaged {
        /// The object.
        key: ObjectKey,
        /// What is odd.
        because: String,
    },
    /// There is no identity to decrypt with.
    #[error("{key} is encrypted and no identity is given")]
    NoIdentity {
        /// The object.
        key: ObjectKey,
    },
    /// None of the identities opens it.
    #[error("none of the identities in {} opens {key}", file.display())]
    WrongIdentity {
        /// The object.
        key: ObjectKey,
        /// Where the identities are from.
        file: PathBuf,
    },
    /// A recipient is none.
    #[error("`{recipient}` is no age recipient: {because}")]
    Recipient {
        /// The text.
        recipient: String,
        /// What is odd.
        because: String,
    },
    /// The identity file could not be read.
    #[error("cannot read the age identities in {}", file.display())]
    IdentityFile {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The identity file does not hold what it should.
    #[error("{} holds no usable age identity: {because}", file.display())]
    Identity {
        /// Which file.
        file: PathBuf,
        /// What is odd; never the key itself.
        because: String,
    },
    /// The system gives us no thread.
    #[error("cannot start a thread")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

impl PipelineError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.help()),
            Self::Source { .. } => Some("the cause says what failed; what was stored before is untouched".into()),
            Self::Damaged { .. } => {
                Some("do not rely on this backup: `hypertide backup list` shows older ones that were verified".into())
            }
            Self::NoIdentity { .. } => Some(
                "give the file with the age identity (`--identity FILE`, or `identity` of the job in hypertide.yaml)"
                    .into(),
            ),
            Self::WrongIdentity { .. } => {
                Some("give the identity that belongs to one of the recipients the backup was made for".into())
            }
            Self::Recipient { .. } => Some(
                "a recipient is the public key that `age-keygen` prints, `age1` and 58 more characters; ssh keys and \
                 plugins are not supported"
                    .into(),
            ),
            Self::IdentityFile { file, .. } => Some(format!("make {} readable for hypertide", file.display())),
            Self::Identity { .. } => Some("`age-keygen -o FILE` makes such a file".into()),
            Self::Encode { .. } | Self::Lost { .. } | Self::Thread { .. } => None,
            Self::Read { .. } => Some("try again; the object itself is untouched".into()),
        }
    }

    /// It is about a recipient or an identity that was typed or configured, and not about the bytes.
    pub const fn is_about_keys(&self) -> bool {
        matches!(
            self,
            Self::Recipient { .. }
                | Self::NoIdentity { .. }
                | Self::WrongIdentity { .. }
                | Self::IdentityFile { .. }
                | Self::Identity { .. }
        )
    }

    /// As what a reader returns, so that it keeps its kind on the way through other readers.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error inside one that a reader of ours returned.
    pub fn from_io(error: io::Error, otherwise: impl FnOnce(io::Error) -> Self) -> Self {
        error.downcast::<Self>().unwrap_or_else(otherwise)
    }
}
