//! The keys `publications` and `subscriptions`: what goes to consumers outside the cluster, and what comes from other
//! servers.
//!
//! In goes the file, out comes what is declared. Whether tables, columns and servers exist is not known here.

mod subscriptions;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::replication::publishable;
use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats::table_name;
use crate::config::problem::{Problem, Problems};
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::names::{Ident, TableName};
use crate::model::outside::{DeclaredPublication, DeclaredTable, Operation, Outside, Reclaim};

const PUBLICATION_KEYS: [&str; 5] = ["name", "tables", "schemas", "operations", "reclaim"];
const TABLE_KEYS: [&str; 3] = ["table", "columns", "where"];
const RECLAIMS: [(&str, Reclaim); 2] =
    [(Reclaim::Retain.word(), Reclaim::Retain), (Reclaim::Delete.word(), Reclaim::Delete)];
const OPERATIONS: [(&str, Operation); 4] = [
    (Operation::Insert.word(), Operation::Insert),
    (Operation::Update.word(), Operation::Update),
    (Operation::Delete.word(), Operation::Delete),
    (Operation::Truncate.word(), Operation::Truncate),
];

/// Reads both keys. `own` is the publication the cluster's replicas subscribe to.
pub fn resolve(file: &Fields<'_>, base_dir: &Path, own: &Ident, problems: &mut Problems) -> Outside {
    Outside {
        publications: publications(file, own, problems),
        subscriptions: subscriptions::resolve(file, base_dir, problems),
    }
}

fn publications(file: &Fields<'_>, own: &Ident, problems: &mut Problems) -> Vec<DeclaredPublication> {
    let Some(entry) = file.get("publications") else { return Vec::new() };
    let mut names = Vec::new();
    let mut declared = Vec::new();
    for item in entry.list("publications", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&PUBLICATION_KEYS, problems) else { continue };
        let name = keys.need("name", problems).and_then(|entry| {
            let name = entry.checked("a name", Ident::new, problems)?;
            if name == *own {
                entry.refuse(problems, format!("`{name}` is what the cluster's own replicas subscribe to"));
            }
            names.push(Claim::of(entry, name.clone()));
            Some(name)
        });
        let tables = tables(&keys, problems);
        let schemas = keys.get("schemas").map(|entry| unique(entry, "schemas", publishable, problems));
        let schemas = schemas.unwrap_or_default();
        refuse_both(&keys, &tables, &schemas, problems);
        if let Some(name) = name {
            let tables = tables.into_iter().map(|(table, _)| table).collect();
            let (operations, reclaim) = (operations(&keys, problems), reclaim(&keys, problems));
            declared.push(DeclaredPublication { name, tables, schemas, operations, reclaim });
        }
    }
    refuse_twice(&names, problems);
    declared
}

/// What cannot be meant, or is refused by PostgreSQL, when tables and schemas come together.
fn refuse_both(
    keys: &Fields<'_>,
    tables: &[(DeclaredTable, Entry<'_>)],
    schemas: &BTreeSet<Ident>,
    problems: &mut Problems,
) {
    if keys.get("tables").is_none() && keys.get("schemas").is_none() {
        problems.add(Problem {
            line: keys.line(),
            key: keys.path("tables"),
            message: "is missing: without tables and schemas a publication publishes nothing".to_owned(),
            help: None,
        });
    }
    for (table, entry) in tables {
        if schemas.contains(&table.name.schema) {
            let whole = &table.name.schema;
            entry.refuse(problems, format!("{} comes with all rows and columns of schema {whole} already", table.name));
        } else if table.columns.is_some() && !schemas.is_empty() {
            entry.refuse_and_help(
                problems,
                "PostgreSQL takes no list of columns in a publication that has whole schemas",
                Some("make two publications of it; a consumer can subscribe to both".to_owned()),
            );
        }
    }
}

fn tables<'a>(keys: &Fields<'a>, problems: &mut Problems) -> Vec<(DeclaredTable, Entry<'a>)> {
    let Some(entry) = keys.get("tables") else { return Vec::new() };
    let items = entry.list("tables", problems).unwrap_or_default();
    if items.is_empty() && matches!(entry.node, Node::List(_)) {
        entry.refuse(problems, "an empty list publishes nothing");
    }
    let mut claims = Vec::new();
    let mut tables = Vec::new();
    for item in items {
        let (name_at, columns, filter) = if matches!(item.node, Node::Map(_)) {
            let Some(keys) = item.fields(&TABLE_KEYS, problems) else { continue };
            let columns = keys.get("columns").map(|entry| unique(entry, "columns", Ident::new, problems));
            let filter = keys.get("where").and_then(|entry| entry.checked("a condition", condition, problems));
            (keys.need("table", problems).cloned(), columns, filter)
        } else {
            (Some(item.clone()), None, None)
        };
        let Some(name_at) = name_at else { continue };
        if let Some(name) = name_at.checked("a table", publishable_table, problems) {
            claims.push(Claim::of(&name_at, name.clone()));
            tables.push((DeclaredTable { name, columns, filter }, name_at));
        }
    }
    refuse_twice(&claims, problems);
    tables
}

fn publishable_table(text: &str) -> Result<TableName, String> {
    let name = table_name(text)?;
    publishable(name.schema.as_str())?;
    Ok(name)
}

fn condition(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("there is no condition in it") } else { Ok(text.trim().to_owned()) }
}

fn operations(keys: &Fields<'_>, problems: &mut Problems) -> BTreeSet<Operation> {
    let Some(entry) = keys.get("operations") else { return Operation::ALL.into() };
    let Some(items) = entry.list("operations", problems) else { return Operation::ALL.into() };
    if items.is_empty() {
        entry.refuse(problems, "without an operation nothing is published");
    }
    let mut claims = Vec::new();
    for item in items {
        if let Some(operation) = item.choice(&OPERATIONS, problems) {
            claims.push(Claim::of(&item, operation.word()));
        }
    }
    refuse_twice(&claims, problems);
    let is_named = |operation: &Operation| claims.iter().any(|claim| claim.value == operation.word());
    Operation::ALL.into_iter().filter(is_named).collect()
}

fn reclaim(keys: &Fields<'_>, problems: &mut Problems) -> Reclaim {
    keys.get("reclaim").and_then(|entry| entry.choice(&RECLAIMS, problems)).unwrap_or(Reclaim::Retain)
}

/// A list of names that is not empty and names nothing twice.
fn unique<T: Ord + Clone + fmt::Display, E: fmt::Display>(
    entry: &Entry<'_>,
    what: &str,
    check: impl Fn(&str) -> Result<T, E>,
    problems: &mut Problems,
) -> BTreeSet<T> {
    let Some(items) = entry.list(what, problems) else { return BTreeSet::new() };
    if items.is_empty() {
        entry.refuse_and_help(problems, "is empty", Some("leave the key out, or name something".to_owned()));
    }
    let mut claims = Vec::new();
    for item in items {
        if let Some(value) = item.checked("a name", &check, problems) {
            claims.push(Claim::of(&item, value));
        }
    }
    refuse_twice(&claims, problems);
    claims.into_iter().map(|claim| claim.value).collect()
}
