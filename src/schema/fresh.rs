//! The next migration of a pack in a directory: its number, its name, and a head that tells the rules.
//!
//! Writes one file, and never over another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Numbers have three digits.
const LAST: u32 = 999;

/// No migration could be begun.
#[derive(Debug, thiserror::Error)]
pub enum FreshError {
    /// What it is to be called is no name.
    #[error("`{0}` is no name for a migration")]
    Name(String),
    /// The directory is no pack.
    #[error("{} has no pack.yaml", .0.display())]
    NoPack(PathBuf),
    /// Every number is taken.
    #[error("{} already has a migration of the number {LAST}", .0.display())]
    Full(PathBuf),
    /// The directory could not be read, or the file not be written.
    #[error("cannot write a migration into {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FreshError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Name(_) => "use a-z, 0-9, `-` and `_`, such as `add_venue`",
            Self::NoPack(_) => {
                "name the directory of a pack, or begin one with a pack.yaml that has `name`, `description` and `schemas`"
            }
            Self::Full(_) => "begin another pack, which can build upon this one when it comes after it in `packs`",
            Self::Write { .. } => "check that the directory exists and that you may write there",
        }
    }
}

/// Writes the file and says which it is.
pub fn write(dir: &Path, what: &str) -> Result<PathBuf, FreshError> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if what.is_empty() || what.len() > 100 || !what.chars().all(is_inner) {
        return Err(FreshError::Name(what.escape_debug().to_string()));
    }
    let failed = |source| FreshError::Write { path: dir.to_owned(), source };
    let mut names = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FreshError::NoPack(dir.to_owned())),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    if !names.iter().any(|name| name == "pack.yaml") {
        return Err(FreshError::NoPack(dir.to_owned()));
    }
    let number = next(names.iter().map(String::as_str)).ok_or_else(|| FreshError::Full(dir.to_owned()))?;
    let path = dir.join(format!("{number:03}_{what}.sql"));
    let failed = |source| FreshError::Write { path: path.clone(), source };
    // Whoever made one of this name meanwhile keeps it.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(head(what).as_bytes()).map_err(failed)?;
    Ok(path)
}

/// One more than the highest there is; `None` when that has no three digits.
fn next<'a>(names: impl Iterator<Item = &'a str>) -> Option<u32> {
    let number = |name: &str| {
        let (digits, _) = name.strip_suffix(".sql")?.split_once('_')?;
        digits.parse::<u32>().ok().filter(|_| digits.len() == 3)
    };
    let highest = names.filter_map(number).max().unwrap_or_default();
    (highest < LAST).then_some(highest + 1)
}

fn head(what: &str) -> String {
    format!(
        "-- {}: what it changes, and why.\n\
         --\n\
         -- Runs as superuser in one transaction that hypertide opens and closes. Once it is applied it must not be edited: what comes\n\
         -- next is another file. With a logical replica it runs on both sides, so it must not write rows into published tables. Every\n\
         -- published table needs a primary key or a replica identity. A new schema goes into pack.yaml.\n\
         -- If it uses what only the community edition has, or compresses, say so in a line of its own that begins with two dashes:\n\
         --   \"needs\", a colon, and `community`, `no-logical-replica` or both. It may then run late: build nothing upon it.\n\n",
        what.replace(['_', '-'], " ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::desired::PackRef;
    use crate::schema::packs;

    #[test]
    fn the_next_number_is_above_all_others_whatever_else_is_there() {
        for (names, number) in [
            (&["pack.yaml"][..], Some(1)),
            (&["001_a.sql", "007_b.sql", "README.md", "12_x.sql", "0999_y.sql", "900_z.txt"], Some(8)),
            (&["998_a.sql"], Some(999)),
            (&["999_a.sql"], None),
        ] {
            assert_eq!(next(names.iter().copied()), number, "{names:?}");
        }
    }

    #[test]
    fn what_is_begun_is_a_migration_once_it_has_a_statement_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let pack = || packs::load(&[PackRef::Directory(dir.path().to_owned())]);
        assert!(matches!(write(dir.path(), "a"), Err(FreshError::NoPack(_))));
        fs::write(dir.path().join("pack.yaml"), "name: mine\ndescription: d\nschemas: [a]\n").expect("written");
        let first = write(dir.path(), "first-tables").expect("begun");
        assert_eq!(first, dir.path().join("001_first-tables.sql"));
        assert!(pack().is_err(), "it does nothing yet");
        let begun = fs::read_to_string(&first).expect("text");
        fs::write(&first, begun + "create schema a;\n").expect("written");
        let loaded = pack().expect("sound");
        assert_eq!(loaded[0].migrations[0].id.to_string(), "mine/001_first-tables");
        assert_eq!(write(dir.path(), "first-tables").expect("begun"), dir.path().join("002_first-tables.sql"));
        for name in ["", "A", "../x", "a b", "ä"] {
            assert!(matches!(write(dir.path(), name), Err(FreshError::Name(_))), "{name:?}");
        }
    }
}
