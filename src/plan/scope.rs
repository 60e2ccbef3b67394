//! Which schemas are replicated logically.

use std::collections::BTreeSet;

use crate::model::desired::Desired;
use crate::model::names::Ident;
use crate::model::observed::DatabaseSeen;
use crate::model::pack::Pack;

/// The schemas whose tables are to be published, chunk schemas not counted: those the configuration names, else those
/// the packs publish, else `public`. Whoever has not read the packs (`None`) goes by what is published already, unless the
/// configuration names no pack, which there is nothing to read of.
pub fn schemas(desired: &Desired, packs: Option<&[Pack]>) -> BTreeSet<Ident> {
    if let Some(schemas) = &desired.publication.schemas {
        return schemas.iter().cloned().collect();
    }
    let packs = match packs {
        Some(packs) => packs,
        None if desired.packs.is_empty() => &[],
        None => return BTreeSet::new(),
    };
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

/// A schema that describes the node it is on, and no other.
pub fn is_of_one_node(schema: &Ident) -> bool {
    is_timescale_own(schema) || schema.as_str() == "hypertide"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chunk::Hypertable;
    use crate::model::desired::PackRef;
    use crate::plan::simulate::finished;
    use crate::plan::simulate::world::{ident, table};

    fn pack(published: &[&str], chunk_schemas: &[&str]) -> Pack {
        let idents = |names: &[&str]| names.iter().map(|name| ident(name)).collect();
        Pack {
            name: "p".into(),
            description: String::new(),
            published: idents(published),
            chunk_schemas: idents(chunk_schemas),
            schemas: idents(published),
            migrations: Vec::new(),
        }
    }

    fn words(schemas: &BTreeSet<Ident>) -> String {
        schemas.iter().map(Ident::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_configuration_decides_then_the_packs_then_it_is_public() {
        let mut desired = finished(&[], &[]).desired;
        let packs = [pack(&["a"], &["a_chunks"]), pack(&["b"], &[]), pack(&[], &[])];
        assert_eq!(words(&schemas(&desired, Some(&packs))), "a b");
        assert_eq!(words(&schemas(&desired, Some(&packs[2..]))), "public");
        assert_eq!(words(&schemas(&desired, Some(&[]))), "public");
        assert_eq!(words(&schemas(&desired, None)), "public", "there is no pack to know");
        desired.packs = vec![PackRef::BuiltIn("p".into())];
        assert_eq!(words(&schemas(&desired, None)), "", "whoever has not read the packs guesses nothing");
        desired.publication.schemas = Some(vec![ident("mine")]);
        assert_eq!(words(&schemas(&desired, Some(&packs))), "mine");
        assert_eq!(words(&schemas(&desired, None)), "mine");
    }

    #[test]
    fn chunk_schemas_come_along_with_their_hypertables_and_never_timescaledbs_own() {
        let hypertable = |name: &str, chunk_schema| Hypertable {
            name: table(name),
            chunk_schema: ident(chunk_schema),
            chunk_prefix: "_hyper_1".into(),
            dimensions: Vec::new(),
            compressed: false,
            now: None,
            is_fed: true,
        };
        let hypertables = [
            hypertable("a.one", "a_more"),
            hypertable("a.two", "_timescaledb_internal"),
            hypertable("c.three", "c_chunks"),
        ];
        let database = DatabaseSeen {
            hypertables: hypertables.map(|hypertable| (hypertable.name.clone(), hypertable)).into(),
            ..DatabaseSeen::default()
        };
        let packs = [pack(&["a"], &["a_chunks"]), pack(&["b"], &["b_chunks"])];
        let published = BTreeSet::from([ident("a")]);
        assert_eq!(words(&with_chunk_schemas(&published, &packs, Some(&database))), "a a_chunks a_more");
        assert_eq!(words(&with_chunk_schemas(&published, &packs, None)), "a a_chunks");
        assert_eq!(words(&with_chunk_schemas(&published, &[], None)), "a");
    }
}
