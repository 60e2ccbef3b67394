//! The steps as people and scripts read them.

use std::net::Ipv4Addr;

use super::*;
use crate::model::chunk::{Dimension, Partitioning, Slice};
use crate::model::cluster::Mode;
use crate::model::endpoint::Pooling;
use crate::model::outside::{DeclaredSubscription, Operation, Origin, Reclaim};
use crate::plan::endpoint::step::EndpointSpec;
use crate::plan::hold::Reason;
use crate::plan::monitoring::step::MonitorSpec;
use crate::plan::outside::mark::Mark;
use crate::plan::outside::step::{Member, OutsideStep, PublicationChange, SubscriptionChange};

fn spec() -> NodeSpec {
    NodeSpec {
        node: replica(),
        seat: Seat::Replica(Mode::Logical),
        port: 5435,
        bind: Ipv4Addr::LOCALHOST.into(),
        settings: vec!["work_mem=4MB".into()],
    }
}

fn primary() -> NodeName {
    NodeName::new("primary-1").expect("valid")
}

fn replica() -> NodeName {
    NodeName::new("replica-1").expect("valid")
}

fn standbys(setting: StandbySetting, value: &str) -> Step {
    Step::SetStandbys { node: primary(), setting, value: value.into(), is_relief: value.is_empty() }
}

fn table(name: &str) -> TableName {
    TableName::new("trading", name).expect("valid")
}

fn monitoring() -> Vec<Step> {
    let spec = MonitorSpec {
        monitor: Monitor::Prometheus,
        image: Monitor::Prometheus.image().into(),
        port: 9090,
        retention_secs: Some(3600),
        files: "0123".into(),
        secret: None,
    };
    [
        MonitorStep::ProvideImage { reference: spec.image.clone() },
        MonitorStep::Create(spec),
        MonitorStep::Start,
        MonitorStep::Stop,
        MonitorStep::Remove,
    ]
    .into_iter()
    .map(|step| Step::Monitor { monitor: Monitor::Prometheus, step })
    .collect()
}

fn outside() -> Vec<Step> {
    let name = || Ident::new("orders_feed").expect("valid");
    let member = |table: TableName| Member { table, columns: None, filter: None, is_chunk: false };
    let change = PublicationChange {
        name: name(),
        is_new: false,
        drop: ["a", "b"].map(table).into(),
        add: vec![member(table("b")), member(table("c"))],
        drop_schemas: BTreeSet::from([Ident::new("old").expect("valid")]),
        add_schemas: BTreeSet::from([Ident::new("analytics").expect("valid")]),
        operations: Operation::ALL.into(),
        mark: Mark::new(Reclaim::Retain),
    };
    let new =
        PublicationChange { is_new: true, drop: BTreeSet::new(), drop_schemas: BTreeSet::new(), ..change.clone() };
    let declared = DeclaredSubscription {
        name: name(),
        from: Origin {
            host: "db.example.net".into(),
            port: 5432,
            database: "ref".into(),
            user: "me".into(),
            password_file: "ref".into(),
        },
        publications: BTreeSet::from([name()]),
        copy_data: true,
        reclaim: Reclaim::Delete,
    };
    let changed = SubscriptionChange { declared: declared.clone(), connection: true, publications: false };
    [
        OutsideStep::SetPublication(Box::new(new)),
        OutsideStep::SetPublication(Box::new(change)),
        OutsideStep::PublishChunks { name: name(), chunks: ["a", "b", "c", "d"].map(table).map(member).into() },
        OutsideStep::DropPublication { name: name() },
        OutsideStep::GivePasswords { subscriptions: BTreeSet::from([name()]) },
        OutsideStep::CreateSubscription(Box::new(declared)),
        OutsideStep::ChangeSubscription(Box::new(changed)),
        OutsideStep::DropSubscription { name: name() },
    ]
    .map(|step| Step::Outside { node: primary(), step })
    .into()
}

fn endpoints() -> Vec<Step> {
    let spec = EndpointSpec {
        access: Access::ReadWrite,
        port: 5432,
        bind: Ipv4Addr::LOCALHOST.into(),
        pooling: Pooling::Transaction,
        database: Ident::new("data").expect("valid"),
        connections: 40,
        image: "bundled".into(),
        certificate: None,
    };
    [
        EndpointStep::Create(spec),
        EndpointStep::Start { to: Some([primary()].into()) },
        EndpointStep::Repoint { to: [primary(), replica()].into() },
        EndpointStep::Stop,
        EndpointStep::Remove,
    ]
    .map(|step| Step::Endpoint { access: Access::ReadWrite, step })
    .into()
}

fn all() -> Vec<Step> {
    let (node, from, slot) = (replica(), primary(), replica().slot());
    let id = MigrationId { pack: "trading".into(), number: 2, what: "market_data".into() };
    let schemas = BTreeSet::from([Ident::new("trading").expect("valid")]);
    let tables: BTreeSet<TableName> = ["a", "b", "c", "d", "e", "f", "g"].map(table).into();
    let seat = Seat::Replica(Mode::Logical);
    let chunk = ChunkToMirror {
        name: table("_hyper_1_1_chunk"),
        hypertable: table("market_data"),
        slices: vec![Slice { start: 0, end: 10 }],
    };
    let partitioning = Partitioning::Range { interval: 10 };
    let dimension = Dimension { column: Ident::new("at").expect("valid"), column_type: "bigint".into(), partitioning };
    let hypertable = Hypertable {
        name: table("market_data"),
        chunk_schema: Ident::new("trading_chunks").expect("valid"),
        chunk_prefix: "_hyper_1".into(),
        dimensions: vec![dimension],
        compressed: false,
        now: None,
        is_fed: true,
    };
    let ahead = ChunkAhead { hypertable: table("market_data"), point: vec![25] };
    let named = table("_hyper_1_7_chunk");
    let on_primary = || primary();
    let of = || node.clone();
    vec![
        Step::ProvideImage,
        Step::ProvideToolImage,
        Step::CreateSecrets,
        Step::CreateNetwork,
        Step::CreateVolume { spec: spec() },
        Step::CloneStandby { node: of(), from: from.clone() },
        Step::Rejoin { node: on_primary(), from: of() },
        Step::Follow { node: of(), from: from.clone() },
        Step::RaiseEpoch { node: of(), epoch: 2 },
        Step::LiftFence { node: on_primary(), to: of() },
        Step::Demote { node: on_primary(), from: of(), resumes: true },
        Step::CreateNode { spec: spec() },
        Step::GiveSecrets { node: of() },
        Step::StartNode { node: of() },
        Step::StopNode { node: of() },
        Step::RemoveContainer { node: of() },
        Step::RemoveVolume { node: of() },
        Step::CreateRoles { node: of() },
        Step::AlignPasswords { node: of(), from: from.clone() },
        Step::CreateDatabase { node: of() },
        Step::InstallCatalog { node: of(), seat },
        Step::CatchUp { node: of(), with: from.clone() },
        Step::ApplyMigration { node: of(), id, seat },
        Step::CreatePublication { node: on_primary(), schemas: schemas.clone() },
        Step::PublishSchemas { node: on_primary(), schemas },
        Step::PublishTables { node: on_primary(), tables: tables.clone() },
        Step::EnableAutoPublication { node: on_primary() },
        Step::CreateSlot { node: on_primary(), slot: slot.clone() },
        Step::DropSlot { node: on_primary(), slot },
        Step::PrepareSubscriber { node: of(), reserves_chunk_names: true },
        Step::MirrorChunks { node: of(), chunks: vec![chunk] },
        Step::AlignPartitioning { node: of(), hypertables: vec![hypertable] },
        Step::RetireChunks { node: of(), from: from.clone(), chunks: tables.clone() },
        Step::KeepPlaces { node: of(), from: from.clone(), chunks: [named].into(), hypertable: table("market_data") },
        Step::ForgetRetired { node: of(), chunks: tables.clone() },
        Step::MakeChunksAhead { node: on_primary(), chunks: vec![ahead.clone(), ahead] },
        Step::GuardTables { node: of(), tables: tables.clone() },
        Step::UnguardTables { node: on_primary(), tables: tables.clone() },
        standbys(StandbySetting::SynchronousNames, "FIRST 1 (\"replica-1\")"),
        standbys(StandbySetting::SynchronizedSlots, ""),
        Step::SetApplyFlush { node: of(), flushes: true },
        Step::Resubscribe { node: of(), to: from.clone() },
        Step::Redirect { node: of(), to: from.clone() },
        Step::Subscribe { node: of(), to: from },
        Step::RefreshSubscription { node: of() },
        Step::Unsubscribe { node: of() },
        Step::EmptyReplica { node: of(), tables },
        Step::RemoveAgent,
        Step::CreateAgent { spec: "0123".into() },
        Step::StartAgent,
    ]
    .into_iter()
    .chain(outside())
    .chain(endpoints())
    .chain(monitoring())
    .collect()
}

#[test]
fn every_step_has_a_label_of_its_own_and_a_sentence() {
    let rows: Vec<String> = all().iter().map(|step| format!("{}: {step}", step.label())).collect();
    insta::assert_snapshot!(rows.join("\n"));
    let labels: BTreeSet<&str> = all().iter().map(Step::label).collect();
    assert_eq!(labels.len(), all().len());
}

#[test]
fn a_plan_in_json_has_steps_and_holds_and_both_are_empty_when_nothing_is_to_be_done() {
    let mut plan = Plan::default();
    let json = serde_json::to_value(&plan).expect("strings and lists");
    assert_eq!(json, serde_json::json!({"steps": [], "holds": []}));
    plan.then_side_by_side(vec![vec![Step::CreateNetwork], Vec::new(), vec![Step::StartNode { node: replica() }]]);
    plan.holds.push(Hold::new("replica-1", Reason::Copying(3)));
    plan.holds.push(Hold::new("replica-1", Reason::SlotLost));
    insta::assert_json_snapshot!(plan);
}

#[test]
fn what_is_beside_the_cluster_is_told_apart_from_it_and_nothing_is_lost() {
    let mut plan = Plan::default();
    plan.then(vec![Step::CreateNetwork]);
    let beside = monitoring();
    plan.then_side_by_side(vec![vec![Step::StartAgent], beside.clone()]);
    plan.holds.push(Hold::new("replica-1", Reason::SlotLost));
    let (cluster, monitors) = plan.clone().apart_from_monitoring();
    assert_eq!(cluster.steps().collect::<Vec<_>>(), [&Step::CreateNetwork, &Step::StartAgent]);
    assert_eq!(monitors.steps().cloned().collect::<Vec<_>>(), beside);
    assert_eq!((&cluster.holds, &monitors.holds), (&plan.holds, &plan.holds));
    assert_eq!(monitors.stages.len(), 1);
}

#[test]
fn every_part_of_a_specification_counts_in_its_digest() {
    let others = [
        NodeSpec { node: primary(), ..spec() },
        NodeSpec { seat: Seat::Primary, ..spec() },
        NodeSpec { port: 1, ..spec() },
        NodeSpec { bind: Ipv4Addr::UNSPECIFIED.into(), ..spec() },
        NodeSpec { settings: Vec::new(), ..spec() },
    ];
    assert_eq!(spec().digest(), spec().digest());
    for other in others {
        assert_ne!(other.digest(), spec().digest(), "{other:?}");
    }
}
