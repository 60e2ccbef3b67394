//! The world's part that is about the outside: what a server does with publications and subscriptions of its own, and what
//! is seen of them.
//!
//! In this world every table has the columns `id`, `ts`, `price` and `sum`, the last one generated, and its identity is
//! `id` and `ts`. A filter names the columns it reads; `bad` is none, and the server refuses it.

mod holds_true;

use std::collections::{BTreeMap, BTreeSet};

use super::act::{Answer, no};
use super::world::{Database, World, ident};
use crate::model::desired::{Desired, DesiredNode};
use crate::model::names::{Ident, TableName};
use crate::model::observed::Observed;
use crate::model::outside::{
    ChunkMemberSeen, DeclaredSubscription, FilterSeen, Identity, Kind, MemberSeen, Operation, Outside, OutsideSeen,
    PublishedSeen, RelationKind, RelationSeen, SubscribedSeen,
};
use crate::model::seen::Seen;
use crate::plan::outside::mark::Mark;
use crate::plan::outside::step::{Member, OutsideStep, PublicationChange};
use crate::plan::outside::{self, connection};
use crate::plan::topology;

/// What a database has for the outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutsideThere {
    pub publications: BTreeMap<Ident, Published>,
    pub subscriptions: BTreeMap<Ident, Subscribed>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    pub comment: Option<String>,
    pub via_root: bool,
    pub operations: BTreeSet<Operation>,
    pub schemas: BTreeSet<Ident>,
    /// Columns and filter of each table and chunk.
    pub members: BTreeMap<TableName, MemberSeen>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    pub comment: Option<String>,
    pub connection: String,
    pub publications: BTreeSet<Ident>,
}

impl OutsideThere {
    /// A table or chunk that is gone is in no publication.
    pub fn forget(&mut self, gone: &TableName) {
        for publication in self.publications.values_mut() {
            publication.members.remove(gone);
        }
    }

    pub fn has_marks(&self) -> bool {
        let publications = self.publications.values().map(|it| &it.comment);
        let mut comments = publications.chain(self.subscriptions.values().map(|it| &it.comment));
        comments.any(|comment| Mark::of(comment.as_deref()).is_some())
    }
}

fn columns(names: &[&str]) -> BTreeSet<Ident> {
    names.iter().map(|name| ident(name)).collect()
}

/// A filter as the server shows it.
fn shown(filter: &str) -> String {
    format!("({filter})")
}

/// The columns a filter reads.
fn reads(filter: &str) -> Option<BTreeSet<Ident>> {
    let words = filter.trim_matches(['(', ')']).split(" and ");
    let is_known = |word: &&str| ["id", "ts", "price"].contains(word);
    words.clone().all(|word| is_known(&word)).then(|| words.map(ident).collect())
}

/// Takes one step.
pub fn simulate(database: &mut Database, step: &OutsideStep) -> Answer {
    match step {
        OutsideStep::SetPublication(change) => set_publication(database, change)?,
        OutsideStep::PublishChunks { name, chunks } => {
            let Some(mut publication) = database.outside.publications.get(name).cloned() else {
                return no("no such publication");
            };
            add(database, &mut publication, chunks)?;
            database.outside.publications.insert(name.clone(), publication);
        }
        OutsideStep::DropPublication { name } => {
            database.outside.publications.remove(name);
        }
        OutsideStep::GivePasswords { .. } => {}
        OutsideStep::CreateSubscription(declared) => {
            let there = subscribed(declared);
            if database.outside.subscriptions.insert(declared.name.clone(), there).is_some() {
                return no("the subscription exists already");
            }
        }
        OutsideStep::ChangeSubscription(change) => {
            let there = database.outside.subscriptions.get_mut(&change.declared.name);
            let Some(there) = there else { return no("there is no subscription") };
            *there = subscribed(&change.declared);
        }
        OutsideStep::DropSubscription { name } => {
            database.outside.subscriptions.remove(name);
        }
    }
    would_updates_work(database)
}

fn subscribed(declared: &DeclaredSubscription) -> Subscribed {
    Subscribed {
        comment: Some(Mark::new(declared.reclaim).to_string()),
        connection: connection(&declared.from),
        publications: declared.publications.clone(),
    }
}

fn set_publication(database: &mut Database, change: &PublicationChange) -> Answer {
    let there = database.outside.publications.get(&change.name).cloned();
    if there.is_some() == change.is_new {
        return no("the publication exists already, or not yet");
    }
    let mut publication = there.unwrap_or_default();
    if !change.is_new && Mark::of(publication.comment.as_deref()).is_none() {
        return no("TOUCHED A FOREIGN PUBLICATION");
    }
    publication.operations.clone_from(&change.operations);
    publication.via_root = true;
    for gone in &change.drop {
        if publication.members.remove(gone).is_none() {
            return no(format!("{gone} is not part of the publication"));
        }
    }
    for schema in &change.drop_schemas {
        if !publication.schemas.remove(schema) {
            return no("the schema is not part of the publication");
        }
    }
    for schema in &change.add_schemas {
        if !database.has_schema(schema) || !publication.schemas.insert(schema.clone()) {
            return no("no such schema, or it is member already");
        }
    }
    add(database, &mut publication, &change.add)?;
    let mut mark = change.mark.clone();
    for member in change.add.iter().filter(|member| !member.is_chunk) {
        if let Some(filter) = &member.filter {
            mark.remember(&member.table, filter, &shown(filter));
        }
    }
    publication.comment = Some(mark.to_string());
    database.outside.publications.insert(change.name.clone(), publication);
    Ok(())
}

fn add(database: &Database, publication: &mut Published, members: &[Member]) -> Answer {
    for member in members {
        let filter = member.filter.as_deref();
        if !database.has(&member.table) {
            return no(format!("relation {} does not exist", member.table));
        }
        if filter.is_some_and(|filter| reads(filter).is_none()) {
            return no("syntax error");
        }
        let there = MemberSeen { columns: member.columns.clone(), filter: filter.map(shown) };
        if publication.members.insert(member.table.clone(), there).is_some() {
            return no(format!("{} is already member of publication", member.table));
        }
    }
    let has_list = publication.members.values().any(|member| member.columns.is_some());
    if has_list && !publication.schemas.is_empty() { no("cannot use a column list with schemas") } else { Ok(()) }
}

/// The application's UPDATEs fail where what is published does not identify rows.
fn would_updates_work(database: &Database) -> Answer {
    let identity = columns(&["id", "ts"]);
    for publication in database.outside.publications.values() {
        if !publication.operations.contains(&Operation::Update) && !publication.operations.contains(&Operation::Delete)
        {
            continue;
        }
        for (name, member) in &publication.members {
            let lacks = member.columns.as_ref().is_some_and(|columns| !identity.is_subset(columns));
            let read = member.filter.as_deref().and_then(reads).unwrap_or_default();
            if lacks || !read.is_subset(&identity) || !has_identity(database, name) {
                return no(format!("WOULD FAIL UPDATES of {name}"));
            }
        }
        let in_schemas = database.tables.keys().filter(|name| publication.schemas.contains(&name.schema));
        if let Some(name) = in_schemas.into_iter().find(|name| !has_identity(database, name)) {
            return no(format!("WOULD FAIL UPDATES of {name}"));
        }
    }
    Ok(())
}

fn has_identity(database: &Database, name: &TableName) -> bool {
    let root = database.chunks.get(name).map_or(name, |chunk| &chunk.root);
    database.tables.get(root).is_some_and(|table| table.has_identity)
}

/// Follows `observe::outside`.
pub fn look(world: &World, desired: &Desired, nodes: &[DesiredNode], is_thorough: bool, observed: &mut Observed) {
    let Ok(primary) = topology::primary(nodes, observed) else { return };
    let server = observed.nodes.get_mut(&primary).and_then(|node| node.server.present_mut());
    let Some(seen) = server.and_then(|server| server.database.present_mut()) else { return };
    let Some(there) = world.database(&primary).filter(|_| seen.catalog.is_some()) else { return };
    if seen.has_marks || !desired.outside.is_empty() {
        seen.outside = Seen::Present(database(there, &desired.outside, is_thorough));
    }
}

fn database(there: &Database, declared: &Outside, is_thorough: bool) -> OutsideSeen {
    let is_declared = |kind, name: &Ident| match kind {
        Kind::Publication => declared.publications.iter().any(|it| it.name == *name),
        Kind::Subscription => declared.subscriptions.iter().any(|it| it.name == *name),
    };
    let is_shown =
        |kind, name, comment: &Option<String>| is_declared(kind, name) || Mark::of(comment.as_deref()).is_some();
    let publications =
        there.outside.publications.iter().filter(|(name, it)| is_shown(Kind::Publication, name, &it.comment));
    let subscriptions =
        there.outside.subscriptions.iter().filter(|(name, it)| is_shown(Kind::Subscription, name, &it.comment));
    let relations: BTreeMap<TableName, RelationSeen> = there
        .tables
        .iter()
        .filter(|(name, _)| {
            declared.publications.iter().any(|it| it.table(name).is_some() || it.schemas.contains(&name.schema))
        })
        .map(|(name, table)| {
            let relation = RelationSeen {
                kind: RelationKind::Table,
                identity: if table.has_identity {
                    Identity::Columns(columns(&["id", "ts"]))
                } else {
                    Identity::Nothing
                },
                columns: columns(&["id", "ts", "price"])
                    .into_iter()
                    .map(|name| (name, false))
                    .chain([(ident("sum"), true)])
                    .collect(),
                compressed: table.hypertable.as_ref().is_some_and(|facts| facts.compressed),
            };
            (name.clone(), relation)
        })
        .collect();
    let chunks = there.chunks.iter().filter(|(_, chunk)| relations.contains_key(&chunk.root));
    let mut seen = OutsideSeen {
        publications: publications.map(|(name, it)| (name.clone(), published(there, it))).collect(),
        subscriptions: subscriptions
            .map(|(name, it)| {
                let there = SubscribedSeen {
                    comment: it.comment.clone(),
                    enabled: true,
                    connection: it.connection.clone(),
                    publications: it.publications.clone(),
                    is_applying: true,
                    ..SubscribedSeen::default()
                };
                (name.clone(), there)
            })
            .collect(),
        schemas: declared
            .publications
            .iter()
            .flat_map(|it| it.schemas.clone())
            .filter(|it| there.has_schema(it))
            .collect(),
        chunks: chunks.map(|(name, chunk)| (name.clone(), chunk.root.clone())).collect(),
        relations,
        ..OutsideSeen::default()
    };
    if is_thorough {
        let tried = outside::filters_to_try(declared, &seen).into_iter().filter_map(|(publication, table)| {
            let read = reads(table.filter.as_deref()?);
            let told = read.map_or_else(|| FilterSeen::Refused("syntax error".into()), FilterSeen::Reads);
            Some(((publication.clone(), table.name.clone()), told))
        });
        seen.filters = tried.collect();
    }
    seen
}

fn published(database: &Database, there: &Published) -> PublishedSeen {
    let mut seen = PublishedSeen {
        comment: there.comment.clone(),
        via_root: there.via_root,
        operations: there.operations.clone(),
        schemas: there.schemas.clone(),
        ..PublishedSeen::default()
    };
    for (name, member) in &there.members {
        if let Some(chunk) = database.chunks.get(name) {
            let root = there.members.get(&chunk.root).cloned().unwrap_or_default();
            let chunk = ChunkMemberSeen { root: chunk.root.clone(), is_like_root: root == *member };
            seen.chunks.insert(name.clone(), chunk);
        } else {
            seen.tables.insert(name.clone(), member.clone());
        }
    }
    seen
}
