//! The archived log for a recovery: up to the moment whose rows are on record, or all of it.

use super::base::DataDirectory;
use super::error::RestoreError;
use super::origin::Origin;
use crate::backup::manifest::Part;
use crate::backup::wal::fetch::{FetchError, Fetched, LogTar, fetch};
use crate::backup::wal::route::{Order, Until};
use crate::model::lsn::Lsn;

/// Puts the log in place that leads to the restore point whose rows are on record. `None`, with a note: there is none, or the
/// log does not lead there.
pub async fn to_restore_point(
    origin: &Origin,
    data: &DataDirectory<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<(String, Lsn)>, RestoreError> {
    let Some(point) = &origin.manifest.position.restore_point else {
        notes.push(
            "no moment of this backup has its rows on record, since its tables could not be held still: what came back was \
             read, and compared with nothing"
                .to_owned(),
        );
        return Ok(None);
    };
    let at = lsn(&point.lsn)?;
    // A backup brings the log to its own mark along.
    if let Some(record) = origin.manifest.object(Part::BaseLog) {
        data.add_log(origin.open(record)?).await?;
        return Ok(Some((point.name.clone(), at)));
    }
    match route(origin, Until::Lsn(at), None).await {
        Ok(log) => {
            data.add_log(log.tar).await?;
            Ok(Some((point.name.clone(), at)))
        }
        Err(FetchError::Missing(missing)) => {
            notes.push(format!(
                "the moment whose rows are on record cannot be reached, since {missing}: what came back was read, and compared \
                 with nothing"
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The log as far as it leads on from a backup; `None` when there is nothing of it.
pub async fn onwards(origin: &Origin) -> Result<Option<Fetched>, RestoreError> {
    match route(origin, Until::End, None).await {
        Ok(log) => Ok(Some(log)),
        Err(FetchError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All of it along one timeline.
pub async fn all(origin: &Origin, timeline: u32) -> Result<LogTar, RestoreError> {
    Ok(route(origin, Until::End, Some(timeline)).await?.tar)
}

async fn route(origin: &Origin, until: Until, target: Option<u32>) -> Result<Fetched, FetchError> {
    let position = &origin.manifest.position;
    let from = position.lsn.parse().unwrap_or_default();
    let order = Order { from, timeline: position.timeline, until, target };
    fetch(origin.store.clone(), &origin.manifest.scope, &order, origin.keys.as_ref()).await
}

fn lsn(text: &str) -> Result<Lsn, RestoreError> {
    text.parse().map_err(|error: crate::model::lsn::LsnError| RestoreError::Odd {
        object: "the manifest".into(),
        because: error.to_string(),
    })
}
