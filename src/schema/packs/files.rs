//! The files of one pack, whether they come from the binary or from a directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};

use super::problem::PackProblem;
use crate::model::desired::PackRef;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/sql/packs");

/// How alike (0 to 1) a name must be to be suggested for a mistyped one.
const ALIKE: f64 = 0.7;

/// All files of a pack.
pub(super) struct Files {
    /// Where they are, for people.
    pub(super) place: String,
    /// They come from the binary.
    pub(super) is_built_in: bool,
    /// Their bytes by name; `None` is no regular file.
    pub(super) entries: BTreeMap<String, Option<Vec<u8>>>,
}

/// Names of the packs in the binary, sorted.
pub(super) fn built_in_names() -> Vec<String> {
    let mut names: Vec<_> = BUILT_IN.dirs().map(|dir| name_of(dir.path())).collect();
    names.sort();
    names
}

/// The known word that `text` was probably meant to be.
pub(super) fn meant<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&text.to_lowercase(), word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word.to_owned())
}

impl Files {
    /// Reads them; what cannot be read becomes a problem.
    pub(super) fn of(reference: &PackRef, problems: &mut Vec<PackProblem>) -> Option<Self> {
        match reference {
            PackRef::BuiltIn(name) => {
                let files = Self::built_in(name);
                if files.is_none() {
                    let known = built_in_names();
                    problems.push(PackProblem::Unknown {
                        name: name.clone(),
                        meant: meant(name, known.iter().map(String::as_str)),
                        known,
                    });
                }
                files
            }
            PackRef::Directory(path) => Self::in_directory(path, problems),
        }
    }

    fn built_in(name: &str) -> Option<Self> {
        let dir = BUILT_IN.dirs().find(|dir| name_of(dir.path()) == name)?;
        let directories = dir.dirs().map(|dir| (name_of(dir.path()), None));
        let files = dir.files().map(|file| (name_of(file.path()), Some(file.contents().to_vec())));
        Some(Self { place: format!("built-in:{name}"), is_built_in: true, entries: directories.chain(files).collect() })
    }

    fn in_directory(path: &Path, problems: &mut Vec<PackProblem>) -> Option<Self> {
        let place = path.display().to_string();
        let unreadable = |path: String, source: io::Error| PackProblem::Read { path, source };
        let listing = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(listing) => listing,
            Err(source) => {
                problems.push(unreadable(place, source));
                return None;
            }
        };
        let mut entries = BTreeMap::new();
        for entry in listing {
            let path = entry.path();
            // Through symbolic links, which is how mounted configuration often looks.
            let bytes = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => fs::read(&path).map(Some),
                Ok(_) => Ok(None),
                Err(source) => Err(source),
            };
            match bytes {
                Ok(bytes) => {
                    entries.insert(name_of(&path), bytes);
                }
                Err(source) => problems.push(unreadable(path.display().to_string(), source)),
            }
        }
        Some(Self { place, is_built_in: false, entries })
    }

    /// The path of one of them, for people.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
