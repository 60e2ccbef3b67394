//! What must hold towards the outside: declarations come true chunk by chunk, nothing is published that would make an
//! application's UPDATEs fail, and what is not ours is left alone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::{Published, columns, shown, subscribed};
use crate::model::cluster::Mode;
use crate::model::names::{Ident, TableName};
use crate::model::outside::{
    DeclaredPublication, DeclaredSubscription, DeclaredTable, MemberSeen, Operation, Origin, Outside, Reclaim,
};
use crate::plan::hold::Reason;
use crate::plan::outside::mark::Mark;
use crate::plan::scope;
use crate::plan::simulate::convergence::{finish, finished};
use crate::plan::simulate::events::{Event, primary_database};
use crate::plan::simulate::world::{ident, table};
use crate::plan::simulate::{Action, Cluster, Order};

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
    finish(&mut cluster, Order::LINEAR).expect("it converges");
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
    finish(&mut cluster, Order::LINEAR).expect("it converges");
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
        finish(&mut cluster, Order::LINEAR).expect("it converges");
        let before = members(&cluster);
        cluster.desired.outside = Outside::default();
        finish(&mut cluster, Order::LINEAR).expect("it converges");
        assert_eq!(members(&cluster), if left == 0 { 0 } else { before });
    }
}
