//! Nodes that must be fenced at once, whatever else is decided: an earlier primary that came back.
//!
//! In: a situation. Out: which nodes, and why. It does not ask the policy: fencing such a node is never wrong.

use std::fmt;

use super::situation::Situation;
use crate::model::cluster::Role;
use crate::model::health::ContainerState;
use crate::model::names::NodeName;
use crate::model::seen::Seen;

/// Why a node must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StragglerWhy {
    /// It is a primary, of an epoch that ended (its own, the newest).
    OlderEpoch(u64, u64),
    /// It is marked as fenced, and somebody started it.
    FencedAndRuns,
}

impl StragglerWhy {
    /// The stable word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OlderEpoch(..) => "older_epoch",
            Self::FencedAndRuns => "fenced_and_runs",
        }
    }
}

impl fmt::Display for StragglerWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OlderEpoch(own, newest) => write!(f, "it was the primary of epoch {own}, and now is epoch {newest}"),
            Self::FencedAndRuns => f.write_str("it is fenced, and its container has processes"),
        }
    }
}

/// Every node that has to be fenced now.
pub fn stragglers(situation: &Situation) -> Vec<(&NodeName, StragglerWhy)> {
    let epochs = situation.members.values().filter_map(|member| member.health.epoch.present().copied());
    let newest = epochs.max().unwrap_or_default();
    let why = |name| {
        let health = &situation.members.get(name)?.health;
        let has_processes = health.container.seen.present().is_some_and(ContainerState::has_processes);
        match &health.epoch {
            _ if !has_processes => None,
            _ if health.fence_mark.is_present() => Some(StragglerWhy::FencedAndRuns),
            Seen::Present(epoch) if health.role == Seen::Present(Role::Primary) && *epoch < newest => {
                Some(StragglerWhy::OlderEpoch(*epoch, newest))
            }
            _ => None,
        }
    };
    situation.members.keys().filter_map(|name| Some((name, why(name)?))).collect()
}
