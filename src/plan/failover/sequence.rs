//! How the primary is changed: what was decided, and the phases in which it is carried out, as data.
//!
//! In: a [`Choice`]. Out: a [`Promotion`] and its phases, in order. What becomes of one that was cut off is `plan::succession`'s
//! business: marks on the nodes tell how far it came.

pub mod phase;

use super::loss::Salvage;
use super::request::Choice;
use crate::model::cluster::Mode;
use crate::model::names::NodeName;
use phase::Phase;

/// Planned or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The primary answers: it is drained and loses nothing.
    Switchover,
    /// The primary does not: it is fenced.
    Failover,
}

/// A promotion, complete: whoever carries it out has no choice left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Planned or not.
    pub kind: Kind,
    /// How the replica followed.
    pub mode: Mode,
    /// The primary so far.
    pub from: NodeName,
    /// The primary to come.
    pub to: NodeName,
    /// The epoch that begins with it.
    pub epoch: u64,
    /// Log that is fed to the replica first.
    pub salvage: Option<Salvage>,
}

impl Promotion {
    /// What was asked for or decided, as the first promotion after this epoch.
    pub fn new(kind: Kind, choice: Choice, epoch: u64) -> Self {
        let Choice { from, to, mode, salvage, .. } = choice;
        Self { kind, mode, from, to, epoch: epoch + 1, salvage }
    }

    /// Its phases, in order; each at most once.
    pub fn phases(&self) -> impl Iterator<Item = Phase> {
        let phases = match (self.kind, self.mode) {
            (Kind::Switchover, Mode::Physical) => phase::PHYSICAL_SWITCHOVER,
            (Kind::Switchover, Mode::Logical) => phase::LOGICAL_SWITCHOVER,
            (Kind::Failover, Mode::Physical) => phase::PHYSICAL_FAILOVER,
            (Kind::Failover, Mode::Logical) => phase::LOGICAL_FAILOVER,
        };
        let has_salvage = self.salvage.is_some();
        phases.iter().copied().filter(move |phase| has_salvage || *phase != Phase::SalvageTail)
    }
}

#[cfg(test)]
mod tests;
