//! Steps on what clients connect to, and what a promotion does with it: hold its clients, lead it elsewhere, let them go on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::{Cause, Executor};
use crate::docker::files::File;
use crate::docker::{image, spec};
use crate::model::endpoint::Access;
use crate::model::names::NodeName;
use crate::plan::endpoint::configuration::{self, CERTIFICATE, FILE, KEY, USERS};
use crate::plan::endpoint::step::{EndpointSpec, EndpointStep};
use crate::plan::endpoint::{self, hosts};
use crate::postgres::pooler::{Pooler, PoolerError};
use crate::secrets::certificate::Pair;
use crate::site::{ReachError, Site};

/// How long a PgBouncer may take to answer after its start; it takes tens of milliseconds.
const START_PATIENCE: Duration = Duration::from_secs(10);
const START_POLL: Duration = Duration::from_millis(15);

impl Executor<'_> {
    pub(super) async fn take_endpoint(&self, access: Access, step: &EndpointStep) -> Result<(), Cause> {
        let engine = &self.site.engine;
        let cluster = &self.site.desired.cluster;
        let name = cluster.endpoint(access);
        match step {
            EndpointStep::Create(wanted) => {
                let pair = self.site.desired.endpoint_tls.as_ref().map(Pair::read).transpose()?;
                engine.create_container(&name, spec::endpoint(cluster, wanted)).await?;
                match pair {
                    Some(pair) => put(self.site, access, &[(CERTIFICATE, &pair.certificate), (KEY, &pair.key)]).await,
                    None => Ok(()),
                }
            }
            EndpointStep::Start { to } => self.start_endpoint(access, to.as_ref()).await,
            EndpointStep::Repoint { to } => lead(self.site, access, to).await,
            EndpointStep::Stop => {
                self.site.forget_pooler(access);
                Ok(engine.stop_container(&name, spec::ENDPOINT_STOP_PATIENCE_SECS).await?)
            }
            EndpointStep::Remove => {
                self.site.forget_pooler(access);
                engine.stop_container(&name, spec::ENDPOINT_STOP_PATIENCE_SECS).await?;
                Ok(engine.discard_container(&name).await?)
            }
        }
    }

    async fn start_endpoint(&self, access: Access, to: Option<&BTreeSet<NodeName>>) -> Result<(), Cause> {
        let site = self.site;
        let name = site.desired.cluster.endpoint(access);
        if let Some(to) = to {
            configure(site, access, to).await?;
        }
        site.forget_pooler(access);
        site.engine.start_container(&name).await?;
        let began = Instant::now();
        loop {
            match site.pooler(access).await {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > START_PATIENCE => return Err(error.into()),
                Err(_) => {}
            }
            if !site.engine.is_running(&name).await? {
                let output: Vec<String> = site.engine.logs(&name, "15", false).try_collect().await.unwrap_or_default();
                return Err(Cause::Ended { container: name, output: output.concat().trim().to_owned() });
            }
            tokio::time::sleep(START_POLL).await;
        }
    }
}

/// Leads an endpoint to these nodes, whether it holds its clients or not. Of one that does not run only the configuration is
/// written: it leads there when it starts.
///
/// # Errors
/// Docker, the console, or a PgBouncer that leads elsewhere although it has read its configuration.
pub async fn lead(site: &Site, access: Access, to: &BTreeSet<NodeName>) -> Result<(), Cause> {
    configure(site, access, to).await?;
    follow(site, access, to).await
}

/// The second half of [`lead`]: has it read the configuration that [`configure`] put there.
pub async fn follow(site: &Site, access: Access, to: &BTreeSet<NodeName>) -> Result<(), Cause> {
    let name = site.desired.cluster.endpoint(access);
    if !site.engine.is_running(&name).await? {
        return Ok(());
    }
    let pooler = site.pooler(access).await?;
    let wanted = hosts(&site.desired.cluster, to);
    let reloaded = reload(&pooler, &name, &wanted).await;
    if reloaded.is_err() {
        site.forget_pooler(access);
    }
    Ok(reloaded.map_err(ReachError::from)?)
}

async fn reload(pooler: &Pooler, name: &str, wanted: &BTreeSet<String>) -> Result<(), PoolerError> {
    pooler.reload().await?;
    let found = pooler.look().await?.hosts;
    if found == *wanted {
        return Ok(());
    }
    let list = |hosts: &BTreeSet<String>| hosts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(PoolerError::Elsewhere { endpoint: name.to_owned(), found: list(&found), wanted: list(wanted) })
}

/// Has the clients of an endpoint wait: see [`Pooler::pause`].
///
/// # Errors
/// [`PoolerError::Busy`] when some keep a connection to the server for longer than `patience`; the others wait all the same.
pub async fn pause(site: &Site, access: Access, patience: Duration) -> Result<(), Cause> {
    let target = site.pooler_target(access)?;
    Ok(Pooler::pause(&target, patience).await.map_err(ReachError::from)?)
}

/// Lets the clients of an endpoint go on; nothing happens when none are held.
///
/// # Errors
/// The console could not be reached or used.
pub async fn resume(site: &Site, access: Access) -> Result<(), Cause> {
    let resumed = site.pooler(access).await?.resume().await;
    if resumed.is_err() {
        site.forget_pooler(access);
    }
    Ok(resumed.map_err(ReachError::from)?)
}

/// Leads clients that write to the primary and holds none of them, whoever held them. Where they connect to the nodes there is
/// nothing to do.
///
/// # Errors
/// As [`lead`] and [`resume`].
pub async fn release(site: &Site, primary: &NodeName) -> Result<(), Cause> {
    if site.desired.endpoint.ports().is_empty() {
        return Ok(());
    }
    lead(site, Access::ReadWrite, &[primary.clone()].into()).await?;
    resume(site, Access::ReadWrite).await
}

/// Puts the configuration and the pooler's own password into an endpoint's container, for its user only. It leads there when it
/// is started or told to read it.
pub async fn configure(site: &Site, access: Access, to: &BTreeSet<NodeName>) -> Result<(), Cause> {
    let unplanned = || Cause::Unplanned(format!("the {access} endpoint"));
    // Which one it shows is in its container, and makes no difference to the text.
    let certificate = site.desired.endpoint_tls.as_ref().map(|_| "");
    let wanted: EndpointSpec =
        endpoint::spec(&site.desired, access, &image::bundled_reference(), certificate).ok_or_else(unplanned)?;
    let text = configuration::text(&wanted, &hosts(&site.desired.cluster, to), spec::POSTGRES_PORT);
    let secrets = site.known_secrets().ok_or(ReachError::NoSecrets)?;
    let users = configuration::users(secrets.pooler().reveal());
    put(site, access, &[(FILE, text.as_bytes()), (USERS, users.as_bytes())]).await
}

/// Puts files into an endpoint's container, for its user only.
async fn put(site: &Site, access: Access, files: &[(&str, &[u8])]) -> Result<(), Cause> {
    let name = site.desired.cluster.endpoint(access);
    let owner = image::postgres_uid(site.engine.client(), &name).await?;
    let files: Vec<File<'_>> = files.iter().map(|(path, bytes)| File { path, bytes, mode: 0o600, owner }).collect();
    Ok(site.engine.put_files(&name, &files).await?)
}
