//! The list of reasons as people and scripts read it.

use super::*;
use crate::model::cluster::Mode;
use crate::model::monitoring::Monitor;
use crate::model::names::Ident;
use crate::model::outside::Kind;
use crate::model::pack::MigrationId;

fn objections() -> impl Iterator<Item = Objection> {
    let table = || TableName::new("trading", "orders").expect("valid");
    let name = |text| Ident::new(text).expect("valid");
    [
        Objection::NotOurs(Kind::Publication),
        Objection::NotOurs(Kind::Subscription),
        Objection::NoTable(table()),
        Objection::NoSchema(name("analytics")),
        Objection::NotPublishable(table()),
        Objection::NoColumn(table(), name("prise")),
        Objection::GeneratedColumn(table(), name("total")),
        Objection::NoIdentity(table()),
        Objection::ColumnsLackIdentity(table(), name("order_id")),
        Objection::ColumnsOfFullIdentity(table()),
        Objection::FilterBeyondIdentity(table(), name("symbol")),
        Objection::FilterRefused(table(), "column \"simbol\" does not exist".into()),
        Objection::Compressed(table()),
        Objection::NoPassword("cannot read /run/secrets/ref: No such file or directory (os error 2)".into()),
        Objection::Refused("cannot create subscription reference_data on primary-1: could not connect".into()),
        Objection::SlotStays(name("reference_data"), "could not connect".into()),
        Objection::Disabled(name("reference_data")),
        Objection::Failing(3),
    ]
    .into_iter()
}

fn all() -> Vec<Reason> {
    let node = || NodeName::new("replica-1").expect("valid");
    let table = || TableName::new("trading", "orders").expect("valid");
    let ident = |name: &str| Ident::new(name).expect("valid");
    let id = |number, what: &str| MigrationId { pack: "trading".into(), number, what: what.into() };
    let migration = |refusal| Reason::Migration(Box::new(refusal));
    vec![
        Reason::Unknown("connection refused".into()),
        Reason::NotOurs("volume"),
        Reason::PortTaken(5434, "container postgres".into()),
        Reason::ImageWithoutPostgres,
        Reason::ImageWithoutTimescale,
        Reason::OtherPostgresMajor(16, 17),
        Reason::OtherTimescale("2.19.3".into(), "2.29.2".into()),
        Reason::SeatChanged(Seat::Replica(Mode::Logical), Seat::Replica(Mode::Physical)),
        Reason::SeatChanged(Seat::Primary, Seat::Replica(Mode::Logical)),
        Reason::PrimaryDataGone(node()),
        Reason::TwoPrimaries(node()),
        Reason::NotThePrimary(node()),
        Reason::GivesWay("replica-1".into()),
        Reason::InRecovery,
        Reason::Paused,
        Reason::AwaitsPrimary,
        Reason::AwaitsReplica(node()),
        migration(Refusal::Changed {
            id: id(2, "market_data"),
            recorded: "0123456789abcdef".into(),
            found: "fedcba9876543210".into(),
        }),
        migration(Refusal::Missing { id: id(3, "orders") }),
        migration(Refusal::OutOfOrder { id: id(3, "orders"), after: id(5, "positions") }),
        Reason::NoReplicaIdentity(table()),
        Reason::PublishesEverything,
        Reason::Compressed(table()),
        Reason::CompressedChunk(table()),
        Reason::PublishesCatalog(ident("_timescaledb_catalog")),
        Reason::RiskySetting("timescaledb.enable_direct_compress_insert".into()),
        Reason::VersionsDiffer("2.29.2".into(), "2.19.3".into()),
        Reason::EditionsDiffer(Edition::Community, Edition::Apache),
        Reason::DimensionsDiffer(table()),
        Reason::TimeType(table(), "uuid".into()),
        Reason::ColumnsDiffer(table(), "column price is missing here".into()),
        Reason::JobOnReplica("Retention Policy [1000]".into(), table()),
        Reason::NameClash(table()),
        Reason::ChunkDiffers(table()),
        Reason::DroppedWhileCopying(table()),
        Reason::MissingOnReplica(table()),
        Reason::HoldsRows,
        Reason::Differs(vec![table()], 1),
        Reason::Differs(vec![table(), table(), table(), table()], 12),
        Reason::Copying(1),
        Reason::Copying(12),
        Reason::CopyFails(12, 3),
        Reason::SubscriptionDisabled,
        Reason::NotApplying(3),
        Reason::WantsDropped(table()),
        Reason::SlotLost,
        Reason::Ahead(112),
        Reason::NotStreaming,
        Reason::NotSynchronous,
        Reason::CommitsWait(vec![node(), node()]),
        Reason::NotAwaited,
        Reason::EndpointDown,
        Reason::NoCertificate("cannot read server.crt".into()),
        Reason::EndpointPaused,
        Reason::Monitoring(Obstacle::NotOurs("container")),
        Reason::Monitoring(Obstacle::PortTaken(Monitor::Grafana, 3000, "process node (pid 7)".into())),
        Reason::Monitoring(Obstacle::NothingToScrape),
        Reason::FailoverPaused,
        Reason::AsksOperator(Box::new(Question::StartsTooLong), vec![Way::Restart(node()), Way::Promote(node(), None)]),
        Reason::AsksOperator(Box::new(Question::Refused(Vec::new())), Vec::new()),
        Reason::NeedsUp,
    ]
    .into_iter()
    .chain(Trouble::all().into_iter().map(|trouble| Reason::Backup(Box::new(trouble))))
    .chain(objections().map(|objection| Reason::Outside(Box::new(objection))))
    .collect()
}

/// A new reason fails to compile here, so that somebody thinks of `all` as well.
fn is_known(reason: &Reason) {
    match reason {
        Reason::Unknown(_)
        | Reason::NotOurs(_)
        | Reason::PortTaken(..)
        | Reason::ImageWithoutPostgres
        | Reason::ImageWithoutTimescale
        | Reason::OtherPostgresMajor(..)
        | Reason::OtherTimescale(..)
        | Reason::SeatChanged(..)
        | Reason::PrimaryDataGone(_)
        | Reason::TwoPrimaries(_)
        | Reason::NotThePrimary(_)
        | Reason::GivesWay(_)
        | Reason::InRecovery
        | Reason::Paused
        | Reason::AwaitsPrimary
        | Reason::AwaitsReplica(_)
        | Reason::Migration(_)
        | Reason::NoReplicaIdentity(_)
        | Reason::PublishesEverything
        | Reason::Compressed(_)
        | Reason::CompressedChunk(_)
        | Reason::PublishesCatalog(_)
        | Reason::RiskySetting(_)
        | Reason::VersionsDiffer(..)
        | Reason::EditionsDiffer(..)
        | Reason::DimensionsDiffer(_)
        | Reason::TimeType(..)
        | Reason::ColumnsDiffer(..)
        | Reason::JobOnReplica(..)
        | Reason::NameClash(_)
        | Reason::ChunkDiffers(_)
        | Reason::DroppedWhileCopying(_)
        | Reason::MissingOnReplica(_)
        | Reason::HoldsRows
        | Reason::Differs(..)
        | Reason::Copying(_)
        | Reason::CopyFails(..)
        | Reason::SubscriptionDisabled
        | Reason::NotApplying(_)
        | Reason::WantsDropped(_)
        | Reason::SlotLost
        | Reason::Ahead(_)
        | Reason::NotStreaming
        | Reason::NotSynchronous
        | Reason::CommitsWait(_)
        | Reason::NotAwaited
        | Reason::Outside(_)
        | Reason::Backup(_)
        | Reason::EndpointDown
        | Reason::NoCertificate(_)
        | Reason::EndpointPaused
        | Reason::Monitoring(_)
        | Reason::FailoverPaused
        | Reason::AsksOperator(..)
        | Reason::NeedsUp => {}
    }
}

#[test]
fn every_reason_says_what_is_and_what_to_do() {
    let mut text = String::new();
    for reason in all() {
        is_known(&reason);
        let help = reason.help().unwrap_or_else(|| "(passes by itself)".into());
        let row = [format!("{} ({:?})", reason.label(), reason.weight()), reason.to_string(), help];
        text.push_str(&row.join("\n    "));
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_readme_lists_every_reason_under_its_weight() {
    let readme = include_str!("../../../README.md");
    let (_, refused) = readme.split_once("**Refused:").expect("the first list");
    let (refused, held) = refused.split_once("**Held:").expect("the second list");
    let (held, waiting) = held.split_once("**Waiting:").expect("the third list");
    let waiting = waiting.split_once("\n## ").map_or(waiting, |(list, _)| list);
    for reason in all() {
        let list = match reason.weight() {
            Weight::Refusal => refused,
            Weight::Degraded => held,
            Weight::Waiting => waiting,
        };
        assert!(list.contains(&format!("`{}`", reason.label())), "{} is not where it belongs", reason.label());
    }
}

#[test]
fn whoever_has_to_act_is_told_what_to_do() {
    for reason in all() {
        assert!(reason.help().is_some() || reason.is_passing(), "{reason}");
        assert!(!(reason.is_refusal() && reason.is_passing()), "{reason}");
    }
}
