//! One look at everything: Docker first, then every server that runs, all at once.
//!
//! Out: an [`Observed`] in which what could not be read is `Unknown`. Changes nothing but the cached password file.

mod apply_log;
mod monitoring;
mod outside;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;

use crate::docker::engine::DockerError;
use crate::docker::image::{self, ImageError};
use crate::docker::look::HostLook;
use crate::docker::spec::STANDBY_SIGNAL;
use crate::error::in_one_line;
use crate::host;
use crate::model::desired::DesiredNode;
use crate::model::endpoint::{Access, EndpointSeen, PoolerSeen};
use crate::model::health::Probe;
use crate::model::names::NodeName;
use crate::model::observed::{ContainerSeen, ImageFacts, NodeSeen, Observed, Owned, RunState, ServerSeen};
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use crate::plan::image::{ImagePlan, decide};
use crate::plan::{scope, topology};
use crate::postgres::look::{self, Interest};
use crate::postgres::session::Session;
use crate::secrets::certificate::{self, Pair};
use crate::site::{Reach, ReachError, Site};

/// The process through which Docker publishes a port.
const DOCKER_PROXY: &str = "docker-proxy";

/// Between two looks at a port that such a process holds on nobody's behalf, and how many there are: two seconds in all.
const PROXY_PAUSE: Duration = Duration::from_millis(100);
const PROXY_LOOKS: usize = 20;

/// A server that takes longer may have been frozen; the engine knows.
const SLOW: Duration = Duration::from_millis(500);

/// Docker itself could not be looked at, so nothing else could.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The engine does not answer.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// An image could not be looked into.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The passwords could not be read.
    #[error(transparent)]
    Reach(#[from] ReachError),
}

/// Looks at everything.
///
/// `packs` says which schemas are of interest before they are published; `None` limits that to the configuration's.
pub async fn observe(site: &Site, packs: Option<&[Pack]>) -> Result<Observed, ObserveError> {
    let desired = &site.desired;
    let host = site.engine.look(&desired.cluster).await?;
    let mut observed = Observed {
        network: seen(host.networks.get(&desired.cluster.network()).copied()),
        agent: seen(host.containers.get(&desired.cluster.agent()).map(|container| container.seen.clone())),
        agent_volume: seen(
            host.volumes.get(&desired.cluster.agent_volume()).map(|volume| Owned { ours: volume.seen.ours }),
        ),
        tool_reference: image::bundled_reference(),
        ..Observed::default()
    };
    for access in Access::ALL {
        let container = host.containers.get(&desired.cluster.endpoint(access)).map(|container| container.seen.clone());
        observed.endpoints.insert(access, EndpointSeen { container: seen(container), pooler: Seen::Absent });
    }
    observed.endpoint_certificate = endpoint_certificate(site);
    monitoring::look(site, &host, &mut observed).await?;
    for name in node_names(site, &host) {
        let node = NodeSeen {
            volume: seen(host.volumes.get(&desired.cluster.volume(&name)).map(|volume| volume.seen.clone())),
            container: seen(
                host.containers.get(&desired.cluster.container(&name)).map(|container| container.seen.clone()),
            ),
            ..NodeSeen::default()
        };
        observed.nodes.insert(name, node);
    }

    let holders: Vec<String> = observed
        .nodes
        .iter()
        .filter(|(_, node)| node.container.present().is_some_and(|container| container.ours))
        .map(|(name, _)| desired.cluster.container(name))
        .collect();
    observed.image = database_image(site, &observed).await?;
    observed.secrets = match site.secrets(&holders).await? {
        Some(_) => Seen::Present(()),
        None => recover_from_volumes(site, &observed).await?,
    };
    let nodes = topology::nodes(desired, &observed);
    let schemas = scope::schemas(desired, packs);
    let schemas: Vec<String> = schemas.iter().map(ToString::to_string).collect();
    let (tool_image, servers, poolers) = tokio::join!(
        tool_image(site),
        join_all(nodes.iter().map(|node| server(site, node, &observed, &schemas))),
        join_all(observed.endpoints.iter().map(|(access, seen)| pooler(site, *access, &seen.container))),
    );
    for (seen, pooler) in observed.endpoints.values_mut().zip(poolers) {
        seen.pooler = pooler;
    }
    observed.tool_image = tool_image?;
    for (node, (server, probe)) in nodes.iter().zip(servers) {
        let seen = observed.nodes.entry(node.name.clone()).or_default();
        (seen.server, seen.probe) = (server, probe);
    }
    marks(site, &mut observed).await;
    outside::look(site, &nodes, packs.is_some(), &mut observed).await;
    if site.reach == Reach::Published {
        // An agent makes no agent, and need not be told that it has its port itself.
        let agent = desired.metrics.filter(|_| packs.is_some());
        let mut wanted = wanted_ports(site, &nodes, agent);
        wanted.extend(monitoring::ports(desired, &observed));
        observed.taken_ports = settled_ports(site, &wanted, host).await?;
    }
    Ok(observed)
}

/// What endpoints are to show. An agent has no key, and makes no endpoints.
fn endpoint_certificate(site: &Site) -> Seen<String> {
    let Some(tls) = &site.desired.endpoint_tls else { return Seen::Absent };
    let digest = match site.reach {
        Reach::Published => Pair::read(tls).map(|pair| pair.digest()),
        Reach::Network => certificate::digest_of(&tls.certificate),
    };
    digest.map_or_else(|error| Seen::unknown(in_one_line(&error)), Seen::Present)
}

fn seen<T>(found: Option<T>) -> Seen<T> {
    found.map_or(Seen::Absent, Seen::Present)
}

/// Configured nodes and those the labels of their volumes remember.
fn node_names(site: &Site, host: &HostLook) -> BTreeSet<NodeName> {
    let remembered = host.volumes.values().filter_map(|volume| volume.node.clone());
    site.desired.nodes.iter().map(|node| node.name.clone()).chain(remembered).collect()
}

/// Volumes may be there when no container is: a helper that never starts gives a look at their password file.
async fn recover_from_volumes(site: &Site, observed: &Observed) -> Result<Seen<()>, ObserveError> {
    let cluster = &site.desired.cluster;
    let is_ours = |node: &NodeSeen| node.volume.present().is_some_and(|volume| volume.ours);
    let owners: Vec<&NodeName> =
        observed.nodes.iter().filter(|(_, node)| is_ours(node)).map(|(name, _)| name).collect();
    if owners.is_empty() {
        return Ok(Seen::Absent);
    }
    let Some(image) = observed.image.present() else {
        // New passwords would not open what is on the volumes.
        return Ok(Seen::unknown("they are on the volumes, and the image to read those with is not here yet"));
    };
    for name in owners {
        let helper = format!("{}.passwords", cluster.container(name));
        let body = crate::docker::spec::helper(cluster, name, &image.id, "true");
        site.engine.create_container(&helper, body).await?;
        let found = site.secrets(std::slice::from_ref(&helper)).await;
        site.engine.discard_container(&helper).await?;
        if found?.is_some() {
            return Ok(Seen::Present(()));
        }
    }
    // Volumes that were made and never filled.
    Ok(Seen::Absent)
}

/// The image nodes are to run. One that already runs them needs no second look: the volumes' labels say what is in it.
async fn database_image(site: &Site, observed: &Observed) -> Result<Seen<ImageFacts>, ObserveError> {
    let in_use = observed.nodes.values().find_map(|node| {
        let container = node.container.present().filter(|container| container.ours)?;
        let volume = node.volume.present()?;
        Some(ImageFacts {
            reference: container.image_id.clone(),
            id: container.image_id.clone(),
            postgres_major: volume.postgres_major,
            timescaledb: volume.timescaledb.clone(),
        })
    });
    // An agent never changes images: the one in use is the one.
    if let (Reach::Network, Some(facts)) = (site.reach, &in_use) {
        return Ok(Seen::Present(facts.clone()));
    }
    let client = site.engine.client();
    let bundled = image::bundled_reference();
    let local = image::local_references(client).await?;
    let used = in_use.as_ref().map(|facts| facts.id.as_str());
    let ImagePlan::Use { reference } = decide(&site.desired.image, image::offers(&bundled), &local, used) else {
        return Ok(Seen::Absent);
    };
    let id = site.engine.image_id(&reference).await?;
    match in_use {
        Some(facts) if id.as_ref() == Some(&facts.id) => Ok(Seen::Present(facts)),
        _ => Ok(image::facts(client, &reference).await?),
    }
}

async fn tool_image(site: &Site) -> Result<Seen<ImageFacts>, ObserveError> {
    let reference = image::bundled_reference();
    // An agent runs it.
    if site.reach == Reach::Network {
        return Ok(Seen::Present(ImageFacts {
            id: reference.clone(),
            reference,
            postgres_major: None,
            timescaledb: None,
        }));
    }
    let id = site.engine.image_id(&reference).await?;
    Ok(seen(id.map(|id| ImageFacts { reference, id, postgres_major: None, timescaledb: None })))
}

/// What a server tells, and how asking it went.
async fn server(
    site: &Site,
    node: &DesiredNode,
    observed: &Observed,
    schemas: &[String],
) -> (Seen<ServerSeen>, Seen<Probe>) {
    let runs = observed
        .nodes
        .get(&node.name)
        .and_then(|seen| seen.container.present())
        .is_some_and(|container| container.ours && container.state == RunState::Running);
    if !runs {
        return (Seen::Absent, Seen::Absent);
    }
    // A server that is frozen in this moment gives no answer, and whoever waits for one of the others must not wait for that.
    tokio::select! {
        asked = ask(site, node, schemas) => asked,
        () = stops_running(site, node) => {
            site.forget_session(&node.name);
            (Seen::unknown("its container stopped running while it was asked"), Seen::Present(Probe::TimesOut))
        }
    }
}

/// Ends when a container that ran is frozen or has ended; never while that cannot be seen.
async fn stops_running(site: &Site, node: &DesiredNode) {
    let container = site.desired.cluster.container(&node.name);
    loop {
        tokio::time::sleep(SLOW).await;
        if matches!(site.engine.is_listed_as_running(&container).await, Ok(false)) {
            return;
        }
    }
}

async fn ask(site: &Site, node: &DesiredNode, schemas: &[String]) -> (Seen<ServerSeen>, Seen<Probe>) {
    let interest = Interest {
        database: site.desired.database.clone(),
        publication: site.desired.publication.name.clone(),
        subscription: node.name.slot(),
        schemas: schemas.to_vec(),
    };
    // A kept session can turn out to be dead, or to be to the wrong database: then a new one decides.
    for _ in 0..2 {
        let session = match site.session(&node.name, node.port).await {
            Ok(session) => session,
            Err(error) => return failed(&error),
        };
        match session.promptly("observe the server", look::server(&session, &interest)).await {
            Ok(Some(mut server)) => {
                look_for_wanting(site, node, &session, &mut server).await;
                return (Seen::Present(server), Seen::Present(Probe::Answers));
            }
            Err(error) if !session.is_closed() => {
                site.forget_session(&node.name);
                return failed(&error.into());
            }
            Ok(None) | Err(_) => site.forget_session(&node.name),
        }
    }
    (Seen::unknown("the connection breaks off each time"), Seen::Present(Probe::Refuses))
}

fn failed(error: &ReachError) -> (Seen<ServerSeen>, Seen<Probe>) {
    let because = in_one_line(error);
    let probe = match error {
        ReachError::Postgres(error) => Seen::Present(probe::of(error)),
        _ => Seen::unknown(because.clone()),
    };
    (Seen::unknown(because), probe)
}

/// Reads the marks of nodes whose servers cannot tell, since they do not run.
async fn marks(site: &Site, observed: &mut Observed) {
    for (name, node) in &mut observed.nodes {
        let rests = |state: RunState| matches!(state, RunState::Created | RunState::Exited);
        if !node.container.present().is_some_and(|container| container.ours && rests(container.state)) {
            continue;
        }
        let container = site.desired.cluster.container(name);
        node.mark = match site.engine.read_file(&container, STANDBY_SIGNAL).await {
            Ok(None) => Seen::Absent,
            Ok(Some(bytes)) => match String::from_utf8_lossy(&bytes).trim() {
                "" => Seen::Absent,
                node => Seen::Present(node.to_owned()),
            },
            Err(error) => Seen::unknown(in_one_line(&error)),
        };
    }
}

/// What an endpoint that runs says of itself; one that is no longer wanted is not asked.
async fn pooler(site: &Site, access: Access, container: &Seen<ContainerSeen>) -> Seen<PoolerSeen> {
    let runs = container.present().is_some_and(|container| container.ours && container.state == RunState::Running);
    if !runs || site.desired.endpoint.ports().is_empty() {
        return Seen::Absent;
    }
    let pooler = match site.pooler(access).await {
        Ok(pooler) => pooler,
        Err(error) => return Seen::unknown(in_one_line(&error)),
    };
    pooler.look().await.map_or_else(
        |error| {
            site.forget_pooler(access);
            Seen::unknown(in_one_line(&error))
        },
        Seen::Present,
    )
}

/// Adds what a subscription that does not apply is wanting. A log that cannot be read says nothing; the next pass asks again.
///
/// A worker that fails again and again runs in between, so one that has failed since the last look counts too.
async fn look_for_wanting(site: &Site, node: &DesiredNode, session: &Session, server: &mut ServerSeen) {
    let Seen::Present(database) = &mut server.database else { return };
    let Some(subscription) = &mut database.subscription else { return };
    let before = session.keep_apply_errors(subscription.apply_errors);
    let has_failed = before.is_some_and(|before| subscription.apply_errors > before);
    let is_down = subscription.enabled && !subscription.is_applying && subscription.apply_errors > 0;
    if !has_failed && !is_down {
        return;
    }
    match apply_log::wanting(&site.engine, &site.desired.cluster.container(&node.name)).await {
        Ok(wanting) => subscription.wanting = wanting,
        Err(error) => tracing::warn!(node = %node.name, %error, "its log could not be read"),
    }
}

/// The same once Docker is done: its proxy holds a port for a moment before its container is listed as running, and for
/// a moment after it ended.
async fn settled_ports(
    site: &Site,
    wanted: &[(String, SocketAddr)],
    host: HostLook,
) -> Result<BTreeMap<u16, String>, ObserveError> {
    let mut taken = taken_ports(wanted, &host);
    for _ in 0..PROXY_LOOKS {
        if !taken.values().any(|holder| holder.contains(DOCKER_PROXY)) {
            break;
        }
        tokio::time::sleep(PROXY_PAUSE).await;
        taken = taken_ports(wanted, &site.engine.look(&site.desired.cluster).await?);
    }
    Ok(taken)
}

/// Where on the host containers are to be reached: each by its name.
fn wanted_ports(site: &Site, nodes: &[DesiredNode], agent: Option<SocketAddr>) -> Vec<(String, SocketAddr)> {
    let cluster = &site.desired.cluster;
    let endpoints = site.desired.endpoint.ports().into_iter();
    nodes
        .iter()
        .map(|node| (cluster.container(&node.name), SocketAddr::new(site.desired.bind, node.port)))
        .chain(endpoints.map(|(access, port)| (cluster.endpoint(access), SocketAddr::new(site.desired.bind, port))))
        .chain(agent.map(|listen| (cluster.agent(), listen)))
        .collect()
}

/// Ports that containers are about to need and that somebody else holds.
fn taken_ports(wanted: &[(String, SocketAddr)], host: &HostLook) -> BTreeMap<u16, String> {
    let needs_port = |(container, at): &&(String, SocketAddr)| {
        let look = host.containers.get(container);
        !look.is_some_and(|look| look.seen.ours && look.holds(at.ip(), at.port()))
    };
    let taken = wanted.iter().filter(needs_port);
    taken.filter_map(|(_, at)| Some((at.port(), holder(at.ip(), at.port(), host)?))).collect()
}

/// Who holds a port: a container by name, else a process, else somebody.
pub fn holder(bind: std::net::IpAddr, port: u16, host: &HostLook) -> Option<String> {
    let container = host.containers.iter().find(|(_, container)| container.holds(bind, port));
    if let Some((name, _)) = container {
        return Some(format!("container {name}"));
    }
    if host::is_port_free(bind, port) {
        return None;
    }
    Some(host::port_holder(bind, port).unwrap_or_else(|| "a process that cannot be named without more rights".into()))
}
