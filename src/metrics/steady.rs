//! Keeps a sum over chunks from falling when chunks go: Prometheus takes a counter that falls for one that began afresh, and counts
//! all of it again. Pure.

use std::collections::BTreeMap;

use super::families::Sample;
use super::names::Kind;

/// What the sums of one collector on one node came to.
#[derive(Debug, Default)]
pub struct Steady(BTreeMap<Series, Sum>);

/// A metric's name and its labels.
type Series = (String, Vec<(&'static str, String)>);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// What the server said last.
    last: f64,
    /// What went away with chunks, or with the server's statistics.
    gone: f64,
}

impl Steady {
    /// Adds to each counter what has gone from it. Series that are there no more are forgotten.
    pub fn keep(&mut self, samples: &mut [Sample]) {
        let mut sums = BTreeMap::new();
        for sample in samples.iter_mut().filter(|sample| sample.kind == Kind::Counter) {
            let series = (sample.name.to_string(), sample.labels.clone());
            let before = self.0.get(&series).copied().unwrap_or_default();
            let gone = before.gone + (before.last - sample.value).max(0.0);
            sums.insert(series, Sum { last: sample.value, gone });
            sample.value += gone;
        }
        self.0 = sums;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::groups::tables::STAT_USER_TABLES;

    fn told(steady: &mut Steady, value: f64) -> f64 {
        let (_, metric) = STAT_USER_TABLES.columns[0];
        let mut samples = [Sample::new(metric, ["n", "d", "s", "t"].map(str::to_owned), value)];
        steady.keep(&mut samples);
        samples[0].value
    }

    #[test]
    fn a_dropped_chunk_takes_nothing_from_the_count() {
        let mut steady = Steady::default();
        let counted: Vec<f64> = [10.0, 25.0, 5.0, 8.0, 0.0].map(|value| told(&mut steady, value)).into();
        assert_eq!(counted, [10.0, 25.0, 25.0, 28.0, 28.0]);
    }

    proptest! {
        #[test]
        fn a_count_never_falls_and_grows_by_what_its_sum_grows_by(sums in prop::collection::vec(0_u32..1000, 1..20)) {
            let mut steady = Steady::default();
            let (mut before, mut counted_before) = (0.0, 0.0);
            for sum in sums.into_iter().map(f64::from) {
                let counted = told(&mut steady, sum);
                prop_assert!((counted - counted_before - (sum - before).max(0.0)).abs() < 0.5);
                (before, counted_before) = (sum, counted);
            }
        }
    }
}
