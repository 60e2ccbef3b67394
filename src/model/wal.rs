//! The primary's log as those see it who archive it.

use std::time::Duration;

use super::lsn::Lsn;

/// The slot that keeps the log on the primary until it is archived. No node can be called `wal`, so it is nobody else's.
pub const SLOT: &str = "hypertide_wal";

/// The log on the primary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNow {
    /// Its timeline.
    pub timeline: u32,
    /// Where it is.
    pub insert: Lsn,
    /// How long ago the first byte of the open segment was written, or a little longer; `None`: not known.
    pub open_age: Option<Duration>,
    /// The same for the first byte that is not in the archive.
    pub unarchived_age: Option<Duration>,
}
