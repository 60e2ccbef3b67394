//! What of a store stays and what goes, each with its reasons.
//!
//! In: what is in the store, what each job wants to keep, and the time. Out: a decision on every backup, on everything that
//! belongs to none, and on the archived log. Removes nothing and reads no clock.
//!
//! # Guarantees
//! - The newest backup of a job and kind stays, and the newest verified one.
//! - What an incremental backup that stays builds upon stays.
//! - A backup that cannot be read, or that no policy is about, stays.
//! - What a run that is under way, or was until a while ago, has written stays.
//! - The log stays from the oldest base backup that stays.

pub mod reason;

mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};

use crate::model::backup::{BackupId, Keep, Kind, ObjectKey};
use crate::model::lsn::Lsn;
use reason::{Because, KeptBecause, RemovedBecause};

pub use log::{Archived, LogDecision};

/// What is in one scope of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Backups whose manifest was read.
    pub backups: Vec<Backup>,
    /// Backups whose manifest is there and could not be read, or is of a later format.
    pub unreadable: BTreeSet<BackupId>,
    /// Objects of backups that have no manifest, by backup.
    pub orphans: Vec<Orphan>,
    /// Temporary files and uploads that nobody completed.
    pub unfinished: Vec<Unfinished>,
    /// Archived segments of the log.
    pub segments: Vec<Archived>,
    /// Backups that are being made now, as far as is known.
    pub running: BTreeSet<BackupId>,
}

/// A backup, as far as its staying is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its name, which says when it began.
    pub id: BackupId,
    /// What it holds.
    pub kind: Kind,
    /// The job that made it; `None`: made by hand.
    pub job: Option<String>,
    /// Its last drill found it equal.
    pub is_verified: bool,
    /// The backup it builds upon.
    pub parent: Option<BackupId>,
    /// Its objects in the store.
    pub stored_bytes: u64,
    /// Base backups: timeline and position from which on it needs the log.
    pub log_from: Option<(u32, Lsn)>,
}

/// Objects without a manifest: a run that is under way, one that was cut off, or a backup that was removed half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The backup they would be.
    pub id: BackupId,
    /// When the last of them was written, or an upload among them was begun.
    pub last_written: DateTime<Utc>,
    /// Their size.
    pub bytes: u64,
}

/// A temporary file or an upload that was begun and not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What it was to become.
    pub key: ObjectKey,
    /// The backup it would be part of; `None` for the log.
    pub id: Option<BackupId>,
    /// When it was begun.
    pub begun: DateTime<Utc>,
}

/// What jobs want to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// By the job's name; `None` keeps everything.
    pub jobs: BTreeMap<String, Option<Keep>>,
    /// Of jobs that are not among those; `None` keeps everything.
    pub others: Option<Keep>,
    /// Of backups that were made by hand; `None` keeps them.
    pub by_hand: Option<Keep>,
}

/// What becomes of one backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which.
    pub id: BackupId,
    /// Its size in the store; `None` when it cannot be read.
    pub bytes: Option<u64>,
    /// Why it stays or goes.
    pub because: Because,
}

impl Decision {
    /// It stays.
    pub const fn is_kept(&self) -> bool {
        matches!(self.because, Because::Kept(_))
    }
}

/// What becomes of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Backups, the newest first. Removed in this order, none is ever without what it builds upon.
    pub backups: Vec<Decision>,
    /// Objects without a manifest.
    pub orphans: Vec<Decision>,
    /// For each of [`Inventory::unfinished`], in that order.
    pub unfinished: Vec<Because>,
    /// The archived log.
    pub log: LogDecision,
}

/// Decides. `grace` is how long what has no manifest is left alone after it was last written to.
pub fn plan(inventory: &Inventory, policies: &Policies, grace: Duration, now: DateTime<Utc>) -> Pruning {
    let mut kept: BTreeMap<&BackupId, BTreeSet<KeptBecause>> = BTreeMap::new();
    let mut groups: BTreeMap<(Option<&str>, Kind), Vec<&Backup>> = BTreeMap::new();
    for backup in &inventory.backups {
        kept.insert(&backup.id, BTreeSet::new());
        groups.entry((backup.job.as_deref(), backup.kind)).or_default().push(backup);
    }
    for ((job, _), mut group) in groups {
        group.sort_by(|one, other| other.id.cmp(&one.id));
        let policy = match job {
            None => policies.by_hand.as_ref().ok_or(KeptBecause::ByHand),
            Some(job) => policies.jobs.get(job).unwrap_or(&policies.others).as_ref().ok_or(KeptBecause::NoPolicy),
        };
        for (backup, reasons) in by_policy(&group, policy, &inventory.segments, now) {
            kept.entry(&backup.id).or_default().extend(reasons);
        }
    }
    for backup in inventory.backups.iter().filter(|backup| inventory.running.contains(&backup.id)) {
        kept.entry(&backup.id).or_default().insert(KeptBecause::InProgress);
    }
    keep_parents(&inventory.backups, &mut kept);

    let mut decisions: Vec<Decision> = inventory
        .backups
        .iter()
        .map(|backup| {
            let reasons = kept.remove(&backup.id).unwrap_or_default();
            let because = if reasons.is_empty() {
                Because::Removed(RemovedBecause::BeyondPolicy)
            } else {
                Because::Kept(reasons.into_iter().collect())
            };
            Decision { id: backup.id.clone(), bytes: Some(backup.stored_bytes), because }
        })
        .collect();
    decisions.extend(inventory.unreadable.iter().map(|id| Decision {
        id: id.clone(),
        bytes: None,
        because: Because::Kept(vec![KeptBecause::Unreadable]),
    }));
    decisions.sort_by(|one, other| other.id.cmp(&one.id));

    let is_kept = |backup: &&Backup| decisions.iter().any(|decision| decision.id == backup.id && decision.is_kept());
    let bases: Vec<&Backup> = inventory.backups.iter().filter(is_kept).collect();
    // Of a base backup that cannot be read, nobody knows what it needs.
    let is_unclear = inventory.unreadable.iter().any(|id| kind_of(id) == Some(Kind::Base));
    let log = log::decide(&inventory.segments, &bases, is_unclear);
    let abandoned = |id: Option<&BackupId>, since: DateTime<Utc>, because: RemovedBecause| {
        let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
        if id.is_some_and(|id| inventory.running.contains(id)) {
            Because::Kept(vec![KeptBecause::InProgress])
        } else if now - since < grace {
            Because::Kept(vec![KeptBecause::Grace])
        } else {
            Because::Removed(because)
        }
    };
    let orphans = inventory.orphans.iter().map(|orphan| Decision {
        id: orphan.id.clone(),
        bytes: Some(orphan.bytes),
        because: abandoned(Some(&orphan.id), orphan.last_written, RemovedBecause::NoManifest),
    });
    let unfinished = inventory.unfinished.iter();
    let unfinished = unfinished.map(|part| abandoned(part.id.as_ref(), part.begun, RemovedBecause::Unfinished));
    Pruning { backups: decisions, orphans: orphans.collect(), unfinished: unfinished.collect(), log }
}

fn kind_of(id: &BackupId) -> Option<Kind> {
    let word = id.as_str().split('-').nth(1)?;
    Kind::ALL.into_iter().find(|kind| kind.word() == word)
}

/// Two moments with the same result lie in the same period.
type Period = fn(DateTime<Utc>) -> (i32, u32, u32);

/// One job's backups of one kind, the newest first, each with the reasons for which it stays.
fn by_policy<'a>(
    group: &[&'a Backup],
    policy: Result<&Keep, KeptBecause>,
    segments: &[Archived],
    now: DateTime<Utc>,
) -> Vec<(&'a Backup, BTreeSet<KeptBecause>)> {
    let mut all: Vec<(&Backup, BTreeSet<KeptBecause>)> =
        group.iter().map(|backup| (*backup, BTreeSet::new())).collect();
    // The newest also where an older one is verified: the next incremental backup may be about to build upon it.
    if let Some((_, reasons)) = all.first_mut() {
        reasons.insert(KeptBecause::Newest);
    }
    if let Some((_, reasons)) = all.iter_mut().find(|(backup, _)| backup.is_verified) {
        reasons.insert(KeptBecause::NewestVerified);
    }
    let keep = match policy {
        Ok(keep) => keep,
        Err(because) => {
            for (_, reasons) in &mut all {
                reasons.insert(because.clone());
            }
            return all;
        }
    };
    for (_, reasons) in all.iter_mut().take(count(keep.last)) {
        reasons.insert(KeptBecause::Last);
    }
    let periods: [(u32, KeptBecause, Period); 5] = [
        (keep.hourly, KeptBecause::Hourly, |at| (at.year(), at.ordinal(), at.hour())),
        (keep.daily, KeptBecause::Daily, |at| (at.year(), at.ordinal(), 0)),
        (keep.weekly, KeptBecause::Weekly, |at| (at.iso_week().year(), at.iso_week().week(), 0)),
        (keep.monthly, KeptBecause::Monthly, |at| (at.year(), at.month(), 0)),
        (keep.yearly, KeptBecause::Yearly, |at| (at.year(), 0, 0)),
    ];
    for (most, because, period) in periods {
        let mut seen = BTreeSet::new();
        for (backup, reasons) in &mut all {
            let is_new = !seen.contains(&period(backup.id.began()));
            if is_new && seen.len() < count(most) {
                seen.insert(period(backup.id.began()));
                reasons.insert(because.clone());
            }
        }
    }
    let min_age = TimeDelta::from_std(keep.min_age).unwrap_or(TimeDelta::MAX);
    let is_young = |backup: &Backup| !keep.min_age.is_zero() && now - backup.id.began() < min_age;
    for (backup, reasons) in &mut all {
        if is_young(backup) {
            reasons.insert(KeptBecause::MinAge);
        }
    }
    // With the log, every moment of the minimum age can be restored: from the last backup before it.
    if !keep.min_age.is_zero() {
        let before = all.iter_mut().find(|(backup, _)| backup.kind == Kind::Base && !is_young(backup));
        if let Some((_, reasons)) = before.filter(|(backup, _)| log::leads_on(backup, segments)) {
            reasons.insert(KeptBecause::NeededByLog);
        }
    }
    all
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a backup that stays builds upon stays too.
fn keep_parents<'a>(backups: &'a [Backup], kept: &mut BTreeMap<&'a BackupId, BTreeSet<KeptBecause>>) {
    let by_id: BTreeMap<&BackupId, &Backup> = backups.iter().map(|backup| (&backup.id, backup)).collect();
    let staying: Vec<&Backup> =
        backups.iter().filter(|backup| kept.get(&backup.id).is_some_and(|reasons| !reasons.is_empty())).collect();
    for backup in staying {
        let mut child = backup;
        // A chain is never longer than there are backups, whatever manifests claim.
        for _ in 0..backups.len() {
            let Some(parent) = child.parent.as_ref().and_then(|parent| by_id.get(parent)) else { break };
            kept.entry(&parent.id).or_default().insert(KeptBecause::NeededBy(child.id.clone()));
            child = parent;
        }
    }
}

#[cfg(test)]
mod tests;
