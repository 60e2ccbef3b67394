//! What is left of the log on a volume whose server no longer runs.
//!
//! In: what a reader found from one position to the end. Out: how much of it a replica at some position lacks.

use crate::model::lsn::Lsn;

/// The end of a log, read from the files of a server that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalTail {
    /// Its timeline.
    pub timeline: u32,
    /// The first position that can be read without a gap up to the end.
    pub start: Lsn,
    /// Behind the last whole record.
    pub end: Lsn,
    /// The end of each commit record in it, in order; `None` when nobody counted.
    pub commits: Option<Vec<Lsn>>,
}

impl WalTail {
    /// All of it that a replica at this position lacks can be read.
    pub fn reaches(&self, position: Lsn) -> bool {
        self.start <= position
    }

    /// Bytes that a replica at this position lacks.
    pub fn bytes_after(&self, position: Lsn) -> u64 {
        self.end.bytes_since(position)
    }

    /// Transactions that a replica at this position lacks. Told only of a position from which on all can be read.
    pub fn transactions_after(&self, position: Lsn) -> Option<u64> {
        let commits = self.commits.as_ref().filter(|_| self.reaches(position))?;
        let missing = commits.len() - commits.partition_point(|commit| *commit <= position);
        u64::try_from(missing).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_comes_after_a_position_and_only_where_it_can() {
        let tail = WalTail { timeline: 1, start: Lsn(100), end: Lsn(200), commits: Some(vec![Lsn(120), Lsn(150)]) };
        assert_eq!((tail.bytes_after(Lsn(120)), tail.transactions_after(Lsn(120))), (80, Some(1)));
        assert_eq!((tail.bytes_after(Lsn(150)), tail.transactions_after(Lsn(150))), (50, Some(0)));
        assert_eq!((tail.bytes_after(Lsn(300)), tail.transactions_after(Lsn(300))), (0, Some(0)));
        assert_eq!((tail.bytes_after(Lsn(50)), tail.transactions_after(Lsn(50))), (150, None));
        let uncounted = WalTail { commits: None, ..tail };
        assert_eq!(uncounted.transactions_after(Lsn(120)), None);
    }
}
