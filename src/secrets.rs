//! The cluster's passwords and the file they live in.
//!
//! One file, `pgpass` in the state directory, mode 0600, in libpq's own format: people point `PGPASSFILE` at it, nodes
//! and the agent hold a copy. The copies are how a lost state directory comes back.

pub mod certificate;
pub mod monitoring;
pub mod outside;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::model::job::JobRole;
use crate::plan::provision::{POOLER, ROLES, SUPERUSER};
use crate::postgres::password::Password;
use crate::postgres::setup::Verifiers;

/// The file's name in the state directory.
const FILE_NAME: &str = "pgpass";

/// Passwords could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file or directory could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file lacks a role.
    #[error("{origin} holds no password for role {role}")]
    Incomplete {
        /// Where the text came from.
        origin: String,
        /// The first role that is missing.
        role: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("cannot generate a password: {0}")]
    NoRandomness(String),
}

impl SecretsError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::File { path, .. } => Some(format!("make {} readable and writable for you", path.display())),
            Self::Incomplete { origin, .. } => {
                Some(format!("delete {origin}; hypertide fetches the passwords from a node again"))
            }
            Self::NoRandomness(_) => None,
        }
    }
}

/// One password per role. Does not print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    passwords: BTreeMap<&'static str, Password>,
}

fn roles() -> impl Iterator<Item = &'static str> {
    ROLES.into_iter().chain([SUPERUSER])
}

impl Secrets {
    /// Fresh random passwords for every role.
    pub fn generate() -> Result<Self, SecretsError> {
        let passwords = roles()
            .map(|role| Ok((role, Password::generate()?)))
            .collect::<Result<_, getrandom::Error>>()
            .map_err(|error| SecretsError::NoRandomness(error.to_string()))?;
        Ok(Self { passwords })
    }

    /// Reads libpq's password file format; `origin` names the text in errors.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SecretsError> {
        let mut passwords = BTreeMap::new();
        for line in text.lines() {
            if let [_, _, _, user, password] = line.splitn(5, ':').collect::<Vec<_>>().as_slice()
                && let Some(role) = roles().find(|role| role == user)
            {
                passwords.insert(role, Password::new(*password));
            }
        }
        // Files of earlier versions do not have it, and every copy of them has to come to the same.
        if let (None, Some(superuser)) = (passwords.get(POOLER), passwords.get(SUPERUSER)) {
            let derived = superuser.derived(POOLER);
            passwords.insert(POOLER, derived);
        }
        match roles().find(|role| !passwords.contains_key(role)) {
            Some(role) => Err(SecretsError::Incomplete { origin: origin.to_owned(), role }),
            None => Ok(Self { passwords }),
        }
    }

    /// In libpq's password file format: <https://www.postgresql.org/docs/17/libpq-pgpass.html>.
    pub fn to_pgpass(&self) -> String {
        let line = |(role, password): (&&str, &Password)| format!("*:*:*:{role}:{}\n", password.reveal());
        self.passwords.iter().map(line).collect()
    }

    /// The superuser's password.
    pub fn superuser(&self) -> &Password {
        self.passwords.get(SUPERUSER).expect("both constructors fill in every role")
    }

    /// The password of the endpoints' PgBouncer.
    pub fn pooler(&self) -> &Password {
        self.passwords.get(POOLER).expect("both constructors fill in every role")
    }

    /// The password of a role as which jobs run.
    pub fn of(&self, role: JobRole) -> &Password {
        self.passwords.get(role.word()).expect("both constructors fill in every role")
    }

    /// A verifier for each role, freshly salted.
    pub fn verifiers(&self) -> Verifiers {
        self.passwords.iter().map(|(role, password)| ((*role).to_owned(), password.verifier())).collect()
    }
}

/// The path of the password file in a state directory.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE_NAME)
}

/// Reads the state directory's file; `None` when there is none.
pub fn load(state_dir: &Path) -> Result<Option<Secrets>, SecretsError> {
    let path = path(state_dir);
    match fs::read_to_string(&path) {
        Ok(text) => Secrets::parse(&text, &path.display().to_string()).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretsError::File { doing: "read", path, source }),
    }
}

/// Writes the state directory's file, whole or not at all; the directory is made for its owner only.
pub fn save(state_dir: &Path, secrets: &Secrets) -> Result<(), SecretsError> {
    write_whole(state_dir, FILE_NAME, &secrets.to_pgpass())
}

/// Writes a file for its owner only, whole or not at all.
fn write_whole(state_dir: &Path, name: &str, text: &str) -> Result<(), SecretsError> {
    let fail = |doing| move |source| SecretsError::File { doing, path: state_dir.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(fail("create"))?;
    let mut file = tempfile::NamedTempFile::new_in(state_dir).map_err(fail("write to"))?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600)).map_err(fail("write to"))?;
    file.write_all(text.as_bytes()).map_err(fail("write to"))?;
    file.as_file().sync_all().map_err(fail("write to"))?;
    file.persist(state_dir.join(name)).map_err(|error| fail("write to")(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn come_back_from_disk_as_they_were_and_only_for_their_owner() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = dir.path().join("state");
        let secrets = Secrets::generate().expect("randomness");
        save(&state, &secrets).expect("writable");
        assert_eq!(load(&state).expect("readable"), Some(secrets));
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&path(&state))), (0o700, 0o600));
    }

    #[test]
    fn a_file_without_every_role_is_named() {
        let error = Secrets::parse("*:*:*:postgres:x\n", "pgpass").expect_err("incomplete");
        assert_eq!(error.to_string(), "pgpass holds no password for role replicator");
    }

    #[test]
    fn a_file_from_before_there_were_endpoints_is_complete() {
        let now = Secrets::generate().expect("randomness").to_pgpass();
        let before: Vec<&str> = now.lines().filter(|line| !line.contains(POOLER)).collect();
        let before = before.join("\n");
        let secrets = Secrets::parse(&before, "pgpass").expect("complete");
        assert_eq!(Secrets::parse(&before, "a copy").expect("complete"), secrets);
        assert_eq!(Secrets::parse(&secrets.to_pgpass(), "pgpass").expect("complete"), secrets);
        assert_ne!(secrets.pooler(), Secrets::parse(&now, "pgpass").expect("complete").pooler());
    }

    #[test]
    fn absent_is_not_an_error() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(load(dir.path()).expect("readable"), None);
    }
}
