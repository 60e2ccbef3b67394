//! Data jobs: work on rows that the agent does at times, on the primary.

use std::fmt;
use std::time::Duration;

use super::backup::Timing;
use super::expiry::ExpiryRule;

/// A data job as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataJob {
    /// Its name: a label; that of a pack's job has the pack's name and a dot before it.
    pub name: String,
    /// The pack that brings it; `None`: the configuration has it.
    pub pack: Option<String>,
    /// What it does.
    pub task: Task,
    /// When it runs; `None`: when somebody asks for it.
    pub timing: Option<Timing>,
    /// How long a run may take.
    pub timeout: Duration,
    /// How often a run that failed is tried again.
    pub retries: u32,
    /// The pause before the first of these; each further one is twice as long.
    pub backoff: Duration,
}

/// What a data job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Statements, as one transaction unless they say otherwise.
    Sql {
        /// They.
        sql: String,
        /// As whom they run.
        role: JobRole,
    },
    /// Drops chunks that are old.
    Retention(Vec<ExpiryRule>),
}

/// The login role as which the statements of a job run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JobRole {
    /// Reads and writes rows of the published schemas.
    #[default]
    App,
    /// Reads them.
    Reader,
    /// The superuser: what needs an owner's rights, such as VACUUM.
    Postgres,
}

impl JobRole {
    /// All of them, with the words of the configuration.
    pub const ALL: [(&'static str, Self); 3] =
        [("app", Self::App), ("reader", Self::Reader), ("postgres", Self::Postgres)];

    /// The role's name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Reader => "reader",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for JobRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl DataJob {
    /// The name of the job that retention is.
    pub const RETENTION: &'static str = "retention";

    /// How long a run may take unless it is told: a job that hangs must not hold its locks for hours.
    pub const TIMEOUT: Duration = Duration::from_hours(1);

    /// The pause before a run that failed is tried again.
    pub const BACKOFF: Duration = Duration::from_mins(1);

    /// As whom it works.
    pub const fn role(&self) -> JobRole {
        match self.task {
            Task::Sql { role, .. } => role,
            // Chunks are their owner's to drop.
            Task::Retention(_) => JobRole::Postgres,
        }
    }
}
