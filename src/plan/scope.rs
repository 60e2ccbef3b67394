//! Which schemas are replicated logically.

use std::collections::BTreeSet;

use crate::model::desired::Desired;
use crate::model::names::Ident;
use crate::model::observed::DatabaseSeen;
use crate::model::pack::Pack;

/// The schemas whose tables are to be published, chunk schemas not counted: those the configuration names, else those
/// the packs publish, else `public`. Whoever does not know the packs (`None`) goes by what is published already.
pub fn schemas(desired: &Desired, packs: Option<&[Pack]>) -> BTreeSet<Ident> {
    if let Some(schemas) = &desired.publication.schemas {
        return schemas.iter().cloned().collect();
    }
    let Some(packs) = packs else { return BTreeSet::new() };
    let published: BTreeSet<Ident> = packs.iter().flat_map(|pack| pack.published.iter().cloned()).collect();
    if published.is_empty() { BTreeSet::from([Ident::new("public").expect("valid")]) } else { published }
}

/// The same with the chunk schemas that belong to them: of hypertables that exist, and of packs about to be applied.
///
/// TimescaleDB's own schemas are never among them: chunks in `_timescaledb_internal` are published one by one.
pub fn with_chunk_schemas(
    schemas: &BTreeSet<Ident>,
    packs: &[Pack],
    database: Option<&DatabaseSeen>,
) -> BTreeSet<Ident> {
    let of_packs = packs
        .iter()
        .filter(|pack| pack.published.iter().any(|schema| schemas.contains(schema)))
        .flat_map(|pack| pack.chunk_schemas.iter());
    let of_hypertables = database
        .into_iter()
        .flat_map(|database| database.hypertables.values())
        .filter(|hypertable| schemas.contains(&hypertable.name.schema))
        .map(|hypertable| &hypertable.chunk_schema);
    let chunk_schemas = of_packs.chain(of_hypertables).filter(|schema| !is_timescale_own(schema));
    schemas.iter().chain(chunk_schemas).cloned().collect()
}

/// A schema of TimescaleDB's own, whose rows must never be replicated as such.
pub fn is_timescale_own(schema: &Ident) -> bool {
    schema.as_str().starts_with("_timescaledb")
}
