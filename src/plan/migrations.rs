//! Which migrations to apply, which to hold and why, and when to refuse a pack.
//!
//! In: the packs the configuration names, what the database recorded as applied, and what the database is like.
//! Out: a verdict on each migration. Never reads a file or a database.
//!
//! A migration is known by its pack and number; the words in its name are for people. A migration without needs is
//! applied in the order of its number or not at all. One with needs may be applied late, when they come to be met, so
//! no other migration may build upon it.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::cluster::Edition;
use crate::model::pack::{Applied, AppliedMigration, Migration, MigrationId, Pack};

/// What the database is like, as far as migrations care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The edition it runs; `None` while that is not known.
    pub edition: Option<Edition>,
    /// Some replica gets, or is to get, its rows by logical replication.
    pub has_logical_replica: bool,
}

/// Why a migration waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldBecause {
    /// It uses community features, and the database is not known to have them.
    NeedsCommunity,
    /// It would break logical replication.
    NeedsNoLogicalReplica,
}

/// Why nothing of a pack is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The migration was edited after it had been applied.
    Changed {
        /// Which one.
        id: MigrationId,
        /// The checksum recorded when it was applied.
        recorded: String,
        /// The checksum the pack has now.
        found: String,
    },
    /// The database recorded it, and the pack no longer has it.
    Missing {
        /// Which one.
        id: MigrationId,
    },
    /// It was never applied although a later one was.
    OutOfOrder {
        /// Which one.
        id: MigrationId,
        /// The last one recorded of its pack.
        after: MigrationId,
    },
}

/// Where one migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Recorded as applied, and unchanged since.
    Applied,
    /// To be applied; waits as long as another migration of its pack is refused.
    Pending,
    /// Not applied now.
    Held(HeldBecause),
    /// Something is wrong with it.
    Refused(Refusal),
}

/// The verdict on all packs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrations {
    /// To apply, in this order.
    pub to_apply: Vec<MigrationId>,
    /// Wanted and not applied now.
    pub held: Vec<(MigrationId, HeldBecause)>,
    /// What a person must mend before anything of these packs is applied.
    pub refused: Vec<Refusal>,
}

/// Decides about all packs. Nothing of a pack with a refusal is to be applied; the other packs are not affected.
pub fn compare(packs: &[Pack], applied: &Applied, ground: Ground) -> Migrations {
    let mut verdict = Migrations::default();
    for pack in packs {
        let mut to_apply = Vec::new();
        let mut refused = Vec::new();
        for (id, state) in states_of_pack(pack, applied, ground) {
            match state {
                State::Applied => {}
                State::Pending => to_apply.push(id),
                State::Held(because) => verdict.held.push((id, because)),
                State::Refused(refusal) => refused.push(refusal),
            }
        }
        if refused.is_empty() {
            verdict.to_apply.append(&mut to_apply);
        }
        verdict.refused.append(&mut refused);
    }
    verdict
}

/// Where each migration of the packs stands, in the order of packs and numbers; recorded ones that a pack lost are
/// listed at their numbers. Packs that are recorded but not given are left alone.
pub fn states(packs: &[Pack], applied: &Applied, ground: Ground) -> Vec<(MigrationId, State)> {
    packs.iter().flat_map(|pack| states_of_pack(pack, applied, ground)).collect()
}

fn states_of_pack(pack: &Pack, applied: &Applied, ground: Ground) -> Vec<(MigrationId, State)> {
    let recorded: BTreeMap<u32, &AppliedMigration> =
        applied.iter().filter(|row| row.id.pack == pack.name).map(|row| (row.id.number, row)).collect();
    let last_recorded = recorded.values().next_back().map(|row| &row.id);

    let mut by_number: BTreeMap<u32, (MigrationId, State)> = recorded
        .iter()
        .map(|(&number, row)| {
            let id = row.id.clone();
            let missing = State::Refused(Refusal::Missing { id: id.clone() });
            (number, (id, missing))
        })
        .collect();
    for migration in &pack.migrations {
        let state = match recorded.get(&migration.id.number) {
            Some(row) => state_of_recorded(migration, row),
            None => state_of_new(migration, last_recorded, ground),
        };
        by_number.insert(migration.id.number, (migration.id.clone(), state));
    }
    by_number.into_values().collect()
}

fn state_of_recorded(migration: &Migration, row: &AppliedMigration) -> State {
    if row.checksum == migration.checksum {
        State::Applied
    } else {
        State::Refused(Refusal::Changed {
            id: migration.id.clone(),
            recorded: row.checksum.clone(),
            found: migration.checksum.clone(),
        })
    }
}

fn state_of_new(migration: &Migration, last: Option<&MigrationId>, ground: Ground) -> State {
    let needs = &migration.needs;
    if needs.community && ground.edition != Some(Edition::Community) {
        return State::Held(HeldBecause::NeedsCommunity);
    }
    if needs.no_logical_replica && ground.has_logical_replica {
        return State::Held(HeldBecause::NeedsNoLogicalReplica);
    }
    let may_be_late = needs.community || needs.no_logical_replica;
    match last {
        Some(last) if last.number > migration.id.number && !may_be_late => {
            State::Refused(Refusal::OutOfOrder { id: migration.id.clone(), after: last.clone() })
        }
        _ => State::Pending,
    }
}

impl HeldBecause {
    /// The word used in metrics and output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NeedsCommunity => "needs_community",
            Self::NeedsNoLogicalReplica => "needs_no_logical_replica",
        }
    }
}

impl fmt::Display for HeldBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NeedsCommunity => "it needs TimescaleDB's community edition, and the database is not known to run it",
            Self::NeedsNoLogicalReplica => "it would break logical replication, and the cluster has a logical replica",
        })
    }
}

impl Refusal {
    /// The word used in metrics and output.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Missing { .. } => "missing",
            Self::OutOfOrder { .. } => "out_of_order",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Changed { id, .. } => {
                format!("put the applied text of {id} back, and write what is new as a migration with a higher number")
            }
            Self::Missing { id } => format!("put the file of {id} back; a recorded migration is never removed"),
            Self::OutOfOrder { id, after } => format!("give {id} a number above that of {after}"),
        }
    }

    /// The migration it is about.
    pub const fn id(&self) -> &MigrationId {
        match self {
            Self::Changed { id, .. } | Self::Missing { id } | Self::OutOfOrder { id, .. } => id,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { id, recorded, found } => write!(
                f,
                "{id} was changed after it had been applied: recorded with checksum {}, now {}",
                short(recorded),
                short(found)
            ),
            Self::Missing { id } => {
                write!(f, "{id} was applied, and the pack no longer has it")
            }
            Self::OutOfOrder { id, after } => {
                write!(f, "{id} was never applied, and {after} already is: a new migration needs a higher number")
            }
        }
    }
}

/// Enough of a checksum to tell two apart at a glance.
fn short(checksum: &str) -> &str {
    checksum.get(..12).unwrap_or(checksum)
}

impl State {
    /// The word used in output.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Held(_) => "held",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied | Self::Pending => f.pad(self.label()),
            Self::Held(because) => write!(f, "held: {because}"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
        }
    }
}

#[cfg(test)]
mod tests;
