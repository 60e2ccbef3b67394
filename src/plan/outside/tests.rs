//! What is held and what is done, in plain cases. That it converges is proven in `plan::simulate::outside`.

use std::collections::BTreeMap;

use super::*;
use crate::model::outside::{
    DeclaredPublication, DeclaredSubscription, FilterSeen, Identity, MemberSeen, Operation, Origin, PasswordSeen,
    PublishedSeen, RelationKind, RelationSeen, SubscribedSeen,
};
use crate::plan::simulate::world::{ident, table};

fn idents(names: &[&str]) -> BTreeSet<Ident> {
    names.iter().map(|name| ident(name)).collect()
}

/// Columns `id`, `symbol`, `price` and the generated `total`; identity as given.
fn relation(identity: Identity) -> RelationSeen {
    let columns =
        ["id", "symbol", "price"].map(|name| (ident(name), false)).into_iter().chain([(ident("total"), true)]);
    RelationSeen { kind: RelationKind::Table, identity, columns: columns.collect(), compressed: false }
}

fn key() -> Identity {
    Identity::Columns(idents(&["id"]))
}

fn orders(columns: Option<&[&str]>, filter: Option<&str>) -> DeclaredTable {
    DeclaredTable { name: table("s.orders"), columns: columns.map(idents), filter: filter.map(str::to_owned) }
}

fn publication(tables: Vec<DeclaredTable>) -> DeclaredPublication {
    let operations = Operation::ALL.into();
    DeclaredPublication { name: ident("feed"), tables, schemas: BTreeSet::new(), operations, reclaim: Reclaim::Retain }
}

fn seen(relation: RelationSeen) -> OutsideSeen {
    OutsideSeen { relations: [(table("s.orders"), relation)].into(), ..OutsideSeen::default() }
}

/// Labels of steps, then labels of holds.
fn told(declared: &Outside, seen: &OutsideSeen) -> String {
    let mut holds = Vec::new();
    let steps = plan(declared, seen, &mut holds);
    let labels = steps.iter().map(OutsideStep::label).chain(holds.iter().map(|hold| hold.reason.label()));
    labels.collect::<Vec<_>>().join(" ")
}

fn of_publication(declared: DeclaredPublication, seen: &OutsideSeen) -> String {
    told(&Outside { publications: vec![declared], ..Outside::default() }, seen)
}

#[test]
fn what_would_fail_the_applications_updates_is_held_before_it_is_published() {
    let create = "create_outside_publication";
    let cases: [(Option<&[&str]>, Identity, &str); 9] = [
        (None, key(), create),
        (None, Identity::Full, create),
        (None, Identity::Nothing, "no_replica_identity"),
        (Some(&["id", "price"]), key(), create),
        (Some(&["price"]), key(), "columns_lack_identity"),
        (Some(&["id"]), Identity::Full, "columns_lack_identity"),
        (Some(&["id", "total"]), key(), "generated_column"),
        (Some(&["id", "prise"]), key(), "no_column"),
        (Some(&["prise"]), Identity::Nothing, "no_replica_identity no_column"),
    ];
    for (columns, identity, expected) in cases {
        let seen = seen(relation(identity.clone()));
        assert_eq!(
            of_publication(publication(vec![orders(columns, None)]), &seen),
            expected,
            "{columns:?} {identity:?}"
        );
        let mut inserts = publication(vec![orders(columns, None)]);
        inserts.operations = [Operation::Insert].into();
        let is_about_updates = ["no_replica_identity", "columns_lack_identity"].contains(&expected);
        let said = of_publication(inserts, &seen);
        assert!(!is_about_updates || said == create, "inserts identify nothing: {said}");
    }
}

#[test]
fn a_filter_must_be_taken_by_postgresql_and_read_the_identity_only() {
    let reads = |names| FilterSeen::Reads(idents(names));
    let refused = FilterSeen::Refused("column \"simbol\" does not exist".into());
    for (filter, identity, expected) in [
        (reads(&["id"]), key(), "create_outside_publication"),
        (reads(&["id", "symbol"]), key(), "filter_beyond_identity"),
        (reads(&["symbol"]), Identity::Full, "create_outside_publication"),
        (refused, key(), "filter_refused"),
    ] {
        let mut seen = seen(relation(identity));
        seen.filters.insert((ident("feed"), table("s.orders")), filter.clone());
        assert_eq!(of_publication(publication(vec![orders(None, Some("x"))]), &seen), expected, "{filter:?}");
    }
}

#[test]
fn what_is_not_there_is_held_and_the_rest_goes_on() {
    let other = DeclaredTable { name: table("s.none"), columns: None, filter: None };
    let mut declared = publication(vec![orders(None, None), other.clone()]);
    declared.schemas = idents(&["nowhere"]);
    let there = seen(relation(key()));
    assert_eq!(of_publication(declared, &there), "create_outside_publication no_schema no_table");
    assert_eq!(of_publication(publication(vec![other]), &there), "no_table", "an empty publication is not made");
    for (kind, compressed, expected) in [
        (RelationKind::Other, false, "not_publishable"),
        (RelationKind::Chunk, false, "not_publishable"),
        (RelationKind::Table, true, "compressed_hypertable"),
    ] {
        let seen = seen(RelationSeen { kind, compressed, ..relation(key()) });
        assert_eq!(of_publication(publication(vec![orders(None, None)]), &seen), expected);
    }
}

#[test]
fn one_that_is_not_ours_is_left_alone_whatever_it_is() {
    for (comment, all_tables) in [(None, false), (Some("mine"), false), (Some("hypertide: reclaim=delete"), true)] {
        let mut seen = seen(relation(key()));
        let there = PublishedSeen { comment: comment.map(str::to_owned), all_tables, ..PublishedSeen::default() };
        seen.publications.insert(ident("feed"), there);
        assert_eq!(of_publication(publication(vec![orders(None, None)]), &seen), "not_ours");
    }
}

#[test]
fn the_publication_of_a_table_that_is_held_now_is_not_widened() {
    let mut seen = seen(relation(Identity::Nothing));
    let member = [(table("s.orders"), MemberSeen::default())];
    let there = PublishedSeen {
        comment: Some("hypertide: reclaim=retain".into()),
        via_root: true,
        operations: [Operation::Insert].into(),
        tables: member.into(),
        ..PublishedSeen::default()
    };
    seen.publications.insert(ident("feed"), there);
    assert_eq!(of_publication(publication(vec![orders(None, None)]), &seen), "no_replica_identity");
    seen.relations.insert(table("s.orders"), relation(key()));
    assert_eq!(of_publication(publication(vec![orders(None, None)]), &seen), "change_outside_publication");
}

fn subscription() -> DeclaredSubscription {
    DeclaredSubscription {
        name: ident("reference"),
        from: Origin {
            host: "it's".into(),
            port: 5432,
            database: "ref".into(),
            user: "me".into(),
            password_file: "ref".into(),
        },
        publications: idents(&["a"]),
        copy_data: true,
        reclaim: Reclaim::Retain,
    }
}

fn subscribed(change: impl FnOnce(&mut SubscribedSeen)) -> OutsideSeen {
    let mut there = SubscribedSeen {
        comment: Some("hypertide: reclaim=retain".into()),
        enabled: true,
        connection: connection(&subscription().from),
        publications: idents(&["a"]),
        is_applying: true,
        ..SubscribedSeen::default()
    };
    change(&mut there);
    OutsideSeen { subscriptions: [(ident("reference"), there)].into(), ..OutsideSeen::default() }
}

fn of_subscription(seen: &OutsideSeen) -> String {
    told(&Outside { subscriptions: vec![subscription()], ..Outside::default() }, seen)
}

#[test]
fn a_subscription_is_made_with_its_password_and_kept_as_declared() {
    let mut nothing = OutsideSeen::default();
    assert_eq!(of_subscription(&nothing), "create_outside_subscription");
    for (password, expected) in [
        (PasswordSeen::Given, "create_outside_subscription"),
        (PasswordSeen::Outdated, "give_outside_passwords create_outside_subscription"),
        (PasswordSeen::Unreadable { because: "it is gone".into() }, "no_password"),
    ] {
        nothing.passwords.insert(ident("reference"), password);
        assert_eq!(of_subscription(&nothing), expected);
    }
    let change = "change_outside_subscription";
    assert_eq!(of_subscription(&subscribed(|_| {})), "");
    assert_eq!(of_subscription(&subscribed(|it| it.connection.push_str(" sslmode=disable"))), change);
    assert_eq!(of_subscription(&subscribed(|it| it.publications = idents(&["b"]))), change);
    assert_eq!(of_subscription(&subscribed(|it| it.comment = Some("hypertide: reclaim=delete".into()))), change);
    assert_eq!(of_subscription(&subscribed(|it| it.comment = None)), change, "cut off before it was marked");
    let foreign = |it: &mut SubscribedSeen| (it.comment, it.connection) = (None, "host=other".into());
    assert_eq!(of_subscription(&subscribed(foreign)), "not_ours");
}

#[test]
fn a_subscription_that_does_not_work_is_told_and_does_not_make_anybody_wait() {
    for (seen, expected) in [
        (subscribed(|it| it.enabled = false), "subscription_disabled"),
        (subscribed(|it| it.is_applying = false), "subscription_failing"),
        (subscribed(|it| (it.copying, it.errors) = (1, 2)), "subscription_failing"),
        (subscribed(|it| it.copying = 1), ""),
    ] {
        assert_eq!(of_subscription(&seen), expected);
        let mut holds = Vec::new();
        plan(&Outside { subscriptions: vec![subscription()], ..Outside::default() }, &seen, &mut holds);
        assert!(holds.iter().all(|hold| !hold.reason.is_passing() && !hold.reason.is_refusal()));
    }
}

#[test]
fn what_a_server_refused_is_told_and_not_tried_again() {
    let because = || "could not connect".to_owned();
    let key = (Kind::Subscription, ident("reference"));
    let mut seen = OutsideSeen { refusals: BTreeMap::from([(key, because())]), ..OutsideSeen::default() };
    assert_eq!(of_subscription(&seen), "server_refused");
    // Declared no more, it was to be dropped.
    seen.subscriptions = subscribed(|it| it.comment = Some("hypertide: reclaim=delete".into())).subscriptions;
    assert_eq!(told(&Outside::default(), &seen), "slot_stays");
    seen.refusals.clear();
    assert_eq!(told(&Outside::default(), &seen), "drop_outside_subscription");
    assert_eq!(told(&Outside::default(), &subscribed(|_| {})), "", "it was to stay");
}

#[test]
fn a_connection_string_is_quoted_and_holds_no_password() {
    assert_eq!(
        connection(&subscription().from),
        "host='it\\'s' port=5432 dbname='ref' user='me' \
         passfile=/var/lib/postgresql/data/hypertide/outside.pgpass connect_timeout=10"
    );
}
