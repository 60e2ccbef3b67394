//! A filled volume becomes a server people can reach: a node beside the cluster, or the primary of a new one.
//!
//! In: names, a port, passwords. Out: a container that runs. What had the name goes only now, when the new volume is complete.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::ListVolumesOptionsBuilder;

use super::error::RestoreError;
use crate::docker::engine::{DockerError, Engine};
use crate::docker::files::File;
use crate::docker::{image, labels, spec};
use crate::model::backup::BackupId;
use crate::model::cluster::Seat;
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::model::observed::ImageFacts;
use crate::plan::provision::SUPERUSER;
use crate::plan::step::NodeSpec;
use crate::postgres::session::{Session, Target};
use crate::secrets::Secrets;

/// How long a server that was stopped cleanly may take to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often it is asked.
const POLL: Duration = Duration::from_millis(100);

/// Without it no policy runs, whatever the catalog says.
const NO_JOBS: &str = "timescaledb.max_background_workers=0";

/// A server to be.
#[derive(Debug)]
pub struct Server<'a> {
    /// Runs it.
    pub engine: &'a Engine,
    /// The cluster whose label it carries.
    pub cluster: &'a ClusterName,
    /// Its name.
    pub node: &'a NodeName,
    /// It is the primary of that cluster, and no guest beside it.
    pub is_primary: bool,
    /// The backup it comes from.
    pub backup: &'a BackupId,
    /// What it runs.
    pub image: &'a ImageFacts,
    /// The address of the host it is reached at.
    pub bind: IpAddr,
    /// And the port.
    pub port: u16,
    /// Settings of the configuration, `name=value`.
    pub settings: Vec<String>,
    /// Jobs may run.
    pub enable_jobs: bool,
    /// Tells one restore's volume from another's.
    pub random: u32,
}

impl Server<'_> {
    /// The name of its volume.
    pub fn volume(&self) -> String {
        if self.is_primary {
            self.cluster.volume(self.node)
        } else {
            format!("{}-{}-{:08x}", self.cluster, self.node, self.random)
        }
    }

    fn container(&self) -> String {
        self.cluster.container(self.node)
    }

    fn spec(&self) -> NodeSpec {
        let mut settings = self.settings.clone();
        if !self.is_primary {
            settings.push("archive_mode=off".to_owned());
        }
        if !self.enable_jobs {
            settings.push(NO_JOBS.to_owned());
        }
        NodeSpec { node: self.node.clone(), seat: Seat::Primary, port: self.port, bind: self.bind, settings }
    }

    fn labels(&self) -> HashMap<String, String> {
        if self.is_primary {
            return spec::volume_labels(self.cluster, &self.spec(), self.image);
        }
        // Without the label of a node: `up` must not take it for one.
        let mut all = labels::of_cluster(self.cluster, labels::KIND_RESTORED);
        all.insert(labels::RESTORED.to_owned(), self.node.to_string());
        all.insert(labels::BACKUP.to_owned(), self.backup.to_string());
        all.insert(labels::PORT.to_owned(), self.port.to_string());
        all
    }

    /// Makes the volume, empty; and the network of a new cluster. Volumes of restores that were cut off go.
    pub async fn prepare(&self) -> Result<(), RestoreError> {
        if self.is_primary {
            let network = labels::of_cluster(self.cluster, labels::KIND_NETWORK);
            self.engine.create_network(&self.cluster.network(), network).await?;
        } else {
            self.remove_leftovers().await?;
        }
        Ok(self.engine.create_volume(&self.volume(), self.labels()).await?)
    }

    /// Takes away what a restore made that is not to be.
    pub async fn give_up(&self) -> Result<(), RestoreError> {
        self.engine.remove_volume(&self.volume()).await?;
        if self.is_primary {
            self.engine.remove_network(&self.cluster.network()).await?;
        }
        Ok(())
    }

    /// Starts it, after what had its name is gone; waits until it answers.
    pub async fn start(&self, secrets: &Secrets) -> Result<(), RestoreError> {
        let container = self.container();
        if !self.is_primary {
            self.engine.stop_container(&container, spec::STOP_PATIENCE_SECS).await?;
            self.engine.remove_container(&container).await?;
            self.remove_leftovers().await?;
        }
        self.engine.create_container(&container, self.body()).await?;
        let owner = image::postgres_uid(self.engine.client(), &container).await?;
        let pgpass = secrets.to_pgpass();
        let password = secrets.superuser().reveal();
        let file = |path, bytes| File { path, bytes, mode: 0o600, owner };
        let files = [file(spec::PASSFILE, pgpass.as_bytes()), file(spec::SUPERUSER_PASSWORD_FILE, password.as_bytes())];
        self.engine.put_files(&container, &files).await?;
        self.engine.start_container(&container).await?;
        self.answers(secrets).await
    }

    fn body(&self) -> ContainerCreateBody {
        let mut body = spec::node(self.cluster, &self.spec(), &self.image.id);
        if !self.is_primary {
            body.labels = Some(self.labels());
            // Of its cluster's network it is no part.
            body.networking_config = None;
            for mount in body.host_config.iter_mut().flat_map(|host| host.mounts.iter_mut().flatten()) {
                mount.source = Some(self.volume());
            }
        }
        body
    }

    async fn answers(&self, secrets: &Secrets) -> Result<(), RestoreError> {
        let host = if self.bind.is_unspecified() { "127.0.0.1".to_owned() } else { self.bind.to_string() };
        let target = Target {
            node: self.node.clone(),
            host,
            port: self.port,
            database: Ident::new("postgres")?,
            user: SUPERUSER,
            password: secrets.superuser().clone(),
        };
        let began = Instant::now();
        loop {
            match Session::connect(&target).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_final() => return Err(error.into()),
                Err(error) if began.elapsed() > PATIENCE => {
                    let said = crate::error::in_one_line(&error);
                    return Err(RestoreError::NotReady { seconds: PATIENCE.as_secs(), said });
                }
                Err(_) => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Volumes of this name that no container has.
    async fn remove_leftovers(&self) -> Result<(), RestoreError> {
        let name = format!("{}={}", labels::RESTORED, self.node);
        let cluster = format!("{}={}", labels::CLUSTER, self.cluster);
        let filters = HashMap::from([("label", vec![name.as_str(), cluster.as_str()]), ("dangling", vec!["true"])]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let listed = self.engine.client().list_volumes(Some(options)).await;
        let listed = listed.map_err(|error| DockerError::from_bollard("list volumes", error))?;
        for volume in listed.volumes.unwrap_or_default() {
            if volume.name != self.volume() {
                tracing::info!(volume = volume.name, "removing what a replaced or interrupted restore left");
                self.engine.remove_volume(&volume.name).await?;
            }
        }
        Ok(())
    }
}
