//! Whether a fingerprint of an earlier backup still holds.
//!
//! A table's activity (`sql/setup/compare.sql`) counts its changes. Counters that are equal to those of an earlier fingerprint,
//! read before its rows, say that no change was *counted* since. A session counts what a transaction did only some time after
//! its commit, so that alone is not enough: nobody may hold changes that the present snapshot shows and that are not counted yet.
//! [`is_settled`] says when that is certain; a `false` costs another look at the rows and nothing else.
//!
//! When sessions tell their counts (PostgreSQL's `pgstat.c`): at the end of the session; when it becomes idle, at most once a
//! second and unless another holds the counter just then; at the latest when it becomes idle and has held back for a minute; and
//! when it has been idle for ten seconds.

use std::time::Duration;

use crate::model::rows::BackendSeen;

/// An idle session has told everything after this; ten seconds by PostgreSQL's own timer, and one for that timer's delay.
const IDLE: Duration = Duration::from_secs(11);

/// A session that became idle so long after a change has told it: a minute at most, ten seconds for the timer, and one for both.
const AT_MOST: Duration = Duration::from_secs(71);

/// Everything that a snapshot taken `snapshot` ago shows is counted by now. `None` among the backends' ages is the bad case
/// wherever it could be.
pub fn is_settled(snapshot: Duration, backends: &[BackendSeen]) -> bool {
    backends.iter().all(|backend| has_told(snapshot, backend))
}

fn has_told(snapshot: Duration, backend: &BackendSeen) -> bool {
    // Nothing it did can be in the snapshot.
    if backend.connected < snapshot {
        return true;
    }
    // The last moment at which it was surely between two transactions.
    let between = match (backend.idle, backend.in_transaction) {
        (Some(idle), None) => {
            if idle >= IDLE {
                return true;
            }
            idle
        }
        // Idle within a transaction tells nothing.
        (_, Some(began)) => began,
        (None, None) => return false,
    };
    snapshot.checked_sub(AT_MOST).is_some_and(|latest| between <= latest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A session after PostgreSQL's rules, in seconds since it connected: transactions, each with its beginning and end, and
    /// whether a counter was taken when it ended.
    #[derive(Debug)]
    struct Life {
        transactions: Vec<(f64, f64, bool)>,
    }

    impl Life {
        /// When the changes of each transaction were told, up to `now`.
        fn told(&self, now: f64) -> Vec<Option<f64>> {
            let mut told = vec![None; self.transactions.len()];
            let mut last = f64::NEG_INFINITY;
            let mut pending_since = None;
            for (at, (_, end, is_contended)) in self.transactions.iter().enumerate() {
                if *end > now {
                    break;
                }
                let since = *pending_since.get_or_insert(*end);
                let is_forced = end - since > 60.0;
                if is_forced || (end - last >= 1.0 && !is_contended) {
                    told[..=at].iter_mut().filter(|told| told.is_none()).for_each(|told| *told = Some(*end));
                    last = *end;
                    pending_since = None;
                }
                let next = self.transactions.get(at + 1).map_or(now, |(begin, ..)| begin.min(now));
                if next - end >= 10.0 {
                    let timer = end + 10.0;
                    told[..=at].iter_mut().filter(|told| told.is_none()).for_each(|told| *told = Some(timer));
                    last = timer;
                    pending_since = None;
                }
            }
            told
        }

        /// As `pg_stat_activity` shows it at a time.
        fn seen(&self, now: f64) -> BackendSeen {
            let ago = |time: f64| Duration::from_secs_f64(now - time);
            let current = self.transactions.iter().find(|(begin, end, _)| *begin <= now && now < *end);
            let ended = self.transactions.iter().rev().find(|(_, end, _)| *end <= now).map_or(0.0, |(_, end, _)| *end);
            BackendSeen {
                connected: ago(0.0),
                idle: current.is_none().then(|| ago(ended)),
                in_transaction: current.map(|(begin, ..)| ago(*begin)),
            }
        }
    }

    fn lives() -> impl Strategy<Value = Life> {
        let seconds = prop_oneof![0.01..1.0_f64, 0.01..15.0_f64, 0.01..90.0_f64];
        proptest::collection::vec((seconds.clone(), seconds, proptest::bool::weighted(0.3)), 1..30).prop_map(|steps| {
            let mut now = 0.0;
            let mut transactions = Vec::new();
            for (pause, length, is_contended) in steps {
                let begin = now + pause;
                now = begin + length;
                transactions.push((begin, now, is_contended));
            }
            Life { transactions }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_a_snapshot_shows_is_counted_whenever_it_is_called_settled(
            life in lives(), snapshot in 0.0..600.0_f64, later in 0.0..200.0_f64,
        ) {
            let now = snapshot + later;
            if is_settled(Duration::from_secs_f64(later), &[life.seen(now)]) {
                for ((_, end, _), told) in life.transactions.iter().zip(life.told(now)) {
                    prop_assert!(*end > snapshot || told.is_some(), "committed at {}, never told", end);
                }
            }
        }
    }

    fn ago(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_settled_at_once_where_nobody_else_does_anything() {
        assert!(is_settled(ago(0), &[]));
        let idle = BackendSeen { connected: ago(100), idle: Some(ago(12)), in_transaction: None };
        assert!(is_settled(ago(1), &[idle]));
        let newcomer = BackendSeen { connected: ago(1), idle: None, in_transaction: Some(ago(1)) };
        assert!(is_settled(ago(2), &[idle, newcomer]));
    }

    #[test]
    fn a_busy_session_settles_a_minute_later() {
        let busy = |idle| BackendSeen { connected: ago(1000), idle: Some(ago(idle)), in_transaction: None };
        assert!(!is_settled(ago(60), &[busy(0)]));
        assert!(is_settled(ago(80), &[busy(0)]));
        let long = BackendSeen { connected: ago(1000), idle: None, in_transaction: Some(ago(79)) };
        assert!(!is_settled(ago(80), &[busy(0), long]));
        let unknown = BackendSeen { connected: ago(1000), idle: None, in_transaction: None };
        assert!(!is_settled(ago(1000), &[unknown]));
    }
}
