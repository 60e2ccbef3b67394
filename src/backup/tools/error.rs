//! Why a tool did not do its work.

use std::io;

use crate::docker::engine::DockerError;
use crate::docker::image::ImageError;
use crate::docker::keeper::KeeperError;
use crate::docker::shared_dir::SharedDirError;
use crate::site::ReachError;

/// A tool failed, or could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There are no tools of that version.
    #[error("PostgreSQL's client programs of version {major} are neither on this host nor in a local image")]
    NoTools {
        /// The server's major version.
        major: u32,
    },
    /// A program is not where the others are, or cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("{program} failed with exit code {code}: {said}")]
    Failed {
        /// Which program.
        program: String,
        /// Its exit code; 128 and more: ended by that signal.
        code: i64,
        /// The end of what it said.
        said: String,
    },
    /// A program was ended because nobody wants its work any more.
    #[error("{program} was stopped")]
    Stopped {
        /// Which program.
        program: String,
    },
    /// How a program ended is not known.
    #[error("lost sight of {program}: {because}")]
    Lost {
        /// Which program.
        program: String,
        /// What happened.
        because: String,
    },
    /// A program printed something that it should not.
    #[error("{program} printed something unexpected: {told}")]
    Odd {
        /// Which program.
        program: String,
        /// What.
        told: String,
    },
    /// A program printed too much to be kept.
    #[error("{program} printed more than expected")]
    TooMuch {
        /// Which program.
        program: String,
    },
    /// What a program was to be given could not be read to its end.
    #[error("cannot feed {program}: its source failed")]
    Source {
        /// Which program.
        program: String,
        /// What the source said.
        source: io::Error,
    },
    /// A tool is to connect, and there is no server.
    #[error("{program} has no server to connect to")]
    NoServer {
        /// Which program.
        program: String,
    },
    /// The cluster's passwords could not be had.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// A file for a tool could not be made.
    #[error("cannot make a file for a tool")]
    File(#[source] io::Error),
    /// The engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The helper container.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The directory it shares with this process.
    #[error(transparent)]
    Shared(#[from] SharedDirError),
    /// Looking for an image.
    #[error("could not {0}")]
    Image(#[from] ImageError),
}

impl ToolError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoTools { major } => Some(format!(
                "install them (Debian: `apt-get install postgresql-client-{major}`), or pull an image with PostgreSQL \
                 {major}: `docker pull timescale/timescaledb:latest-pg{major}`"
            )),
            Self::Docker(error) => error.help(),
            Self::Keeper(error) => error.help(),
            Self::Shared(error) => Some(error.help()),
            Self::Reach(_) => Some("run `hypertide up` first".into()),
            _ => None,
        }
    }

    /// As what a reader returns, so that it is found again behind other readers.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}
