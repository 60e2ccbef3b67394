//! A past change of the primary: what it was for, how long nobody could write, and what was lost.

use chrono::{DateTime, Utc};

use super::At;
use crate::model::promotion::PastPromotion;
use crate::model::readable::size;

/// A change of the primary.
#[derive(Clone, Debug)]
pub struct PromotionRow {
    /// When.
    pub at: At,
    /// `switchover` or `failover`.
    pub kind: String,
    /// The primary before.
    pub from: String,
    /// The primary afterwards.
    pub to: String,
    /// The epoch it began.
    pub epoch: u64,
    /// Who asked for it, and why.
    pub why: String,
    /// For how long no node took writes.
    pub pause: String,
    /// What was lost.
    pub lost: String,
}

impl PromotionRow {
    pub(super) fn of(past: &PastPromotion, clock: DateTime<Utc>) -> Self {
        let bytes = past.lost_bytes.map(|bytes| format!("{} of log", size(bytes)));
        let transactions = past.lost_transactions.map(|count| format!("{count} transactions"));
        let known: Vec<String> = bytes.into_iter().chain(transactions).collect();
        let at_least = if past.loss == "at_least" { "at least " } else { "" };
        Self {
            at: At::new(past.at, clock),
            kind: past.kind.clone(),
            from: past.from.clone(),
            to: past.to.clone(),
            epoch: past.epoch,
            why: format!("{}: {}", past.by, past.why),
            pause: format!("{:.3} s", past.write_pause.as_secs_f64()),
            lost: match known.as_slice() {
                _ if past.lost_bytes == Some(0) => "nothing".to_owned(),
                [] => "not known".to_owned(),
                known => format!("{at_least}{}", known.join(", ")),
            },
        }
    }
}
