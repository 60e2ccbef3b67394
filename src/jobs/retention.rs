//! Drops what retention lets go: one hypertable after the other, one chunk in each transaction, and says what that was.

use serde::Serialize;

use super::{JobError, Work};
use crate::model::expiry::ExpiryRule;
use crate::model::names::TableName;
use crate::plan::expiry::{Because, Kept, Refused, TablePlan, plan};
use crate::postgres::expiry::{Dropped, drop_chunk, look};
use crate::postgres::session::{PostgresError, Session};

/// What became of one hypertable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Which.
    pub hypertable: TableName,
    /// Why its rule could not be followed.
    pub refused: Option<Refused>,
    /// Chunks that were dropped.
    pub chunks: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes that they took.
    pub bytes: u64,
    /// Chunks that are old enough and stay.
    pub kept: Vec<Kept>,
}

/// What would go; takes note of what changed, and drops nothing.
pub async fn planned(session: &Session, rules: &[ExpiryRule]) -> Result<Vec<TablePlan>, PostgresError> {
    let names: Vec<&TableName> = rules.iter().map(|rule| &rule.hypertable).collect();
    Ok(plan(rules, &look(session, &names).await?))
}

/// Drops it.
pub(super) async fn run(session: &Session, rules: &[ExpiryRule]) -> Result<Work, JobError> {
    let mut reports = Vec::new();
    for TablePlan { hypertable, refused, drops, kept, .. } in planned(session, rules).await? {
        let mut report = TableReport { hypertable, refused, chunks: 0, rows: 0, bytes: 0, kept };
        for drop in &drops {
            let because = match drop_chunk(session, drop).await? {
                Dropped::Yes { rows, bytes } => {
                    report.chunks += 1;
                    report.rows += rows;
                    report.bytes += bytes;
                    continue;
                }
                Dropped::Changed => Because::Changed,
                Dropped::Busy => Because::Busy,
            };
            report.kept.push(Kept { chunk: drop.chunk.clone(), because });
        }
        let TableReport { hypertable, chunks, rows, bytes, kept, .. } = &report;
        if let Some(refused) = report.refused {
            tracing::warn!(%hypertable, "retention drops nothing: {refused}");
        } else if *chunks > 0 || !kept.is_empty() {
            tracing::info!(%hypertable, chunks, rows, bytes, kept = kept.len(), "retention dropped chunks");
        }
        reports.push(report);
    }
    let rows = reports.iter().map(|report| report.rows).sum();
    let details = serde_json::to_value(&reports).expect("words and numbers are JSON");
    Ok(Work { rows, details: Some(details), findings: None })
}
