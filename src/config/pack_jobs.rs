//! The jobs that built-in packs bring along, as text that is read like the key `jobs`.
//!
//! In: packs of the configuration. Out: the text of `jobs.yaml` of each. They are in the binary because the agent, which runs them,
//! has no files of a pack; a pack in a directory has none for the same reason.

use crate::model::desired::PackRef;

/// The name of the file.
pub const FILE: &str = "jobs.yaml";

/// By the name of the pack.
pub const ALL: [(&str, &str); 5] = [
    ("dashboard", include_str!("../../sql/packs/dashboard/jobs.yaml")),
    ("etl", include_str!("../../sql/packs/etl/jobs.yaml")),
    ("l0_pipeline", include_str!("../../sql/packs/l0_pipeline/jobs.yaml")),
    ("market_data", include_str!("../../sql/packs/market_data/jobs.yaml")),
    ("trading", include_str!("../../sql/packs/trading/jobs.yaml")),
];

/// The packs among these that bring jobs, with their text.
pub fn of(packs: &[PackRef]) -> impl Iterator<Item = (&'static str, &'static str)> {
    packs.iter().filter_map(|pack| match pack {
        PackRef::BuiltIn(name) => ALL.into_iter().find(|(known, _)| known == name),
        PackRef::Directory(_) => None,
    })
}
