//! Fingerprints of earlier backups that are kept in the database, and the activity that tells whether they still hold.

use std::collections::BTreeMap;

use crate::model::rows::{DumpTable, Fingerprint};
use crate::postgres::session::{PostgresError, Session};

/// What is known about one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its activity up to now (`hypertide.activity`); `None`: it cannot be told.
    pub activity: Option<String>,
    /// What was kept, with the activity of that time.
    pub kept: Option<(String, Fingerprint)>,
}

impl Known {
    /// The kept fingerprint, when nothing was counted since.
    pub fn unchanged(&self) -> Option<&Fingerprint> {
        let (activity, fingerprint) = self.kept.as_ref()?;
        (self.activity.as_ref() == Some(activity)).then_some(fingerprint)
    }
}

/// Asks about tables, by object id. Only where `hypertide.chunk_fingerprint` is.
pub async fn known<'a>(
    session: &Session,
    tables: impl Iterator<Item = &'a DumpTable>,
) -> Result<BTreeMap<u32, Known>, PostgresError> {
    let oids: Vec<u32> = tables.map(|table| table.oid).collect();
    let rows = session
        .client()
        .query(include_str!("../../../sql/backup/known.sql"), &[&oids])
        .await
        .map_err(|source| session.failed("read what earlier backups found", source))?;
    let known = |row: &tokio_postgres::Row| Known {
        activity: row.get(1),
        kept: row.get::<_, Option<String>>(2).and_then(|activity| {
            let rows = row.get::<_, i64>(3).unsigned_abs();
            Some((activity, Fingerprint::from_tagged(rows, row.get(4))?))
        }),
    };
    Ok(rows.iter().map(|row| (row.get(0), known(row))).collect())
}

/// Keeps fingerprints, each with the activity read before its rows.
pub async fn keep<'a>(
    session: &Session,
    found: impl Iterator<Item = (&'a DumpTable, &'a str, &'a Fingerprint)>,
) -> Result<(), PostgresError> {
    let list: Vec<_> = found
        .map(|(table, activity, fingerprint)| {
            serde_json::json!([table.name.schema, table.name.table, activity, fingerprint.rows, fingerprint.tagged()])
        })
        .collect();
    session
        .client()
        .execute(include_str!("../../../sql/backup/keep_known.sql"), &[&serde_json::Value::Array(list).to_string()])
        .await
        .map_err(|source| session.failed("keep fingerprints for the next backup", source))?;
    Ok(())
}
