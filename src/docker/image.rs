//! The image database containers run: what is there, what is in it, and how one is provided.
//!
//! In: a Docker client and an [`ImagePlan`]. Out: a reference that the engine has. It decides nothing
//! (`plan::image` does), never starts a container, and never removes an image.

use bollard::Docker;
use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptions};
use futures_util::StreamExt;

use crate::docker::base;
use crate::plan::image::{ImagePlan, Offers};

mod build;
mod error;
mod facts;
mod tail;

pub use build::{BUNDLED, bundled_reference};
pub use error::ImageError;
pub(crate) use error::is_not_found;
pub use facts::{facts, postgres_uid, with_postgres};
pub use tail::Tail;

/// The public image: TimescaleDB with the community features, one version for everybody.
pub const PINNED: &str = "timescale/timescaledb:2.29.2-pg17";

/// How long the engine may take to begin its answer to a pull, build or import; it is silent while it resolves a name.
pub(crate) const PATIENCE_SECS: u64 = 600;

/// A label every resource that hypertide makes outside a cluster carries, with what it is as its value.
pub(crate) const KIND_LABEL: &str = "hypertide.kind";

/// Every tag, digest and id the engine knows.
pub async fn local_references(docker: &Docker) -> Result<Vec<String>, ImageError> {
    let images = docker.list_images(None::<ListImagesOptions>).await.map_err(ImageError::docker("list", "images"))?;
    Ok(images
        .into_iter()
        .flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests).chain([image.id]))
        .collect())
}

/// Does what the plan says and answers the reference to create containers from.
///
/// `report` gets a line whenever there is something to tell people who wait.
pub async fn provide(docker: &Docker, plan: &ImagePlan, report: &dyn Fn(String)) -> Result<String, ImageError> {
    match plan {
        ImagePlan::Use { reference } => Ok(reference.clone()),
        ImagePlan::Pull { reference, or_build } => match pull(docker, reference, report).await {
            Ok(()) => Ok(reference.clone()),
            Err(refused) if *or_build => {
                report(format!("{}; building our own", with_cause(&refused)));
                build_bundled(docker, report).await
            }
            Err(refused) => Err(refused),
        },
        ImagePlan::Build => build_bundled(docker, report).await,
    }
}

/// What `plan::image::decide` may choose from. `bundled` is [`bundled_reference`].
pub fn offers(bundled: &str) -> Offers<'_> {
    Offers { pinned: PINNED, bundled }
}

async fn build_bundled(docker: &Docker, report: &dyn Fn(String)) -> Result<String, ImageError> {
    if !is_local(docker, base::REFERENCE).await?
        && let Err(refused) = pull(docker, base::REFERENCE, report).await
    {
        report(format!("{}; making it from a Debian mirror", with_cause(&refused)));
        base::make(docker, report).await?;
    }
    build::build(docker, report).await
}

async fn is_local(docker: &Docker, reference: &str) -> Result<bool, ImageError> {
    match docker.inspect_image(reference).await {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(ImageError::docker("inspect image", reference)(error)),
    }
}

/// Pulls one image, telling when each layer is there.
async fn pull(docker: &Docker, reference: &str, report: &dyn Fn(String)) -> Result<(), ImageError> {
    report(format!("pulling {reference}"));
    let docker = docker.clone().with_timeout(std::time::Duration::from_secs(PATIENCE_SECS));
    // Without a tag the engine would pull every tag there is.
    let last = reference.rsplit('/').next().unwrap_or(reference);
    let tag = if last.contains([':', '@']) { "" } else { "latest" };
    let options = CreateImageOptionsBuilder::new().from_image(reference).tag(tag).build();
    let mut answers = docker.create_image(Some(options), None, None);
    while let Some(answer) = answers.next().await {
        let answer =
            answer.map_err(|source| ImageError::Pull { reference: reference.to_owned(), source: Box::new(source) })?;
        let status = answer.status.unwrap_or_default();
        if answer.progress_detail.is_none_or(|it| it.total.is_none()) && !status.is_empty() {
            let layer = answer.id.map(|id| format!("{id}: ")).unwrap_or_default();
            report(format!("{layer}{status}"));
        }
    }
    Ok(())
}

fn with_cause(error: &ImageError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("could not {error}: {cause}"),
        None => format!("could not {error}"),
    }
}
