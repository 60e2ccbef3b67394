//! Finds and reads the configuration file.
//!
//! In goes the path the user named, if any; out comes the checked configuration with its text and origin. The only
//! part of `config` that touches the file system, and it never writes.

use std::io;
use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::raw::{self, NotYaml};
use super::resolve;
use crate::model::desired::Desired;

/// The file that is used when none is named.
pub const FILE_NAME: &str = "hypertide.yaml";

/// A configuration and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What the user wants.
    pub desired: Desired,
    /// The file it was read from; `None` when there is none and everything is a default.
    pub origin: Option<PathBuf>,
    /// The text of that file, empty without one; the agent gets a copy.
    pub text: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not readable as UTF-8 text.
    #[error("cannot read the configuration {}", origin.display())]
    Unreadable {
        /// The file.
        origin: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file cannot be parsed far enough to look at its keys.
    #[error("{} is not YAML{}", origin.display(), in_line(source.line))]
    NotYaml {
        /// The file.
        origin: PathBuf,
        /// What the parser says.
        source: NotYaml,
    },
    /// Keys or values are wrong.
    #[error("{}", report(origin, problems))]
    Invalid {
        /// The file.
        origin: PathBuf,
        /// Every mistake in it, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("name an existing file, or none at all: every key has a default".to_owned())
            }
            Self::Unreadable { .. } => Some("make it a UTF-8 text file that this user may read".to_owned()),
            Self::NotYaml { .. } => {
                Some("YAML indents with blanks, never tabs, and wants one after each `:` and `-`".to_owned())
            }
            Self::Invalid { .. } => Some("mend these keys, or leave them out to get their defaults".to_owned()),
        }
    }
}

/// Reads the configuration: the named file, else `hypertide.yaml` in the current directory, else nothing but defaults.
pub fn load(path: Option<&Path>) -> Result<Loaded, ConfigError> {
    load_from(Path::new(""), path)
}

/// `directory` stands in for the current one, which tests cannot change safely.
fn load_from(directory: &Path, named: Option<&Path>) -> Result<Loaded, ConfigError> {
    let origin = named.map_or_else(|| directory.join(FILE_NAME), Path::to_path_buf);
    match std::fs::read_to_string(&origin) {
        Ok(text) => read(text, origin),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            let mut defaults = read(String::new(), origin)?;
            defaults.origin = None;
            Ok(defaults)
        }
        Err(source) => Err(ConfigError::Unreadable { origin, source }),
    }
}

fn read(text: String, origin: PathBuf) -> Result<Loaded, ConfigError> {
    let root = match raw::read(&text) {
        Ok(root) => root,
        Err(source) => return Err(ConfigError::NotYaml { origin, source }),
    };
    let base_dir = origin.parent().unwrap_or(Path::new(""));
    match resolve::desired(&root, base_dir) {
        Ok(desired) => Ok(Loaded { desired, origin: Some(origin), text }),
        Err(problems) => Err(ConfigError::Invalid { origin, problems }),
    }
}

fn in_line(line: Option<u64>) -> String {
    line.map_or(String::new(), |line| format!(" (line {line})"))
}

/// All problems, one per line, each followed by its own help.
fn report(origin: &Path, problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        several => format!("{several} problems"),
    };
    let mut report = format!("{count} in {}", origin.display());
    for problem in problems {
        report.push_str("\n  ");
        report.push_str(&problem.to_string());
        if let Some(help) = &problem.help {
            report.push_str("\n    help: ");
            report.push_str(help);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::config::parse;

    fn directory_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join(FILE_NAME);
        std::fs::write(&file, text).expect("writable");
        (directory, file)
    }

    #[test]
    fn without_a_file_everything_is_a_default() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let loaded = load_from(directory.path(), None).expect("defaults");
        assert_eq!(loaded.desired, parse("", Path::new("")).expect("defaults"));
        assert_eq!((loaded.origin, loaded.text.as_str()), (None, ""));
    }

    #[test]
    fn the_file_in_the_current_directory_is_used_when_none_is_named() {
        let text = "cluster: found\npacks: [./mine]\n";
        let (directory, file) = directory_with(text);
        let loaded = load_from(directory.path(), None).expect("valid");
        assert_eq!(loaded.desired.cluster.as_str(), "found");
        assert_eq!(loaded.desired.packs, [crate::model::desired::PackRef::Directory(directory.path().join("./mine"))]);
        assert_eq!((loaded.origin, loaded.text.as_str()), (Some(file), text));
    }

    #[test]
    fn a_named_file_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let missing = directory.path().join("other.yaml");
        let error = load(Some(&missing)).expect_err("not there");
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
        assert!(error.source().is_some());
        assert!(error.help().expect("help").contains("every key has a default"));
    }

    #[test]
    fn a_file_that_is_not_text_is_an_error_even_when_it_was_not_named() {
        let (directory, file) = directory_with("");
        std::fs::write(file, [0xff, 0xfe, 0x00]).expect("writable");
        let error = load_from(directory.path(), None).expect_err("no text");
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn what_is_not_yaml_names_the_line_and_leaves_the_rest_to_its_source() {
        let (_directory, file) = directory_with("cluster: a\n  database: b\n");
        let error = load(Some(&file)).expect_err("no YAML");
        let said = error.to_string();
        assert!(said.ends_with("hypertide.yaml is not YAML (line 2)"), "{said}");
        let source = error.source().expect("the parser's words").to_string();
        assert!(!said.contains(&source), "{said}");
    }

    #[test]
    fn an_invalid_file_reports_every_problem() {
        let (_directory, file) = directory_with("clusters: a\nbind: here\n");
        let error = load(Some(&file)).expect_err("invalid");
        let ConfigError::Invalid { problems, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(problems.len(), 2);
        assert!(error.to_string().starts_with("2 problems in "), "{error}");
    }
}
