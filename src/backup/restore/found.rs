//! What is in a restored database, asked in the same way as when its backup was taken.

use std::collections::BTreeMap;

use super::error::RestoreError;
use super::place::Place;
use crate::backup::contents::{Contents, TableFacts};
use crate::model::backup::Kind;
use crate::model::names::Ident;
use crate::model::rows::Method;
use crate::postgres::contents::objects::{Depth, SEQUENCE_VALUE, objects};
use crate::postgres::contents::{inner, prepare, tables};

/// Reads it. Rows are hashed by the method that is on record; a sequence without a value on record is not looked at.
pub async fn contents(
    place: &Place,
    database: &Ident,
    kind: Kind,
    wanted: &Contents,
) -> Result<Contents, RestoreError> {
    let session = place.session(database).await?;
    prepare(&session).await?;
    let inner = inner(&session).await?;
    let mut listed = tables::list(&session, &inner).await?;
    let recorded = methods(wanted);
    for table in &mut listed {
        // Rows that were copied lie in chunks that nobody has on record; their hypertable is.
        let hypertable = table.hypertable.as_ref().map(ToString::to_string);
        let names = [Some(table.name.to_string()), hypertable];
        table.method = names.iter().flatten().find_map(|name| recorded.get(name).copied()).unwrap_or(table.method);
    }
    let all: Vec<_> = listed.iter().collect();
    let fingerprints = tables::fingerprints(&session, &all, |_| ()).await?;
    let facts = listed.iter().zip(fingerprints).map(|(table, fingerprint)| {
        let facts = TableFacts {
            hypertable: table.hypertable.as_ref().map(ToString::to_string),
            rows: fingerprint.rows,
            hash: fingerprint.tagged(),
        };
        (table.name.to_string(), facts)
    });
    let depth = match kind {
        Kind::Schema => Depth::Schema,
        Kind::Full | Kind::Tables | Kind::Globals => Depth::Dump,
        Kind::Base => Depth::Files,
    };
    let mut found = Contents { tables: facts.collect(), objects: objects(&session, &inner, depth).await? };
    found.objects.retain(|name, _| !name.starts_with(SEQUENCE_VALUE) || wanted.objects.contains_key(name));
    Ok(found)
}

/// How the rows of each table, chunk and hypertable were hashed.
fn methods(wanted: &Contents) -> BTreeMap<String, Method> {
    let mut all = BTreeMap::new();
    for (name, facts) in &wanted.tables {
        let Some(method) = Method::of(&facts.hash) else { continue };
        all.insert(name.clone(), method);
        all.extend(facts.hypertable.clone().map(|hypertable| (hypertable, method)));
    }
    all
}
