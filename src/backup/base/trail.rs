//! The log from the end of a base backup to its mark, as one more object of the backup: a tar of whole segments, for a directory
//! that `restore_command` copies from.
//!
//! In: a session to the server that wrote it, where a slot keeps the segments. Out: the tar as a reader, filled as the server gives it.

use super::feed::{Closed, Feeder};
use crate::model::lsn::Lsn;
use crate::model::segment::{SEGMENT_BYTES, Segment};
use crate::postgres::base;
use crate::postgres::session::{PostgresError, Session};

/// Read at a time.
const PIECE: u64 = 1024 * 1024;

/// The segments that lead from a backup's end to a mark. What was taken from a standby may end within a segment of which it has
/// the beginning only; on a primary the segment at the end was closed.
pub fn segments(timeline: u32, end: Lsn, is_from_standby: bool, mark: Lsn) -> Vec<Segment> {
    let last_byte = |lsn: Lsn| Lsn(lsn.0.saturating_sub(1));
    let at_end = Segment::at(timeline, last_byte(end));
    let first = if is_from_standby { at_end } else { at_end.next() };
    let last = Segment::at(timeline, last_byte(mark));
    (first.number..=last.number).map(|number| Segment { timeline, number }).collect()
}

/// Gives the tar of these segments to whoever reads at the other end.
pub async fn feed(
    session: &Session,
    segments: &[Segment],
    feeder: Feeder,
) -> Result<Result<(), Closed>, PostgresError> {
    for segment in segments {
        if let Err(closed) = feeder.give(header(*segment)).await {
            return Ok(Err(closed));
        }
        let mut at = 0;
        while at < SEGMENT_BYTES {
            let bytes = base::segment_bytes(session, *segment, at, PIECE).await?;
            if bytes.len() as u64 != PIECE {
                let because = format!("it has {} bytes of {segment} at {at}, and not {PIECE}", bytes.len());
                return Err(PostgresError::Unexpected { node: session.node.to_string(), because });
            }
            if let Err(closed) = feeder.give(bytes).await {
                return Ok(Err(closed));
            }
            at += PIECE;
        }
    }
    if let Err(closed) = feeder.give(vec![0; 1024]).await {
        return Ok(Err(closed));
    }
    Ok(feeder.end().await)
}

fn header(segment: Segment) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(segment.to_string()).expect("24 digits are a path");
    header.set_size(SEGMENT_BYTES);
    header.set_mode(0o600);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn begins_behind_the_closed_segment_of_a_primary_and_with_the_open_one_of_a_standby() {
        let numbers = |end: u64, is_from_standby, mark: u64| -> Vec<u64> {
            segments(1, Lsn(end), is_from_standby, Lsn(mark)).iter().map(|segment| segment.number).collect()
        };
        let size = SEGMENT_BYTES;
        assert_eq!(numbers(2 * size + 300, false, 3 * size + 100), [3]);
        assert_eq!(numbers(2 * size + 300, true, 3 * size + 100), [2, 3]);
        // A backup that ends with its segment, and a mark that does.
        assert_eq!(numbers(3 * size, false, 4 * size), [3]);
        assert_eq!(numbers(2 * size + 300, false, 2 * size + 400), [] as [u64; 0]);
    }

    proptest! {
        #[test]
        fn every_byte_up_to_the_mark_is_in_the_backup_or_in_the_trail(end in 1_u64..1 << 40, ahead in 1_u64..1 << 30, is_from_standby: bool) {
            let mark = Lsn(end + ahead);
            let trail = segments(1, Lsn(end), is_from_standby, mark);
            let held_to = if is_from_standby { Lsn(end) } else { Segment::at(1, Lsn(end - 1)).to() };
            let first = trail.first().map_or(held_to, |segment| segment.from());
            let last = trail.last().map_or(held_to, |segment| segment.to());
            prop_assert!(first <= held_to && last >= mark);
        }
    }

    #[test]
    fn a_header_is_what_tar_reads() {
        let segment = Segment { timeline: 1, number: 5 };
        let mut bytes = header(segment);
        bytes.resize(512 + usize::try_from(SEGMENT_BYTES).unwrap() + 1024, 0);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_string_lossy(), segment.to_string());
        assert_eq!(entry.size(), SEGMENT_BYTES);
    }
}
