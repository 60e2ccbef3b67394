//! What ties nodes together: publication, slots, standbys and subscriptions.
//!
//! Runs after `provision`, on what that leaves in each node. The chunks of a subscriber are `chunks`' business.

mod standby;
mod subscriber;

use std::collections::BTreeSet;

use super::container::{self, Inside};
use super::hold::{Hold, Reason};
use super::provision::{self, NOTHING_SEEN, Provisioned};
use super::step::Step;
use super::{Wanted, chunks, publication, topology};
use crate::model::cluster::Mode;
use crate::model::desired::DesiredNode;
use crate::model::names::{NodeName, TableName};
use crate::model::observed::{DatabaseSeen, NodeSeen, Observed, ServerSeen};
use crate::model::seen::Seen;
use subscriber::Subscriber;

/// How many intervals ahead of now chunks are made: enough for rows that come in the order of time, and for a night without an
/// agent where chunks hold a day or more.
const CHUNKS_AHEAD: u32 = 2;

/// Replication steps, in the order of stages.
#[derive(Debug, Default)]
pub struct Stages {
    /// Publication and slots.
    pub on_primary: Vec<Step>,
    /// One lane per replica.
    pub on_replicas: Vec<Vec<Step>>,
    /// On the primary: chunks no replica may meet before they can be mirrored, so the next pass does that; and what only tidies up.
    pub ahead: Vec<Step>,
}

/// What one replica needs.
#[derive(Debug, Default)]
struct Lanes {
    /// Slots.
    on_primary: Vec<Step>,
    /// Everything else, afterwards.
    on_replica: Vec<Step>,
}

/// The primary as the replicas see it; nothing in it when this plan makes it.
#[derive(Clone, Copy)]
struct Source<'a> {
    name: &'a NodeName,
    server: Option<&'a ServerSeen>,
    database: Option<&'a DatabaseSeen>,
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
    // Nodes that `provision` left alone are left alone here too.
    let replicas = |mode| {
        nodes.iter().filter(move |node| {
            let is_planned = provisioned.inside.contains_key(&node.name);
            topology::following(nodes, node, Some(primary)) == Some(mode) && is_planned
        })
    };
    let awaiting = |holds: &mut Vec<Hold>| {
        let waiting = [Mode::Logical, Mode::Physical].into_iter().flat_map(replicas);
        holds.extend(waiting.map(|node| Hold::new(node.name.as_str(), Reason::AwaitsPrimary)));
        Stages::default()
    };
    let source = match provisioned.inside.get(primary) {
        Some(Inside::Fresh) => Source { name: primary, server: None, database: None },
        Some(Inside::Seen(server)) => match &server.database {
            Seen::Present(database) => Source { name: primary, server: Some(server), database: Some(database) },
            Seen::Absent => Source { name: primary, server: Some(server), database: None },
            Seen::Unknown { because } => {
                holds.push(Hold::new(primary.as_str(), Reason::Unknown(because.clone())));
                return awaiting(holds);
            }
        },
        Some(Inside::Later) | None => {
            let mut steps = provisioned.steps.side_by_side.iter().flatten();
            let is_starting = steps.any(|step| matches!(step, Step::StartNode { node } if node == primary));
            return if is_starting { out } else { awaiting(holds) };
        }
    };

    if replicas(Mode::Logical).next().is_some() {
        let publication = publication::plan(wanted, primary, source.database, &provisioned.postponed, holds);
        out.on_primary.extend(publication.steps);
        let ahead = source.database.filter(|_| !provisioned.migrating.contains(primary));
        let ahead = ahead.map(|database| chunks::ahead::lacking(database, CHUNKS_AHEAD)).unwrap_or_default();
        if !ahead.is_empty() {
            out.ahead.push(Step::MakeChunksAhead { node: primary.clone(), chunks: ahead });
        }
        let guarded = source.database.map(guarded).unwrap_or_default();
        if !guarded.is_empty() {
            out.ahead.push(Step::UnguardTables { node: primary.clone(), tables: guarded });
        }
        for node in replicas(Mode::Logical) {
            let seen = observed.nodes.get(&node.name).unwrap_or(&NOTHING_SEEN);
            let has_given_way = provision::has_given_way(node, Some(Mode::Logical), primary, observed);
            if has_given_way && provision::awaits_demotion(seen) {
                out.on_replicas.push(demotion(node, primary, seen, observed, holds));
                continue;
            }
            let inside = provisioned.inside.get(&node.name).copied().unwrap_or(Inside::Later);
            let is_migrating = provisioned.migrating.contains(&node.name) || provisioned.migrating.contains(primary);
            let name = &node.name;
            let subscriber = Subscriber { wanted, name, source, publication: publication.after.as_ref(), is_migrating };
            out.add(subscriber.lanes(inside, holds));
        }
    }
    for node in replicas(Mode::Physical) {
        let seen = observed.nodes.get(&node.name).unwrap_or(&NOTHING_SEEN);
        out.add(standby::lanes(wanted, node, source, seen, observed, holds));
    }
    out
}

/// A node that gave up its place becomes a logical replica. Whether its rows are those of the primary shows by the slot: a switchover
/// makes it before the primary's first write.
fn demotion(
    node: &DesiredNode,
    primary: &NodeName,
    seen: &NodeSeen,
    observed: &Observed,
    holds: &mut Vec<Hold>,
) -> Vec<Step> {
    let state = seen.container.present().map(|container| container.state);
    if let Some(why_not) = state.and_then(|state| container::unsettled(state, &seen.server)) {
        holds.push(Hold::new(node.name.as_str(), why_not));
        return Vec::new();
    }
    let resumes = provision::keeps_slot(primary, &node.name, observed);
    vec![Step::Demote { node: node.name.clone(), from: primary.clone(), resumes }]
}

/// Tables of a primary that refuse writes, since it was a logical replica before.
fn guarded(database: &DatabaseSeen) -> BTreeSet<TableName> {
    database.tables.iter().filter(|(_, seen)| seen.is_guarded).map(|(name, _)| name.clone()).collect()
}

impl Stages {
    fn add(&mut self, lanes: Lanes) {
        self.on_primary.extend(lanes.on_primary);
        self.on_replicas.push(lanes.on_replica);
    }
}
