//! Where a timeline comes from: PostgreSQL's `.history` files, and the way through several timelines that leads to one.
//!
//! The format: <https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-TIMELINES>. Pure.

use std::collections::BTreeMap;

use crate::model::lsn::Lsn;

/// The ancestors of a timeline, oldest first: each with the position at which it was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Ancestor and the position of its last byte that counts, plus one.
    pub ancestors: Vec<(u32, Lsn)>,
}

/// A history file is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history of a timeline has a line that cannot be read: `{0}`")]
pub struct HistoryError(String);

impl History {
    /// Reads a `.history` file.
    pub fn parse(text: &str) -> Result<Self, HistoryError> {
        let mut ancestors: Vec<(u32, Lsn)> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let timeline = words.next().and_then(|word| word.parse::<u32>().ok());
            let left_at = words.next().and_then(|word| word.parse::<Lsn>().ok());
            let follows = |timeline: u32| ancestors.last().is_none_or(|(before, _)| *before < timeline);
            match (timeline, left_at) {
                (Some(timeline), Some(left_at)) if follows(timeline) => ancestors.push((timeline, left_at)),
                _ => return Err(HistoryError(line.to_owned())),
            }
        }
        Ok(Self { ancestors })
    }

    /// The timeline it was branched off from, and where.
    pub fn parent(&self) -> Option<(u32, Lsn)> {
        self.ancestors.last().copied()
    }
}

/// A timeline of which a stretch counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which.
    pub timeline: u32,
    /// From here.
    pub from: Lsn,
    /// Up to here; `None`: as far as it goes.
    pub to: Option<Lsn>,
}

/// The stretches that lead to a timeline, oldest first. A timeline without a history is taken for one that was branched off from
/// none; only timeline 1 is certain to be that.
pub fn way(histories: &BTreeMap<u32, History>, to: u32) -> Vec<Stretch> {
    let mut from = Lsn(0);
    let mut all = Vec::new();
    for (timeline, left_at) in histories.get(&to).map(|history| history.ancestors.as_slice()).unwrap_or_default() {
        all.push(Stretch { timeline: *timeline, from, to: Some(*left_at) });
        from = *left_at;
    }
    all.push(Stretch { timeline: to, from, to: None });
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_postgresql_writes() {
        let text = "1\t0/3000110\tno recovery target specified\n\n2\t0/5000000\tat restore point \"x\"\n";
        let history = History::parse(text).expect("well-formed");
        assert_eq!(history.ancestors, [(1, Lsn(0x0300_0110)), (2, Lsn(0x0500_0000))]);
        assert_eq!(history.parent(), Some((2, Lsn(0x0500_0000))));
        assert_eq!(History::parse("").expect("empty").parent(), None);
        for odd in ["x\t0/1\t", "1", "2\t0/1\tx\n1\t0/2\tx", "1\tnonsense\t"] {
            assert!(History::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_way_leaves_each_timeline_where_the_next_begins() {
        let history = History { ancestors: vec![(1, Lsn(10)), (3, Lsn(20))] };
        let histories = BTreeMap::from([(4, history)]);
        let stretch = |timeline, from, to: Option<u64>| Stretch { timeline, from: Lsn(from), to: to.map(Lsn) };
        assert_eq!(way(&histories, 4), [stretch(1, 0, Some(10)), stretch(3, 10, Some(20)), stretch(4, 20, None)]);
        assert_eq!(way(&histories, 1), [stretch(1, 0, None)]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\t\n0-9/]){0,80}") {
            let _ = History::parse(&text);
        }
    }
}
