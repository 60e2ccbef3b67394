//! Keeps `hypertide.backup_metadata` in step with a store, for those who look with SQL.
//!
//! In: a catalogue. Out: rows. The store decides: what is gone from it is marked as gone, and what is in it is there.

use crate::backup::catalog::{Contents, Entry};
use crate::backup::manifest::FILE_NAME;
use crate::model::backup::{Scope, StoreUrl};
use crate::postgres::backups::{self, Record};
use crate::postgres::session::{PostgresError, Session};
use sha2::{Digest, Sha256};

/// Writes down what a store has of a scope.
pub async fn mirror(
    session: &Session,
    url: &StoreUrl,
    scope: &Scope,
    contents: &Contents,
) -> Result<(), PostgresError> {
    for record in contents.entries.iter().filter_map(|entry| record(entry, url)) {
        backups::record(session, &record).await?;
    }
    let there: Vec<String> = contents.entries.iter().map(|entry| entry.id.to_string()).collect();
    backups::keep_active(session, &format!("{url}/{scope}/"), &there).await
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A backup as a row; `None` when its manifest cannot be read.
pub fn record(entry: &Entry, url: &StoreUrl) -> Option<Record> {
    let manifest = entry.manifest()?;
    let objects = &manifest.objects;
    let drill = entry.drills.first().filter(|drill| drill.outcome != "unreadable");
    let all = manifest.totals.tables + manifest.totals.hypertables + manifest.totals.chunks;
    #[allow(clippy::cast_precision_loss)] // tables, chunks and differences are counted in thousands
    let share = |wrong: u64| if all == 0 { 0.0 } else { 100.0 * all.saturating_sub(wrong) as f64 / all as f64 };
    let percent = drill.map(|drill| match (drill.is_good(), drill.differences) {
        (true, _) => 100.0,
        (false, Some(wrong)) if drill.outcome == "differs" => (share(wrong) * 100.0).round() / 100.0,
        (false, _) => 0.0,
    });
    let digest: [u8; 32] = Sha256::digest(manifest.to_json()).into();
    Some(Record {
        backup_id: entry.id.to_string(),
        kind: manifest.kind.word(),
        job: manifest.job.clone(),
        scope: entry.scope.to_string(),
        file_path: format!("{url}/{}/{}/{FILE_NAME}", entry.scope, entry.id),
        checksum_sha256: hexadecimal(&digest),
        data_end_date: manifest.began,
        record_count: manifest.totals.rows,
        file_size_bytes: manifest.stored_bytes(),
        raw_size_bytes: objects.iter().map(|object| object.raw_bytes).sum(),
        is_compressed: objects.iter().any(|object| object.is_compressed),
        is_encrypted: objects.iter().any(|object| object.is_encrypted),
        parent_id: manifest.parent.as_ref().map(ToString::to_string),
        created_at: manifest.began,
        finished_at: manifest.finished,
        validation_status: drill.map(|drill| if drill.is_good() { "validated" } else { "failed" }),
        validated_at: drill.map(|drill| drill.finished.unwrap_or(drill.began)),
        completeness_pct: percent,
        quality_score: percent,
        details: serde_json::json!({
            "database": manifest.database,
            "source": manifest.source,
            "position": manifest.position,
            "totals": manifest.totals,
            "tools": manifest.tools,
            "state": entry.state(),
        }),
    })
}
