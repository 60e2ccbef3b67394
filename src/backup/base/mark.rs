//! The mark behind a base backup: a moment at which nobody writes, with a name in the log and a snapshot of the rows.
//!
//! In: how to connect to the server that takes writes. Out: the restore point and the [`Reading`] of that very moment, or why there
//! is none; writers wait for a moment and never for long. Recovered up to the restore point, the backup has to hold what the reading
//! shows.

use tokio::time::sleep;
use tokio_postgres::error::SqlState;

use crate::backup::contents::Contents;
use crate::backup::manifest::RestorePoint;
use crate::backup::source::{Fingerprints, Reading};
use crate::model::backup::BackupId;
use crate::model::lsn::Lsn;
use crate::postgres::base::{self, Fencing};
use crate::postgres::contents::objects::Depth;
use crate::postgres::session::{PostgresError, Session, Target};

/// Attempts to keep writers off.
const ATTEMPTS: u32 = 10;

/// A moment with a name.
#[derive(Debug)]
pub struct Mark {
    /// Its name and place in the log.
    pub point: RestorePoint,
    /// Right behind it.
    pub lsn: Lsn,
    /// The rows at that moment.
    pub reading: Reading,
}

/// What came of it.
#[derive(Debug)]
pub enum Marking {
    /// There is one.
    Done(Box<Mark>),
    /// There is none, and this is why. The backup is good nevertheless.
    Not(String),
}

/// The name of a backup's restore point.
pub fn name(id: &BackupId) -> String {
    format!("hypertide-{id}")
}

/// What the database held at the mark, as a recovery brings it back: without unlogged tables, which are empty then and on a server
/// that still recovers not even there.
pub async fn contents(reading: &Reading, fingerprints: &Fingerprints) -> Result<Contents, PostgresError> {
    let mut contents = reading.contents(reading.objects(Depth::Files).await?, Some(fingerprints)).await?;
    for name in base::unlogged(reading.session()).await? {
        contents.tables.remove(&name);
    }
    Ok(contents)
}

/// Makes the mark.
pub async fn make(primary: &Target, id: &BackupId) -> Result<Marking, PostgresError> {
    let keeper = Session::watch(primary).await?;
    let mut because = "";
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            sleep(base::FENCE_PAUSE).await;
        }
        // Connects and looks around before writers have to wait.
        let prepared = Reading::prepare(Session::watch(primary).await?, None).await?;
        let digest = match base::raise_fence(&keeper).await {
            Ok(Fencing::Up(digest)) => digest,
            Ok(Fencing::Busy) => {
                because = "somebody wrote all the time";
                continue;
            }
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return Ok(Marking::Not("the role may not lock every table".into()));
            }
            Err(error) => return Err(error),
        };
        let taken = prepared.take().await?;
        let name = name(id);
        let lsn = match base::restore_point(&keeper, &name).await {
            Ok(lsn) => lsn,
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return Ok(Marking::Not("the role may not write restore points".into()));
            }
            Err(error) => return Err(error),
        };
        let is_same = base::tables_digest(&keeper).await? == digest;
        base::lift_fence(&keeper).await?;
        if !is_same {
            because = "tables came or went all the time";
            continue;
        }
        let point = RestorePoint { name, lsn: lsn.to_string() };
        return Ok(Marking::Done(Box::new(Mark { point, lsn, reading: taken.look().await? })));
    }
    Ok(Marking::Not(because.into()))
}
