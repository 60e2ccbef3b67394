//! Why a backup did not come back to life.

use std::io;

use crate::backup::pipeline::PipelineError;
use crate::backup::sandbox::SandboxError;
use crate::backup::tools::ToolError;
use crate::backup::wal::fetch::FetchError;
use crate::docker::engine::DockerError;
use crate::docker::image::ImageError;
use crate::model::backup::BackupNameError;
use crate::model::names::NameError;
use crate::postgres::session::PostgresError;
use crate::store::{Fault, StoreError};

/// A restore, or the restore of a drill, failed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object could not be read, or is not what was stored.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Docker.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// An image could not be looked into.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The throw-away server.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A client program.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The archived log.
    #[error(transparent)]
    Log(#[from] FetchError),
    /// A server.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A name in the backup is none.
    #[error(transparent)]
    Key(#[from] BackupNameError),
    /// A name of the database's is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A part that this kind of backup has is not in its manifest.
    #[error("the backup has no {part}")]
    NoPart {
        /// Which.
        part: &'static str,
    },
    /// An object does not hold what it should.
    #[error("{object} cannot be used: {because}")]
    Odd {
        /// Which.
        object: String,
        /// What is odd.
        because: String,
    },
    /// A client program ended with a failure, or went on over errors.
    #[error("{program} cannot restore {object}: {said}")]
    Refused {
        /// The program.
        program: String,
        /// What it was given.
        object: String,
        /// What it said last.
        said: String,
    },
    /// The server stopped before it got where it was to go.
    #[error("the server does not recover to {target}: {said}")]
    Recovery {
        /// Where to.
        target: String,
        /// What it said last.
        said: String,
    },
    /// It took longer than anybody waits.
    #[error("the server is not ready after {seconds} s: {said}")]
    NotReady {
        /// Seconds.
        seconds: u64,
        /// What it said last.
        said: String,
    },
    /// A file of ours.
    #[error("cannot {doing}")]
    File {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl RestoreError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.help()),
            Self::Pipeline(error) => error.help(),
            Self::Docker(error) => error.help(),
            Self::Postgres(error) => error.help(),
            Self::Tool(error) => error.help(),
            Self::Log(error) => error.help(),
            Self::Sandbox(error) => error.help(),
            Self::Image(error) => Some(error.help().to_owned()),
            Self::NoPart { .. } | Self::Odd { .. } | Self::Refused { .. } => Some(
                "`hypertide backup verify` says whether the objects are what was stored; an older backup may do".into(),
            ),
            Self::Recovery { .. } => Some("`hypertide restore … --plan` says how far the archived log leads".into()),
            Self::NotReady { .. } => Some("try again when the host is less busy".into()),
            Self::Key(_) | Self::Name(_) | Self::File { .. } => None,
        }
    }

    /// What a client program that was fed an object came to.
    pub fn of_tool(error: ToolError, object: &str) -> Self {
        match error {
            ToolError::Failed { program, said, .. } => Self::Refused { program, object: object.to_owned(), said },
            // What could not be read is the cause, and the program only one that noticed.
            ToolError::Source { program, source } => match source.downcast::<PipelineError>() {
                Ok(error) => Self::Pipeline(error),
                Err(source) => Self::Tool(ToolError::Source { program, source }),
            },
            error => Self::Tool(error),
        }
    }

    /// What a command that looks at the backup came to.
    pub fn of_command(error: SandboxError, program: &str, object: &str) -> Self {
        match error {
            SandboxError::Command { output, .. } => {
                Self::Refused { program: program.to_owned(), object: object.to_owned(), said: output }
            }
            error => Self::Sandbox(error),
        }
    }

    /// It says something about the backup, and not only about the host, the store's mood or a key that was not given.
    pub fn is_of_the_backup(&self) -> bool {
        match self {
            Self::Store(error) | Self::Pipeline(PipelineError::Store(error)) => error.fault == Fault::Missing,
            Self::Pipeline(error) => {
                matches!(error, PipelineError::Damaged { .. } | PipelineError::WrongIdentity { .. })
            }
            Self::NoPart { .. } | Self::Odd { .. } | Self::Refused { .. } | Self::Recovery { .. } | Self::Name(_) => {
                true
            }
            Self::Postgres(error) => matches!(error, PostgresError::Statement { .. }),
            Self::Log(FetchError::Pipeline(error)) => matches!(error, PipelineError::Damaged { .. }),
            _ => false,
        }
    }

    /// Another attempt may go well.
    pub fn is_worth_a_retry(&self) -> bool {
        let unavailable = |error: &StoreError| error.fault == Fault::Unavailable;
        match self {
            Self::Store(error) | Self::Pipeline(PipelineError::Store(error)) => unavailable(error),
            Self::NotReady { .. } => true,
            _ => false,
        }
    }
}
