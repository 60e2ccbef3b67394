//! What ties nodes together: publication, slots, standbys and subscriptions.
//!
//! Runs after `provision`, on what that leaves in each node. The chunks of a subscriber are `chunks`' business.

use std::collections::BTreeSet;

use super::hold::{Hold, Reason};
use super::provision::{self, Inside, Provisioned};
use super::step::Step;
use super::{Wanted, chunks, scope};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::DesiredNode;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::{DatabaseSeen, NodeSeen, Observed, PublicationSeen, ServerSeen};
use crate::model::seen::Seen;

/// Replication steps, in the order of stages.
#[derive(Debug, Default)]
pub struct Stages {
    /// Publication and slots.
    pub on_primary: Vec<Step>,
    /// One lane per replica.
    pub on_replicas: Vec<Vec<Step>>,
}

/// Plans how every replica gets its rows.
pub fn stages(
    wanted: &Wanted<'_>,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &Observed,
    provisioned: &Provisioned<'_>,
    holds: &mut Vec<Hold>,
) -> Stages {
    let mut out = Stages::default();
    let replicas = |mode| nodes.iter().filter(move |node| node.seat == Seat::Replica(mode) && node.name != *primary);
    let source = match provisioned.inside.get(primary) {
        Some(Inside::Fresh) => Source { server: None, database: None },
        Some(Inside::Seen(server)) => match &server.database {
            Seen::Present(database) => Source { server: Some(server), database: Some(database) },
            Seen::Absent => Source { server: Some(server), database: None },
            Seen::Unknown { .. } => return awaiting(nodes, primary, holds),
        },
        Some(Inside::Later) | None => {
            let is_starting = provisioned
                .steps
                .side_by_side
                .iter()
                .flatten()
                .any(|step| matches!(step, Step::StartNode { node } if node == primary));
            return if is_starting { out } else { awaiting(nodes, primary, holds) };
        }
    };

    if replicas(Mode::Logical).next().is_some() {
        let publication = publication(wanted, primary, source, holds);
        out.on_primary.extend(publication.steps);
        for node in replicas(Mode::Logical) {
            let inside = provisioned.inside.get(&node.name).copied().unwrap_or(Inside::Later);
            let is_migrating = provisioned.migrating.contains(&node.name) || provisioned.migrating.contains(primary);
            let plan = Subscriber {
                primary,
                source,
                name: &wanted.desired.publication.name,
                publication: publication.after.as_ref(),
                is_migrating,
            };
            let lanes = plan.lanes(&node.name, inside, holds);
            out.on_primary.extend(lanes.on_primary);
            out.on_replicas.push(lanes.on_replica);
        }
    }
    for node in replicas(Mode::Physical) {
        let seen = observed.nodes.get(&node.name);
        let slot = node.name.slot();
        if !source.server.is_some_and(|server| server.slots.contains_key(&slot)) {
            let is_cloned = seen.is_some_and(|seen| seen.container.is_present());
            if is_cloned {
                holds.push(Hold::new(node.name.as_str(), Reason::SlotLost));
            } else {
                out.on_primary.push(Step::CreateSlot { node: primary.clone(), slot });
            }
        }
        out.on_replicas.push(standby(wanted, node, primary, source, seen, holds));
    }
    out
}

/// Replicas cannot be judged without the primary.
fn awaiting(nodes: &[DesiredNode], primary: &NodeName, holds: &mut Vec<Hold>) -> Stages {
    let waiting = nodes.iter().filter(|node| node.name != *primary);
    holds.extend(waiting.map(|node| Hold::new(node.name.as_str(), Reason::AwaitsPrimary)));
    Stages::default()
}

/// The primary as the replicas see it; nothing in it when this plan makes it.
#[derive(Clone, Copy)]
struct Source<'a> {
    server: Option<&'a ServerSeen>,
    database: Option<&'a DatabaseSeen>,
}

/// The steps a publication needs, and whether subscribing makes sense afterwards.
struct PublicationPlan {
    steps: Vec<Step>,
    /// What the publication covers after these steps; `None`: there is none to subscribe to.
    after: Option<PublicationSeen>,
}

fn publication(wanted: &Wanted<'_>, primary: &NodeName, source: Source<'_>, holds: &mut Vec<Hold>) -> PublicationPlan {
    let there = source.database.and_then(|database| database.publication.as_ref());
    let schemas = match wanted.packs {
        Some(packs) => scope::with_chunk_schemas(&scope::schemas(wanted.desired, Some(packs)), packs, source.database),
        // Whoever applies no packs does not know what they publish: keep what is published.
        None => there.map(|publication| publication.schemas.clone()).unwrap_or_default(),
    };
    let publication_name = wanted.desired.publication.name.as_str();
    let mut has_objection = false;
    let mut object = |reason| {
        has_objection = true;
        holds.push(Hold::new(publication_name, reason));
    };
    if there.is_some_and(|publication| publication.all_tables) {
        object(Reason::PublishesEverything);
    }
    if let Some(database) = source.database {
        for table in database.tables.iter().filter(|(_, seen)| !seen.has_identity).map(|(table, _)| table) {
            object(Reason::NoReplicaIdentity(table.clone()));
        }
        for hypertable in database.hypertables.values() {
            if hypertable.compressed {
                object(Reason::Compressed(hypertable.name.clone()));
            }
            if hypertable.dimensions > 1 {
                object(Reason::ManyDimensions(hypertable.name.clone()));
            }
        }
    }
    let node = primary.clone();
    match there {
        None if has_objection || schemas.is_empty() => PublicationPlan { steps: Vec::new(), after: None },
        None => {
            let members = source.database.map(|database| all_tables(database)).unwrap_or_default();
            let after = PublicationSeen { all_tables: false, schemas: schemas.clone(), members };
            PublicationPlan { steps: vec![Step::CreatePublication { node, schemas }], after: Some(after) }
        }
        Some(publication) => {
            let mut steps = Vec::new();
            let mut after = publication.clone();
            let missing: BTreeSet<Ident> = schemas.difference(&publication.schemas).cloned().collect();
            if !missing.is_empty() && !publication.all_tables {
                after.schemas.extend(missing.iter().cloned());
                steps.push(Step::PublishSchemas { node: node.clone(), schemas: missing });
            }
            let uncovered = chunks::unpublished(source.database, &after);
            if !uncovered.is_empty() {
                after.members.extend(uncovered.iter().cloned());
                steps.push(Step::PublishTables { node, tables: uncovered });
            }
            PublicationPlan { steps, after: Some(after) }
        }
    }
}

fn all_tables(database: &DatabaseSeen) -> BTreeSet<TableName> {
    database.tables.keys().chain(database.chunks.keys()).cloned().collect()
}

/// Plans one logical replica.
struct Subscriber<'a> {
    primary: &'a NodeName,
    source: Source<'a>,
    /// The publication's name.
    name: &'a Ident,
    /// What it covers.
    publication: Option<&'a PublicationSeen>,
    /// Migrations run in this plan, so table lists are about to change.
    is_migrating: bool,
}

#[derive(Default)]
struct SubscriberLanes {
    on_primary: Vec<Step>,
    on_replica: Vec<Step>,
}

impl SubscriberLanes {
    /// A slot without a subscription is left over from an interrupted attempt and is in the way.
    fn subscribe(&mut self, primary: &NodeName, name: &NodeName, has_slot: bool) {
        if has_slot {
            self.on_primary.push(Step::DropSlot { node: primary.clone(), slot: name.slot() });
        }
        self.on_replica.push(Step::Subscribe { node: name.clone(), to: primary.clone() });
    }
}

impl Subscriber<'_> {
    fn lanes(&self, name: &NodeName, inside: Inside<'_>, holds: &mut Vec<Hold>) -> SubscriberLanes {
        let mut lanes = SubscriberLanes::default();
        let (server, database) = match inside {
            Inside::Later => return lanes,
            Inside::Fresh => (None, None),
            Inside::Seen(server) => match &server.database {
                Seen::Present(database) => (Some(server), Some(database)),
                Seen::Absent => (Some(server), None),
                Seen::Unknown { because } => {
                    holds.push(Hold::new(name.as_str(), Reason::Unknown(because.clone())));
                    return lanes;
                }
            },
        };
        if !self.has_equal_verifiers(server) {
            lanes.on_replica.push(Step::AlignPasswords { node: name.clone(), from: self.primary.clone() });
        }
        if !database.is_some_and(|database| database.is_read_only && database.chunk_names_reserved) {
            lanes.on_replica.push(Step::PrepareSubscriber { node: name.clone() });
        }
        let Some(publication) = self.publication else { return lanes };
        let slot = self.source.server.and_then(|server| server.slots.get(&name.slot()));
        let (theirs, ours) = match (self.source.database, database) {
            (Some(theirs), Some(ours)) if !self.is_migrating => (theirs, ours),
            (None, None) => {
                // Both sides come into being in this plan, with the same packs and no rows.
                lanes.subscribe(self.primary, name, slot.is_some());
                return lanes;
            }
            // The tables of one side or both change in this plan; the next pass compares them.
            _ => return lanes,
        };
        let missing: Vec<_> = theirs.tables.keys().filter(|table| !ours.tables.contains_key(*table)).collect();
        let mirror = chunks::mirror(name, theirs, ours, holds);
        if !mirror.chunks.is_empty() {
            lanes.on_replica.push(Step::MirrorChunks {
                node: name.clone(),
                chunks: mirror.chunks,
                stale: mirror.stale,
            });
        }
        holds.extend(missing.iter().map(|table| Hold::new(name.as_str(), Reason::MissingOnReplica((*table).clone()))));
        match &ours.subscription {
            // Subscribing to a table that is not here would fail as a whole.
            None if !missing.is_empty() || mirror.is_incomplete => {}
            None => lanes.subscribe(self.primary, name, slot.is_some()),
            Some(subscription) => {
                let mut hold = |reason| holds.push(Hold::new(name.as_str(), reason));
                let is_subscribed = subscription.publications.contains(self.name)
                    && publication.members.iter().all(|table| subscription.tables.contains_key(table));
                let copying = subscription.tables.values().filter(|state| **state != 'r').count();
                if slot.is_none_or(|slot| slot.lost) {
                    hold(Reason::SlotLost);
                } else if !subscription.enabled {
                    hold(Reason::SubscriptionDisabled);
                } else if !is_subscribed {
                    // Refreshing fails as a whole on a table that is not here: what is missing is held already.
                    if missing.is_empty() && !mirror.is_incomplete {
                        lanes.on_replica.push(Step::RefreshSubscription { node: name.clone() });
                    }
                } else if copying > 0 {
                    hold(Reason::Copying(copying));
                } else if !subscription.is_applying {
                    hold(Reason::NotApplying(subscription.apply_errors));
                }
            }
        }
        lanes
    }

    /// Pass-through authentication needs the same verifier on every node; nodes made in one run get it at creation.
    fn has_equal_verifiers(&self, replica: Option<&ServerSeen>) -> bool {
        match (self.source.server, replica) {
            (None, None) => true,
            (Some(primary), Some(replica)) => {
                primary.roles.iter().all(|(role, digest)| replica.roles.get(role) == Some(digest))
            }
            _ => false,
        }
    }
}

/// A standby's lane: cloned when it has no container yet, else judged.
fn standby(
    wanted: &Wanted<'_>,
    node: &DesiredNode,
    primary: &NodeName,
    source: Source<'_>,
    seen: Option<&NodeSeen>,
    holds: &mut Vec<Hold>,
) -> Vec<Step> {
    let spec = provision::spec(wanted, node);
    let name = node.name.clone();
    let mut lane = Vec::new();
    let seen = seen.unwrap_or(&provision::NOTHING_SEEN);
    if provision::needs_clone(seen) && !matches!(seen.volume, Seen::Unknown { .. }) {
        if seen.volume.is_absent() {
            lane.push(Step::CreateVolume { spec: spec.clone() });
        }
        lane.push(Step::CloneStandby { node: name.clone(), from: primary.clone() });
        lane.push(Step::CreateNode { spec });
        lane.extend(provision::start(&name));
        return lane;
    }
    if let Some(server) = seen.server.present() {
        let slot = source.server.and_then(|server| server.slots.get(&name.slot()));
        if slot.is_some_and(|slot| slot.lost) {
            holds.push(Hold::new(name.as_str(), Reason::SlotLost));
        } else if server.in_recovery && !server.is_receiving {
            holds.push(Hold::new(name.as_str(), Reason::NotStreaming));
        }
    }
    lane
}
