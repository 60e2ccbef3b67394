//! Everything that can be wrong with a pack, each with what to do about it.

use std::io;

use crate::model::names::NameError;

/// The packs cannot be used, and this is all that is wrong with them.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(.problems))]
pub struct PackError {
    /// At least one.
    pub problems: Vec<PackProblem>,
}

/// One mistake in a pack. Paths are as the configuration wrote them; those of the binary begin with `built-in:`.
#[derive(Debug, thiserror::Error)]
pub enum PackProblem {
    /// The configuration names a pack that the binary does not have.
    #[error("there is no built-in pack `{name}`")]
    Unknown {
        /// As the configuration wrote it.
        name: String,
        /// What was probably meant.
        meant: Option<String>,
        /// Those there are.
        known: Vec<String>,
    },
    /// A directory or a file could not be read.
    #[error("could not read {path}")]
    Read {
        /// Which one.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// `pack.yaml` is not there.
    #[error("{place} has no pack.yaml")]
    NoManifest {
        /// The pack's directory.
        place: String,
    },
    /// `pack.yaml` is not YAML, or has an unknown key or a wrong type.
    #[error("{path} cannot be understood: {because}")]
    Manifest {
        /// The file.
        path: String,
        /// The parser's words, with line and column.
        because: String,
    },
    /// A key is not given.
    #[error("{path} does not say `{key}`")]
    MissingKey {
        /// The file.
        path: String,
        /// The key.
        key: &'static str,
    },
    /// The pack's name is not usable.
    #[error("{path}: `{name}` is no name for a pack")]
    Name {
        /// The file.
        path: String,
        /// The name.
        name: String,
    },
    /// A schema's name is not usable.
    #[error("{path}: a schema has no usable name")]
    Schema {
        /// The file.
        path: String,
        /// Why.
        source: NameError,
    },
    /// The schema belongs to PostgreSQL, TimescaleDB or hypertide.
    #[error("{path}: schema `{schema}` belongs to somebody else")]
    ReservedSchema {
        /// The file.
        path: String,
        /// The schema.
        schema: String,
    },
    /// A published schema is not among the pack's schemas.
    #[error("{path}: `{schema}` is published and not among the schemas")]
    PublishedOnly {
        /// The file.
        path: String,
        /// The schema.
        schema: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// Two packs have one name, so their recorded migrations could not be told apart.
    #[error("two packs are called `{name}`: {first} and {second}")]
    NameTaken {
        /// The name.
        name: String,
        /// Where one is.
        first: String,
        /// Where the other is.
        second: String,
    },
    /// The file is none that a pack has.
    #[error("{path} does not belong in a pack")]
    Stray {
        /// The file or directory.
        path: String,
    },
    /// A directory has jobs, and nobody would run them.
    #[error("{path}: jobs of a pack in a directory would never run")]
    Jobs {
        /// The file.
        path: String,
    },
    /// The file is not text.
    #[error("{path} is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
    },
    /// Two migrations have one number.
    #[error("{place}: {first} and {second} have the same number")]
    SameNumber {
        /// The pack's directory.
        place: String,
        /// The first, by name.
        first: String,
        /// The other.
        second: String,
    },
    /// A `-- needs:` line asks for something that does not exist.
    #[error("{path}:{line}: `{need}` is nothing a migration can need")]
    UnknownNeed {
        /// The file.
        path: String,
        /// Its line.
        line: usize,
        /// As the file wrote it.
        need: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// A line looks like `-- needs:` and would not be read as one.
    #[error("{path}:{line}: this would not be read as what the migration needs")]
    StrayNeeds {
        /// The file.
        path: String,
        /// Its line.
        line: usize,
    },
    /// The migration does nothing.
    #[error("{path} holds no statement")]
    Empty {
        /// The file.
        path: String,
    },
    /// The migration opens or closes a transaction.
    #[error("{path}:{line}: a migration must not say {statement}")]
    Transaction {
        /// The file.
        path: String,
        /// Its line.
        line: usize,
        /// The words.
        statement: String,
    },
}

impl PackError {
    /// What to do about the first problem; mending it may show that the others had the same cause.
    pub fn help(&self) -> Option<String> {
        self.problems.first().map(PackProblem::help)
    }
}

impl PackProblem {
    /// With its cause, since a list of problems has no chain to print.
    fn line(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// What to do about it, in one line.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { meant: Some(meant), .. }
            | Self::PublishedOnly { meant: Some(meant), .. }
            | Self::UnknownNeed { meant: Some(meant), .. } => format!("did you mean `{meant}`?"),
            Self::Unknown { known, .. } => format!(
                "built-in packs: {}; a pack of your own is named by its directory, such as `./packs/mine`",
                known.join(", ")
            ),
            Self::Read { .. } => "check that it exists and that you may read it".to_owned(),
            Self::NoManifest { .. } => {
                "write one with the keys `name`, `description`, `published` and `schemas`".to_owned()
            }
            Self::Manifest { .. } => {
                "its keys are `name`, `description`, and the lists `published`, `chunk_schemas` and `schemas`"
                    .to_owned()
            }
            Self::MissingKey { key, .. } => format!("add the key `{key}`"),
            Self::Name { .. } => "use 1 to 30 of a-z, 0-9, `-` and `_`, beginning with a letter".to_owned(),
            Self::Schema { .. } => "give the schema a name PostgreSQL accepts".to_owned(),
            Self::ReservedSchema { .. } => "make a schema of the pack's own".to_owned(),
            Self::PublishedOnly { schema, .. } => format!("add `{schema}` to `schemas` as well"),
            Self::NameTaken { .. } => "name one of them otherwise, or leave it out".to_owned(),
            Self::Stray { .. } => {
                "a pack holds pack.yaml, README.md and migrations such as 001_first_tables.sql".to_owned()
            }
            Self::Jobs { .. } => {
                "write them under `jobs` in hypertide.yaml: the agent runs them, and has no files of the directory"
                    .to_owned()
            }
            Self::NotUtf8 { .. } => "save it as UTF-8".to_owned(),
            Self::SameNumber { .. } => "give the newer one the next free number".to_owned(),
            Self::UnknownNeed { .. } => "a migration can need `community` and `no-logical-replica`".to_owned(),
            Self::StrayNeeds { .. } => "write `-- needs: …` exactly so, before the first statement".to_owned(),
            Self::Empty { .. } => "write its statements, or remove the file".to_owned(),
            Self::Transaction { .. } => "leave it out: each migration runs in a transaction of its own".to_owned(),
        }
    }
}

fn told(problems: &[PackProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(PackProblem::line).collect();
    match lines.as_slice() {
        [only] => only.clone(),
        many => format!("the packs have {} problems\n  {}", many.len(), many.join("\n  ")),
    }
}
