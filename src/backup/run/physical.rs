//! The part of a run that makes a base backup: its objects, and what the database held at its mark.

use futures_util::future::try_join;

use super::{Made, Place, Work};
use crate::backup::base::{self, Taken, mark};
use crate::backup::catalog::{self, Shape};
use crate::backup::contents::Contents;
use crate::backup::error::BackupError;
use crate::backup::manifest::{Manifest, Part};
use crate::backup::pipeline::Keys;
use crate::backup::source::Fingerprints;
use crate::model::backup::{BackupId, Kind, Scope};
use crate::postgres::contents::source::{self, ServerFacts};
use crate::postgres::session::{Session, Target};

/// What only a base backup has to know.
#[derive(Clone, Debug)]
pub struct Base {
    /// The server the files come from; the run's tools reach it.
    pub source: Target,
    /// The server that takes writes.
    pub primary: Target,
    /// Incremental backups after each whole one.
    pub incrementals: u32,
    /// To read an encrypted parent with.
    pub keys: Option<Keys>,
}

/// The server, and what was made of it before.
pub(super) struct Files {
    base: Base,
    facts: ServerFacts,
    earlier: Vec<Manifest>,
}

impl Files {
    pub(super) async fn look(session: &Session, base: Base, place: &Place, scope: &Scope) -> Result<Self, BackupError> {
        let facts = async { Ok(source::facts(session).await?) };
        let (facts, earlier) = try_join(facts, earlier(place, scope)).await?;
        Ok(Self { base, facts, earlier })
    }
}

impl Work<'_> {
    pub(super) async fn base(
        &self,
        Files { base, facts, earlier }: Files,
        id: &BackupId,
        scope: &Scope,
        job: Option<&str>,
        has_fingerprints: bool,
    ) -> Result<Made, BackupError> {
        let order = base::Order {
            id,
            scope,
            job,
            incrementals: base.incrementals,
            manifests: &earlier,
            source: &base.source,
            primary: &base.primary,
            tools: self.tools,
            store: &self.place.store,
            how: self.how,
            keys: base.keys.as_ref(),
        };
        let stream = self.meter.stream();
        let taken = async { Ok(base::take(&order, move |at| stream.at(at)).await?) };
        let Taken { mut objects, position, parent, is_whole_because, reading } = self.told(taken).await?;
        if let Some(why) = is_whole_because.filter(|_| base.incrementals > 0) {
            tracing::info!(backup = %id, "a whole base backup: {why}");
        }
        let (mut contents, mut fingerprints) = (Contents::default(), Fingerprints::default());
        if let Some(reading) = reading.ok().filter(|_| has_fingerprints) {
            self.meter.expect(reading.tables.iter().map(|table| table.bytes).sum());
            let hashing = async {
                let mut found = reading.read_changed(|bytes| self.meter.read(bytes)).await?;
                reading.read_rest(&mut found, |bytes| self.meter.read(bytes)).await?;
                Ok(found)
            };
            fingerprints = self.told(hashing).await?;
            contents = mark::contents(&reading, &fingerprints).await?;
            let text = serde_json::to_vec(&contents).expect("keys are text");
            objects.push(self.store_bytes("contents.json", Part::Contents, text).await?);
            if let Err(error) = reading.end(Some(&fingerprints)).await {
                tracing::warn!(%error, "the next backup reads every table again");
            }
        }
        Ok(Made { facts, objects, contents, fingerprints, position: Some(position), parent })
    }
}

/// Manifests of complete base backups.
async fn earlier(place: &Place, scope: &Scope) -> Result<Vec<Manifest>, BackupError> {
    let contents = catalog::load(&*place.store, Some(scope)).await?.scopes.remove(scope).unwrap_or_default();
    let complete = contents.entries.into_iter().filter_map(|entry| match entry.shape {
        Shape::Complete(manifest) if manifest.kind == Kind::Base => Some(*manifest),
        _ => None,
    });
    Ok(complete.collect())
}
