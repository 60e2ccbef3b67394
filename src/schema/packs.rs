//! Reads packs: those in the binary, and directories of the user's own.
//!
//! In: the packs a configuration names. Out: each pack, whole and checked, or every problem of all of them at once.
//! Never talks to a database; whether a migration is applied is decided by `plan::migrations`.
//!
//! A pack is a directory with a `pack.yaml`, migrations called `NNN_what.sql`, perhaps a `README.md`, and nothing else.
//! A migration runs in one transaction as superuser. The comments at its head may say what the database must be:
//! `-- needs: community, no-logical-replica`; such a migration may run late, so none after it may build upon it.

mod files;
mod manifest;
mod migration;
mod problem;
mod script;

use std::collections::BTreeMap;

pub use problem::{PackError, PackProblem};

use crate::model::desired::PackRef;
use crate::model::pack::Pack;
use files::Files;

/// Names of the packs in the binary.
pub fn built_in() -> Vec<String> {
    files::built_in_names()
}

/// Reads the packs in the order given, and nothing of them unless all are sound.
pub fn load(refs: &[PackRef]) -> Result<Vec<Pack>, PackError> {
    let mut problems = Vec::new();
    let mut packs = Vec::new();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for reference in refs {
        let Some(files) = Files::of(reference, &mut problems) else {
            continue;
        };
        let Some(pack) = read(&files, &mut problems) else {
            continue;
        };
        if let Some(first) = places.insert(pack.name.clone(), files.place.clone()) {
            problems.push(PackProblem::NameTaken { name: pack.name.clone(), first, second: files.place });
        }
        packs.push(pack);
    }
    if problems.is_empty() { Ok(packs) } else { Err(PackError { problems }) }
}

fn read(files: &Files, problems: &mut Vec<PackProblem>) -> Option<Pack> {
    let manifest = manifest::read(files, problems);
    // Migrations carry the pack's name; a stand-in lets their own problems show even when there is none.
    let name = manifest.as_ref().map_or("", |manifest| &manifest.name);
    let migrations = migration::read_all(files, name, problems);
    let manifest = manifest?;
    Some(Pack {
        name: manifest.name,
        description: manifest.description,
        published: manifest.published,
        chunk_schemas: manifest.chunk_schemas,
        schemas: manifest.schemas,
        migrations,
    })
}

#[cfg(test)]
mod tests;
