//! Has the new primary write down how it became that.

use super::promotion::Promoted;
use crate::error::in_one_line;
use crate::model::promotion::Occasion;
use crate::plan::failover::sequence::{Kind, Promotion};
use crate::postgres::history::{Entry, record};
use crate::postgres::session::Session;

/// Writes it down. The change was made whether that can be done or not, so a failure is told and no more.
pub(super) async fn write_down(primary: &Session, promotion: &Promotion, occasion: &Occasion, promoted: &Promoted) {
    let Promoted { report, loss, lost_bytes, lost_transactions } = promoted;
    let entry = Entry {
        epoch: report.epoch,
        kind: match promotion.kind {
            Kind::Switchover => "switchover",
            Kind::Failover => "failover",
        },
        from_node: &report.from,
        to_node: &report.to,
        by_whom: occasion.by.word(),
        why: &occasion.why,
        write_pause_seconds: report.write_pause_seconds,
        phases: &report.phases,
        loss,
        lost_bytes: *lost_bytes,
        lost_transactions: *lost_transactions,
    };
    if let Err(error) = record(primary, &entry).await {
        tracing::warn!("{} is the primary, and that is not in the history: {}", report.to, in_one_line(&error));
    }
}
