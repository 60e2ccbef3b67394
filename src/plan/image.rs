//! Which image database containers are to run, and how to get it.
//!
//! In: the configuration's choice, the references the engine has, the image the cluster's nodes already run.
//! Out: an [`ImagePlan`]. Never looks at Docker and never judges what is inside an image.

use serde::Serialize;

use crate::model::desired::ImageChoice;

/// The images hypertide itself has to offer.
#[derive(Clone, Copy, Debug)]
pub struct Offers<'a> {
    /// The public image, pinned to a version.
    pub pinned: &'a str,
    /// The image built from the files in the binary.
    pub bundled: &'a str,
}

/// What is to be done to have an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagePlan {
    /// It is there.
    Use {
        /// The reference containers are to be created from.
        reference: String,
    },
    /// It has to come from a registry.
    Pull {
        /// What to pull.
        reference: String,
        /// When it cannot be pulled, the bundled image will do.
        or_build: bool,
    },
    /// The bundled image has to be built.
    Build,
}

/// Decides where the image comes from.
///
/// `local` holds every tag, digest and id the engine knows. `in_use` is the image that nodes of this cluster run: with
/// [`ImageChoice::Auto`] it stays, because another build of the extension cannot read their data without an update.
pub fn decide(choice: &ImageChoice, offers: Offers<'_>, local: &[String], in_use: Option<&str>) -> ImagePlan {
    let is_local = |reference: &str| {
        let wanted = canonical(reference);
        local.iter().any(|known| canonical(known) == wanted)
    };
    let used = |reference: &str| ImagePlan::Use { reference: reference.to_owned() };
    match choice {
        ImageChoice::Named(reference) if is_local(reference) => used(reference),
        ImageChoice::Named(reference) => ImagePlan::Pull { reference: reference.clone(), or_build: false },
        ImageChoice::Auto => {
            if let Some(reference) = in_use {
                used(reference)
            } else if is_local(offers.pinned) {
                used(offers.pinned)
            } else if is_local(offers.bundled) {
                used(offers.bundled)
            } else {
                ImagePlan::Pull { reference: offers.pinned.to_owned(), or_build: true }
            }
        }
    }
}

/// The one spelling of a reference that has several: without Docker Hub's name, with a tag or digest.
fn canonical(reference: &str) -> String {
    let short =
        ["docker.io/", "index.docker.io/"].iter().find_map(|hub| reference.strip_prefix(hub)).unwrap_or(reference);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let last = short.rsplit('/').next().unwrap_or(short);
    if last.contains([':', '@']) { short.to_owned() } else { format!("{short}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: Offers<'_> =
        Offers { pinned: "timescale/timescaledb:2.0.0-pg17", bundled: "hypertide/timescaledb:pg17-0123" };

    fn auto(local: &[&str], in_use: Option<&str>) -> ImagePlan {
        plan(&ImageChoice::Auto, local, in_use)
    }

    fn named(name: &str, local: &[&str]) -> ImagePlan {
        plan(&ImageChoice::Named(name.to_owned()), local, Some("sha256:a"))
    }

    fn plan(choice: &ImageChoice, local: &[&str], in_use: Option<&str>) -> ImagePlan {
        let local: Vec<String> = local.iter().map(|&name| name.to_owned()).collect();
        decide(choice, OFFERS, &local, in_use)
    }

    fn uses(reference: &str) -> ImagePlan {
        ImagePlan::Use { reference: reference.to_owned() }
    }

    fn pulls(reference: &str, or_build: bool) -> ImagePlan {
        ImagePlan::Pull { reference: reference.to_owned(), or_build }
    }

    #[test]
    fn auto_prefers_what_runs_then_pinned_then_bundled_then_a_pull_that_may_fail() {
        let both = [OFFERS.bundled, OFFERS.pinned];
        let table = [
            (auto(&both, Some("sha256:a")), uses("sha256:a")),
            (auto(&both, None), uses(OFFERS.pinned)),
            (auto(&[OFFERS.bundled], None), uses(OFFERS.bundled)),
            (auto(&["postgres:17"], None), pulls(OFFERS.pinned, true)),
            (auto(&[], None), pulls(OFFERS.pinned, true)),
        ];
        for (row, (got, wanted)) in table.into_iter().enumerate() {
            assert_eq!(got, wanted, "row {row}");
        }
    }

    #[test]
    fn a_named_image_is_taken_where_it_is_and_never_replaced_by_another() {
        let table = [
            (named("a/b:1", &["a/b:1"]), uses("a/b:1")),
            (named("a/b:1", &["a/b:2"]), pulls("a/b:1", false)),
            (named("a/b", &["a/b:latest"]), uses("a/b")),
            (named("docker.io/a/b:1", &["a/b:1"]), uses("docker.io/a/b:1")),
            (named("docker.io/library/postgres", &["postgres:latest"]), uses("docker.io/library/postgres")),
            (named("host:5000/b", &["host:5000/b:latest"]), uses("host:5000/b")),
            (named("a/b@sha256:f", &["a/b@sha256:f"]), uses("a/b@sha256:f")),
            (named("sha256:f", &["sha256:f"]), uses("sha256:f")),
            (named("a/b:1", &[]), pulls("a/b:1", false)),
        ];
        for (row, (got, wanted)) in table.into_iter().enumerate() {
            assert_eq!(got, wanted, "row {row}");
        }
    }
}
