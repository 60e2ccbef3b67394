//! Why a backup was not made.

use std::io;

use super::base::BaseError;
use super::pipeline::PipelineError;
use super::tools::ToolError;
use crate::docker::engine::DockerError;
use crate::postgres::session::PostgresError;
use crate::site::ReachError;
use crate::store::{Fault, StoreError};

/// A run ended without a backup. Nothing of it is listed, and what it had written is removed where that was possible.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The node could not be reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// A program of PostgreSQL's.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// An object on its way into the store.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table that was named is not there.
    #[error("there is no table {table}")]
    NoTable {
        /// Which.
        table: String,
    },
    /// No table was named.
    #[error("no tables are named")]
    NoTables,
    /// A base backup of something that is no node.
    #[error("a base backup is taken from a node of a cluster")]
    NoFiles,
    /// A base backup.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// What a program printed could not be read.
    #[error("cannot read the {what}: {because}")]
    Unreadable {
        /// What it was.
        what: String,
        /// Why.
        because: String,
    },
    /// The operating system gave no random number.
    #[error("cannot name the backup")]
    Random {
        /// Why.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error("the backup was stopped")]
    Stopped,
}

/// How a failed run counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Another attempt may succeed.
    Retry,
    /// It cannot be made as asked.
    Refused,
    /// It failed.
    Failed,
}

impl BackupError {
    /// Whether another attempt makes sense.
    pub fn weight(&self) -> Weight {
        match self {
            Self::Base(error) if error.is_worth_a_retry() => Weight::Retry,
            Self::Base(error) if error.is_refusal() => Weight::Refused,
            Self::Store(error) | Self::Pipeline(PipelineError::Store(error)) => match error.fault {
                Fault::Unavailable => Weight::Retry,
                _ => Weight::Failed,
            },
            // A server that is away comes back; a dump that lost its server, or a table, is begun anew.
            Self::Base(_) | Self::Postgres(PostgresError::Tls { .. }) => Weight::Failed,
            Self::Postgres(error) => match error.code() {
                None => Weight::Retry,
                Some(code) => {
                    let is_passing =
                        ["08", "40", "42P01", "53", "55", "57"].iter().any(|class| code.code().starts_with(class));
                    if is_passing { Weight::Retry } else { Weight::Failed }
                }
            },
            Self::Pipeline(PipelineError::Source { .. } | PipelineError::Lost { .. }) | Self::Unreadable { .. } => {
                Weight::Retry
            }
            Self::Stopped | Self::Reach(ReachError::Postgres(_)) => Weight::Retry,
            Self::NoTable { .. } | Self::NoTables | Self::NoFiles => Weight::Refused,
            Self::Tool(_) | Self::Pipeline(_) | Self::Reach(_) | Self::Docker(_) | Self::Random { .. } => {
                Weight::Failed
            }
        }
    }

    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.help(),
            Self::Postgres(error @ PostgresError::Tls { .. }) => error.help(),
            Self::Postgres(_) | Self::Reach(_) => {
                Some("check that the server runs and takes connections; nothing of this backup was kept".into())
            }
            Self::Tool(error) => error.help(),
            Self::Pipeline(error) => error.help(),
            Self::Store(error) => Some(error.help()),
            Self::NoTable { .. } | Self::NoTables => Some("name tables as schema.table, with --table".into()),
            Self::NoFiles => Some("use --kind full, schema, tables or globals with --url".into()),
            Self::Base(error) => error.help(),
            Self::Unreadable { .. } => Some("the cause says what failed; try again when that is mended".into()),
            Self::Random { .. } => None,
            Self::Stopped => Some("nothing of this backup was kept".into()),
        }
    }
}
