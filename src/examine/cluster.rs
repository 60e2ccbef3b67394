//! The cluster's part: the observation, the image, and every container and server one by one.

use futures_util::future::join_all;

use super::Examined;
use crate::docker::engine::DockerError;
use crate::docker::image::{self, ImageError};
use crate::docker::look::HostLook;
use crate::error::in_one_line;
use crate::model::desired::DesiredNode;
use crate::model::observed::{Observed, RunState};
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use crate::observe::observe;
use crate::plan::doctor::facts::{ContainerExam, ImageSeen, NodeExam, ServerExam};
use crate::plan::image::{ImagePlan, decide};
use crate::plan::topology;
use crate::postgres::examine;
use crate::site::{ReachError, Site};

/// Why the image could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Fills in the observation, the image, the nodes and the agent; answers the nodes there are or are to be.
pub async fn examine(
    site: &Site,
    look: Option<&HostLook>,
    packs: Option<&[Pack]>,
    examined: &mut Examined,
) -> Vec<DesiredNode> {
    let desired = &site.desired;
    let observed = observe(site, packs).await;
    let nodes = match &observed {
        Ok(observed) => topology::nodes(desired, observed),
        Err(_) => desired.nodes.clone(),
    };
    examined.image = match image(site, observed.as_ref().ok()).await {
        Ok(seen) => Seen::Present(seen),
        Err(error) => Seen::unknown(in_one_line(&error)),
    };
    examined.observed = match observed {
        Ok(observed) => Seen::Present(observed),
        Err(error) => Seen::unknown(in_one_line(&error)),
    };
    examined.nodes = join_all(nodes.iter().map(|node| self::node(site, look, node))).await;
    examined.agent = container(site, look, &desired.cluster.agent()).await;
    nodes
}

/// The image an observation found; without one, the image that would be used if no node ran.
async fn image(site: &Site, observed: Option<&Observed>) -> Result<ImageSeen, LookError> {
    let engine = &site.engine;
    if let Some(facts) = observed.and_then(|observed| observed.image.present()) {
        return Ok(engine.examine_image(facts.clone()).await?);
    }
    let bundled = image::bundled_reference();
    let local = image::local_references(engine.client()).await?;
    let plan = decide(&site.desired.image, image::offers(&bundled), &local, None);
    if let ImagePlan::Use { reference } = &plan
        && let Seen::Present(facts) = image::facts(engine.client(), reference).await?
    {
        return Ok(engine.examine_image(facts).await?);
    }
    Ok(ImageSeen::Elsewhere(plan))
}

async fn node(site: &Site, look: Option<&HostLook>, node: &DesiredNode) -> NodeExam {
    let container = container(site, look, &site.desired.cluster.container(&node.name)).await;
    let runs = container.present().is_some_and(|container| container.state == RunState::Running);
    let (server, help) = if runs {
        match server(site, node).await {
            Ok(exam) => (Seen::Present(exam), None),
            Err(error) => (Seen::unknown(in_one_line(&error)), help(&error)),
        }
    } else {
        (Seen::Absent, None)
    };
    NodeExam { name: node.name.clone(), container, server, help }
}

async fn container(site: &Site, look: Option<&HostLook>, name: &str) -> Seen<ContainerExam> {
    let Some(look) = look else { return Seen::unknown("Docker does not list its containers") };
    let Some(listed) = look.containers.get(name) else { return Seen::Absent };
    if !listed.seen.ours {
        return Seen::unknown("a container of that name exists and does not belong to this cluster");
    }
    match site.engine.examine_container(name, listed.seen.state).await {
        Ok(exam) => Seen::Present(exam),
        Err(error) => Seen::unknown(in_one_line(&error)),
    }
}

async fn server(site: &Site, node: &DesiredNode) -> Result<ServerExam, ReachError> {
    // Known from the observation; when that ended early, the file may still be there.
    site.secrets(&[]).await?;
    let wanted: Vec<String> = site.desired.settings.iter().map(|setting| setting.name.to_lowercase()).collect();
    let session = site.session(&node.name, node.port).await?;
    Ok(examine::server(&session, &site.desired.database, &wanted).await?)
}

fn help(error: &ReachError) -> Option<String> {
    match error {
        ReachError::Docker(error) => error.help(),
        ReachError::Postgres(error) => error.help(),
        ReachError::Secrets(error) => error.help(),
        ReachError::Pooler(error) => Some(error.help()),
        ReachError::NoEndpoint(_) | ReachError::NoSecrets => None,
    }
}
