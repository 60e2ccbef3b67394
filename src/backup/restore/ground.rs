//! What a restore is planned on: images, what stands where it is to go, the server, the port, the disk, the log in the store.
//!
//! In: a site and a wish. Out: [`Ground`]. Only looks; decides nothing.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::error::RestoreError;
use super::images;
use super::origin::Origin;
use crate::backup::wal::archive::{self, LogFile};
use crate::backup::wal::fetch::histories;
use crate::docker::labels;
use crate::host;
use crate::model::backup::Kind;
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::plan::restore::{Archive, Destination, Fork, Ground, Segment, ServerFacts, Standing, Wish};
use crate::postgres::session::Session;
use crate::site::Site;

/// Where Docker keeps volumes unless somebody moved them.
const VOLUMES: &str = "/var/lib/docker/volumes";

/// Looks. `primary` is a session to the cluster's primary, when one answers and takes writes; `port` the one that is wanted.
pub async fn look(
    site: &Site,
    origin: &Origin,
    wish: &Wish,
    primary: Option<&Session>,
    port: Option<u16>,
) -> Result<Ground, RestoreError> {
    let is_server = !matches!(wish.destination, Destination::Database(_));
    let images = if is_server {
        images::choose(&site.engine, &origin.manifest, None).await?.map_or_else(|_| Vec::new(), |image| vec![image])
    } else {
        Vec::new()
    };
    let standing = match &wish.destination {
        Destination::Database(name) => match primary {
            Some(session) => database(session, name).await?,
            None => Standing::Free,
        },
        Destination::Node(name) => node(site, name).await?,
        Destination::Cluster(name) => cluster(site, name).await?,
    };
    let server = match primary {
        Some(session) if !is_server => Some(server(session).await?),
        _ => None,
    };
    // What is about to be replaced may have it.
    let is_replaced = standing == Standing::Ours;
    let port_holder = port.filter(|_| is_server && !is_replaced).and_then(|port| {
        (!host::is_port_free(site.desired.bind, port))
            .then(|| host::port_holder(site.desired.bind, port).unwrap_or_else(|| format!("somebody on {port}")))
    });
    let archive = if origin.manifest.kind == Kind::Base { log(origin).await? } else { Archive::default() };
    let free_bytes = host::room(Path::new(VOLUMES)).ok().map(|room| room.free_bytes);
    Ok(Ground { images, standing, server, port_holder, free_bytes, archive })
}

async fn database(session: &Session, name: &Ident) -> Result<Standing, RestoreError> {
    let ask = "select exists (select from pg_database where datname = $1)";
    let failed = |error| session.failed("look for the database", error);
    let exists: bool = session.client().query_one(ask, &[&name.as_str()]).await.map_err(failed)?.get(0);
    Ok(if exists { Standing::Ours } else { Standing::Free })
}

async fn server(session: &Session) -> Result<ServerFacts, RestoreError> {
    let ask = "select current_setting('server_version_num')::int / 10000,
                      array(select version from pg_available_extension_versions where name = 'timescaledb')::text[]";
    let failed = |error| session.failed("ask which versions of TimescaleDB there are", error);
    let row = session.client().query_one(ask, &[]).await.map_err(failed)?;
    Ok(ServerFacts { postgres_major: row.get::<_, i32>(0).unsigned_abs(), timescaledb: row.get(1) })
}

/// Only what a restore made beside the cluster may be replaced; a node of the cluster may not.
async fn node(site: &Site, name: &NodeName) -> Result<Standing, RestoreError> {
    let cluster = &site.desired.cluster;
    let look = site.engine.look(cluster).await?;
    let configured = site.desired.node(name).is_some() || look.volumes.contains_key(&cluster.volume(name));
    if configured {
        return Ok(Standing::Foreign(format!("a node of cluster {cluster}")));
    }
    Ok(match look.containers.get(&cluster.container(name)) {
        None => Standing::Free,
        Some(there) if there.kind.as_deref() == Some(labels::KIND_RESTORED) => Standing::Ours,
        Some(_) => Standing::Foreign(format!("the container {}", cluster.container(name))),
    })
}

async fn cluster(site: &Site, name: &ClusterName) -> Result<Standing, RestoreError> {
    let look = site.engine.look(name).await?;
    let is_of_it = |found: &String| found.starts_with(&format!("{name}-"));
    let ours = look.volumes.values().any(|volume| volume.seen.ours)
        || look.containers.values().any(|container| container.seen.ours)
        || look.networks.values().any(|network| network.ours);
    if ours {
        return Ok(Standing::Ours);
    }
    let node = &site.desired.preferred_primary().name;
    let wanted = [name.volume(node), name.container(node), name.network()];
    let names = look.volumes.keys().chain(look.containers.keys()).chain(look.networks.keys());
    let taken = names.filter(|found| is_of_it(found)).find(|found| wanted.contains(found));
    Ok(taken.map_or(Standing::Free, |found| Standing::Foreign(found.clone())))
}

/// The archive as planning sees it.
async fn log(origin: &Origin) -> Result<Archive, RestoreError> {
    let listed = archive::Archive::list(&*origin.store, &origin.manifest.scope).await?;
    let histories = histories(&origin.store, &listed, origin.keys.as_ref()).await?;
    let segments = listed.files.iter().filter_map(|(file, stored)| match file {
        LogFile::Segment(at) => {
            Some((Segment { timeline: at.timeline, number: at.number }, DateTime::<Utc>::from(stored.written)))
        }
        LogFile::History(_) => None,
    });
    let forks = |ancestors: &[(u32, crate::model::lsn::Lsn)]| {
        ancestors.iter().map(|(timeline, at)| Fork { timeline: *timeline, at: *at }).collect()
    };
    Ok(Archive {
        segments: segments.collect(),
        histories: histories.iter().map(|(timeline, history)| (*timeline, forks(&history.ancestors))).collect(),
    })
}
