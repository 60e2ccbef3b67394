//! The world's part that is about the outside, and what must hold in it: declarations come true chunk by chunk, nothing
//! is published that would make an application's UPDATEs fail, and what is not ours is left alone.
//!
//! In this world every table has the columns `id`, `ts`, `price` and `sum`, the last one generated, and its identity is
//! `id` and `ts`. A filter names the columns it reads; `bad` is none, and the server refuses it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::act::{Answer, no};
use super::convergence::finished;
use super::events::{Event, primary_database};
use super::world::{Database, World, ident, table};
use super::{Action, Cluster, Order};
use crate::model::cluster::Mode;
use crate::model::desired::{Desired, DesiredNode};
use crate::model::names::{Ident, TableName};
use crate::model::observed::Observed;
use crate::model::outside::{
    ChunkMemberSeen, DeclaredPublication, DeclaredSubscription, DeclaredTable, FilterSeen, Identity, Kind, MemberSeen,
    Operation, Origin, Outside, OutsideSeen, PublishedSeen, Reclaim, RelationKind, RelationSeen, SubscribedSeen,
};
use crate::model::seen::Seen;
use crate::plan::hold::Reason;
use crate::plan::outside::mark::Mark;
use crate::plan::outside::step::{Member, OutsideStep, PublicationChange};
use crate::plan::outside::{self, connection};
use crate::plan::{scope, topology};

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

/// What may be declared; some of it exists from time to time only, and some never.
fn any_declaration() -> impl Strategy<Value = Outside> {
    let any_table = (
        prop::sample::select(vec![
            None,
            Some(vec!["id", "ts"]),
            Some(vec!["id", "ts", "price"]),
            Some(vec!["price"]),
            Some(vec!["id", "ts", "sum"]),
        ]),
        prop::sample::select(vec![None, None, Some("id"), Some("id and ts"), Some("price"), Some("bad")]),
    );
    let names = ["trading.bars", "trading.symbols", "metering.readings", "metering.devices", "trading.nothing"];
    let tables = (subsequence(names.to_vec(), 0..=5), prop::collection::vec(any_table, 5));
    let schemas = subsequence(vec!["metering", "trading", "trading_chunks", "nowhere"], 0..=3);
    let operations = prop_oneof![
        3 => Just(Operation::ALL.to_vec()),
        2 => Just(vec![Operation::Insert]),
        1 => Just(vec![Operation::Insert, Operation::Delete]),
    ];
    let publication = (tables, prop_oneof![2 => Just(Vec::new()), 1 => schemas], operations, any_reclaim());
    let publication = publication.prop_map(|((names, parts), schemas, operations, reclaim)| {
        let schemas = columns(&schemas);
        let tables = names.iter().zip(parts).map(|(name, (list, filter))| DeclaredTable {
            name: table(name),
            columns: list.filter(|_| schemas.is_empty()).map(|list| columns(&list)),
            filter: filter.map(str::to_owned),
        });
        let tables = tables.filter(|table| !schemas.contains(&table.name.schema)).collect();
        (tables, schemas, operations.into_iter().collect(), reclaim)
    });
    let subscription = (any_reclaim(), 0..3_u16, subsequence(vec!["a", "b"], 1..=2));
    let publications = prop::collection::vec((0..3_u8, publication), 0..3);
    (publications, prop::option::of(subscription)).prop_map(|(publications, subscription)| {
        let by_number: BTreeMap<u8, _> = publications.into_iter().collect();
        let publications = by_number.into_iter().map(|(name, (tables, schemas, operations, reclaim))| {
            DeclaredPublication { name: ident(&format!("feed_{name}")), tables, schemas, operations, reclaim }
        });
        // The configuration refuses one of nothing.
        let publications = publications.filter(|it| !it.tables.is_empty() || !it.schemas.is_empty());
        let subscriptions = subscription.into_iter().map(|(reclaim, port, publications)| DeclaredSubscription {
            name: ident("reference"),
            from: Origin {
                host: "db.example.net".into(),
                port,
                database: "ref".into(),
                user: "me".into(),
                password_file: "ref".into(),
            },
            publications: columns(&publications),
            copy_data: true,
            reclaim,
        });
        Outside { publications: publications.collect(), subscriptions: subscriptions.collect() }
    })
}

fn any_reclaim() -> impl Strategy<Value = Reclaim> {
    prop_oneof![Just(Reclaim::Retain), Just(Reclaim::Delete)]
}

/// What happens to what was published.
#[derive(Clone, Debug)]
enum Happening {
    Declare(Outside),
    CreateChunk(usize),
    DropChunk(usize),
    Pass(Option<usize>),
    AgentPass,
    /// Somebody takes a table or chunk out, or lets go of its filter and columns.
    Tamper(usize, bool),
    /// Somebody makes one that is his own, in the place of ours.
    Usurp(u8),
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any_declaration().prop_map(Happening::Declare),
        3 => (0..60_usize).prop_map(Happening::CreateChunk),
        1 => (0..60_usize).prop_map(Happening::DropChunk),
        3 => prop::option::of(0..9_usize).prop_map(Happening::Pass),
        2 => Just(Happening::AgentPass),
        2 => (0..60_usize, any::<bool>()).prop_map(|(which, is_loss)| Happening::Tamper(which, is_loss)),
        1 => (0..3_u8).prop_map(Happening::Usurp),
    ]
}

fn happen(cluster: &mut Cluster, happening: &Happening) -> Result<(), String> {
    match happening {
        Happening::Declare(outside) => cluster.desired.outside = outside.clone(),
        Happening::CreateChunk(which) => Event::CreateChunk(*which).happen(cluster),
        Happening::DropChunk(which) => Event::DropChunk(*which).happen(cluster),
        Happening::Pass(cut) => {
            return cluster.act(&Action::Pass { order: 0, cut: *cut, is_halfway: false });
        }
        Happening::AgentPass => return cluster.act(&Action::AgentPass { order: 0, cut: None }),
        Happening::Tamper(which, is_loss) => {
            let Some(database) = primary_database(cluster) else { return Ok(()) };
            let members: Vec<(Ident, TableName)> = database
                .outside
                .publications
                .iter()
                .flat_map(|(name, it)| it.members.keys().map(|member| (name.clone(), member.clone())))
                .collect();
            if let Some((name, member)) = members.get(which % members.len().max(1))
                && let Some(publication) = database.outside.publications.get_mut(name)
            {
                if *is_loss {
                    publication.members.remove(member);
                } else {
                    publication.members.insert(member.clone(), MemberSeen::default());
                }
            }
        }
        Happening::Usurp(name) => {
            if let Some(database) = primary_database(cluster) {
                database.outside.publications.insert(ident(&format!("feed_{name}")), Published::default());
            }
        }
    }
    Ok(())
}

/// What is declared and not held is there to the letter, and what is declared no more is as it was to be.
fn assert_as_declared(cluster: &Cluster, held: &BTreeSet<String>) {
    let primary = &cluster.desired.preferred_primary().name;
    let database = cluster.world.database(primary).expect("it runs");
    let declared = &cluster.desired.outside;
    for wanted in declared.publications.iter().filter(|wanted| !held.contains(wanted.name.as_str())) {
        let there = &database.outside.publications[&wanted.name];
        assert_eq!((&there.operations, &there.schemas, there.via_root), (&wanted.operations, &wanted.schemas, true));
        let wanted_member = |name: &TableName| {
            let like = wanted.table(name);
            let filter = like.and_then(|like| like.filter.as_deref()).map(shown);
            MemberSeen { columns: like.and_then(|like| like.columns.clone()), filter }
        };
        let tables = wanted.tables.iter().map(|table| (table.name.clone(), wanted_member(&table.name)));
        let is_published = |root: &TableName| wanted.table(root).is_some() || wanted.schemas.contains(&root.schema);
        let chunks = database
            .chunks
            .iter()
            .filter(|(name, chunk)| is_published(&chunk.root) && !wanted.schemas.contains(&name.schema));
        let chunks = chunks.map(|(name, chunk)| (name.clone(), wanted_member(&chunk.root)));
        let members: BTreeMap<TableName, MemberSeen> = tables.chain(chunks).collect();
        assert_eq!(there.members, members, "{}", wanted.name);
        assert!(!scope::is_timescale_own(&wanted.name));
    }
    for wanted in &declared.subscriptions {
        assert_eq!(database.outside.subscriptions.get(&wanted.name), Some(&subscribed(wanted)));
    }
    let is_declared = |name: &Ident| {
        declared.publications.iter().any(|it| it.name == *name)
            || declared.subscriptions.iter().any(|it| it.name == *name)
    };
    let publications = database.outside.publications.iter().map(|(name, it)| (name, &it.comment));
    let subscriptions = database.outside.subscriptions.iter().map(|(name, it)| (name, &it.comment));
    for (name, comment) in publications.chain(subscriptions).filter(|(name, _)| !is_declared(name)) {
        let mark = Mark::of(comment.as_deref());
        assert!(mark.is_none_or(|mark| mark.reclaim == Reclaim::Retain), "{name} was to be dropped");
    }
}

fn start() -> Cluster {
    let mut cluster = finished(&[Mode::Logical], &["trading", "metering"]);
    for which in 0..4 {
        Event::CreateChunk(which).happen(&mut cluster);
    }
    super::convergence::finish(&mut cluster, Order::LINEAR).expect("it converges");
    cluster
}

proptest! {
    #[test]
    fn what_is_declared_comes_true_whatever_happened(
        life in prop::collection::vec(any_happening(), 1..8), last in any_declaration(),
    ) {
        let mut cluster = start();
        for happening in &life {
            happen(&mut cluster, happening).map_err(|why| TestCaseError::fail(format!("{happening:?}: {why}")))?;
        }
        cluster.desired.outside = last;
        let foreign: Vec<(Ident, Published)> = cluster
            .world
            .database(&cluster.desired.preferred_primary().name)
            .expect("it runs")
            .outside
            .publications
            .iter()
            .filter(|(_, it)| it.comment.is_none())
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect();
        let holds = cluster.converge(Order::LINEAR).map_err(TestCaseError::fail)?;
        let only_outside = holds.iter().all(|hold| matches!(hold.reason, Reason::Outside(_)));
        prop_assert!(only_outside, "the rest goes on: {:?}", holds);
        prop_assert!(cluster.plan().steps().next().is_none(), "a second run changes nothing");
        let held = holds.into_iter().map(|hold| hold.what).collect();
        assert_as_declared(&cluster, &held);
        let database = cluster.world.database(&cluster.desired.preferred_primary().name).expect("it runs");
        for (name, was) in foreign {
            prop_assert_eq!(database.outside.publications.get(&name), Some(&was), "it was not ours");
        }
    }
}

/// One publication of a hypertable in `trading_chunks` and one in TimescaleDB's own schema.
fn feed(filter: Option<&str>) -> Outside {
    let table = |name| DeclaredTable {
        name: table(name),
        columns: Some(columns(&["id", "ts"])),
        filter: filter.map(str::to_owned),
    };
    let publication = DeclaredPublication {
        name: ident("feed"),
        tables: vec![table("trading.bars"), table("metering.readings"), table("trading.symbols")],
        schemas: BTreeSet::new(),
        operations: Operation::ALL.into(),
        reclaim: Reclaim::Delete,
    };
    Outside { publications: vec![publication], subscriptions: Vec::new() }
}

fn members(cluster: &Cluster) -> usize {
    let database = cluster.world.database(&cluster.desired.preferred_primary().name).expect("it runs");
    database.outside.publications.get(&ident("feed")).map_or(0, |it| it.members.len())
}

#[test]
fn the_agent_adds_new_chunks_and_leaves_the_rest_to_up() {
    let mut cluster = start();
    cluster.desired.outside = feed(Some("id"));
    let agent = Action::AgentPass { order: 0, cut: None };
    cluster.act(&agent).expect("a pass");
    assert_eq!(members(&cluster), 0, "making one is not the agent's");
    super::convergence::finish(&mut cluster, Order::LINEAR).expect("it converges");
    let before = members(&cluster);
    assert!(before >= 3 + 2);
    Event::CreateChunk(0).happen(&mut cluster);
    cluster.act(&agent).expect("a pass");
    assert_eq!(members(&cluster), before + 1);
    cluster.converge(Order::LINEAR).expect("it converges");
    assert_as_declared(&cluster, &BTreeSet::new());
}

#[test]
fn an_entry_that_disappears_is_dropped_or_stays_as_it_said() {
    for (reclaim, left) in [(Reclaim::Delete, 0), (Reclaim::Retain, 8)] {
        let mut cluster = start();
        cluster.desired.outside = feed(None);
        cluster.desired.outside.publications[0].reclaim = reclaim;
        super::convergence::finish(&mut cluster, Order::LINEAR).expect("it converges");
        let before = members(&cluster);
        cluster.desired.outside = Outside::default();
        super::convergence::finish(&mut cluster, Order::LINEAR).expect("it converges");
        assert_eq!(members(&cluster), if left == 0 { 0 } else { before });
    }
}
