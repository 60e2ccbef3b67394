//! One publication for the outside: its objections, and the way from what is there to what is declared.

use std::collections::{BTreeMap, BTreeSet};

use super::hold;
use super::mark::Mark;
use super::objection::Objection;
use super::step::{Member, OutsideStep, PublicationChange};
use crate::model::names::{Ident, TableName};
use crate::model::outside::{
    DeclaredPublication, DeclaredTable, FilterSeen, Identity, Kind, MemberSeen, Operation, Outside, OutsideSeen,
    PublishedSeen, RelationKind, RelationSeen,
};
use crate::plan::hold::Hold;

/// New chunks of everything that is published as declared. Nothing needs to be decided about them, so they come first.
pub fn chunks(declared: &Outside, seen: &OutsideSeen) -> Vec<OutsideStep> {
    let mut steps = Vec::new();
    for publication in &declared.publications {
        let there = ours(&publication.name, seen);
        let Some((there, _)) = there.filter(|_| !is_refused(&publication.name, seen)) else { continue };
        let is_settled = |root: &TableName| {
            let is_whole = there.schemas.contains(&root.schema) && publication.schemas.contains(&root.schema);
            is_whole || publication.table(root).is_some_and(|table| is_in_force(publication, table, seen))
        };
        let chunks = wanted_chunks(publication, seen, &there.schemas, is_settled);
        let chunks: Vec<Member> = chunks.filter(|chunk| !there.chunks.contains_key(&chunk.table)).collect();
        if !chunks.is_empty() {
            steps.push(OutsideStep::PublishChunks { name: publication.name.clone(), chunks });
        }
    }
    steps
}

/// Everything else.
pub fn plan(declared: &DeclaredPublication, seen: &OutsideSeen, holds: &mut Vec<Hold>) -> Option<OutsideStep> {
    let name = &declared.name;
    if let Some(because) = seen.refusals.get(&(Kind::Publication, name.clone())) {
        hold(holds, name, Objection::Refused(because.clone()));
        return None;
    }
    let there = ours(name, seen);
    if there.is_none() && seen.publications.contains_key(name) {
        hold(holds, name, Objection::NotOurs(Kind::Publication));
        return None;
    }
    let nothing = (PublishedSeen::default(), Mark::new(declared.reclaim));
    let (there, mark) = there.as_ref().map_or((&nothing.0, &nothing.1), |(there, mark)| (*there, mark));
    let is_new = !seen.publications.contains_key(name);

    let mut change = PublicationChange {
        name: name.clone(),
        is_new,
        drop: BTreeSet::new(),
        add: Vec::new(),
        drop_schemas: there.schemas.difference(&declared.schemas).cloned().collect(),
        add_schemas: BTreeSet::new(),
        operations: declared.operations.clone(),
        mark: Mark { reclaim: declared.reclaim, filters: BTreeMap::new() },
    };
    // What stays in although something speaks against it must not begin to pass on updates.
    let mut is_safe_to_widen = true;
    for schema in &declared.schemas {
        let objections = of_schema(declared, schema, seen);
        if objections.is_empty() && !there.schemas.contains(schema) {
            change.add_schemas.insert(schema.clone());
        }
        is_safe_to_widen &= objections.is_empty() || !there.schemas.contains(schema);
        for objection in objections {
            hold(holds, name, objection);
        }
    }
    // Roots whose chunks come, go or change along with them; the rest is as declared or is left as it is.
    let mut reset = BTreeSet::new();
    for table in &declared.tables {
        let objections = of_table(declared, table, seen);
        if is_in_force(declared, table, seen) {
            remember(&mut change.mark, mark, &table.name);
        } else if objections.is_empty() {
            reset.insert(table.name.clone());
            change.drop.extend(there.tables.contains_key(&table.name).then(|| table.name.clone()));
            change.add.push(member(table.name.clone(), Some(table), false));
        } else {
            remember(&mut change.mark, mark, &table.name);
        }
        is_safe_to_widen &= objections.is_empty() || !there.tables.contains_key(&table.name);
        for objection in objections {
            hold(holds, name, objection);
        }
    }
    change.drop.extend(there.tables.keys().filter(|table| declared.table(table).is_none()).cloned());
    // PostgreSQL takes no schema beside a list of columns: one that is held with its list keeps schemas out.
    if there.tables.iter().any(|(table, member)| member.columns.is_some() && !change.drop.contains(table)) {
        change.add_schemas.clear();
    }
    chunks_along(declared, seen, there, &reset, &mut change);

    if !is_safe_to_widen && widens(declared, seen) {
        change.operations.clone_from(&there.operations);
    }
    let is_empty = declared_nothing(&change, there);
    let is_same = change.drop.is_empty()
        && change.add.is_empty()
        && change.drop_schemas.is_empty()
        && change.add_schemas.is_empty()
        && there.operations == change.operations
        && there.via_root
        && mark.reclaim == declared.reclaim;
    let is_void = is_new && is_empty;
    if is_same || is_void { None } else { Some(OutsideStep::SetPublication(Box::new(change))) }
}

/// Updates or deletes are to be published that were not until now.
pub fn widens(declared: &DeclaredPublication, seen: &OutsideSeen) -> bool {
    let there = seen.publications.get(&declared.name);
    let is_needed = |operation: &Operation| matches!(operation, Operation::Update | Operation::Delete);
    declared.needs_identity() && !there.is_some_and(|there| there.operations.iter().any(is_needed))
}

/// A new publication in which nothing would be.
fn declared_nothing(change: &PublicationChange, there: &PublishedSeen) -> bool {
    change.add.is_empty() && change.add_schemas.is_empty() && there.tables.is_empty() && there.schemas.is_empty()
}

/// Chunks follow their hypertables in and out.
fn chunks_along(
    declared: &DeclaredPublication,
    seen: &OutsideSeen,
    there: &PublishedSeen,
    reset: &BTreeSet<TableName>,
    change: &mut PublicationChange,
) {
    let kept: BTreeSet<Ident> = there.schemas.intersection(&declared.schemas).cloned().collect();
    let covered: BTreeSet<Ident> = kept.union(&change.add_schemas).cloned().collect();
    let is_wanted = |root: &TableName| covered.contains(&root.schema) || declared.table(root).is_some();
    let is_odd = |root: &TableName, is_like_root: bool| {
        let is_whole = covered.contains(&root.schema);
        // A hypertable that is held is left as it is, with its chunks.
        let is_settled = is_whole || declared.table(root).is_some_and(|table| is_in_force(declared, table, seen));
        // With its schema it comes whole, whatever part of it was published until now.
        let was_named = is_whole && there.tables.contains_key(root);
        reset.contains(root) || was_named || (is_settled && !is_like_root)
    };
    let gone = there.chunks.iter().filter(|(chunk, member)| {
        !is_wanted(&member.root) || covered.contains(&chunk.schema) || is_odd(&member.root, member.is_like_root)
    });
    change.drop.extend(gone.map(|(chunk, _)| chunk.clone()));

    let is_added = |root: &TableName| reset.contains(root) || change.add_schemas.contains(&root.schema);
    let is_dropped = |chunk: &TableName| change.drop.contains(chunk);
    // Covered until now by its own schema, which goes.
    let is_bereft = |chunk: &TableName| there.schemas.contains(&chunk.schema);
    let is_settled_root = |root: &TableName| {
        is_added(root)
            || kept.contains(&root.schema)
            || declared.table(root).is_some_and(|table| is_in_force(declared, table, seen))
    };
    let back = wanted_chunks(declared, seen, &covered, is_settled_root).filter(|chunk| {
        let comes_along = is_bereft(&chunk.table) || seen.chunks.get(&chunk.table).is_some_and(is_added);
        is_dropped(&chunk.table) || (comes_along && !there.chunks.contains_key(&chunk.table))
    });
    let back: Vec<Member> = back.collect();
    change.add.extend(back);
}

/// Chunks that are to be members by name: those of these hypertables that no published schema covers.
fn wanted_chunks<'a>(
    declared: &'a DeclaredPublication,
    seen: &'a OutsideSeen,
    schemas: &'a BTreeSet<Ident>,
    is_included: impl Fn(&TableName) -> bool + 'a,
) -> impl Iterator<Item = Member> + 'a {
    seen.chunks
        .iter()
        .filter(move |(chunk, root)| is_included(root) && !schemas.contains(&chunk.schema))
        .map(|(chunk, root)| member(chunk.clone(), declared.table(root), true))
}

fn member(table: TableName, like: Option<&DeclaredTable>, is_chunk: bool) -> Member {
    Member {
        table,
        columns: like.and_then(|like| like.columns.clone()),
        filter: like.and_then(|like| like.filter.clone()),
        is_chunk,
    }
}

fn remember(mark: &mut Mark, old: &Mark, table: &TableName) {
    let key = table.to_string();
    if let Some(fingerprint) = old.filters.get(&key) {
        mark.filters.insert(key, fingerprint.clone());
    }
}

/// The publication of this name, when it is one of ours.
fn ours<'a>(name: &Ident, seen: &'a OutsideSeen) -> Option<(&'a PublishedSeen, Mark)> {
    let there = seen.publications.get(name).filter(|there| !there.all_tables)?;
    Some((there, Mark::of(there.comment.as_deref())?))
}

fn is_refused(name: &Ident, seen: &OutsideSeen) -> bool {
    seen.refusals.contains_key(&(Kind::Publication, name.clone()))
}

/// The table is a member, with exactly these columns and this filter.
pub fn is_in_force(declared: &DeclaredPublication, table: &DeclaredTable, seen: &OutsideSeen) -> bool {
    let Some((there, mark)) = ours(&declared.name, seen) else { return false };
    let Some(MemberSeen { columns, filter }) = there.tables.get(&table.name) else { return false };
    let is_same_filter = match (&table.filter, filter) {
        (None, None) => true,
        (Some(declared), Some(shown)) => mark.knows(&table.name, declared, shown),
        _ => false,
    };
    *columns == table.columns && is_same_filter
}

fn of_schema(declared: &DeclaredPublication, schema: &Ident, seen: &OutsideSeen) -> Vec<Objection> {
    if !seen.schemas.contains(schema) {
        return vec![Objection::NoSchema(schema.clone())];
    }
    let tables = seen.relations.iter().filter(|(name, it)| name.schema == *schema && it.kind == RelationKind::Table);
    tables.flat_map(|(name, relation)| of_relation(declared, name, relation)).collect()
}

/// What speaks against any table, whatever part of it is published.
fn of_relation(declared: &DeclaredPublication, name: &TableName, relation: &RelationSeen) -> Vec<Objection> {
    let compressed = relation.compressed.then(|| Objection::Compressed(name.clone()));
    let lacks_identity = declared.needs_identity() && relation.identity == Identity::Nothing;
    compressed.into_iter().chain(lacks_identity.then(|| Objection::NoIdentity(name.clone()))).collect()
}

fn of_table(declared: &DeclaredPublication, table: &DeclaredTable, seen: &OutsideSeen) -> Vec<Objection> {
    let name = &table.name;
    let Some(relation) = seen.relations.get(name) else { return vec![Objection::NoTable(name.clone())] };
    if relation.kind != RelationKind::Table {
        return vec![Objection::NotPublishable(name.clone())];
    }
    let mut objections = of_relation(declared, name, relation);
    for column in table.columns.iter().flatten() {
        match relation.columns.get(column) {
            None => objections.push(Objection::NoColumn(name.clone(), column.clone())),
            Some(true) => objections.push(Objection::GeneratedColumn(name.clone(), column.clone())),
            Some(false) => {}
        }
    }
    if declared.needs_identity() {
        match (&table.columns, &relation.identity) {
            (Some(columns), Identity::Columns(identity)) => {
                let lacking = identity.difference(columns).next().cloned();
                objections.extend(lacking.map(|column| Objection::ColumnsLackIdentity(name.clone(), column)));
            }
            (Some(_), Identity::Full) => objections.push(Objection::ColumnsOfFullIdentity(name.clone())),
            _ => {}
        }
    }
    match (seen.filters.get(&(declared.name.clone(), name.clone())), &relation.identity) {
        (Some(FilterSeen::Refused(because)), _) => {
            objections.push(Objection::FilterRefused(name.clone(), because.clone()));
        }
        (Some(FilterSeen::Reads(read)), Identity::Columns(identity)) if declared.needs_identity() => {
            let beyond = read.difference(identity).next().cloned();
            objections.extend(beyond.map(|column| Objection::FilterBeyondIdentity(name.clone(), column)));
        }
        _ => {}
    }
    objections
}
