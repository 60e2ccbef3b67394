//! Arbitrary clusters and what happens in them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::endpoint::{EndpointEvent, kind_of};
use super::events::{Event, Foreign};
use super::monitoring::{MonitorEvent, configure};
use super::world::{World, ident, image, node_name};
use super::{Action, Cluster};
use crate::model::cluster::{Edition, Mode, Seat};
use crate::model::collecting::Collecting;
use crate::model::desired::{
    Desired, DesiredNode, Endpoint, Events, Failover, Guard, ImageChoice, PackRef, Prefer, PublicationChoice, Setting,
    Synchronous, WhenLost,
};
use crate::model::endpoint::Access;
use crate::model::monitoring::{Monitor, Monitoring};
use crate::model::names::{ClusterName, Ident};
use crate::model::outside::Outside;
use crate::model::pack::{Migration, MigrationId, Needs, Pack};

/// Name, published schemas, chunk schemas, all schemas, then one text for each migration; `!` marks those that need
/// the community edition and no logical replica, `-` those that the primary takes first.
type PackRow =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const PACKS: [PackRow; 4] = [
    (
        "trading",
        &["trading"],
        &["trading_chunks"],
        &["trading", "trading_chunks", "analytics"],
        &[
            "schema trading\nschema trading_chunks\nschema analytics",
            "hypertable trading.bars trading_chunks\ntable trading.symbols",
            "!compress trading.bars",
            "hypertable trading.orders trading_chunks\ntable analytics.summary",
            "table trading.late",
            "-table analytics.reshaped",
        ],
    ),
    (
        "metering",
        &["metering"],
        &[],
        &["metering"],
        &["schema metering\ntable metering.devices", "hypertable metering.readings _timescaledb_internal"],
    ),
    ("private", &[], &[], &["private"], &["schema private\ntable private.notes"]),
    ("bare", &[], &[], &["public"], &["hypertable public.events _timescaledb_internal", "table public.users"]),
];

fn idents(names: &[&str]) -> Vec<Ident> {
    names.iter().map(|name| ident(name)).collect()
}

/// A pack with every migration it will ever have.
pub fn full_packs(name: &str) -> Option<Pack> {
    let (name, published, chunk_schemas, schemas, migrations) = PACKS.iter().find(|row| row.0 == name)?;
    let migration = |(number, text): (u32, &&str)| {
        let has_needs = text.starts_with('!');
        let is_primary_first = text.starts_with('-');
        Migration {
            id: MigrationId { pack: (*name).to_owned(), number, what: "what".into() },
            checksum: format!("sum-{number}"),
            needs: Needs { community: has_needs, no_logical_replica: has_needs },
            is_primary_first,
            sql: text.trim_start_matches(['!', '-']).to_owned(),
        }
    };
    Some(Pack {
        name: (*name).to_owned(),
        description: String::new(),
        published: idents(published),
        chunk_schemas: idents(chunk_schemas),
        schemas: idents(schemas),
        migrations: (1..).zip(migrations.iter()).map(migration).collect(),
    })
}

/// Where the agent answers on the host.
pub const AGENT_PORT: u16 = 9187;

/// Where clients who write and clients who read find their endpoints on the host.
pub const ENDPOINT_PORTS: (u16, u16) = (5432, 5433);

pub fn setting(value: u8) -> Setting {
    Setting { name: "work_mem".into(), value: format!("{value}MB"), why: "a test".into() }
}

/// A cluster as configured, on a host on which nothing was done yet.
pub fn cluster(modes: &[Mode], packs: Vec<Pack>) -> Cluster {
    let priority = DesiredNode::PRIORITY;
    let mut nodes = vec![DesiredNode { name: node_name("primary-1"), seat: Seat::Primary, port: 5434, priority }];
    nodes.extend((1_u16..).zip(modes).map(|(number, mode)| DesiredNode {
        name: node_name(&format!("replica-{number}")),
        seat: Seat::Replica(*mode),
        port: 5434 + number,
        priority,
    }));
    let desired = Desired {
        cluster: ClusterName::new("test").expect("valid"),
        database: ident("data"),
        image: ImageChoice::Auto,
        settings: vec![setting(4)],
        nodes,
        mode: Mode::Logical,
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        publication: PublicationChoice { name: ident("data_pub"), schemas: None },
        verify: None,
        outside: Outside::default(),
        packs: packs.iter().map(|pack| PackRef::BuiltIn(pack.name.clone())).collect(),
        synchronous: Synchronous::Off,
        when_lost: WhenLost::Continue,
        failover: Failover { automatic: true, prefer: Prefer::Auto, max_loss_bytes: 0 },
        endpoint: Endpoint::Direct,
        endpoint_tls: None,
        metrics: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), AGENT_PORT)),
        collecting: Collecting::default(),
        guard: Guard::default(),
        monitoring: Monitoring::default(),
        events: Events::default(),
        backups: Vec::new(),
        jobs: Vec::new(),
    };
    Cluster { world: World::empty(), desired, packs, agent: None }
}

pub fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![3 => Just(Mode::Logical), 2 => Just(Mode::Physical)]
}

/// One to four nodes, any packs at any age, explicit schemas or not, agent or not, either edition.
pub fn any_cluster() -> impl Strategy<Value = Cluster> {
    let packs = subsequence(PACKS.map(|row| row.0).to_vec(), 0..=3);
    let ages = prop::array::uniform4(1..6_usize);
    let modes = prop::collection::vec(any_mode(), 0..=3);
    let edition = prop_oneof![Just(Edition::Apache), Just(Edition::Community)];
    let parts = (modes, packs, ages, any::<[bool; 4]>(), edition, 0..16_u8, any_waiting());
    parts.prop_map(|(modes, names, ages, flags, edition, endpoint, (synchronous, when_lost))| {
        let [has_agent, has_image, has_tool_image, names_schemas] = flags;
        let packs = names.iter().zip(ages).filter_map(|(name, age)| {
            let mut pack = full_packs(name)?;
            pack.migrations.truncate(age);
            Some(pack)
        });
        let mut cluster = cluster(&modes, packs.collect());
        cluster.agent = has_agent.then(|| "agent-0".to_owned());
        cluster.world.image = has_image.then(|| image("image-0"));
        cluster.world.has_tool_image = has_tool_image;
        cluster.world.edition = edition;
        cluster.desired.endpoint = kind_of(endpoint);
        configure(&mut cluster.desired, endpoint / 4);
        // Where there is nobody to wait for, that is told.
        cluster.desired.synchronous = if modes.is_empty() { Synchronous::Off } else { synchronous };
        cluster.desired.when_lost = when_lost;
        let published: Vec<Ident> = cluster.packs.iter().flat_map(|pack| pack.published.clone()).take(1).collect();
        if names_schemas && !published.is_empty() {
            cluster.desired.publication.schemas = Some(published);
        }
        cluster
    })
}

/// For whom commits wait; for nobody more often than not.
pub fn any_waiting() -> impl Strategy<Value = (Synchronous, WhenLost)> {
    let synchronous =
        prop_oneof![3 => Just(Synchronous::Off), 1 => Just(Synchronous::On), 1 => Just(Synchronous::Quorum)];
    (synchronous, prop_oneof![Just(WhenLost::Wait), Just(WhenLost::Continue)])
}

fn any_access() -> impl Strategy<Value = Access> {
    prop::sample::select(Access::ALL.to_vec())
}

fn any_monitor() -> impl Strategy<Value = Monitor> {
    prop::sample::select(Monitor::ALL.to_vec())
}

fn any_monitor_mishap() -> impl Strategy<Value = MonitorEvent> {
    prop_oneof![
        any_monitor().prop_map(MonitorEvent::Kill),
        any_monitor().prop_map(MonitorEvent::Remove),
        any_monitor().prop_map(MonitorEvent::LoseImage),
        (0..4_u8).prop_map(MonitorEvent::Configure),
    ]
}

/// What a pass mends.
pub fn any_mishap() -> impl Strategy<Value = Event> {
    let which = any::<prop::sample::Index>;
    let index = move || which().prop_map(|index| index.index(60));
    prop_oneof![
        6 => index().prop_map(Event::CreateChunk),
        4 => index().prop_map(Event::Write),
        3 => index().prop_map(Event::Kill),
        3 => index().prop_map(Event::RemoveContainer),
        2 => index().prop_map(Event::LoseReplica),
        1 => Just(Event::ForgetStateDir),
        1 => (1..9_u8).prop_map(Event::ChangeSetting),
        1 => (1..9_u8).prop_map(Event::OtherImage),
        1 => any_mode().prop_map(Event::AddReplica),
        2 => Just(Event::GrowPacks),
        1 => index().prop_map(Event::ChangePassword),
        1 => index().prop_map(Event::AllowWrites),
        1 => index().prop_map(Event::DropGuard),
        2 => index().prop_map(Event::DropChunk),
        2 => index().prop_map(Event::PassingChunk),
        1 => (index(), 1..4_i64).prop_map(|(which, interval)| Event::ChangeInterval(which, interval)),
        1 => index().prop_map(Event::OldCatalog),
        1 => (0..3_u8).prop_map(Event::RenamePublication),
        1 => index().prop_map(Event::MovePort),
        1 => Just(Event::KillAgent),
        1 => Just(Event::RemoveAgent),
        1 => (1..9_u8).prop_map(Event::ChangeAgent),
        1 => any_access().prop_map(|access| Event::Endpoint(EndpointEvent::Kill(access))),
        1 => any_access().prop_map(|access| Event::Endpoint(EndpointEvent::Remove(access))),
        1 => (0..4_u8).prop_map(|kind| Event::Endpoint(EndpointEvent::Configure(kind))),
        2 => any_monitor_mishap().prop_map(Event::Monitor),
    ]
}

/// What somebody has to decide about.
pub fn any_trouble() -> impl Strategy<Value = Event> {
    let index = || any::<prop::sample::Index>().prop_map(|index| index.index(60));
    prop_oneof![
        Just(Event::TableWithoutKey),
        Just(Event::TableOnOneSide),
        index().prop_map(Event::SecondDimension),
        index().prop_map(Event::Compress),
        index().prop_map(Event::CompressChunk),
        index().prop_map(Event::DropSlot),
        index().prop_map(Event::LoseSlot),
        index().prop_map(Event::DisableSubscription),
        Just(Event::PublishEverything),
        index().prop_map(Event::Pause),
        any_monitor().prop_map(|monitor| Event::Monitor(MonitorEvent::Foreign(monitor))),
        any_monitor().prop_map(|monitor| Event::Monitor(MonitorEvent::TakePort(monitor))),
    ]
}

/// What forbids everything.
pub fn any_danger() -> impl Strategy<Value = Event> {
    let index = || any::<prop::sample::Index>().prop_map(|index| index.index(60));
    let foreign = prop_oneof![
        index().prop_map(Foreign::Volume),
        index().prop_map(Foreign::Container),
        Just(Foreign::Network),
        Just(Foreign::Agent),
        Just(Foreign::AgentVolume),
        index().prop_map(Foreign::Port),
        Just(Foreign::AgentPort),
    ];
    prop_oneof![
        Just(Event::LosePrimary),
        index().prop_map(Event::ChangeMode),
        foreign.prop_map(Event::Foreign),
        any_access().prop_map(|access| Event::Endpoint(EndpointEvent::Foreign(access))),
        any_access().prop_map(|access| Event::Endpoint(EndpointEvent::TakePort(access))),
        (index(), 0..3_u64).prop_map(|(which, epoch)| Event::Promote(which, epoch)),
    ]
}

fn any_action(event: impl Strategy<Value = Event>) -> impl Strategy<Value = Action> {
    let pass = (any::<u64>(), prop::option::of(0..60_usize), any::<bool>())
        .prop_map(|(order, cut, is_halfway)| Action::Pass { order, cut, is_halfway });
    let agent = (any::<u64>(), prop::option::of(0..20_usize)).prop_map(|(order, cut)| Action::AgentPass { order, cut });
    prop_oneof![
        5 => pass,
        2 => agent,
        2 => Just(Action::Settle),
        4 => event.prop_map(Action::Event),
    ]
}

/// A life of which every accident can be mended by a pass.
pub fn any_life() -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(any_action(any_mishap()), 0..14)
}

/// A life in which anything can happen.
pub fn any_hard_life() -> impl Strategy<Value = Vec<Action>> {
    let event = prop_oneof![4 => any_mishap().boxed(), 4 => any_trouble().boxed(), 1 => any_danger().boxed()];
    prop::collection::vec(any_action(event), 0..16)
}
