//! `pack.yaml`: what a pack is called and which schemas it makes.

use serde::Deserialize;

use super::files::Files;
use super::problem::PackProblem;
use crate::model::names::Ident;

/// The name of the file.
pub(super) const FILE: &str = "pack.yaml";

/// Prefixes of schemas that belong to PostgreSQL and TimescaleDB.
const RESERVED_PREFIXES: [&str; 2] = ["_timescaledb", "pg_"];

/// Schemas that belong to somebody else, by their whole names.
const RESERVED: [&str; 4] = ["hypertide", "information_schema", "timescaledb_information", "timescaledb_experimental"];

/// A checked `pack.yaml`.
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) published: Vec<Ident>,
    pub(super) chunk_schemas: Vec<Ident>,
    pub(super) schemas: Vec<Ident>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Option<String>,
    description: Option<String>,
    published: Option<Vec<String>>,
    chunk_schemas: Option<Vec<String>>,
    schemas: Option<Vec<String>>,
}

/// Reads and checks it; `None` when it cannot be used, with at least one problem added.
pub(super) fn read(files: &Files, problems: &mut Vec<PackProblem>) -> Option<Manifest> {
    let path = files.path(FILE);
    let before = problems.len();
    let Some(Some(bytes)) = files.entries.get(FILE) else {
        problems.push(PackProblem::NoManifest { place: files.place.clone() });
        return None;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.push(PackProblem::NotUtf8 { path });
        return None;
    };
    let raw: Raw = match serde_yaml::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            problems.push(PackProblem::Manifest { path, because: error.without_snippet().to_string() });
            return None;
        }
    };

    let mut key = |key: &'static str, is_given: bool| {
        if !is_given {
            let path = path.clone();
            problems.push(PackProblem::MissingKey { path, key });
        }
    };
    key("name", raw.name.is_some());
    key("description", raw.description.is_some());
    key("schemas", raw.schemas.is_some());

    if let Some(name) = &raw.name
        && !is_pack_name(name)
    {
        let (path, name) = (path.clone(), name.clone());
        problems.push(PackProblem::Name { path, name });
    }
    let schemas = schemas(&path, raw.schemas.unwrap_or_default(), problems);
    let published = own_schemas(&path, raw.published.unwrap_or_default(), &schemas, problems);
    let chunk_schemas = own_schemas(&path, raw.chunk_schemas.unwrap_or_default(), &schemas, problems);

    if problems.len() > before {
        return None;
    }
    Some(Manifest { name: raw.name?, description: raw.description?, published, chunk_schemas, schemas })
}

/// The name becomes the key of recorded migrations and is typed by people.
fn is_pack_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=30).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(inner)
}

fn schemas(path: &str, names: Vec<String>, problems: &mut Vec<PackProblem>) -> Vec<Ident> {
    let mut schemas = Vec::new();
    for name in names {
        let is_reserved =
            RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        match Ident::new(&name) {
            Err(source) => problems.push(PackProblem::Schema { path: path.to_owned(), source }),
            Ok(_) if is_reserved => problems.push(PackProblem::ReservedSchema { path: path.to_owned(), schema: name }),
            Ok(schema) => schemas.push(schema),
        }
    }
    schemas
}

/// Names that must be among the schemas the pack makes.
fn own_schemas(path: &str, names: Vec<String>, schemas: &[Ident], problems: &mut Vec<PackProblem>) -> Vec<Ident> {
    let mut own = Vec::new();
    for name in names {
        match schemas.iter().find(|schema| schema.as_str() == name) {
            Some(schema) => own.push(schema.clone()),
            None => problems.push(PackProblem::PublishedOnly {
                path: path.to_owned(),
                meant: super::files::meant(&name, schemas.iter().map(Ident::as_str)),
                schema: name,
            }),
        }
    }
    own
}
