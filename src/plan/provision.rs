//! From nothing to running servers with their roles, database, extension and packs.
//!
//! Plans each node on its own; what ties nodes together is `replication`'s business.

use std::collections::BTreeMap;

use super::container::{self, Inside};
use super::hold::{Hold, Reason};
use super::migrations::{self, Ground};
use super::step::Step;
use super::{Wanted, topology};
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::model::observed::{DatabaseSeen, NodeSeen, Observed};
use crate::model::pack::{Applied, MigrationId, Pack};
use crate::model::seen::Seen;

/// Version of hypertide's own schema in a database; raise it with every change of `sql/setup/catalog.sql`.
pub const CATALOG_VERSION: u32 = 15;

/// The role as which the endpoints' PgBouncer asks for verifiers, and the only one that its admin console lets in.
pub const POOLER: &str = "hypertide_pooler";

/// Login roles of every cluster: streaming and table copies, applications, people who read, monitoring, and the endpoints.
pub const ROLES: [&str; 5] = ["replicator", "app", "reader", "monitor", POOLER];

/// The superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// A node that is wanted and of which nothing exists.
pub static NOTHING_SEEN: NodeSeen = NodeSeen {
    volume: Seen::Absent,
    container: Seen::Absent,
    server: Seen::Absent,
    probe: Seen::Absent,
    mark: Seen::Absent,
};

/// Steps per node, in the order of stages.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Before all else: the primary's volume, so that a replica's volume never stands alone.
    pub first: Vec<Step>,
    /// Nodes side by side.
    pub side_by_side: Vec<Vec<Step>>,
    /// Migrations of replicas that already subscribe: before the primary's.
    pub subscriber_migrations: Vec<Vec<Step>>,
    /// Migrations of a primary that is already subscribed to.
    pub primary_migrations: Vec<Step>,
}

/// The lanes and what is in each node once they ran.
#[derive(Debug)]
pub struct Provisioned<'a> {
    /// What to do.
    pub steps: Lanes,
    /// By node.
    pub inside: BTreeMap<NodeName, Inside<'a>>,
    /// Nodes that get migrations by this plan: what they hold afterwards is not known yet.
    pub migrating: Vec<NodeName>,
    /// Migrations of the primary that wait for a replica: what they make is not there yet.
    pub postponed: Vec<MigrationId>,
}

/// Plans every node that does not need another one to come into being; standbys are cloned later.
pub fn lanes<'a>(
    wanted: &Wanted<'_>,
    nodes: &[DesiredNode],
    primary: &NodeName,
    observed: &'a Observed,
    holds: &mut Vec<Hold>,
) -> Provisioned<'a> {
    let has_subscription = observed
        .nodes
        .values()
        .filter_map(|seen| seen.server.present()?.database.present())
        .any(|database| database.subscription.is_some());
    let has_logical_replica = nodes.iter().any(|node| node.seat == Seat::Replica(Mode::Logical));
    let mut out =
        Provisioned { steps: Lanes::default(), inside: BTreeMap::new(), migrating: Vec::new(), postponed: Vec::new() };

    let mut order = MigrationOrder::new(wanted, primary, observed);
    // A subscriber learns of a new table before it is published: replicas first, and none may be left out.
    let mut unready: Option<(&NodeName, bool)> = None;
    let replicas_first = nodes.iter().filter(|node| node.name != *primary);
    for node in replicas_first.chain(nodes.iter().filter(|node| node.name == *primary)) {
        let seen = observed.nodes.get(&node.name).unwrap_or(&NOTHING_SEEN);
        let is_primary = node.name == *primary;
        let follows = topology::following(nodes, node, Some(primary));
        let has_given_way = has_given_way(node, follows, primary, observed);
        if !is_primary && !has_given_way && could_be_primary(node, seen) {
            // A second primary is neither made nor started, and one that lost its place is not written to.
            holds.push(Hold::new(node.name.as_str(), Reason::NotThePrimary(primary.clone())));
            continue;
        }
        let refusals = container::refusals(node, is_primary, seen, observed);
        let is_refused = !refusals.is_empty();
        holds.extend(refusals.into_iter().map(|reason| Hold::new(node.name.as_str(), reason)));
        if is_refused && !is_primary {
            // What it lacks as what it is not would only mislead.
            continue;
        }
        let becomes_replica = match follows {
            Some(Mode::Physical) => !is_standby(seen),
            Some(Mode::Logical) => awaits_demotion(seen),
            None => false,
        };
        if has_given_way && becomes_replica {
            out.inside.insert(node.name.clone(), Inside::Later);
            continue;
        }
        let (mut lane, mut inside) = container::steps(wanted, node, seen, observed, holds);
        if follows == Some(Mode::Physical) {
            // A standby's rows, roles and schema come with the WAL; only its container is ours to make.
            if !needs_clone(seen) {
                out.steps.side_by_side.push(lane);
            }
            out.inside.insert(node.name.clone(), inside);
            continue;
        }
        if matches!(inside, Inside::Seen(server) if server.in_recovery) {
            holds.push(Hold::new(node.name.as_str(), Reason::InRecovery));
            inside = Inside::Later;
        }
        if is_primary && matches!(lane.first(), Some(Step::CreateVolume { .. })) {
            out.steps.first.push(lane.remove(0));
        }
        let seat = follows.map_or(Seat::Primary, Seat::Replica);
        lane.extend(server(node, seat, inside));
        if is_outdated(inside) {
            inside = Inside::Later;
        }
        out.inside.insert(node.name.clone(), inside);
        if !is_primary && matches!(inside, Inside::Later) {
            let is_starting =
                lane.iter().any(|step| matches!(step, Step::StartNode { .. } | Step::InstallCatalog { .. }));
            unready = unready.or(Some((&node.name, is_starting)));
        }
        let mut pending = pending_migrations(wanted, inside, has_logical_replica, &node.name, holds);
        if let Some((replica, is_starting)) = unready.filter(|_| is_primary && !pending.is_empty()) {
            out.postponed = std::mem::take(&mut pending);
            if !is_starting {
                holds.push(Hold::new(node.name.as_str(), Reason::AwaitsReplica(replica.clone())));
            }
        }
        if !pending.is_empty() {
            out.migrating.push(node.name.clone());
        }
        if !has_subscription {
            lane.extend(pending.into_iter().map(|id| Step::ApplyMigration { node: node.name.clone(), id, seat }));
        } else if is_primary {
            let in_order = pending.into_iter().take_while(|id| order.may_primary(id));
            let steps = in_order.map(|id| Step::ApplyMigration { node: node.name.clone(), id, seat });
            out.steps.primary_migrations.extend(steps);
        } else {
            let mut steps = Vec::new();
            for id in order.of_replica(pending, inside) {
                if order.follows_primary(&id) && is_subscribed(inside) {
                    steps.push(Step::CatchUp { node: node.name.clone(), with: primary.clone() });
                }
                steps.push(Step::ApplyMigration { node: node.name.clone(), id, seat });
            }
            out.steps.subscriber_migrations.push(steps);
        }
        out.steps.side_by_side.push(lane);
    }
    out
}

/// Who takes a migration first, where rows are on their way: see [`crate::model::pack::Migration::is_primary_first`].
struct MigrationOrder<'a> {
    packs: &'a [Pack],
    /// What the primary has applied.
    on_primary: Vec<&'a MigrationId>,
    /// Migrations that some replica still lacks after this plan.
    lacking: Vec<MigrationId>,
}

impl<'a> MigrationOrder<'a> {
    fn new(wanted: &Wanted<'a>, primary: &NodeName, observed: &'a Observed) -> Self {
        let server = observed.nodes.get(primary).and_then(|seen| seen.server.present());
        let applied = server.and_then(|server| server.database.present()).map(|database| &database.migrations);
        let on_primary = applied.into_iter().flatten().map(|row| &row.id).collect();
        Self { packs: wanted.packs.unwrap_or_default(), on_primary, lacking: Vec::new() }
    }

    fn follows_primary(&self, id: &MigrationId) -> bool {
        let mut all = self.packs.iter().flat_map(|pack| &pack.migrations);
        all.any(|migration| migration.id == *id && migration.is_primary_first)
    }

    /// Those that a replica may take now, up to the first that waits for the primary.
    fn of_replica(&mut self, pending: Vec<MigrationId>, inside: Inside<'_>) -> Vec<MigrationId> {
        let may = |id: &MigrationId| {
            // Nothing is on its way to a replica that does not subscribe.
            !is_subscribed(inside) || !self.follows_primary(id) || self.on_primary.contains(&id)
        };
        let count = pending.iter().take_while(|id| may(id)).count();
        let mut pending = pending;
        self.lacking.extend(pending.split_off(count));
        pending
    }

    fn may_primary(&self, id: &MigrationId) -> bool {
        self.follows_primary(id) || !self.lacking.contains(id)
    }
}

fn is_subscribed(inside: Inside<'_>) -> bool {
    let Inside::Seen(server) = inside else { return false };
    server.database.present().is_some_and(|database| database.subscription.is_some())
}

/// It is meant to be the primary, says so itself, or was made a standby and takes writes.
fn could_be_primary(node: &DesiredNode, seen: &NodeSeen) -> bool {
    let takes_writes = seen.server.present().is_some_and(|server| !server.in_recovery);
    let standby = Seat::Replica(Mode::Physical);
    // One that was provisioned as something else is refused for that.
    let was_standby = seen.volume.present().and_then(|volume| volume.seat).is_none_or(|was| was == standby);
    let is_standby = node.seat == standby && was_standby;
    node.seat == Seat::Primary || topology::writer_epoch(seen).is_some() || (is_standby && takes_writes)
}

/// It had the place of the primary, or is configured for it, and a replica took that and has it written down.
pub fn has_given_way(node: &DesiredNode, follows: Option<Mode>, primary: &NodeName, observed: &Observed) -> bool {
    let seen = observed.nodes.get(&node.name).unwrap_or(&NOTHING_SEEN);
    let is_marked = topology::yields_to(seen).is_some();
    let had_it = node.seat == Seat::Primary || is_marked;
    match follows {
        None => false,
        Some(_) if !topology::has_taken_over(primary, observed) => false,
        Some(Mode::Physical) => had_it,
        // What it holds stays, so that it gave way must be certain.
        Some(Mode::Logical) => {
            let had_it = had_it || topology::writer_epoch(seen).is_some();
            let is_told = topology::follows_since(seen) == Some(primary.as_str());
            had_it && seen.volume.is_present() && (is_marked || is_told || keeps_slot(primary, &node.name, observed))
        }
    }
}

/// The primary keeps a usable slot for a logical replica.
pub fn keeps_slot(primary: &NodeName, replica: &NodeName, observed: &Observed) -> bool {
    let slots = observed.nodes.get(primary).and_then(|seen| seen.server.present()).map(|server| &server.slots);
    slots.and_then(|slots| slots.get(&replica.slot())).is_some_and(|slot| slot.is_logical && !slot.lost)
}

/// It gave up its place to a logical replica, answers, and has not become one itself yet.
pub fn awaits_demotion(seen: &NodeSeen) -> bool {
    let is_marked = topology::yields_to(seen).is_some();
    seen.server.is_present() && (is_marked || topology::follows_since(seen).is_none())
}

/// It runs as a standby, and nothing says that it is one only because it must not write.
pub fn is_standby(seen: &NodeSeen) -> bool {
    seen.server.present().is_some_and(|server| server.in_recovery && server.yields_to.is_none())
}

/// A standby whose container is absent is cloned first; cloning leaves a volume that is already filled alone.
pub fn needs_clone(seen: &NodeSeen) -> bool {
    seen.container.is_absent()
}

/// Starting a node for the first time. Its passwords come first, each time until it runs: a run may have been cut off before it gave
/// them.
pub fn start(node: &NodeName) -> [Step; 2] {
    [Step::GiveSecrets { node: node.clone() }, Step::StartNode { node: node.clone() }]
}

/// Roles, database, extension and hypertide's schema in a server that takes writes.
fn server(node: &DesiredNode, seat: Seat, inside: Inside<'_>) -> Vec<Step> {
    let name = &node.name;
    let (has_roles, has_database, has_catalog) = match inside {
        Inside::Later => return Vec::new(),
        Inside::Fresh => (false, false, false),
        Inside::Seen(server) => {
            let has_roles = ROLES.iter().all(|role| server.roles.keys().any(|there| there.as_str() == *role));
            match &server.database {
                Seen::Absent => (has_roles, false, false),
                Seen::Unknown { .. } => (has_roles, true, true),
                Seen::Present(database) => (has_roles, true, is_catalog_complete(database)),
            }
        }
    };
    let mut steps = Vec::new();
    if !has_roles {
        steps.push(Step::CreateRoles { node: name.clone() });
    }
    if !has_database {
        steps.push(Step::CreateDatabase { node: name.clone() });
    }
    if !has_catalog {
        steps.push(Step::InstallCatalog { node: name.clone(), seat });
    }
    steps
}

/// hypertide's schema is there in an older version, so nothing else is known of the database until it is renewed.
fn is_outdated(inside: Inside<'_>) -> bool {
    let Inside::Seen(server) = inside else { return false };
    server.database.present().is_some_and(|database| database.catalog.is_some_and(|version| version < CATALOG_VERSION))
}

/// The extension, hypertide's schema in the version of this program, and the row that says what the node is.
fn is_catalog_complete(database: &DatabaseSeen) -> bool {
    database.catalog >= Some(CATALOG_VERSION) && database.extension.is_some() && database.seat.is_some()
}

/// Migrations this node still lacks, in order; refused ones become holds.
fn pending_migrations(
    wanted: &Wanted<'_>,
    inside: Inside<'_>,
    has_logical_replica: bool,
    node: &NodeName,
    holds: &mut Vec<Hold>,
) -> Vec<MigrationId> {
    let Some(packs) = wanted.packs else { return Vec::new() };
    let nothing = Applied::new();
    let (applied, edition) = match inside {
        Inside::Later => return Vec::new(),
        Inside::Fresh => (&nothing, None),
        Inside::Seen(server) => match &server.database {
            Seen::Present(database) => (&database.migrations, database.edition),
            Seen::Absent => (&nothing, None),
            Seen::Unknown { .. } => return Vec::new(),
        },
    };
    let compared = migrations::compare(packs, applied, Ground { edition, has_logical_replica });
    holds.extend(
        compared.refused.into_iter().map(|refusal| Hold::new(node.as_str(), Reason::Migration(Box::new(refusal)))),
    );
    compared.to_apply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::simulate::generate::full_packs;
    use crate::plan::simulate::{Order, finished};

    /// What each pass does about migrations after the packs of a finished cluster grew by this many.
    fn passes(kept: usize) -> Vec<String> {
        let mut cluster = finished(&[Mode::Logical], &[]);
        let full = full_packs("trading").expect("it is known");
        cluster.packs = vec![Pack { migrations: full.migrations[..kept].to_vec(), ..full.clone() }];
        cluster.converge(Order::LINEAR).expect("it converges");
        cluster.packs = vec![full];
        let mut passes = Vec::new();
        for _ in 0..4 {
            let plan = cluster.plan();
            let steps = plan.steps().filter_map(|step| match step {
                Step::ApplyMigration { node, id, .. } => Some(format!("{node} {}", id.number)),
                Step::CatchUp { node, .. } => Some(format!("{node} catches up")),
                _ => None,
            });
            passes.push(steps.collect::<Vec<_>>().join(", "));
            cluster.run(&plan, Order::LINEAR, None, false).expect("its steps succeed");
            crate::plan::simulate::time::settle(&mut cluster.world);
        }
        passes.retain(|pass| !pass.is_empty());
        passes
    }

    #[test]
    fn what_is_added_comes_to_replicas_first_and_what_is_taken_away_to_the_primary() {
        // Number 3 needs the community edition; number 6 is the one the primary takes first.
        assert_eq!(
            passes(2),
            ["replica-1 4, replica-1 5, primary-1 4, primary-1 5, primary-1 6", "replica-1 catches up, replica-1 6"]
        );
        assert_eq!(passes(5), ["primary-1 6", "replica-1 catches up, replica-1 6"]);
    }
}
