//! The reading half of a directory: which objects and which parts of killed writers are below a key.
//!
//! Names that no key can have are skipped, so is everything that is neither file nor directory. What disappears while it is
//! being looked at was removed by somebody, which is no error.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::part::Part;
use super::{Leftover, Listed};
use crate::model::backup::ObjectKey;

/// What was found, in the order of keys.
#[derive(Debug, Default)]
pub struct Found {
    /// Whole objects.
    pub objects: Vec<Listed>,
    /// Parts.
    pub leftovers: Vec<Leftover>,
}

/// Everything at or below a key. A store whose directory was not made yet is empty; one whose parent is not there is missing.
pub fn found(root: &Path, below: Option<&ObjectKey>) -> io::Result<Found> {
    let mut found = Found::default();
    match fs::metadata(root) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return root.parent().unwrap_or(root).metadata().map(|_| found);
        }
        Err(error) => return Err(error),
    }
    match below {
        None => found.walk(root, None)?,
        Some(key) => {
            let path = root.join(key.as_str());
            // The key itself and its parts lie in the directory above it.
            let above = path.parent().unwrap_or(root);
            let prefix = key.as_str().rsplit_once('/').map(|(prefix, _)| prefix);
            for (name, metadata) in entries(above)? {
                let is_it = name == key.name();
                if is_it && metadata.is_dir() {
                    found.walk(&path, Some(key.as_str()))?;
                } else if is_it || Part::target_of(&name) == Some(key.name()) {
                    found.add(prefix, name, &metadata)?;
                }
            }
        }
    }
    found.objects.sort_by(|one, other| one.key.cmp(&other.key));
    found.leftovers.sort_by(|one, other| (&one.key, &one.token).cmp(&(&other.key, &other.token)));
    Ok(found)
}

impl Found {
    fn walk(&mut self, directory: &Path, prefix: Option<&str>) -> io::Result<()> {
        for (name, metadata) in entries(directory)? {
            match key(prefix, &name) {
                Some(key) if metadata.is_dir() => self.walk(&directory.join(&name), Some(key.as_str()))?,
                _ => self.add(prefix, name, &metadata)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, prefix: Option<&str>, name: String, metadata: &Metadata) -> io::Result<()> {
        if !metadata.is_file() {
            return Ok(());
        }
        let written: SystemTime = metadata.modified()?;
        if let Some(key) = key(prefix, &name) {
            self.objects.push(Listed { key, bytes: metadata.len(), written });
        } else if let Some(key) = Part::target_of(&name).and_then(|target| key(prefix, target)) {
            // When it was begun is kept by few file systems; when it was last written is no earlier, and that is what counts.
            self.leftovers.push(Leftover { key, token: name, begun: written });
        }
        Ok(())
    }
}

fn key(prefix: Option<&str>, name: &str) -> Option<ObjectKey> {
    prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}/{name}")).parse().ok()
}

fn entries(directory: &Path) -> io::Result<Vec<(String, Metadata)>> {
    let is_gone = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let listing = match fs::read_dir(directory) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        listing => listing?,
    };
    let mut entries = Vec::new();
    for entry in listing {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Not following links.
        match entry.metadata() {
            Err(error) if is_gone(&error) => {}
            metadata => entries.push((name, metadata?)),
        }
    }
    Ok(entries)
}
