//! All that is known when it is decided who takes the writes, as one value.
//!
//! Filled in by whoever looks; nothing here looks. The primary is found in it, never configured.

use std::collections::BTreeMap;
use std::time::Duration;

use super::condition::{self, Diagnosis};
use crate::model::cluster::{Mode, Role};
use crate::model::health::{Aged, NodeHealth, Probe};
use crate::model::names::NodeName;
use crate::model::seen::Seen;
use crate::plan::readiness::Ineligible;

/// Everything that is known at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Now, on the clock of all moments in it.
    pub now: Duration,
    /// The Docker engine answers; unknown: it does not.
    pub engine: Aged<()>,
    /// Every node of the cluster.
    pub members: BTreeMap<NodeName, Member>,
    /// When the primary was restarted in place and did not come back to stay.
    pub failed_restarts: Vec<Duration>,
    /// Logical replicas whose promotion could not find out whether they lack anything, and why. It is not tried twice.
    pub unproven: BTreeMap<NodeName, String>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Among equal candidates the higher one is taken; 0: never without being asked for.
    pub priority: u16,
    /// What is known of it.
    pub health: NodeHealth,
    /// A replica: what `readiness` found when the primary could be asked last.
    pub objections: Seen<Vec<Ineligible>>,
}

/// Why nobody can be called the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPrimary {
    /// No node is known to have been it.
    Nobody,
    /// Two nodes have been it in the same epoch, or in one that is not known.
    TwoClaims(NodeName, NodeName),
}

impl Situation {
    /// The node that takes the writes, or took them last: the primary of the highest epoch that is not fenced.
    ///
    /// # Errors
    /// Why there is no such node.
    pub fn primary(&self) -> Result<&NodeName, NoPrimary> {
        let claims = self.members.iter().filter(|(_, member)| {
            member.health.role == Seen::Present(Role::Primary) && !member.health.fence_mark.is_present()
        });
        let mut claims: Vec<(Option<u64>, &NodeName)> =
            claims.map(|(name, member)| (member.health.epoch.present().copied(), name)).collect();
        claims.sort();
        match claims.as_slice() {
            [] => Err(NoPrimary::Nobody),
            [(None, other), .., (_, name)] => Err(NoPrimary::TwoClaims((*other).clone(), (*name).clone())),
            [.., (second, other), (first, name)] if first == second => {
                Err(NoPrimary::TwoClaims((*other).clone(), (*name).clone()))
            }
            [.., (_, name)] => Ok(name),
        }
    }

    /// What is the matter with a node.
    pub fn diagnosis(&self, member: &Member) -> Diagnosis {
        condition::of(&member.health, &self.engine)
    }

    /// Everybody else.
    pub fn others<'a>(&'a self, name: &'a NodeName) -> impl Iterator<Item = (&'a NodeName, &'a Member)> {
        self.members.iter().filter(move |(other, _)| *other != name)
    }

    /// When any replica last had a sign of life from the primary.
    pub fn last_heard(&self, primary: &NodeName) -> Option<Duration> {
        let replicas = self.others(primary).filter(|(_, member)| member.answers());
        replicas.filter_map(|(_, member)| member.health.heard_primary.present().copied()).max()
    }
}

impl Member {
    /// Its server answers.
    pub fn answers(&self) -> bool {
        self.health.server.seen == Seen::Present(Probe::Answers)
    }

    /// How it follows the primary, as it was last seen to.
    pub fn mode(&self) -> Option<Mode> {
        match self.health.role {
            Seen::Present(Role::Standby) => Some(Mode::Physical),
            Seen::Present(Role::Subscriber) => Some(Mode::Logical),
            _ => None,
        }
    }
}
