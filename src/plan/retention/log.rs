//! Which archived segments of the log stay: those from the oldest base backup that stays, on every timeline after its own.

use serde::Serialize;

use super::Backup;
use crate::model::backup::ObjectKey;
use crate::model::lsn::Lsn;
use crate::plan::restore::{SEGMENT_BYTES, Segment};

/// An archived segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Where it is in the store.
    pub key: ObjectKey,
    /// Which it is.
    pub segment: Segment,
    /// Its size in the store.
    pub bytes: u64,
}

/// What becomes of the archived log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogDecision {
    /// Segments that stay.
    pub kept: usize,
    /// Segments that go, the oldest first.
    #[serde(serialize_with = "counted")]
    pub removed: Vec<ObjectKey>,
    /// Their size.
    pub removed_bytes: u64,
    /// The first segment that a base backup needs; null where none does.
    pub kept_from: Option<String>,
}

fn counted<S: serde::Serializer>(keys: &[ObjectKey], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(keys.len() as u64)
}

/// Where a base backup begins to read the log.
fn start(backup: &Backup) -> Option<Segment> {
    backup.log_from.map(|(timeline, Lsn(at))| Segment { timeline, number: at / SEGMENT_BYTES })
}

/// A recovery that begins there may read this segment: a later timeline goes on where an earlier one was left, an earlier one is of no
/// use to a later backup.
fn reads(start: Segment, segment: Segment) -> bool {
    start.timeline <= segment.timeline && start.number <= segment.number
}

/// There is log that leads on from this base backup.
pub fn leads_on(backup: &Backup, archived: &[Archived]) -> bool {
    start(backup).is_some_and(|start| archived.iter().any(|archived| reads(start, archived.segment)))
}

/// Decides on the log, given the backups that stay. Where nobody knows what is needed, all of it stays.
pub fn decide(archived: &[Archived], staying: &[&Backup], is_unclear: bool) -> LogDecision {
    let starts: Vec<Segment> = staying.iter().filter_map(|backup| start(backup)).collect();
    let is_everything = starts.is_empty() || is_unclear;
    let is_needed = |segment: Segment| is_everything || starts.iter().any(|start| reads(*start, segment));
    let mut gone: Vec<&Archived> = archived.iter().filter(|archived| !is_needed(archived.segment)).collect();
    gone.sort_by_key(|archived| archived.segment);
    LogDecision {
        kept: archived.len() - gone.len(),
        removed_bytes: gone.iter().map(|archived| archived.bytes).sum(),
        removed: gone.into_iter().map(|archived| archived.key.clone()).collect(),
        kept_from: starts.iter().min().filter(|_| !is_everything && !archived.is_empty()).map(ToString::to_string),
    }
}
