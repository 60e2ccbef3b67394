//! What is on record about comparing replicas, as `sql/observe/database.sql` answers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::names::{NameError, NodeName, TableName};
use crate::model::observed::Verified;

/// One replica.
#[derive(Debug, Deserialize)]
pub(super) struct VerifiedRow {
    finished_at: Option<String>,
    finished_secs: Option<u64>,
    compared: u64,
    left_out: u64,
    mismatches: u64,
    differing: Vec<(String, String)>,
}

/// All replicas, by name.
pub(super) fn into_model(rows: BTreeMap<String, VerifiedRow>) -> Result<BTreeMap<NodeName, Verified>, NameError> {
    rows.into_iter()
        .map(|(name, row)| {
            let differing = row.differing.iter().map(|(schema, table)| TableName::new(schema, table));
            let verified = Verified {
                finished_at: row.finished_at,
                finished_secs: row.finished_secs,
                compared: row.compared,
                left_out: row.left_out,
                mismatches: row.mismatches,
                differing: differing.collect::<Result<_, _>>()?,
            };
            Ok((NodeName::new(&name)?, verified))
        })
        .collect()
}
