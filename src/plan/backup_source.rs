//! From which node a backup is taken.
//!
//! In: what the job says and what is there. Out: a node with the reason for it, or why there is none. A standby spares the
//! primary the reading; a logical replica is not the primary's copy (its sequences, and what the primary does not publish,
//! are its own), so it serves only when somebody names it, and only while its mirror is complete.

use std::fmt;

use crate::model::backup::{Kind, Source};
use crate::model::cluster::Role;
use crate::model::desired::Desired;
use crate::model::names::NodeName;
use crate::model::observed::{NodeSeen, Observed, ServerSeen};
use crate::plan::{chunks, topology};

/// A standby further behind than this does not follow: its backup would be older than anybody expects.
const FAR_BEHIND: u64 = 256 << 20;

/// The node to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub node: NodeName,
    /// Its port on the host.
    pub port: u16,
    /// What it is now.
    pub role: Role,
    /// Why this one.
    pub why: Why,
}

/// Why a node was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The job names it.
    Asked,
    /// It follows the primary, which is spared.
    Follows,
    /// There is no standby.
    NoStandby,
    /// There are standbys, and none of them can serve; says what is wrong with the first.
    Unfit(NodeName, Unfit),
}

/// Why a node cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not answer.
    Silent,
    /// It does not stream from the primary.
    NotStreaming,
    /// It is so many bytes behind.
    Behind(u64),
    /// Rows of some chunks are not there: a logical replica.
    Incomplete,
    /// Its subscription does not apply changes.
    NotApplying,
    /// A copy of its files would not be a copy of the primary's: a logical replica.
    NotACopy,
    /// It is none of those that a backup can be taken from.
    NoRole,
}

/// There is no node to take a backup from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// The job names a node that does not exist.
    #[error("there is no node `{0}` to take the backup from")]
    Unknown(NodeName),
    /// The named node cannot serve now.
    #[error("the backup is to be taken from {0}, which {1}")]
    Unfit(NodeName, Unfit),
    /// No node takes writes.
    #[error("no node is seen to be the primary, and no standby follows one")]
    NoPrimary,
}

impl NoSource {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown(_) => "name another one under `from`, or `auto`".into(),
            Self::Unfit(_, Unfit::Incomplete | Unfit::NotApplying) => {
                "`hypertide status` says what it lacks; `from: auto` takes the backup from the primary meanwhile".into()
            }
            Self::Unfit(_, Unfit::NotACopy) => "take base backups and roles from the primary or a standby".into(),
            Self::Unfit(..) | Self::NoPrimary => "`hypertide status` says what is wrong".into(),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("does not answer"),
            Self::NotStreaming => f.write_str("does not stream from the primary"),
            Self::Behind(bytes) => write!(f, "is {} MiB behind", bytes >> 20),
            Self::Incomplete => f.write_str("does not have every chunk yet"),
            Self::NotApplying => f.write_str("does not apply the primary's changes"),
            Self::NotACopy => f.write_str("is a logical replica, whose files and roles are its own"),
            Self::NoRole => f.write_str("is neither primary nor replica now"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("as asked"),
            Self::Follows => f.write_str("a standby that follows, so that the primary is spared"),
            Self::NoStandby => f.write_str("there is no standby"),
            Self::Unfit(node, unfit) => write!(f, "the standby {node} {unfit}"),
        }
    }
}

/// Chooses.
///
/// # Errors
/// What was asked for cannot serve, or nothing can.
pub fn choose(source: &Source, kind: Kind, desired: &Desired, observed: &Observed) -> Result<Chosen, NoSource> {
    let nodes = topology::nodes(desired, observed);
    let absent = NodeSeen::default();
    let seen = |name: &NodeName| observed.nodes.get(name).unwrap_or(&absent);
    let primary = topology::primary(&nodes, observed).ok();
    let primary = primary.filter(|name| topology::writer_epoch(seen(name)).is_some());
    let server = primary.as_ref().and_then(|name| seen(name).server.present());
    let role = |name: &NodeName| topology::role(seen(name), primary.as_ref() == Some(name));
    let chosen = |name: &NodeName, why| {
        let node = nodes.iter().find(|node| node.name == *name);
        node.map(|node| Chosen { node: name.clone(), port: node.port, role: role(name), why })
    };

    if let Source::Node(name) = source {
        if nodes.iter().all(|node| node.name != *name) {
            return Err(NoSource::Unknown(name.clone()));
        }
        let unfit = match (seen(name).server.present(), role(name)) {
            (None, _) => Some(Unfit::Silent),
            (_, Role::Primary) => None,
            (Some(ours), Role::Standby) => standby(ours, server),
            (Some(ours), Role::Subscriber) => subscriber(ours, server, kind),
            (_, Role::Fenced | Role::Unknown) => Some(Unfit::NoRole),
        };
        return match unfit {
            Some(unfit) => Err(NoSource::Unfit(name.clone(), unfit)),
            None => chosen(name, Why::Asked).ok_or(NoSource::NoPrimary),
        };
    }
    let mut why = Why::NoStandby;
    if *source == Source::Auto {
        for node in nodes.iter().filter(|node| role(&node.name) == Role::Standby) {
            let unfit = seen(&node.name).server.present().map_or(Some(Unfit::Silent), |ours| standby(ours, server));
            match unfit {
                None => return chosen(&node.name, Why::Follows).ok_or(NoSource::NoPrimary),
                Some(unfit) if why == Why::NoStandby => why = Why::Unfit(node.name.clone(), unfit),
                Some(_) => {}
            }
        }
    } else {
        why = Why::Asked;
    }
    primary.as_ref().and_then(|name| chosen(name, why)).ok_or(NoSource::NoPrimary)
}

/// What speaks against a standby. Without a primary to compare with, one that streams is believed.
fn standby(ours: &ServerSeen, primary: Option<&ServerSeen>) -> Option<Unfit> {
    let behind = primary.map_or(0, |primary| primary.lsn.bytes_since(ours.lsn));
    if !ours.is_receiving {
        Some(Unfit::NotStreaming)
    } else if behind > FAR_BEHIND {
        Some(Unfit::Behind(behind))
    } else {
        None
    }
}

/// What speaks against a logical replica: it has to be proven complete, for which its primary has to answer.
fn subscriber(ours: &ServerSeen, primary: Option<&ServerSeen>, kind: Kind) -> Option<Unfit> {
    if matches!(kind, Kind::Base | Kind::Globals) {
        return Some(Unfit::NotACopy);
    }
    let theirs = primary.and_then(|primary| primary.database.present());
    let (Some(theirs), Some(ours)) = (theirs, ours.database.present()) else { return Some(Unfit::Incomplete) };
    let is_applying =
        ours.subscription.as_ref().is_some_and(|subscription| subscription.enabled && subscription.is_applying);
    if !chunks::completeness(theirs, ours).is_complete() {
        Some(Unfit::Incomplete)
    } else if is_applying {
        None
    } else {
        Some(Unfit::NotApplying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::cluster::Seat;
    use crate::model::lsn::Lsn;
    use crate::model::observed::{DatabaseSeen, PublicationSeen, SeatRow, SubscriptionSeen};
    use crate::model::seen::Seen;
    use std::path::Path;

    fn node(name: &str) -> NodeName {
        NodeName::new(name).expect("valid")
    }

    fn desired() -> Desired {
        let file = "nodes: {replicas: [{name: sub, replication: logical}, {name: stand, replication: physical}]}";
        config::parse(file, Path::new("/")).expect("valid")
    }

    fn answering(server: ServerSeen) -> NodeSeen {
        NodeSeen { server: Seen::Present(server), ..NodeSeen::default() }
    }

    fn writer(lsn: u64) -> NodeSeen {
        let seat = SeatRow::new("primary-1", Seat::Primary, 1);
        let publication = Some(PublicationSeen { all_tables: true, ..PublicationSeen::default() });
        let database = DatabaseSeen { seat: Some(seat), publication, ..DatabaseSeen::default() };
        answering(ServerSeen { lsn: Lsn(lsn), database: Seen::Present(database), ..ServerSeen::default() })
    }

    fn following(lsn: u64, is_receiving: bool) -> NodeSeen {
        answering(ServerSeen { in_recovery: true, lsn: Lsn(lsn), is_receiving, ..ServerSeen::default() })
    }

    fn subscribing(is_applying: bool) -> NodeSeen {
        let subscription = Some(SubscriptionSeen { enabled: true, is_applying, ..SubscriptionSeen::default() });
        let database = DatabaseSeen { subscription, ..DatabaseSeen::default() };
        answering(ServerSeen { database: Seen::Present(database), ..ServerSeen::default() })
    }

    fn told(source: &Source, kind: Kind, nodes: &[(&str, NodeSeen)]) -> String {
        let nodes = nodes.iter().map(|(name, seen)| (node(name), seen.clone())).collect();
        match choose(source, kind, &desired(), &Observed { nodes, ..Observed::default() }) {
            Ok(Chosen { node, role, why, .. }) => format!("{node} ({role}): {why}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_standby_that_follows_spares_the_primary() {
        let (primary, sub) = (("primary-1", writer(1 << 30)), ("sub", subscribing(true)));
        let all = |standby: NodeSeen| [primary.clone(), sub.clone(), ("stand", standby)];
        for (standby, said) in [
            (following(1 << 30, true), "stand (standby): a standby that follows, so that the primary is spared"),
            (following(1 << 30, false), "primary-1 (primary): the standby stand does not stream from the primary"),
            (following(1 << 29, true), "primary-1 (primary): the standby stand is 512 MiB behind"),
            (NodeSeen::default(), "primary-1 (primary): there is no standby"),
        ] {
            assert_eq!(told(&Source::Auto, Kind::Full, &all(standby)), said);
        }
        assert_eq!(told(&Source::Primary, Kind::Full, &all(following(1 << 30, true))), "primary-1 (primary): as asked");
        // A standby goes on when the primary is gone.
        let only = [("stand", following(5, true))];
        assert!(told(&Source::Auto, Kind::Full, &only).starts_with("stand (standby)"));
        assert_eq!(
            told(&Source::Auto, Kind::Full, &[("stand", following(5, false))]),
            "no node is seen to be the primary, and no standby follows one"
        );
    }

    #[test]
    fn a_logical_replica_serves_when_it_is_named_and_complete() {
        let asked = Source::Node(node("sub"));
        let with = |sub: NodeSeen| [("primary-1", writer(5)), ("sub", sub)];
        for (sub, said) in [
            (subscribing(true), "sub (subscriber): as asked"),
            (subscribing(false), "the backup is to be taken from sub, which does not apply the primary's changes"),
            (NodeSeen::default(), "the backup is to be taken from sub, which does not answer"),
        ] {
            assert_eq!(told(&asked, Kind::Full, &with(sub)), said);
        }
        let base = told(&asked, Kind::Base, &with(subscribing(true)));
        assert!(base.ends_with("is a logical replica, whose files and roles are its own"), "{base}");
        let alone = told(&asked, Kind::Full, &[("sub", subscribing(true))]);
        assert!(alone.ends_with("does not have every chunk yet"), "nobody can tell without the primary: {alone}");
        let nobody = told(&Source::Node(node("nobody")), Kind::Full, &with(subscribing(true)));
        assert_eq!(nobody, "there is no node `nobody` to take the backup from");
        assert_eq!(
            told(&Source::Auto, Kind::Full, &with(subscribing(true))),
            "primary-1 (primary): there is no standby"
        );
    }
}
