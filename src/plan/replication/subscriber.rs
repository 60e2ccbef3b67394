//! One logical replica: same verifiers, every chunk mirrored, subscribed to everything that is published.
//!
//! PostgreSQL subscribes to all published tables or to none: as long as one of them is missing here, or not known to be
//! here, nothing new is subscribed to, and a hold says which one it is.

use std::collections::BTreeSet;

use super::{Lanes, Source};
use crate::model::cluster::Seat;
use crate::model::desired::Synchronous;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::{DatabaseSeen, PublicationSeen, ServerSeen, SlotSeen, SubscriptionSeen};
use crate::model::seen::Seen;
use crate::plan::container::Inside;
use crate::plan::hold::{Hold, Reason};
use crate::plan::step::Step;
use crate::plan::{Wanted, chunks, columns, scope};

/// Plans one logical replica.
pub(super) struct Subscriber<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) name: &'a NodeName,
    pub(super) source: Source<'a>,
    pub(super) publication: Option<&'a PublicationSeen>,
    /// Migrations run in this plan, so table lists are about to change.
    pub(super) is_migrating: bool,
}

impl Subscriber<'_> {
    pub(super) fn lanes(&self, inside: Inside<'_>, holds: &mut Vec<Hold>) -> Lanes {
        let mut lanes = Lanes::default();
        let mut held = Vec::new();
        let (server, database) = match inside {
            Inside::Later => return lanes,
            Inside::Fresh => (None, None),
            Inside::Seen(server) => match &server.database {
                Seen::Present(database) => (Some(server), Some(database)),
                Seen::Absent => (Some(server), None),
                Seen::Unknown { because } => {
                    holds.push(Hold::new(self.name.as_str(), Reason::Unknown(because.clone())));
                    return lanes;
                }
            },
        };
        let node = self.name.clone();
        if !self.has_equal_verifiers(server) {
            lanes.on_replica.push(Step::AlignPasswords { node: node.clone(), from: self.source.name.clone() });
        }
        // Both sides number their chunks, each in a range of its own.
        let reserves_chunk_names = !self.source.database.is_some_and(|theirs| theirs.chunk_names_reserved);
        let is_apart = |ours: &DatabaseSeen| ours.chunk_names_reserved || !reserves_chunk_names;
        if !database.is_some_and(|ours| ours.is_read_only && is_apart(ours)) {
            lanes.on_replica.push(Step::PrepareSubscriber { node, reserves_chunk_names });
        }
        let Some(publication) = self.publication else { return lanes };
        let unguarded = |ours: &DatabaseSeen| -> BTreeSet<TableName> {
            ours.tables.iter().filter(|(_, seen)| !seen.is_guarded).map(|(name, _)| name.clone()).collect()
        };
        if let Some(tables) = database.filter(|_| !self.is_migrating).map(unguarded).filter(|tables| !tables.is_empty())
        {
            lanes.on_replica.push(Step::GuardTables { node: self.name.clone(), tables });
        }
        match (self.source.database, database) {
            (Some(theirs), Some(ours)) if !self.is_migrating => {
                self.compare(publication, theirs, ours, &mut lanes, &mut held);
            }
            // Both sides come into being in this plan, with the same packs and no rows.
            (None, None) => self.subscribe(&mut lanes),
            // The tables of one side or both change in this plan; the next pass compares them.
            _ => {}
        }
        holds.extend(held.into_iter().map(|reason| Hold::new(self.name.as_str(), reason)));
        lanes
    }

    /// Mirrors chunks, then subscribes to what is new, or says why not.
    fn compare(
        &self,
        publication: &PublicationSeen,
        theirs: &DatabaseSeen,
        ours: &DatabaseSeen,
        lanes: &mut Lanes,
        held: &mut Vec<Reason>,
    ) {
        let node = self.name.clone();
        let absent = self.absent(publication, theirs, ours);
        if absent.is_out_of_sight {
            held.push(match self.wanted.packs {
                // Whoever knows no packs does not look at everything.
                None => Reason::NeedsUp,
                Some(_) => Reason::Unknown("a schema is published that was not looked at on this node".into()),
            });
        }
        let objections = objections(publication, theirs, ours);
        let has_objection = !objections.is_empty();
        held.extend(objections);
        let mirror = chunks::mirror(theirs, ours);
        held.extend(mirror.held);
        lanes.on_replica.extend(
            [
                (!mirror.align.is_empty())
                    .then(|| Step::AlignPartitioning { node: node.clone(), hypertables: mirror.align }),
                (!mirror.retire.is_empty()).then(|| Step::RetireChunks {
                    node: node.clone(),
                    from: self.source.name.clone(),
                    chunks: mirror.retire.clone(),
                }),
                mirror.keep.map(|(chunks, hypertable)| Step::KeepPlaces {
                    node: node.clone(),
                    from: self.source.name.clone(),
                    chunks,
                    hypertable,
                }),
                // A place that is cleared may be the name of what is made.
                (!mirror.forget.is_empty()).then(|| Step::ForgetRetired { node: node.clone(), chunks: mirror.forget }),
                (!mirror.make.is_empty()).then(|| Step::MirrorChunks { node: node.clone(), chunks: mirror.make }),
            ]
            .into_iter()
            .flatten(),
        );
        let is_complete = absent.tables.is_empty() && !absent.is_out_of_sight && !mirror.is_incomplete;
        held.extend(absent.tables.into_iter().map(Reason::MissingOnReplica));
        if let Some(verified) = theirs.verified.get(self.name).filter(|verified| verified.mismatches > 0) {
            held.push(Reason::Differs(verified.differing.clone(), verified.mismatches));
        }
        match &ours.subscription {
            None if ours.tables_to_copy.is_some() => {
                held.extend(ours.tables_to_copy.map(|tables| Reason::Copying(tables.max(1))));
            }
            None if self.resumes(ours) => {
                let to = self.source.name.clone();
                let can_go_on = is_complete && !has_objection;
                lanes.on_replica.extend(can_go_on.then_some(Step::Resubscribe { node, to }));
            }
            None if ours.holds_rows => held.push(Reason::HoldsRows),
            None if is_complete && !has_objection => self.subscribe(lanes),
            None => {}
            Some(subscription) if self.is_astray(subscription) => match self.way_back(subscription, theirs, ours) {
                Ok(step) => lanes.on_replica.push(step),
                Err(reason) => held.push(reason),
            },
            Some(subscription) => {
                let flushes = self.wanted.desired.synchronous != Synchronous::Off;
                if subscription.flushes != flushes {
                    lanes.on_replica.push(Step::SetApplyFlush { node: node.clone(), flushes });
                }
                let slot = self.slot();
                let is_known = |table: &TableName| subscription.tables.contains_key(table);
                // What was published once and is no longer would be copied for ever.
                let is_left_over = |table: &TableName| !theirs.has(table) && !mirror.retire.contains(table);
                let is_subscribed = subscription.publications.contains(&self.wanted.desired.publication.name)
                    && chunks::published(theirs, publication).all(is_known)
                    && !subscription.tables.keys().any(is_left_over);
                match wrong_with(subscription, slot) {
                    Some(reason @ (Reason::SlotLost | Reason::SubscriptionDisabled)) => held.push(reason),
                    _ if !is_subscribed && is_complete => lanes.on_replica.push(Step::RefreshSubscription { node }),
                    reason => held.extend(reason),
                }
            }
        }
    }

    /// Published tables that are not here. Chunks are not among them: those are mirrored.
    fn absent(&self, publication: &PublicationSeen, theirs: &DatabaseSeen, ours: &DatabaseSeen) -> Absent {
        let subscribed = ours.subscription.iter().flat_map(|subscription| subscription.tables.keys());
        let looked_at: BTreeSet<Ident> = scope::schemas(self.wanted.desired, self.wanted.packs)
            .into_iter()
            .chain(subscribed.chain(ours.tables.keys()).map(|table| table.schema.clone()))
            .collect();
        let absent: BTreeSet<&TableName> = chunks::published(theirs, publication)
            .chain(&publication.members)
            .filter(|table| !theirs.chunks.contains_key(*table) && !ours.tables.contains_key(*table))
            .collect();
        let (tables, out_of_sight): (Vec<_>, Vec<_>) =
            absent.into_iter().partition(|table| looked_at.contains(&table.schema));
        Absent { tables: tables.into_iter().cloned().collect(), is_out_of_sight: !out_of_sight.is_empty() }
    }

    fn subscribe(&self, lanes: &mut Lanes) {
        lanes.on_replica.push(Step::Subscribe { node: self.name.clone(), to: self.source.name.clone() });
    }

    /// It subscribes to a node that is the primary no more.
    fn is_astray(&self, subscription: &SubscriptionSeen) -> bool {
        let primary = self.wanted.desired.cluster.container(self.source.name);
        subscription.upstream.as_ref().is_some_and(|host| *host != primary)
    }

    /// A standby took the primary's place and has kept the slot. Where this node has applied nothing that the new primary does not have, it
    /// goes on from there: positions are the same on both up to where the new primary's log begins.
    fn way_back(
        &self,
        subscription: &SubscriptionSeen,
        theirs: &DatabaseSeen,
        ours: &DatabaseSeen,
    ) -> Result<Step, Reason> {
        let unknown = |what: &str| Reason::Unknown(what.to_owned());
        let row = theirs.seat.as_ref().filter(|row| row.seat == Seat::Primary && row.node == self.source.name.as_str());
        let epoch = row.ok_or_else(|| unknown("the new primary has not written down that it is one"))?.epoch;
        if self.slot().is_none_or(|slot| slot.lost || !slot.is_logical) {
            return Err(Reason::SlotLost);
        }
        // Each standby that was promoted since has begun a timeline and an epoch.
        let since = ours.seat.as_ref().map_or(0, |row| row.epoch);
        let promotions = usize::try_from(epoch.saturating_sub(since)).unwrap_or(usize::MAX).max(1);
        let branches = self.source.server.map(|server| server.branches.as_slice()).unwrap_or_default();
        let first = branches.len().checked_sub(promotions);
        let common = first.and_then(|first| branches[first..].iter().min());
        let common = *common.ok_or_else(|| unknown("where the primary's log begins is not known"))?;
        match subscription.committed {
            Some(committed) if committed > common => Err(Reason::Ahead(committed.bytes_since(common))),
            _ => Ok(Step::Redirect { node: self.name.clone(), to: self.source.name.clone() }),
        }
    }

    /// It was the primary, and the slot from which it goes on is there.
    fn resumes(&self, ours: &DatabaseSeen) -> bool {
        let is_left = ours.seat.as_ref().is_some_and(|row| row.resumes);
        is_left && self.slot().is_some_and(|slot| slot.is_logical && !slot.lost)
    }

    fn slot(&self) -> Option<&SlotSeen> {
        self.source.server.and_then(|server| server.slots.get(&self.name.slot()))
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

/// Published tables that a replica lacks.
struct Absent {
    /// Looked for and not there.
    tables: Vec<TableName>,
    /// There are others, in schemas that were not looked at.
    is_out_of_sight: bool,
}

/// Why rows of the primary would be lost on their way, or stop the subscription.
fn objections(publication: &PublicationSeen, theirs: &DatabaseSeen, ours: &DatabaseSeen) -> Vec<Reason> {
    let versions = match (&theirs.extension, &ours.extension) {
        (Some(there), Some(here)) if release(there) != release(here) => {
            Some(Reason::VersionsDiffer(there.clone(), here.clone()))
        }
        _ => None,
    };
    let editions = match (theirs.edition, ours.edition) {
        (Some(there), Some(here)) if there != here => Some(Reason::EditionsDiffer(there, here)),
        _ => None,
    };
    let columns = chunks::published(theirs, publication).filter_map(|table| {
        let how = columns::mismatch(&theirs.tables.get(table)?.columns, &ours.tables.get(table)?.columns)?;
        Some(Reason::ColumnsDiffer(table.clone(), how))
    });
    let jobs = ours.jobs.iter().map(|(job, table)| Reason::JobOnReplica(job.clone(), table.clone()));
    let compressed = chunks::compressed(ours).map(|chunk| Reason::CompressedChunk(chunk.clone()));
    versions.into_iter().chain(editions).chain(columns).chain(jobs).chain(compressed).collect()
}

/// Major and minor version: patch releases share their catalog.
fn release(version: &str) -> Vec<&str> {
    version.split(['.', '-']).take(2).collect()
}

/// Why a subscription does not carry every change right now.
fn wrong_with(subscription: &SubscriptionSeen, slot: Option<&SlotSeen>) -> Option<Reason> {
    let copying = subscription.tables.values().filter(|state| **state != 'r').count();
    if slot.is_none_or(|slot| slot.lost || !slot.is_logical) {
        Some(Reason::SlotLost)
    } else if !subscription.enabled {
        Some(Reason::SubscriptionDisabled)
    } else if !subscription.is_applying {
        Some(Reason::NotApplying(subscription.apply_errors))
    } else if copying > 0 && subscription.sync_errors > 0 {
        Some(Reason::CopyFails(copying, subscription.sync_errors))
    } else if copying > 0 {
        Some(Reason::Copying(copying))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::Mode;
    use crate::model::lsn::Lsn;
    use crate::model::observed::Observed;
    use crate::plan::simulate::finished;
    use crate::plan::simulate::world::node_name;

    fn server<'a>(observed: &'a mut Observed, name: &str) -> &'a mut ServerSeen {
        observed.nodes.get_mut(&node_name(name)).and_then(|node| node.server.present_mut()).expect("it runs")
    }

    fn database<'a>(observed: &'a mut Observed, name: &str) -> &'a mut DatabaseSeen {
        server(observed, name).database.present_mut().expect("it is there")
    }

    fn subscription(observed: &mut Observed) -> &mut SubscriptionSeen {
        database(observed, "replica-1").subscription.as_mut().expect("it subscribes")
    }

    /// What becomes of a subscription to the node that was the primary before. The log of the new one begins at 100.
    #[test]
    fn a_subscription_goes_on_at_a_promoted_standby_only_where_that_is_certain_to_skip_nothing() {
        type With = fn(&mut Observed);
        let cases: [(With, &str); 9] = [
            (|_| {}, "redirect"),
            (|it| subscription(it).committed = None, "redirect"),
            (|it| subscription(it).committed = Some(Lsn(90)), "redirect"),
            (|it| subscription(it).committed = Some(Lsn(101)), "ahead_of_primary"),
            (|it| server(it, "primary-1").slots.clear(), "slot_lost"),
            (|it| server(it, "primary-1").branches.clear(), "unknown"),
            // Two standbys were promoted, one after the other, and the first left the log earlier.
            (|it| database(it, "replica-1").seat.as_mut().expect("a row").epoch = 1, "unknown"),
            (
                |it| {
                    database(it, "replica-1").seat.as_mut().expect("a row").epoch = 1;
                    server(it, "primary-1").branches = vec![Lsn(95), Lsn(100)];
                },
                "ahead_of_primary",
            ),
            (|it| subscription(it).upstream = Some("test-primary-1".into()), ""),
        ];
        for (with, expected) in cases {
            let cluster = finished(&[Mode::Logical], &["trading"]);
            let mut observed = cluster.observe();
            subscription(&mut observed).upstream = Some("test-standby-9".into());
            let primary = database(&mut observed, "primary-1").seat.as_mut().expect("a row");
            primary.epoch = 3;
            database(&mut observed, "replica-1").seat.as_mut().expect("a row").epoch = 2;
            server(&mut observed, "primary-1").branches = vec![Lsn(100)];
            with(&mut observed);
            let plan = cluster.plan_of(&observed);
            let steps = plan.steps().filter(|step| matches!(step, Step::Redirect { .. })).map(Step::label);
            let told: Vec<&str> = steps.chain(plan.holds.iter().map(|hold| hold.reason.label())).collect();
            assert_eq!(told.join(" "), expected);
        }
    }
}
