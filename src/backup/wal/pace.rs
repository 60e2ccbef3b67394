//! When a segment is closed before it is full, when receiving rests, and what is told about it all. Pure.

use std::time::Duration;

use crate::model::lsn::Lsn;
use crate::model::wal::LogNow;

/// The spool holds at most so much: a few minutes of a busy ingest while a store is away. Beyond that the log waits on the primary,
/// within its `max_slot_wal_keep_size`.
pub const SPOOL_BOUND: u64 = 1024 * 1024 * 1024;

/// A segment in which only its own header was written holds nothing that could be lost.
const EMPTY: u64 = 40;

/// What would be lost if the primary were, with everything on it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// Bytes of log.
    pub bytes: u64,
    /// How old the first of them is; `None`: not known.
    pub age: Option<Duration>,
}

/// The open segment has to be closed, so that what is in it can be archived.
pub fn is_switch_due(now: &LogNow, max_age: Duration) -> bool {
    let open = now.insert.0 % super::segment::SEGMENT_BYTES;
    open > EMPTY && now.open_age.is_some_and(|age| age >= max_age)
}

/// Whether to receive, with so much in the spool. Once it rests it waits until half of it is stored, so that it does not begin and
/// end with every segment.
pub const fn may_receive(spool_bytes: u64, is_resting: bool) -> bool {
    if is_resting { spool_bytes <= SPOOL_BOUND / 2 } else { spool_bytes < SPOOL_BOUND }
}

/// What is not in the archive yet, which goes up to `archived`.
pub fn exposure(now: &LogNow, archived: Option<Lsn>) -> Exposure {
    let Some(archived) = archived else { return Exposure { bytes: now.insert.0, age: None } };
    let bytes = now.insert.bytes_since(archived);
    if bytes <= EMPTY {
        return Exposure { bytes: 0, age: Some(Duration::ZERO) };
    }
    Exposure { bytes, age: now.unarchived_age }
}

/// Before another attempt after so many that failed in a row: at first it is most often a restart, later a person has to come.
pub fn pause(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);
    FIRST.saturating_mul(1 << failures.min(6).saturating_sub(1)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::segment::SEGMENT_BYTES;
    use super::*;

    fn now(insert: u64, age: Option<u64>) -> LogNow {
        let age = age.map(Duration::from_secs);
        LogNow { timeline: 1, insert: Lsn(insert), open_age: age, unarchived_age: age }
    }

    #[test]
    fn a_segment_is_closed_when_something_in_it_is_too_old() {
        let limit = Duration::from_mins(1);
        for (insert, age, is_due) in [
            (3 * SEGMENT_BYTES, Some(100), false),
            (3 * SEGMENT_BYTES + EMPTY, Some(100), false),
            (3 * SEGMENT_BYTES + 100, Some(59), false),
            (3 * SEGMENT_BYTES + 100, Some(60), true),
            (3 * SEGMENT_BYTES + 100, None, false),
        ] {
            assert_eq!(is_switch_due(&now(insert, age), limit), is_due, "{insert} {age:?}");
        }
    }

    #[test]
    fn nothing_is_exposed_when_the_archive_goes_as_far_as_the_log() {
        let nothing = Exposure { bytes: 0, age: Some(Duration::ZERO) };
        assert_eq!(exposure(&now(SEGMENT_BYTES, Some(9)), Some(Lsn(SEGMENT_BYTES))), nothing);
        assert_eq!(exposure(&now(SEGMENT_BYTES + EMPTY, Some(9)), Some(Lsn(SEGMENT_BYTES))), nothing);
        let something = Exposure { bytes: 100, age: Some(Duration::from_secs(9)) };
        assert_eq!(exposure(&now(SEGMENT_BYTES + 100, Some(9)), Some(Lsn(SEGMENT_BYTES))), something);
        assert_eq!(exposure(&now(100, Some(9)), None), Exposure { bytes: 100, age: None });
    }

    #[test]
    fn pauses_grow_and_end_somewhere() {
        let secs: Vec<u64> = (0..9).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(secs, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
    }

    proptest! {
        #[test]
        fn a_spool_never_grows_far_beyond_its_bound_and_receiving_begins_again(
            steps in proptest::collection::vec((any::<bool>(), 0_u64..40), 1..200),
        ) {
            let (mut bytes, mut is_resting) = (0_u64, false);
            for (is_stored, segments) in steps {
                let amount = segments * SEGMENT_BYTES;
                is_resting = !may_receive(bytes, is_resting);
                if is_stored {
                    bytes = bytes.saturating_sub(amount);
                } else if !is_resting {
                    bytes += amount;
                }
                prop_assert!(bytes < SPOOL_BOUND + 40 * SEGMENT_BYTES);
            }
            prop_assert!(may_receive(0, true));
        }
    }
}
