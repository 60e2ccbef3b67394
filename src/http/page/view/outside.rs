//! What the cluster publishes to the outside, and what it subscribes to there.

use super::{Badge, Tone};
use crate::model::readable::size;
use crate::status::Status;

/// A publication or subscription.
#[derive(Clone, Debug)]
pub struct OutsideRow {
    /// `publication` or `subscription`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How it is.
    pub badge: Badge,
    /// What it carries.
    pub more: String,
}

pub(super) fn rows(status: &Status, is_old: bool) -> Vec<OutsideRow> {
    let badge = |state: &'static str| {
        let tone = match state {
            "published" | "streaming" => Tone::Good,
            "copying" => Tone::Passing,
            "unknown" => Tone::Unknown,
            _ => Tone::Warn,
        };
        let badge = Badge::new(tone, state);
        if is_old { badge.was() } else { badge }
    };
    let count = |count: Option<usize>, of: &str| count.map(|count| format!("{count} {of}"));
    let joined = |parts: [Option<String>; 2]| parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let publications = status.publications.iter().map(|it| OutsideRow {
        kind: "publication",
        name: it.name.to_string(),
        badge: badge(it.state),
        more: joined([count(it.tables, "tables"), count(it.chunks, "chunks")]),
    });
    let subscriptions = status.subscriptions.iter().map(|it| OutsideRow {
        kind: "subscription",
        name: it.name.to_string(),
        badge: badge(it.state),
        more: joined([count(it.tables, "tables"), it.lag_bytes.map(|bytes| format!("{} to apply", size(bytes)))]),
    });
    publications.chain(subscriptions).collect()
}
