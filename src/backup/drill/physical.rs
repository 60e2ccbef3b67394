//! The drill of a base backup: its data directory recovers to the moment whose rows are on record and is compared there, then
//! follows the archived log to a moment that chance chooses, and becomes a server that takes rows.

use super::{Found, Later, Means, probe};
use crate::backup::manifest::Manifest;
use crate::backup::restore::base::{self, DataDirectory};
use crate::backup::restore::error::RestoreError;
use crate::backup::restore::origin::Origin;
use crate::backup::restore::phases::Phases;
use crate::backup::restore::place::Place;
use crate::backup::restore::recovery::{Stop, Then};
use crate::backup::restore::{found, log};
use crate::backup::sandbox::Sandbox;
use crate::backup::wal::fetch::Fetched;
use crate::model::lsn::Lsn;
use crate::model::names::Ident;

/// Restores, compares, follows, inserts.
pub(super) async fn hold(
    means: &Means,
    origin: &Origin,
    chain: Vec<Manifest>,
    sandbox: &Sandbox,
    phases: &mut Phases<'_>,
) -> Result<Found, RestoreError> {
    let of = |manifest| Origin { manifest, ..origin.clone() };
    let chain: Vec<Origin> = chain.into_iter().map(of).chain([origin.clone()]).collect();
    let data = DataDirectory::unpack(sandbox, &chain, false, phases).await?;
    let place = Place::sandbox(sandbox);
    let database = Ident::new(&origin.manifest.database)?;
    let timeline = origin.manifest.position.timeline;
    let mut out = Found::default();

    let point = log::to_restore_point(origin, &data, &mut out.notes).await?;
    phases.begin("recover");
    let stop = point.as_ref().map_or(Stop::Consistent, |(name, _)| Stop::Name(name.clone()));
    data.recover(&stop, Then::Pause, timeline).await?;
    phases.begin("compare");
    out.wanted = origin.contents().await?;
    out.contents = found::contents(&place, &database, origin.manifest.kind, &out.wanted).await?;
    if point.is_none() {
        // Readable, and nothing to compare it with.
        out.wanted = out.contents.clone();
    }

    if let Some((_, at)) = point
        && let Some((lsn, log)) = later(means, origin, at).await?
    {
        phases.begin("follow the log");
        data.stop().await?;
        let line = log.route.timeline;
        data.add_log(log.tar).await?;
        data.recover(&Stop::Lsn(lsn), Then::Pause, line).await?;
        let reached = base::replayed(&place.maintenance().await?).await?;
        let there = found::contents(&place, &database, origin.manifest.kind, &out.wanted).await?;
        let rows = there.tables.values().map(|table| table.rows).sum();
        out.later = Some(Later { lsn: lsn.to_string(), reached: reached.to_string(), rows });
    }
    phases.begin("promote");
    data.promote().await?;
    phases.begin("insert");
    let mut session = place.session(&database).await?;
    out.inserts = probe::all(&mut session).await?;
    drop(session);
    data.stop().await?;
    Ok(out)
}

/// A later position by chance, and the log that leads there; `None` when the archive ends in the same segment.
async fn later(means: &Means, origin: &Origin, after: Lsn) -> Result<Option<(Lsn, Fetched)>, RestoreError> {
    let Some(log) = log::onwards(origin).await? else { return Ok(None) };
    // Of the last segment nobody knows how far it is filled; its first record is there.
    let Some(last) = log.route.segments.last() else { return Ok(None) };
    Ok(chosen(after, last.from(), means.chance).map(|lsn| (lsn, log)))
}

/// A position between two, by chance. Pure.
fn chosen(after: Lsn, last: Lsn, chance: u64) -> Option<Lsn> {
    let room = last.bytes_since(after);
    (room > 0).then(|| Lsn(after.0 + 1 + chance % room))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chance_stays_within_what_is_archived(after: u32, last: u32, chance: u64) {
            let (after, last) = (Lsn(u64::from(after)), Lsn(u64::from(last)));
            match chosen(after, last, chance) {
                Some(lsn) => prop_assert!(after < lsn && lsn <= last),
                None => prop_assert!(last <= after),
            }
        }
    }
}
