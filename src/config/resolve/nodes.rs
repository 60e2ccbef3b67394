//! The key `nodes`: who there is, under which name, on which port.
//!
//! In goes the file and the default mode, out come the nodes (primary first), the ports they claim, and keys nobody acts on yet. Two nodes of one
//! name are a problem here; two users of one port are for the caller to find, who knows the other claims too.

use std::ops::RangeInclusive;

use crate::config::claim::{Claim, refuse_twice};
use crate::config::problem::Problems;
use crate::config::read::Fields;
use crate::config::resolve::replication::MODES;
use crate::model::cluster::{Mode, Seat};
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;

const PRIMARY: &str = "primary-1";

/// The primary's direct port; replicas follow. The endpoint has 5432 and 5433.
const PRIMARY_PORT: u16 = 5434;

/// More than enough to tell replicas apart.
const PRIORITIES: RangeInclusive<i128> = 0..=1_000;

/// What `nodes` says.
pub struct Resolved {
    /// The primary first.
    pub nodes: Vec<DesiredNode>,
    /// Their ports.
    pub ports: Vec<Claim<u16>>,
}

/// The nodes of the cluster, and what they claim.
pub fn resolve(file: &Fields<'_>, mode: Mode, problems: &mut Problems) -> Resolved {
    let keys = file.within("nodes", &["primary", "replicas"], problems);
    let mut seats = Seats::default();

    let primary = keys.within("primary", &["name", "port", "url"], problems);
    if let Some(url) = primary.get("url") {
        url.refuse(problems, "a database outside Docker is not supported by this version");
    }
    seats.add(&primary, Seat::Primary, PRIMARY, Some(PRIMARY_PORT), problems);

    let replicas = match keys.get("replicas") {
        None => vec![Fields::none(&format!("{}[0]", keys.path("replicas")))],
        Some(entry) => entry
            .list("replicas", problems)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.fields(&["name", "port", "replication", "priority"], problems))
            .collect(),
    };
    for (position, replica) in (1_usize..).zip(&replicas) {
        let mode = replica.get("replication").and_then(|entry| entry.choice(&MODES, problems)).unwrap_or(mode);
        let port = u16::try_from(position).ok().and_then(|position| PRIMARY_PORT.checked_add(position));
        let name = format!("replica-{position}");
        seats.add(replica, Seat::Replica(mode), &name, port, problems);
    }

    refuse_twice(&seats.names, problems);
    let Seats { nodes, ports, .. } = seats;
    Resolved { nodes, ports }
}

#[derive(Default)]
struct Seats {
    nodes: Vec<DesiredNode>,
    names: Vec<Claim<NodeName>>,
    ports: Vec<Claim<u16>>,
}

impl Seats {
    fn add(
        &mut self,
        keys: &Fields<'_>,
        seat: Seat,
        default_name: &str,
        default_port: Option<u16>,
        problems: &mut Problems,
    ) {
        let given_name = keys.get("name");
        let name = match given_name {
            Some(entry) => entry.checked("a name", NodeName::new, problems),
            None => NodeName::new(default_name).ok(),
        };
        let given_port = keys.get("port");
        let port = match given_port {
            Some(entry) => entry.port(problems),
            // So many replicas that the ports after the primary's are used up.
            None if default_port.is_none() => keys.need("port", problems).and(None),
            None => default_port,
        };
        if let Some(name) = &name {
            self.names.push(Claim::of_key(keys.path("name"), given_name, name.clone()));
        }
        if let Some(port) = port {
            self.ports.push(Claim::of_key(keys.path("port"), given_port, port));
        }
        let priority = keys.get("priority").and_then(|entry| entry.number(&PRIORITIES, problems));
        // A node with a mistake still counts: what is needed for the number of replicas depends on it.
        self.nodes.push(DesiredNode {
            name: name.unwrap_or_else(|| NodeName::new(PRIMARY).expect("the default is valid")),
            seat,
            port: port.unwrap_or(PRIMARY_PORT),
            priority: priority.and_then(|number| u16::try_from(number).ok()).unwrap_or(DesiredNode::PRIORITY),
        });
    }
}
