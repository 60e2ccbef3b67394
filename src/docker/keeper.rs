//! A container that does nothing until it is told to, and ends when the process that made it does.
//!
//! In: an image, where it is attached, what it mounts. Out: a running container in which commands are run (`exec`, control
//! only); bulk data goes through the FIFOs of its [`SharedDir`]. It waits on that directory's leash: when this process ends,
//! in whatever way, so does the container, and the engine removes it. One that was never started is removed by the next run
//! ([`sweep`]).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, Mount, MountType,
    MountVolumeOptions, NetworkingConfig, RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, ListContainersOptionsBuilder};
use tokio::runtime::Handle;

use super::engine::{DockerError, Engine};
use super::exec::Ended;
use super::files::File;
use super::shared_dir::{SharedDir, SharedDirError, SharedPlace, is_abandoned};
use super::{image, labels, shared_dir, spec};
use crate::model::names::ClusterName;

/// A data directory that is not complete yet.
const INCOMING: &str = "/var/lib/postgresql/data/pgdata.incoming";

/// How much of a command's output is kept.
const MOST_OUTPUT: usize = 1024 * 1024;

/// A container that was created and not started for so long belongs to a process that was killed in between, also when its
/// directory cannot be seen from here.
const STARTING: Duration = Duration::from_mins(10);

/// Waits for the end of the leash. A leash whose owner was killed before it was taken would never be: hence the bound.
const SCRIPT: &str = r#"
( exec 9<"$1" && : >/tmp/hypertide.leash && read -r _ <&9 ) &
tries=0
while [ ! -e /tmp/hypertide.leash ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || exit 1
    sleep 0.1
done
wait
"#;

/// What a container is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// No network at all.
    Nothing,
    /// The host's network.
    Host,
    /// This network.
    Network(String),
    /// This network, in the stead of a container that does not run: under its names, and on the host where that is reached.
    Stead {
        /// The network.
        network: String,
        /// What others on it know that container by.
        names: Vec<String>,
        /// Where on the host PostgreSQL's port is. While this runs no other container can start that has it.
        at: SocketAddr,
    },
    /// The network of this container, whose servers are on the loopback address then.
    Container(String),
}

/// What a container has at the place where servers keep their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataVolume<'a> {
    /// Nothing of its own.
    None,
    /// A volume of its own, which goes with the container.
    Own,
    /// This volume, which stays.
    Named(&'a str),
}

impl DataVolume<'_> {
    /// Where a data directory is made. On a volume that stays, no server would take it for a finished one.
    const fn data_dir(self) -> &'static str {
        match self {
            Self::None | Self::Own => spec::PGDATA,
            Self::Named(_) => INCOMING,
        }
    }
}

/// What a container is made from.
#[derive(Clone, Debug)]
pub struct KeeperSpec<'a> {
    /// Its kind label: [`labels::KIND_HELPER`] or [`labels::KIND_SANDBOX`].
    pub kind: &'static str,
    /// Whose it is, if a cluster's.
    pub cluster: Option<&'a ClusterName>,
    /// The image's id.
    pub image: &'a str,
    /// Its network.
    pub attached: Attached,
    /// What is at the place where servers keep their data.
    pub volume: DataVolume<'a>,
}

/// The container could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The directory.
    #[error(transparent)]
    Shared(#[from] SharedDirError),
}

impl KeeperError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.help(),
            Self::Shared(error) => Some(error.help()),
        }
    }
}

/// A running container. Removed when dropped, in the background; [`Keeper::remove`] waits for it.
#[derive(Debug)]
pub struct Keeper {
    engine: Engine,
    id: String,
    name: String,
    shared: SharedDir,
    data_dir: &'static str,
    runtime: Handle,
    is_removed: AtomicBool,
}

impl Keeper {
    /// Creates and starts one, after removing what killed processes left of the same cluster.
    pub async fn start(engine: &Engine, place: &SharedPlace, spec: &KeeperSpec<'_>) -> Result<Arc<Self>, KeeperError> {
        sweep(engine, place, spec.cluster).await?;
        let shared = SharedDir::create(place)?;
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|error| DockerError::Unexpected {
            doing: "name a container".into(),
            because: error.to_string(),
        })?;
        let owner = spec.cluster.map_or("hypertide", ClusterName::as_str);
        let name = format!("{owner}.{}-{:08x}", spec.kind, u32::from_ne_bytes(random));
        let body = body(spec, &shared);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let created = engine.client().create_container(Some(options), body).await;
        let id = created.map_err(|error| DockerError::from_bollard(format!("create the container {name}"), error))?.id;
        // From here on it is removed when this is dropped, also while it starts.
        let keeper = Self {
            engine: engine.clone(),
            id,
            name,
            shared,
            data_dir: spec.volume.data_dir(),
            runtime: Handle::current(),
            is_removed: AtomicBool::new(false),
        };
        engine.start_container(&keeper.id).await?;
        Ok(Arc::new(keeper))
    }

    /// The engine it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its data directory is made.
    pub fn data_dir(&self) -> &str {
        self.data_dir
    }

    /// What it shares with this process.
    pub fn shared(&self) -> &SharedDir {
        &self.shared
    }

    /// Runs a command as user `postgres` to its end, whatever it ends with.
    pub async fn exec(&self, command: Vec<String>, env: Vec<String>) -> Result<Ended, DockerError> {
        self.engine.exec(&self.id, command, env, MOST_OUTPUT).await
    }

    /// Puts a file there that only user `postgres` may read.
    pub async fn put_secret(&self, path: &str, bytes: &[u8]) -> Result<(), DockerError> {
        let owner = image::postgres_uid(self.engine.client(), &self.id).await.map_err(|error| {
            DockerError::Unexpected { doing: format!("put a file into {}", self.name), because: error.to_string() }
        })?;
        self.engine.put_files(&self.id, &[File { path, bytes, mode: 0o600, owner }]).await
    }

    /// Removes it with everything in it.
    pub async fn remove(&self) -> Result<(), DockerError> {
        self.engine.discard_container(&self.id).await?;
        self.is_removed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.is_removed.load(Ordering::Relaxed) {
            return;
        }
        let (engine, id, name) = (self.engine.clone(), self.id.clone(), self.name.clone());
        self.runtime.spawn(async move {
            if let Err(error) = engine.discard_container(&id).await {
                tracing::debug!(name, %error, "could not remove a container; the engine does when it ends");
            }
        });
    }
}

/// Removes containers of this kind, and shared directories, whose process is gone. With a cluster: its own; without: those
/// that belong to none.
pub async fn sweep(engine: &Engine, place: &SharedPlace, cluster: Option<&ClusterName>) -> Result<(), DockerError> {
    let filters = HashMap::from([("label", vec![labels::LEASH])]);
    let list = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let found = engine.client().list_containers(Some(list)).await;
    let found = found.map_err(|error| DockerError::from_bollard("list containers", error))?;
    let is_ours = |container: &ContainerSummary| {
        let owner = container.labels.as_ref().and_then(|labels| labels.get(labels::CLUSTER));
        owner.map(String::as_str) == cluster.map(ClusterName::as_str)
    };
    for container in found.iter().filter(|container| is_ours(container) && is_left_over(container, SystemTime::now())) {
        let Some(id) = &container.id else { continue };
        tracing::debug!(id, "removing a container that a killed process left");
        if let Err(error) = engine.discard_container(id).await {
            // Another process may be at it; whoever is next tries again.
            tracing::debug!(id, %error, "could not remove it");
        }
    }
    // Last, since they tell whose containers were never started.
    place.sweep();
    Ok(())
}

/// It has ended, or was created and never started by a process that is gone. What runs has somebody who holds its leash.
fn is_left_over(container: &ContainerSummary, now: SystemTime) -> bool {
    match container.state {
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD) => true,
        Some(ContainerSummaryStateEnum::CREATED) if directory(container).is_some_and(|it| is_abandoned(&it)) => true,
        Some(ContainerSummaryStateEnum::CREATED) => {
            let created = container.created.and_then(|at| u64::try_from(at).ok()).map(Duration::from_secs);
            let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            created.is_some_and(|created| now.saturating_sub(created) > STARTING)
        }
        _ => false,
    }
}

/// The directory it shares with the process that made it, as that process sees it.
fn directory(container: &ContainerSummary) -> Option<PathBuf> {
    let inside = container.labels.as_ref()?.get(labels::LEASH)?;
    if inside != shared_dir::INSIDE {
        return Some(inside.into());
    }
    let mut mounts = container.mounts.iter().flatten();
    mounts.find(|mount| mount.destination.as_deref() == Some(inside))?.source.clone().map(Into::into)
}

fn body(keeper: &KeeperSpec<'_>, shared: &SharedDir) -> ContainerCreateBody {
    let mut labels = match keeper.cluster {
        Some(cluster) => labels::of_cluster(cluster, keeper.kind),
        None => HashMap::from([(labels::KIND.to_owned(), keeper.kind.to_owned())]),
    };
    labels.insert(labels::LEASH.to_owned(), shared.inside().to_owned());
    let volume = Mount {
        typ: Some(MountType::VOLUME),
        target: Some(spec::VOLUME_PATH.to_owned()),
        source: match keeper.volume {
            DataVolume::Named(name) => Some(name.to_owned()),
            DataVolume::None | DataVolume::Own => None,
        },
        // Those of a volume that is there already stay as they are.
        volume_options: Some(MountVolumeOptions { labels: Some(labels.clone()), ..Default::default() }),
        ..Default::default()
    };
    let mounts = std::iter::once(shared.mount()).chain((keeper.volume != DataVolume::None).then_some(volume)).collect();
    let network = match &keeper.attached {
        Attached::Nothing => "none",
        Attached::Host => "host",
        Attached::Network(name) | Attached::Stead { network: name, .. } => name,
        Attached::Container(name) => &format!("container:{name}"),
    };
    let stead = match &keeper.attached {
        Attached::Stead { network, names, at } => Some((network, names, *at)),
        _ => None,
    };
    let port = format!("{}/tcp", spec::POSTGRES_PORT);
    let leash = format!("{}/{}", shared.inside(), SharedDir::LEASH);
    ContainerCreateBody {
        image: Some(keeper.image.to_owned()),
        user: Some("postgres".to_owned()),
        labels: Some(labels),
        entrypoint: Some(["/bin/sh", "-c", SCRIPT, "hypertide", &leash].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        env: Some(vec![format!("PGDATA={}", keeper.volume.data_dir())]),
        exposed_ports: stead.map(|_| vec![port.clone()]),
        networking_config: stead.map(|(network, names, _)| {
            let endpoint = EndpointSettings { aliases: Some(names.clone()), ..Default::default() };
            NetworkingConfig { endpoints_config: Some(HashMap::from([(network.clone(), endpoint)])) }
        }),
        // There is nothing to shut down with care.
        stop_signal: Some("SIGKILL".to_owned()),
        host_config: Some(bollard::models::HostConfig {
            mounts: Some(mounts),
            network_mode: Some(network.to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            port_bindings: stead.map(|(_, _, at)| spec::published(&port, at)),
            shm_size: Some(spec::SHM_BYTES),
            // Servers that are begun in here outlive the command that begins them; somebody has to bury them.
            init: Some(true),
            // Also when nobody is left to do it.
            auto_remove: Some(true),
            ..spec::host_config(RestartPolicyNameEnum::NO)
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::MountPoint;

    use super::*;

    fn seen(state: ContainerSummaryStateEnum, created: i64) -> ContainerSummary {
        ContainerSummary { state: Some(state), created: Some(created), ..Default::default() }
    }

    #[test]
    fn only_what_has_ended_or_never_began_is_a_leftover() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(10);
        let at = |hours: i64| hours * 3600;
        assert!(is_left_over(&seen(ContainerSummaryStateEnum::EXITED, at(10)), now));
        assert!(is_left_over(&seen(ContainerSummaryStateEnum::CREATED, at(9)), now));
        assert!(!is_left_over(&seen(ContainerSummaryStateEnum::CREATED, at(10)), now));
        assert!(!is_left_over(&seen(ContainerSummaryStateEnum::RUNNING, at(0)), now));
        assert!(!is_left_over(&seen(ContainerSummaryStateEnum::REMOVING, at(0)), now));
    }

    #[test]
    fn what_was_never_started_goes_with_its_process() {
        let shared = SharedDir::create(&SharedPlace::Host).expect("room");
        let mount = MountPoint {
            source: Some(shared.here().to_string_lossy().into_owned()),
            destination: Some(shared.inside().to_owned()),
            ..Default::default()
        };
        let container = |mount| ContainerSummary {
            labels: Some([(labels::LEASH.to_owned(), shared.inside().to_owned())].into()),
            mounts: Some(vec![mount]),
            ..seen(ContainerSummaryStateEnum::CREATED, 0)
        };
        let now = SystemTime::UNIX_EPOCH;
        assert!(!is_left_over(&container(mount.clone()), now), "it is about to be started");
        // As a killed process leaves it.
        let left = tempfile::tempdir().expect("room");
        std::fs::write(left.path().join("lock"), "").expect("room");
        let source = left.path().join("s").to_string_lossy().into_owned();
        assert!(is_left_over(&container(MountPoint { source: Some(source), ..mount }), now));
    }

    #[test]
    fn a_sandbox_has_no_network_no_rights_and_its_clusters_label() {
        let cluster = ClusterName::new("trading").expect("valid");
        let shared = SharedDir::create(&SharedPlace::Host).expect("room");
        let keeper = KeeperSpec {
            kind: labels::KIND_SANDBOX,
            cluster: Some(&cluster),
            image: "sha256:1",
            attached: Attached::Nothing,
            volume: DataVolume::Own,
        };
        let body = body(&keeper, &shared);
        assert_eq!(
            body.labels.as_ref().and_then(|labels| labels.get(labels::CLUSTER)).map(String::as_str),
            Some("trading")
        );
        let host = body.host_config.expect("set");
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.cap_drop.as_deref(), Some(["ALL".to_owned()].as_slice()));
        let volume = host.mounts.expect("set").into_iter().find(|mount| mount.typ == Some(MountType::VOLUME));
        let volume = volume.expect("a volume of its own");
        // Without a name it goes with its container; with the label it goes with its cluster.
        assert_eq!(volume.source, None);
        assert!(
            volume.volume_options.and_then(|options| options.labels).expect("labelled").contains_key(labels::CLUSTER)
        );
    }
}
