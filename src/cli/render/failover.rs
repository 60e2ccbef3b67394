//! Failover and changes of the primary in the status, for people.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::model::promotion::{FailoverPause, PastPromotion};
use crate::status::Status;

/// A line while failover is paused, and one for the last change of the primary, where there was one.
pub(super) fn text(status: &Status) -> Vec<String> {
    let paused = status.failover.paused.map(|pause| format!("failover       {}", paused(&pause)));
    paused.into_iter().chain(status.promotions.first().map(last_change)).collect()
}

/// Since when failover is paused, and until when.
pub fn paused(pause: &FailoverPause) -> String {
    let until = pause.until.map_or_else(|| "`hypertide failover resume`".to_owned(), shown);
    format!("paused since {} until {until}", shown(pause.since))
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn last_change(past: &PastPromotion) -> String {
    let lost = match (past.lost_bytes, past.lost_transactions) {
        (Some(0), _) => "nothing lost".to_owned(),
        (Some(bytes), Some(transactions)) => format!("{transactions} transactions lost ({bytes} bytes of log)"),
        (Some(bytes), None) => format!("at least {bytes} bytes of log lost"),
        (None, _) => "loss not known".to_owned(),
    };
    let PastPromotion { from, to, kind, by, .. } = past;
    let at = shown(past.at);
    format!("promotion      {to} took the place of {from} at {at} ({kind} by {by}, {lost})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::past_promotion;

    #[test]
    fn a_pause_has_an_end_or_the_way_to_it() {
        let since = "2026-11-21T09:18:16Z".parse().expect("a time");
        let until = "2026-11-21T11:18:16Z".parse().expect("a time");
        let ends = FailoverPause { since, until: Some(until) };
        assert_eq!(paused(&ends), "paused since 2026-11-21T09:18:16Z until 2026-11-21T11:18:16Z");
        let stays = FailoverPause { until: None, ..ends };
        assert_eq!(paused(&stays), "paused since 2026-11-21T09:18:16Z until `hypertide failover resume`");
    }

    #[test]
    fn the_last_change_is_one_line() {
        let past = past_promotion(3);
        insta::assert_snapshot!(
            last_change(&past),
            @"promotion      replica-1 took the place of primary-1 at 2026-11-21T09:18:16Z (switchover by operator, nothing lost)"
        );
        let lost = |bytes, transactions| {
            let past = PastPromotion { lost_bytes: bytes, lost_transactions: transactions, ..past.clone() };
            last_change(&past).rsplit_once("operator, ").map(|(_, lost)| lost.to_owned()).unwrap_or_default()
        };
        assert_eq!(lost(Some(64), Some(2)), "2 transactions lost (64 bytes of log))");
        assert_eq!(lost(Some(64), None), "at least 64 bytes of log lost)");
        assert_eq!(lost(None, None), "loss not known)");
    }
}
