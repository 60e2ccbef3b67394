//! Whether a backup in a store is still what was put there: every object is read again, its size and hash compared, and what can be
//! decoded is decoded and looked at. No server is needed.
//!
//! In: a store, and the name of a backup. Out: a [`CheckReport`], kept beside the backup. Proves nothing about what a restore would
//! bring back: that is a drill's work.

mod look;
pub mod report;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::io::AsyncReadExt;

pub use report::{CheckOutcome, CheckReport, Problem};

use super::manifest::{FILE_NAME, Manifest, ManifestError, ObjectRecord};
use super::pipeline::{self, Keys, PipelineError};
use super::tools::Toolbox;
use crate::model::backup::{BackupId, BackupNameError, ObjectKey, Scope};
use crate::store::{Doing, Fault, Store, StoreError};

/// A check could not be made, or its result not be kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key made from the backup's name is none.
    #[error(transparent)]
    Name(#[from] BackupNameError),
}

/// What a check reads with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Where the backups are.
    pub store: &'a Arc<dyn Store>,
    /// Whose.
    pub scope: &'a Scope,
    /// Identities, for what is encrypted.
    pub keys: Option<&'a Keys>,
    /// What lists archives; without it that is left out, and said.
    pub tools: Option<&'a Toolbox>,
}

/// The key of a backup: everything of it lies below.
pub fn key(scope: &Scope, id: &BackupId) -> Result<ObjectKey, BackupNameError> {
    format!("{scope}/{id}").parse()
}

/// Checks one backup. `told` hears about each object before it is read.
pub async fn check(
    means: Means<'_>,
    id: &BackupId,
    began: DateTime<Utc>,
    now: impl Fn() -> DateTime<Utc>,
    told: &dyn Fn(&str),
) -> Result<CheckReport, CheckError> {
    let below = key(means.scope, id)?;
    let mut report = CheckReport::new(id.clone(), began);
    match manifest(means.store, &below).await? {
        Ok(manifest) => {
            for record in &manifest.objects {
                told(&record.name);
                object(means, &below, &manifest, record, &mut report).await;
            }
        }
        Err(reason) => report.problems.push(Problem { object: FILE_NAME.to_owned(), reason }),
    }
    report.finish(now());
    Ok(report)
}

/// Keeps a report beside the backup it is about.
pub async fn keep(store: &dyn Store, scope: &Scope, report: &CheckReport) -> Result<ObjectKey, CheckError> {
    let key = key(scope, &report.backup)?.join(&format!("checks/{}.json", report.began.format("%Y%m%dT%H%M%SZ")))?;
    let bytes = report.to_json();
    store.put(&key, Box::pin(bytes.as_slice())).await?;
    Ok(key)
}

/// A small object as it lies in the store.
async fn read_whole(store: &dyn Store, key: &ObjectKey) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let mut reader = store.get(key).await?;
    reader.read_to_end(&mut bytes).await.map_err(|error| {
        error.downcast::<StoreError>().unwrap_or_else(|error| StoreError {
            doing: Doing::Get,
            what: key.to_string(),
            fault: Fault::Unavailable,
            because: error.to_string(),
        })
    })?;
    Ok(bytes)
}

/// The manifest below a key, or what is wrong with it. The store's own failures are no fault of the backup.
async fn manifest(store: &Arc<dyn Store>, below: &ObjectKey) -> Result<Result<Manifest, String>, CheckError> {
    let key = below.join(FILE_NAME)?;
    let text = match read_whole(&**store, &key).await {
        Ok(text) => text,
        Err(error) if error.fault == Fault::Missing => return Ok(Err("there is none: this is no backup".into())),
        Err(error) => return Err(error.into()),
    };
    Ok(Manifest::parse(&text, key.as_str()).map_err(|error| match &error {
        ManifestError::Newer { .. } => format!("{error}; {}", error.help()),
        ManifestError::Malformed { .. } => error.to_string(),
    }))
}

async fn object(
    means: Means<'_>,
    below: &ObjectKey,
    manifest: &Manifest,
    record: &ObjectRecord,
    report: &mut CheckReport,
) {
    let Ok(key) = below.join(&record.name) else {
        let reason = "the manifest gives it a name that no object has".to_owned();
        return report.problems.push(Problem { object: record.name.clone(), reason });
    };
    report.objects += 1;
    let problem = match pipeline::check(means.store, &key, record, means.keys).await {
        Ok(checked) if !checked.is_decoded => {
            report.notes.push(format!(
                "{}: size and hash are right; it is encrypted and no identity is given, so nobody looked inside",
                record.name
            ));
            None
        }
        Ok(_) => match look::inside(means, &key, manifest, record).await {
            Ok(note) => {
                report.notes.extend(note.map(|note| format!("{}: {note}", record.name)));
                None
            }
            Err(reason) => Some(reason),
        },
        Err(PipelineError::Store(error)) if error.fault == Fault::Missing => Some("it is missing".to_owned()),
        Err(error) => Some(with_causes(&error)),
    };
    report.stored_bytes += record.stored_bytes;
    report.problems.extend(problem.map(|reason| Problem { object: record.name.clone(), reason }));
}

/// An error with what led to it, in a line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    crate::error::in_one_line(error)
}
