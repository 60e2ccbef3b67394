//! What `observe` would see of a world, including what it does not look at.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Chunk, Container, Database, Partitioned, RESERVED, Server, World, chunk_prefix, ident};
use crate::model::backup_runs::BackupsSeen;
use crate::model::chunk::{self, Dimension, Hypertable, Partitioning, Slice};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::Desired;
use crate::model::health::{Probe, SynchronousState};
use crate::model::lsn::Lsn;
use crate::model::names::{ClusterName, Ident, NodeName, TableName};
use crate::model::observed::{
    DatabaseSeen, ImageFacts, NodeSeen, Observed, PublicationSeen, RunState, SenderSeen, ServerSeen, SlotSeen,
    SubscriptionSeen, TableSeen, WalStatus,
};
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use crate::plan::provision::CATALOG_VERSION;
use crate::plan::{scope, topology};

fn seen<T>(found: Option<T>) -> Seen<T> {
    found.map_or(Seen::Absent, Seen::Present)
}

/// One look; `packs` as `observe::observe` takes them.
pub fn observe(world: &World, desired: &Desired, packs: Option<&[Pack]>) -> Observed {
    let remembered = world.volumes.iter().filter(|(_, volume)| volume.seen.ours).map(|(node, _)| node.clone());
    let names: BTreeSet<NodeName> = desired.nodes.iter().map(|node| node.name.clone()).chain(remembered).collect();
    let interest = scope::schemas(desired, packs);
    let look = Look { cluster: &desired.cluster, world, interest: &interest, publication: &desired.publication.name };
    let nodes = names.into_iter().map(|name| (name.clone(), look.node(&name))).collect();
    let tool_image =
        ImageFacts { reference: "bundled".into(), id: "bundled".into(), postgres_major: None, timescaledb: None };
    let mut observed = Observed {
        image: seen(world.image.clone()),
        tool_image: seen(world.has_tool_image.then_some(tool_image)),
        network: seen(world.network),
        secrets: match world.passwords() {
            Seen::Present(_) => Seen::Present(()),
            Seen::Absent => Seen::Absent,
            Seen::Unknown { because } => Seen::unknown(because),
        },
        nodes,
        agent: seen(world.agent.as_ref().map(|agent| agent.seen.clone())),
        agent_volume: seen(world.agent_volume),
        taken_ports: BTreeMap::new(),
        tool_reference: super::endpoint::IMAGE.to_owned(),
        endpoints: super::endpoint::look(world, desired),
        monitors: super::monitoring::look(world, desired),
        scrape_secret: Seen::Absent,
        endpoint_certificate: world.endpoint_certificate.clone(),
    };
    let nodes = topology::nodes(desired, &observed);
    let has_running_agent = world.agent.as_ref().is_some_and(|agent| agent.seen.ours && agent.seen.state.is_running());
    observed.taken_ports = nodes
        .iter()
        .filter(|node| {
            let has_it = |container: &Container| container.spec.as_ref().is_some_and(|spec| spec.port == node.port);
            let container = world.containers.get(&node.name);
            !container.is_some_and(|there| there.seen.ours && there.seen.state.is_running() && has_it(there))
        })
        .map(|node| node.port)
        .chain(desired.metrics.filter(|_| !has_running_agent).map(|listen| listen.port()))
        .chain(super::endpoint::wanted_ports(world, desired))
        .chain(super::monitoring::wanted_ports(world, desired))
        .filter_map(|port| Some((port, world.held_ports.get(&port)?.clone())))
        .collect();
    super::outside::look(world, desired, &nodes, packs.is_some(), &mut observed);
    observed
}

/// What to look at, and what to look for.
struct Look<'a> {
    cluster: &'a ClusterName,
    world: &'a World,
    interest: &'a BTreeSet<Ident>,
    publication: &'a Ident,
}

impl Look<'_> {
    fn node(&self, name: &NodeName) -> NodeSeen {
        let world = self.world;
        let container = world.containers.get(name);
        let runs = container.is_some_and(|container| container.seen.ours && container.seen.state == RunState::Running);
        let server = match world.data(name).filter(|_| runs) {
            None if runs => Seen::unknown("nobody answers"),
            None => Seen::Absent,
            Some(server) if !world.known_passwords().is_some_and(|known| server.accepts(known)) => {
                Seen::unknown("the password is wrong")
            }
            Some(server) => Seen::Present(self.server(name, server)),
        };
        NodeSeen {
            volume: seen(world.volumes.get(name).map(|volume| volume.seen.clone())),
            container: seen(container.map(|container| container.seen.clone())),
            probe: match &server {
                Seen::Present(_) => Seen::Present(Probe::Answers),
                Seen::Absent => Seen::Absent,
                Seen::Unknown { .. } => Seen::Present(Probe::TimesOut),
            },
            server,
            // Read through the container.
            mark: seen(
                world
                    .data(name)
                    .filter(|_| !runs && world.containers.contains_key(name))
                    .and_then(|data| data.yields_to.as_ref()?.to_string().into()),
            ),
        }
    }

    fn server(&self, name: &NodeName, server: &Server) -> ServerSeen {
        let followers = self.world.volumes.iter().filter(|(follower, _)| *follower != name);
        let streams = followers.filter_map(|(follower, volume)| {
            let data = volume.data.as_ref()?;
            let subscription = data.database.as_ref().and_then(|db| db.subscription.as_ref());
            let is_subscriber = subscription.is_some_and(|sub| sub.publisher == *name && sub.applies());
            let is_standby = data.standby_of.as_ref() == Some(name) && data.is_streaming;
            let sender = if is_standby { follower.to_string() } else { follower.slot().to_string() };
            (is_standby || is_subscriber).then(|| (follower.slot(), sender))
        });
        let (active, senders): (BTreeSet<Ident>, Vec<String>) = streams.unzip();
        let sender = |name: &String| {
            let quoted = format!("\"{name}\"");
            SenderSeen {
                replayed: Some(Lsn(100)),
                flushed: Some(Lsn(100)),
                is_streaming: true,
                silent_millis: Some(0),
                synchronous: Some(match server.synchronous_names.split_once('(') {
                    Some((method, names)) if names.contains(&quoted) => {
                        let is_first = names.starts_with(&quoted);
                        if method.starts_with("ANY") {
                            SynchronousState::Quorum
                        } else if is_first {
                            SynchronousState::Sync
                        } else {
                            SynchronousState::Potential
                        }
                    }
                    _ => SynchronousState::Async,
                }),
            }
        };
        ServerSeen {
            in_recovery: server.standby_of.is_some() || server.has_restarted_marked,
            timeline: 1,
            lsn: Lsn(100),
            postgres_major: 17,
            roles: server.roles.clone(),
            slots: server
                .slots
                .iter()
                .map(|(name, slot)| {
                    let seen = SlotSeen {
                        is_logical: slot.is_logical,
                        active: active.contains(name),
                        confirmed: Some(Lsn(100)),
                        retained_bytes: 0,
                        wal_status: Some(if slot.lost { WalStatus::Lost } else { WalStatus::Reserved }),
                        lost: slot.lost,
                    };
                    (name.clone(), seen)
                })
                .collect(),
            senders: senders.into_iter().map(|name| (name.clone(), sender(&name))).collect(),
            synchronous_names: server.synchronous_names.clone(),
            synchronized_slots: server.synchronized_slots.clone(),
            received: server.standby_of.as_ref().map(|_| Lsn(100)),
            is_receiving: server.is_streaming,
            heard_millis: server.is_streaming.then_some(0),
            upstream: server.standby_of.as_ref().map(|primary| self.cluster.container(primary)),
            // Each standby that was promoted began a timeline, and an epoch.
            branches: server
                .seat()
                .map(|row| vec![Lsn(100); usize::try_from(row.epoch.saturating_sub(1)).unwrap_or(0)])
                .unwrap_or_default(),
            yields_to: server.yields_to.as_ref().map(ToString::to_string),
            database: seen(server.database.as_ref().map(|database| self.database(database))),
        }
    }

    /// Follows `sql/observe/database.sql`.
    fn database(&self, database: &Database) -> DatabaseSeen {
        let Some(row) = &database.catalog else { return DatabaseSeen::default() };
        if database.catalog_version < CATALOG_VERSION {
            return DatabaseSeen { catalog: Some(database.catalog_version), ..DatabaseSeen::default() };
        }
        let publication = database.publications.get(self.publication);
        let published = publication.iter().flat_map(|publication| publication.schemas.iter());
        let subscribed =
            database.subscription.iter().flat_map(|subscription| subscription.tables.keys()).map(|table| &table.schema);
        let scope: BTreeSet<&Ident> = self
            .interest
            .iter()
            .chain(published)
            .chain(subscribed)
            .filter(|schema| !scope::is_timescale_own(schema) && database.has_schema(schema))
            .collect();
        let hypertables: BTreeMap<_, _> = database
            .tables
            .iter()
            .filter(|(name, _)| scope.contains(&name.schema))
            .filter_map(|(name, table)| {
                let facts = table.hypertable.as_ref()?;
                let hypertable = Hypertable {
                    name: name.clone(),
                    chunk_schema: facts.chunk_schema.clone(),
                    chunk_prefix: chunk_prefix(name),
                    dimensions: dimensions(facts),
                    compressed: facts.compressed,
                    now: Some(NOW),
                    is_fed: true,
                };
                Some((name.clone(), hypertable))
            })
            .collect();
        let is_in_scope = |root| hypertables.contains_key(root);
        let is_seen = |name: &TableName| match database.chunks.get(name) {
            Some(chunk) => is_in_scope(&chunk.root) || scope.contains(&name.schema),
            None => scope.contains(&name.schema),
        };
        let strays = database
            .chunks
            .iter()
            .filter(|(name, chunk)| !is_in_scope(&chunk.root) && scope.contains(&name.schema))
            .map(|(name, _)| {
                let is_guarded = database.guarded.contains(name);
                (name.clone(), TableSeen { has_identity: true, is_guarded, columns: BTreeMap::new() })
            });
        DatabaseSeen {
            extension: Some("2.29.2".into()),
            edition: Some(self.world.edition),
            backups: BackupsSeen::default(),
            promotions: Vec::new(),
            promotion_counts: Vec::new(),
            failover_paused: None,
            catalog: Some(CATALOG_VERSION),
            seat: Some(row.clone()),
            migrations: database.migrations.clone(),
            is_read_only: database.is_read_only,
            chunk_names_reserved: database.next_chunk >= RESERVED,
            holds_rows: row.seat == Seat::Replica(Mode::Logical)
                && database.subscription.is_none()
                && database.rows.iter().any(|(name, rows)| *rows > 0 && is_seen(name)),
            tables_to_copy: None,
            publication: publication.map(|publication| PublicationSeen {
                all_tables: publication.all_tables,
                schemas: publication.schemas.clone(),
                members: publication.tables.clone(),
            }),
            tables: database
                .tables
                .iter()
                .filter(|(name, _)| scope.contains(&name.schema))
                .map(|(name, table)| {
                    let is_guarded = database.guarded.contains(name);
                    let has_identity = table.has_identity;
                    (name.clone(), TableSeen { has_identity, is_guarded, columns: BTreeMap::new() })
                })
                .chain(strays)
                .collect(),
            chunks: database
                .chunks
                .iter()
                .filter(|(_, chunk)| is_in_scope(&chunk.root))
                .map(|(name, chunk)| (name.clone(), chunk_seen(database, chunk)))
                .collect(),
            strangers: BTreeSet::new(),
            hypertables,
            retired: database.retired.iter().map(|name| (name.clone(), Lsn(100))).collect(),
            auto_publication: database.auto_publication,
            jobs: BTreeMap::new(),
            risky_settings: BTreeSet::new(),
            behind_millis: BTreeMap::new(),
            subscription: database.subscription.as_ref().map(|subscription| SubscriptionSeen {
                enabled: subscription.enabled,
                flushes: subscription.flushes,
                is_applying: subscription.applies(),
                publications: BTreeSet::from([subscription.publication.clone()]),
                tables: subscription.tables.iter().map(|(name, (state, _))| (name.clone(), *state)).collect(),
                applied: subscription.applies().then_some(Lsn(100)),
                upstream: Some(self.cluster.container(&subscription.publisher)),
                committed: Some(Lsn(100)),
                wanting: subscription.wanting.first().cloned(),
                apply_errors: 0,
                sync_errors: 0,
            }),
            verified: BTreeMap::new(),
            has_marks: database.outside.has_marks(),
            outside: Seen::Absent,
        }
    }
}

/// The moment at which everything happens.
const NOW: i64 = 0;

/// How a hypertable is partitioned: by time, and by hash in further dimensions.
fn dimensions(facts: &Partitioned) -> Vec<Dimension> {
    let dimension = |number: u16| Dimension {
        column: ident(&format!("dimension_{number}")),
        column_type: "bigint".into(),
        partitioning: match number {
            0 => Partitioning::Range { interval: facts.interval },
            _ => Partitioning::Hash { partitions: 2 },
        },
    };
    (0..facts.dimensions).map(dimension).collect()
}

/// A chunk as the catalog lists it; in further dimensions it holds everything.
fn chunk_seen(database: &Database, there: &Chunk) -> chunk::Chunk {
    let hypertable = database.tables.get(&there.root).and_then(|table| table.hypertable.as_ref());
    let further = usize::from(hypertable.map_or(1, |facts| facts.dimensions)) - 1;
    let everything = Slice { start: i64::MIN, end: i64::MAX };
    let slices = [there.slice()].into_iter().chain(std::iter::repeat_n(everything, further)).collect();
    chunk::Chunk { hypertable: there.root.clone(), slices, compressed: there.compressed }
}
