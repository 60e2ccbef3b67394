//! A connection to the Docker engine and the handful of calls that change something.
//!
//! Every call is safe to repeat: creating what exists, starting what runs and removing what is gone succeed.

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error as Bollard;
use bollard::models::{ContainerCreateBody, NetworkConnectRequest, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, StopContainerOptionsBuilder, WaitContainerOptions,
    WaitContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt, TryStreamExt};

use crate::error::in_one_line;

/// A call to the Docker engine failed.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// Nothing listens at the engine's address.
    #[error("cannot reach the Docker engine to {doing}")]
    Unreachable {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: Bollard,
    },
    /// The socket is there and this user may not use it.
    #[error("not allowed to use the Docker engine's socket to {doing}")]
    Forbidden {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: Bollard,
    },
    /// The engine took the question and said nothing.
    #[error("the Docker engine did not answer when it was to {doing}")]
    Silent {
        /// What was tried.
        doing: String,
        /// How long it was waited for.
        source: Bollard,
    },
    /// The engine said no.
    #[error("the Docker engine refused to {doing}")]
    Refused {
        /// What was tried.
        doing: String,
        /// Its answer.
        source: Bollard,
    },
    /// A helper container ended with a failure.
    #[error("{doing} failed with exit code {code}: {output}")]
    HelperFailed {
        /// What was tried.
        doing: String,
        /// The container's exit code.
        code: i64,
        /// The end of what it printed.
        output: String,
    },
    /// A file in a container or an answer of the engine was not as expected.
    #[error("cannot {doing}: {because}")]
    Unexpected {
        /// What was tried.
        doing: String,
        /// What was odd.
        because: String,
    },
}

impl DockerError {
    /// Sorts an error of the client library by what it means for the user.
    pub fn from_bollard(doing: impl Into<String>, source: Bollard) -> Self {
        let doing = doing.into();
        let text = in_one_line(&source);
        if text.contains("Permission denied") {
            Self::Forbidden { doing, source }
        } else if matches!(source, Bollard::DockerResponseServerError { .. }) {
            Self::Refused { doing, source }
        } else if matches!(source, Bollard::RequestTimeoutError) {
            Self::Silent { doing, source }
        } else {
            Self::Unreachable { doing, source }
        }
    }

    /// The engine's HTTP status, when it answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { source: Bollard::DockerResponseServerError { status_code, .. }, .. } => Some(*status_code),
            _ => None,
        }
    }

    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some(
                "start it (`systemctl start docker`), or point DOCKER_HOST at a running engine; \
                 `hypertide doctor` says more"
                    .into(),
            ),
            Self::Forbidden { .. } => {
                Some("join the group `docker` (`sudo usermod -aG docker $USER`, log in again), or run as root".into())
            }
            Self::Silent { .. } => Some(
                "see whether `docker inspect` of that container hangs too: an engine that paused it while a command was \
                 starting in it never lets go of it; docs/failover.md says how to free it"
                    .into(),
            ),
            Self::Refused { .. } | Self::HelperFailed { .. } | Self::Unexpected { .. } => {
                Some("run `hypertide doctor`; a second `hypertide up` carries on where this one stopped".into())
            }
        }
    }
}

/// A connection to the Docker engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
}

impl Engine {
    /// Connects as the environment says (`DOCKER_HOST`, else the default socket) and agrees on an API version.
    ///
    /// Engines from 20.10 (API 1.41) on are spoken to in their own version.
    pub async fn connect() -> Result<Self, DockerError> {
        let doing = "connect";
        let docker = Docker::connect_with_defaults().map_err(|error| DockerError::from_bollard(doing, error))?;
        let docker = docker.negotiate_version().await.map_err(|error| DockerError::from_bollard(doing, error))?;
        Ok(Self { docker })
    }

    /// The client, for the other files of this layer.
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// The path of the engine's socket on this host, which agents mount.
    pub fn socket_path() -> String {
        std::env::var("DOCKER_HOST")
            .ok()
            .and_then(|host| host.strip_prefix("unix://").map(str::to_owned))
            .unwrap_or_else(|| "/var/run/docker.sock".to_owned())
    }

    /// The content address of a local image; `None` when there is no such image.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, DockerError> {
        match self.docker.inspect_image(reference).await {
            Ok(image) => Ok(image.id),
            Err(Bollard::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(DockerError::from_bollard(format!("inspect the image {reference}"), error)),
        }
    }

    /// The content address of the image that a container was made from.
    pub async fn container_image(&self, name: &str) -> Result<String, DockerError> {
        let doing = format!("inspect the container {name}");
        let seen = self.docker.inspect_container(name, None).await;
        let seen = seen.map_err(|error| DockerError::from_bollard(doing.clone(), error))?;
        seen.image.ok_or_else(|| DockerError::Unexpected { doing, because: "it has no image".into() })
    }

    /// Creates the network unless it exists.
    pub async fn create_network(&self, name: &str, labels: HashMap<String, String>) -> Result<(), DockerError> {
        let request = NetworkCreateRequest { name: name.to_owned(), labels: Some(labels), ..Default::default() };
        let existing = self.docker.inspect_network(name, None).await;
        if existing.is_ok() {
            return Ok(());
        }
        let created = self.docker.create_network(request).await.map(|_| ());
        already_done(created, format!("create the network {name}"), &[409])
    }

    /// Removes the network.
    pub async fn remove_network(&self, name: &str) -> Result<(), DockerError> {
        already_done(self.docker.remove_network(name).await, format!("remove the network {name}"), &[404])
    }

    /// Creates a volume; one that exists is left as it is.
    pub async fn create_volume(&self, name: &str, labels: HashMap<String, String>) -> Result<(), DockerError> {
        let request = VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels), ..Default::default() };
        let created = self.docker.create_volume(request).await.map(|_| ());
        already_done(created, format!("create the volume {name}"), &[409])
    }

    /// Removes a volume with everything in it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        let removed = self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await;
        already_done(removed, format!("remove the volume {name}"), &[404])
    }

    /// Creates a container; one of this name that exists is left as it is.
    pub async fn create_container(&self, name: &str, body: ContainerCreateBody) -> Result<(), DockerError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let created = self.docker.create_container(Some(options), body).await.map(|_| ());
        already_done(created, format!("create the container {name}"), &[409])
    }

    /// Starts a container.
    pub async fn start_container(&self, name: &str) -> Result<(), DockerError> {
        let started = self.docker.start_container(name, None).await;
        already_done(started, format!("start the container {name}"), &[304])
    }

    /// Its process runs. A restart policy's pause between two attempts does not count.
    pub async fn is_running(&self, name: &str) -> Result<bool, DockerError> {
        let container = self
            .docker
            .inspect_container(name, None)
            .await
            .map_err(|error| DockerError::from_bollard(format!("inspect the container {name}"), error))?;
        let state = container.state.unwrap_or_default();
        Ok(state.running == Some(true) && state.restarting != Some(true))
    }

    /// The list of containers that run has it: what [`Self::look`] goes by, a moment behind what happens.
    pub async fn is_listed_as_running(&self, name: &str) -> Result<bool, DockerError> {
        let filters = HashMap::from([("name", vec![format!("^/{name}$")]), ("status", vec!["running".to_owned()])]);
        let options = ListContainersOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker.list_containers(Some(options)).await;
        Ok(!listed.map_err(|error| DockerError::from_bollard(format!("look for {name}"), error))?.is_empty())
    }

    /// Stops a container as its own stop signal and timeout say, so that PostgreSQL can write its checkpoint.
    pub async fn stop_container(&self, name: &str, patience_secs: i32) -> Result<(), DockerError> {
        let options = StopContainerOptionsBuilder::default().t(patience_secs).build();
        let stopped = self.docker.stop_container(name, Some(options)).await;
        already_done(stopped, format!("stop the container {name}"), &[304, 404])
    }

    /// Ends a container's processes at once, frozen ones too, and waits until they have ended. One that does not run, or is not
    /// there, is fine.
    pub async fn kill_container(&self, name: &str) -> Result<(), DockerError> {
        let doing = format!("kill the container {name}");
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        already_done(self.docker.kill_container(name, Some(options)).await, doing.clone(), &[404, 409])?;
        match self.docker.wait_container(name, None::<WaitContainerOptions>).next().await {
            None | Some(Ok(_) | Err(Bollard::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => already_done(Err(error), doing, &[404]),
        }
    }

    /// Attaches a container to a network, running or not.
    pub async fn connect_to_network(&self, name: &str, network: &str) -> Result<(), DockerError> {
        let request = NetworkConnectRequest { container: name.to_owned(), ..Default::default() };
        let attached = self.docker.connect_network(network, request).await;
        // What is attached already is forbidden to be attached.
        already_done(attached, format!("attach {name} to the network {network}"), &[403])
    }

    /// Removes a container, running or not. Every volume stays, anonymous ones too: an image that keeps its data where
    /// we do not expect it must not lose it.
    pub async fn remove_container(&self, name: &str) -> Result<(), DockerError> {
        self.remove(name, false).await
    }

    /// Removes a container that holds nothing worth keeping, with its anonymous volumes.
    pub async fn discard_container(&self, name: &str) -> Result<(), DockerError> {
        match self.remove(name, true).await {
            Err(error) if error.status() == Some(409) => self.wait_removed(name).await,
            removed => removed,
        }
    }

    /// Waits until a container is gone whose removal somebody else has begun.
    async fn wait_removed(&self, name: &str) -> Result<(), DockerError> {
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        match self.docker.wait_container(name, Some(options)).next().await {
            // Whatever it ended with.
            None | Some(Ok(_) | Err(Bollard::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => already_done(Err(error), format!("see the container {name} removed"), &[404]),
        }
    }

    async fn remove(&self, name: &str, with_anonymous_volumes: bool) -> Result<(), DockerError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(with_anonymous_volumes).build();
        let removed = self.docker.remove_container(name, Some(options)).await;
        already_done(removed, format!("remove the container {name}"), &[404])
    }

    /// Starts a created helper container, waits for its end, and gives the end of its output when it failed.
    pub async fn run_helper(&self, name: &str, doing: &str) -> Result<(), DockerError> {
        self.start_container(name).await?;
        let ended = self.docker.wait_container(name, None::<WaitContainerOptions>).next().await;
        let code = match ended {
            Some(Ok(answer)) => answer.status_code,
            Some(Err(Bollard::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(DockerError::from_bollard(format!("wait until {doing} ends"), error)),
            None => 0,
        };
        if code == 0 {
            return Ok(());
        }
        let output: Vec<String> = self.logs(name, "20", false).try_collect().await.unwrap_or_default();
        Err(DockerError::HelperFailed { doing: doing.to_owned(), code, output: output.concat().trim().to_owned() })
    }

    /// What a container printed, `tail` lines of it (or `all`), then more as it comes when `follow` is set.
    pub fn logs(&self, name: &str, tail: &str, follow: bool) -> impl Stream<Item = Result<String, DockerError>> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(tail).follow(follow).build();
        let doing = format!("read the log of {name}");
        self.docker.logs(name, Some(options)).map(move |chunk| match chunk {
            Ok(output) => Ok(output.to_string()),
            Err(error) => Err(DockerError::from_bollard(doing.clone(), error)),
        })
    }
}

/// Success when the engine answers that the wanted state is there already.
fn already_done(result: Result<(), Bollard>, doing: String, done: &[u16]) -> Result<(), DockerError> {
    match result {
        Ok(()) => Ok(()),
        Err(Bollard::DockerResponseServerError { status_code, .. }) if done.contains(&status_code) => Ok(()),
        Err(error) => Err(DockerError::from_bollard(doing, error)),
    }
}
