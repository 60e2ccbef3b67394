//! Whether a replica could become the primary now without losing or doubling a row, and if not, why.
//!
//! Bytes it lags behind are no reason here: they are applied before a planned promotion, and counted before another one.

use std::fmt;

use serde::ser::{SerializeStruct, Serializer};

use super::chunks::{self, Completeness};
use crate::model::cluster::Mode;
use crate::model::names::NodeName;
use crate::model::observed::{DatabaseSeen, NodeSeen, ServerSeen};
use crate::model::seen::Seen;

/// Why a replica must not be promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// It does not run, or does not answer.
    Unreachable,
    /// A standby that takes writes, or a subscriber that is in recovery.
    NotAReplica,
    /// The primary cannot be asked, so nobody can tell what is missing here.
    PrimaryUnknown,
    /// It does not subscribe, so it has whatever it was left with.
    NotSubscribed,
    /// The subscription is disabled, its slot is lost, or its apply worker does not run.
    NotApplying,
    /// Chunks whose rows never leave the primary.
    UnpublishedChunks(usize),
    /// Chunks whose rows do not arrive.
    UnsubscribedChunks(usize),
    /// Tables or chunks that are still being copied.
    NotCopied(usize),
    /// Chunks here that are not the primary's.
    ForeignChunks(usize),
    /// Tables that were compared and differ.
    Differs(usize),
    /// Whether its rows are complete was never found out, or cannot be now.
    CompletenessUnknown,
    /// A promotion was to find that out from the old primary's volume, and did not; says why.
    Unproven(String),
    /// It is fenced: it holds what an earlier primary wrote.
    Fenced,
    /// How far it has the primary's log is not known.
    PositionUnknown,
    /// Its epoch is not known.
    EpochUnknown,
    /// It follows another epoch (the primary's, its own).
    OtherEpoch(u64, u64),
    /// Its log is not known to be on the primary's timeline.
    OtherTimeline,
    /// The configuration gives it the priority 0.
    NeverPromoted,
}

impl Ineligible {
    /// The stable word for this reason.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NotAReplica => "not_a_replica",
            Self::PrimaryUnknown => "primary_unknown",
            Self::NotSubscribed => "not_subscribed",
            Self::NotApplying => "not_applying",
            Self::UnpublishedChunks(_) => "unpublished_chunks",
            Self::UnsubscribedChunks(_) => "unsubscribed_chunks",
            Self::NotCopied(_) => "not_copied",
            Self::ForeignChunks(_) => "foreign_chunks",
            Self::Differs(_) => "differs",
            Self::CompletenessUnknown => "completeness_unknown",
            Self::Unproven(_) => "unproven",
            Self::Fenced => "fenced",
            Self::PositionUnknown => "position_unknown",
            Self::EpochUnknown => "epoch_unknown",
            Self::OtherEpoch(..) => "other_epoch",
            Self::OtherTimeline => "other_timeline",
            Self::NeverPromoted => "never_promoted",
        }
    }

    /// What it costs is rows, and somebody may decide to do without them.
    pub const fn is_about_rows(&self) -> bool {
        match self {
            Self::PrimaryUnknown
            | Self::NotSubscribed
            | Self::NotApplying
            | Self::UnpublishedChunks(_)
            | Self::UnsubscribedChunks(_)
            | Self::NotCopied(_)
            | Self::ForeignChunks(_)
            | Self::Differs(_)
            | Self::CompletenessUnknown
            | Self::Unproven(_)
            | Self::PositionUnknown => true,
            Self::Unreachable
            | Self::NotAReplica
            | Self::Fenced
            | Self::EpochUnknown
            | Self::OtherEpoch(..)
            | Self::OtherTimeline
            | Self::NeverPromoted => false,
        }
    }

    /// A promotion of a logical replica finds out itself whether it is so.
    pub const fn is_found_out(&self) -> bool {
        matches!(self, Self::PrimaryUnknown | Self::CompletenessUnknown | Self::PositionUnknown)
    }
}

impl fmt::Display for Ineligible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("it does not answer"),
            Self::NotAReplica => f.write_str("it does not follow a primary"),
            Self::PrimaryUnknown => f.write_str("what it lacks cannot be told without the primary"),
            Self::NotSubscribed => f.write_str("it does not subscribe to the primary"),
            Self::NotApplying => f.write_str("changes are not being applied"),
            Self::UnpublishedChunks(count) => write!(f, "rows of {count} chunks never leave the primary"),
            Self::UnsubscribedChunks(count) => write!(f, "rows of {count} chunks do not arrive"),
            Self::NotCopied(count) => write!(f, "{count} tables are still being copied"),
            Self::ForeignChunks(count) => write!(f, "{count} chunks are not the primary's"),
            Self::Differs(count) => write!(f, "{count} tables were compared and differ"),
            Self::CompletenessUnknown => f.write_str("whether its rows are complete is not known"),
            Self::Unproven(because) => write!(f, "what it lacks could not be found out: {because}"),
            Self::Fenced => f.write_str("it is fenced and holds what an earlier primary wrote"),
            Self::PositionUnknown => f.write_str("how far it has the primary's log is not known"),
            Self::EpochUnknown => f.write_str("its epoch is not known"),
            Self::OtherEpoch(primary, own) => write!(f, "it follows epoch {own}, and the primary's is {primary}"),
            Self::OtherTimeline => f.write_str("its log is not known to be on the primary's timeline"),
            Self::NeverPromoted => f.write_str("its `priority` is 0"),
        }
    }
}

impl serde::Serialize for Ineligible {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Ineligible", 2)?;
        json.serialize_field("reason", self.label())?;
        json.serialize_field("text", &self.to_string())?;
        json.end()
    }
}

/// Every reason not to promote this replica; none: it is ready.
pub fn objections(name: &NodeName, mode: Mode, replica: &NodeSeen, primary: Option<&ServerSeen>) -> Vec<Ineligible> {
    let Some(server) = replica.server.present() else { return vec![Ineligible::Unreachable] };
    match (mode, server.in_recovery) {
        (Mode::Physical, true) => return Vec::new(),
        (Mode::Physical, false) | (Mode::Logical, true) => return vec![Ineligible::NotAReplica],
        (Mode::Logical, false) => {}
    }
    let Seen::Present(ours) = &server.database else { return vec![Ineligible::Unreachable] };
    let Some((primary, theirs)) = primary.and_then(|server| Some((server, server.database.present()?))) else {
        return vec![Ineligible::PrimaryUnknown];
    };
    of_subscriber(name, ours, primary, theirs)
}

fn of_subscriber(name: &NodeName, ours: &DatabaseSeen, primary: &ServerSeen, theirs: &DatabaseSeen) -> Vec<Ineligible> {
    let Some(subscription) = &ours.subscription else { return vec![Ineligible::NotSubscribed] };
    let slot = primary.slots.get(&name.slot());
    let is_fed = slot.is_some_and(|slot| slot.is_logical && !slot.lost);
    let is_applying = subscription.enabled && subscription.is_applying && is_fed;
    let Completeness { unpublished, unsubscribed, .. } = chunks::completeness(theirs, ours);
    // Plain tables count as well: one that is not copied is as incomplete as a chunk.
    let not_copied = subscription.tables.values().filter(|state| **state != 'r').count();
    let of_mirrored = |hypertable| theirs.hypertables.contains_key(hypertable);
    let foreign = ours
        .chunks
        .iter()
        .filter(|(name, chunk)| {
            of_mirrored(&chunk.hypertable) && theirs.chunks.get(*name).is_none_or(|there| there.slices != chunk.slices)
        })
        .count();
    let differing = theirs.verified.get(name).map_or(0, |verified| verified.mismatches);
    let counted = [
        (unpublished, Ineligible::UnpublishedChunks as fn(usize) -> Ineligible),
        (unsubscribed, Ineligible::UnsubscribedChunks),
        (not_copied, Ineligible::NotCopied),
        (foreign, Ineligible::ForeignChunks),
        (usize::try_from(differing).unwrap_or(usize::MAX), Ineligible::Differs),
    ];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, reason)| reason(count));
    (!is_applying).then_some(Ineligible::NotApplying).into_iter().chain(counted).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::observed::{Observed, Verified};
    use crate::plan::simulate::finished;
    use crate::plan::simulate::world::node_name;

    fn observed() -> Observed {
        finished(&[Mode::Logical, Mode::Physical], &["trading", "metering"]).observe()
    }

    fn labels(observed: &Observed, name: &str, mode: Mode) -> String {
        let primary = observed.nodes[&node_name("primary-1")].server.present();
        let name = node_name(name);
        let objections = objections(&name, mode, &observed.nodes[&name], primary);
        objections.iter().map(Ineligible::label).collect::<Vec<_>>().join(" ")
    }

    fn subscriber(observed: &mut Observed) -> &mut DatabaseSeen {
        database(observed, "replica-1")
    }

    fn database<'a>(observed: &'a mut Observed, name: &str) -> &'a mut DatabaseSeen {
        server(observed, name).database.present_mut().expect("it is there")
    }

    fn server<'a>(observed: &'a mut Observed, name: &str) -> &'a mut ServerSeen {
        let node = observed.nodes.get_mut(&node_name(name)).expect("it is there");
        node.server.present_mut().expect("it runs")
    }

    #[test]
    fn replicas_of_a_finished_cluster_are_ready() {
        let observed = observed();
        assert_eq!(labels(&observed, "replica-1", Mode::Logical), "");
        assert_eq!(labels(&observed, "replica-2", Mode::Physical), "");
    }

    /// Each thing that can be wrong, with the word for it.
    #[test]
    fn whatever_could_lose_a_row_has_a_name() {
        type Wrong = (fn(&mut Observed), &'static str);
        let wrongs: [Wrong; 12] = [
            (|it| it.nodes.get_mut(&node_name("replica-1")).expect("there").server = Seen::Absent, "unreachable"),
            (|it| server(it, "replica-1").database = Seen::unknown("why"), "unreachable"),
            (|it| server(it, "replica-1").in_recovery = true, "not_a_replica"),
            (|it| server(it, "primary-1").database = Seen::unknown("why"), "primary_unknown"),
            (|it| subscriber(it).subscription = None, "not_subscribed"),
            (|it| subscription(it).enabled = false, "not_applying"),
            (|it| subscription(it).is_applying = false, "not_applying"),
            (|it| server(it, "primary-1").slots.clear(), "not_applying"),
            (|it| publication(it).schemas.clear(), "unpublished_chunks"),
            (
                |it| {
                    let table = subscription(it).tables.keys().next().cloned().expect("it has tables");
                    subscription(it).tables.insert(table, 'd');
                },
                "not_copied",
            ),
            (|it| drop(database(it, "primary-1").chunks.pop_first()), "foreign_chunks"),
            (
                |it| {
                    let verified = Verified { mismatches: 2, ..Verified::default() };
                    database(it, "primary-1").verified.insert(node_name("replica-1"), verified);
                },
                "differs",
            ),
        ];
        for (wrong, label) in wrongs {
            let mut observed = observed();
            wrong(&mut observed);
            assert_eq!(labels(&observed, "replica-1", Mode::Logical), label);
        }
        let mut observed = observed();
        server(&mut observed, "replica-2").in_recovery = false;
        assert_eq!(labels(&observed, "replica-2", Mode::Physical), "not_a_replica");
    }

    fn subscription(observed: &mut Observed) -> &mut crate::model::observed::SubscriptionSeen {
        subscriber(observed).subscription.as_mut().expect("it subscribes")
    }

    fn publication(observed: &mut Observed) -> &mut crate::model::observed::PublicationSeen {
        database(observed, "primary-1").publication.as_mut().expect("it publishes")
    }

    proptest! {
        #[test]
        fn a_chunk_that_is_not_synced_is_never_overlooked(which: prop::sample::Index, state in prop::option::of("[idfs]")) {
            let mut observed = observed();
            let chunks: Vec<_> = subscriber(&mut observed).chunks.keys().cloned().collect();
            let chunk = chunks[which.index(chunks.len())].clone();
            let tables = &mut subscription(&mut observed).tables;
            let expected = if let Some(state) = state.as_ref().and_then(|state| state.chars().next()) {
                tables.insert(chunk, state);
                "not_copied"
            } else {
                tables.remove(&chunk);
                "unsubscribed_chunks"
            };
            prop_assert_eq!(labels(&observed, "replica-1", Mode::Logical), expected);
        }
    }
}
