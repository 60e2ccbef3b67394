//! Which image a backup is brought to life with: what this host has, looked into one by one until one fits.
//!
//! In: an engine and a manifest. Out: the facts of an image, or the refusal that says which one is needed. Pulls nothing.

use super::error::RestoreError;
use crate::backup::manifest::Manifest;
use crate::docker::engine::Engine;
use crate::docker::image;
use crate::model::backup::Kind;
use crate::model::lsn::Lsn;
use crate::model::observed::ImageFacts;
use crate::model::seen::Seen;
use crate::plan::restore::{self as plan, Backup, Refusal};

/// Parts of names that an image with TimescaleDB may have.
const LIKELY: [&str; 3] = ["timescale", "hypertide", "postgres"];

/// What planning has to know about a backup. `chain` holds those it builds upon.
pub fn described(manifest: &Manifest, chain: &[Manifest]) -> Result<Backup, RestoreError> {
    let lsn = |text: &str| {
        text.parse::<Lsn>()
            .map_err(|error| RestoreError::Odd { object: "the manifest".into(), because: error.to_string() })
    };
    let raw = |manifest: &Manifest| manifest.objects.iter().map(|object| object.raw_bytes).sum::<u64>();
    let position = &manifest.position;
    let point = position.restore_point.as_ref().map(|point| Ok((point.name.clone(), lsn(&point.lsn)?)));
    let is_base = manifest.kind == Kind::Base;
    let start = lsn(&position.lsn)?;
    Ok(Backup {
        id: manifest.id.clone(),
        kind: manifest.kind,
        postgres_major: manifest.source.postgres_major,
        timescaledb: manifest.source.timescaledb.clone(),
        image: manifest.source.image.clone(),
        image_reference: manifest.source.image_reference.clone(),
        raw_bytes: raw(manifest) + chain.iter().map(raw).sum::<u64>(),
        began: manifest.began,
        timeline: position.timeline,
        start,
        end: if is_base { Some(position.end_lsn.as_deref().map_or(Ok(start), lsn)?) } else { None },
        restore_point: point.transpose().map_err(|error: RestoreError| error)?,
    })
}

/// Chooses among the images of this host; with `only`, takes that one or none.
pub async fn choose(
    engine: &Engine,
    manifest: &Manifest,
    only: Option<&str>,
) -> Result<Result<ImageFacts, Refusal>, RestoreError> {
    let backup = described(manifest, &[])?;
    if let Some(reference) = only {
        let facts = image::facts(engine.client(), reference).await?;
        let images: Vec<ImageFacts> = facts.present().cloned().into_iter().collect();
        return Ok(plan::image(&backup, &images).cloned());
    }
    let mut seen: Vec<ImageFacts> = Vec::new();
    let mut tried: Vec<String> = Vec::new();
    let own = manifest.source.image.iter().chain(&manifest.source.image_reference).cloned();
    let known = own.chain([image::bundled_reference(), image::PINNED.to_owned()]);
    let local = image::local_references(engine.client()).await?;
    let likely = local.into_iter().filter(|name| LIKELY.iter().any(|part| name.contains(part)) && !name.contains('@'));
    for reference in known.chain(likely) {
        if tried.contains(&reference) {
            continue;
        }
        tried.push(reference.clone());
        let Seen::Present(mut facts) = image::facts(engine.client(), &reference).await? else { continue };
        if seen.iter().any(|other| other.id == facts.id) {
            continue;
        }
        if Some(&facts.reference) == manifest.source.image.as_ref()
            && let Some(name) = &manifest.source.image_reference
        {
            facts.reference.clone_from(name);
        }
        seen.push(facts);
        if let Ok(found) = plan::image(&backup, &seen) {
            return Ok(Ok(found.clone()));
        }
    }
    Ok(plan::image(&backup, &seen).cloned())
}
