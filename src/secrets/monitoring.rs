//! The password of Grafana's `admin`, in a file of its own beside the cluster's passwords: it opens no database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{SecretsError, write_whole};
use crate::postgres::password::Password;

const FILE_NAME: &str = "grafana_password";

/// The path of the file in a state directory.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE_NAME)
}

/// A fresh random password.
pub fn generate() -> Result<Password, SecretsError> {
    Password::generate().map_err(|error| SecretsError::NoRandomness(error.to_string()))
}

/// Reads the file; `None` when there is none or nothing is in it. A person may have written it.
pub fn load(state_dir: &Path) -> Result<Option<Password>, SecretsError> {
    let path = path(state_dir);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(Password::new)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretsError::File { doing: "read", path, source }),
    }
}

/// Writes the file, for its owner only.
pub fn save(state_dir: &Path, password: &Password) -> Result<(), SecretsError> {
    write_whole(state_dir, FILE_NAME, &format!("{}\n", password.reveal()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn comes_back_from_disk_as_it_was_and_only_for_its_owner() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(load(dir.path()).expect("readable"), None);
        let password = generate().expect("randomness");
        save(dir.path(), &password).expect("writable");
        assert_eq!(load(dir.path()).expect("readable"), Some(password));
        let mode = fs::metadata(path(dir.path())).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_that_a_person_wrote_is_taken_and_an_empty_one_is_none() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(path(dir.path()), "my own\n").expect("writable");
        assert_eq!(load(dir.path()).expect("readable"), Some(Password::new("my own")));
        fs::write(path(dir.path()), "\n").expect("writable");
        assert_eq!(load(dir.path()).expect("readable"), None);
    }
}
