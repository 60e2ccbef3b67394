//! Writes down that the primary was changed. Read back with everything else that is observed (`sql/observe/database.sql`).

use serde::Serialize;

use super::session::{PostgresError, Session};
use crate::model::names::NodeName;
use crate::plan::failover::sequence::phase::Phase;

/// A row of `hypertide.promotion`; the server adds the time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry<'a> {
    /// The epoch that began.
    pub epoch: u64,
    /// `switchover` or `failover`.
    pub kind: &'static str,
    /// The primary before.
    pub from_node: &'a NodeName,
    /// The primary now.
    pub to_node: &'a NodeName,
    /// Who made the change.
    pub by_whom: &'static str,
    /// Why.
    pub why: &'a str,
    /// For how long no node took writes.
    pub write_pause_seconds: f64,
    /// What was done, with the seconds it took.
    pub phases: &'a [(Phase, f64)],
    /// What was lost, in a stable word.
    pub loss: &'a str,
    /// Bytes of log that were lost; `None`: not known.
    pub lost_bytes: Option<u64>,
    /// Transactions that were lost; `None`: not known.
    pub lost_transactions: Option<u64>,
}

/// Writes an entry down on the new primary.
pub async fn record(primary: &Session, entry: &Entry<'_>) -> Result<(), PostgresError> {
    let doing = "write down the change of the primary";
    let json = serde_json::to_string(entry).expect("words and finite numbers are JSON");
    let writing = async {
        let written = primary.client().execute(include_str!("../../sql/setup/record_promotion.sql"), &[&json]).await;
        written.map(drop).map_err(|source| primary.failed(doing, source))
    };
    primary.promptly(doing, writing).await
}
