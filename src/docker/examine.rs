//! Looks at the engine itself, and into containers and images, for `doctor`.
//!
//! Out: facts as plain values. Changes nothing, and waits for an engine that hangs only so long.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::engine::{DockerError, Engine};
use crate::error::causes;
use crate::host::accounts;
use crate::model::observed::{ImageFacts, RunState};
use crate::plan::doctor::facts::{Answer, ContainerExam, Ended, EngineFacts, EngineSeen, ImageSeen, MountSeen};

/// A healthy engine says who it is within milliseconds; one that takes this long is of no use.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the engine is unless `DOCKER_HOST` says otherwise.
const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// What the address of a socket begins with.
const UNIX: &str = "unix://";

/// Where else sockets are found (rootless, Docker Desktop, Colima), below these variables' directories.
const OTHER_SOCKETS: [(&str, &str); 4] = [
    ("XDG_RUNTIME_DIR", "docker.sock"),
    ("HOME", ".docker/run/docker.sock"),
    ("HOME", ".docker/desktop/docker.sock"),
    ("HOME", ".colima/default/docker.sock"),
];

/// Finds the engine and asks who it is; there is an engine whenever the answer is [`Answer::Engine`].
pub async fn reach() -> (EngineSeen, Option<Engine>) {
    let given = std::env::var("DOCKER_HOST").ok();
    let address = match given.as_deref() {
        Some("") => "an empty address".to_owned(),
        Some(given) => given.to_owned(),
        None => format!("{UNIX}{USUAL_SOCKET}"),
    };
    let socket = address.strip_prefix(UNIX).map(PathBuf::from);
    let obstacle = match &socket {
        Some(socket) => knock(socket).await,
        None => None,
    };
    let (answer, engine) = match obstacle {
        Some(obstacle) => (obstacle, None),
        None => greet().await,
    };
    let other_sockets = if engine.is_some() { Vec::new() } else { other_sockets(socket.as_deref()) };
    (EngineSeen { address, is_from_environment: given.is_some(), other_sockets, answer }, engine)
}

/// What keeps us from a socket, told apart further than the client library does.
async fn knock(socket: &Path) -> Option<Answer> {
    let error = match timeout(PATIENCE, UnixStream::connect(socket)).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error,
        Err(_) => return Some(Answer::Failed { because: "it accepts no connection".into() }),
    };
    Some(match error.kind() {
        ErrorKind::NotFound => Answer::NoSocket,
        ErrorKind::PermissionDenied => {
            let group = accounts::group_of(socket);
            let is_member = group.as_ref().is_some_and(accounts::is_member);
            Answer::Forbidden { group: group.map(|group| group.name), is_member }
        }
        ErrorKind::ConnectionRefused => Answer::NobodyListens,
        _ => Answer::Failed { because: error.to_string() },
    })
}

async fn greet() -> (Answer, Option<Engine>) {
    let greeting = async {
        let engine = Engine::connect().await?;
        let failed = |doing| move |error| DockerError::from_bollard(doing, error);
        let version = engine.client().version().await.map_err(failed("ask its version"))?;
        let info = engine.client().info().await.map_err(failed("ask about its host"))?;
        let facts = EngineFacts {
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            root_dir: info.docker_root_dir.map(PathBuf::from),
            memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
        };
        Ok::<_, DockerError>((facts, engine))
    };
    match timeout(PATIENCE, greeting).await {
        Ok(Ok((facts, engine))) => (Answer::Engine(facts), Some(engine)),
        Ok(Err(error)) => (Answer::Failed { because: causes(&error).join(": ") }, None),
        Err(_) => (Answer::Failed { because: format!("no answer within {} s", PATIENCE.as_secs()) }, None),
    }
}

fn other_sockets(tried: Option<&Path>) -> Vec<String> {
    let below_homes =
        OTHER_SOCKETS.iter().filter_map(|(variable, path)| Some(PathBuf::from(std::env::var_os(variable)?).join(path)));
    std::iter::once(PathBuf::from(USUAL_SOCKET))
        .chain(below_homes)
        .filter(|socket| Some(socket.as_path()) != tried && socket.exists())
        .map(|socket| socket.display().to_string())
        .collect()
}

impl Engine {
    /// A container's mounts, restarts and data directory; `state` is known from listing it.
    pub async fn examine_container(&self, name: &str, state: RunState) -> Result<ContainerExam, DockerError> {
        let inspected = self
            .client()
            .inspect_container(name, None)
            .await
            .map_err(|error| DockerError::from_bollard(format!("inspect the container {name}"), error))?;
        Ok(container_exam(inspected, state))
    }

    /// An image's names, the volumes it declares and the data directory it is made for.
    pub async fn examine_image(&self, facts: ImageFacts) -> Result<ImageSeen, DockerError> {
        let inspected = self
            .client()
            .inspect_image(&facts.id)
            .await
            .map_err(|error| DockerError::from_bollard(format!("inspect the image {}", facts.reference), error))?;
        let config = inspected.config.unwrap_or_default();
        Ok(ImageSeen::Local {
            facts,
            tags: inspected.repo_tags.unwrap_or_default(),
            volumes: config.volumes.unwrap_or_default(),
            pgdata: variable(config.env.as_ref(), "PGDATA"),
        })
    }
}

fn container_exam(inspected: ContainerInspectResponse, state: RunState) -> ContainerExam {
    let mounts = inspected.mounts.unwrap_or_default().into_iter().map(|mount| MountSeen {
        volume: mount.name.filter(|_| mount.typ.as_deref() == Some("volume")),
        path: mount.destination.unwrap_or_default(),
    });
    let process = inspected.state.unwrap_or_default();
    let ended = (state == RunState::Exited).then(|| Ended {
        code: process.exit_code.unwrap_or_default(),
        is_out_of_memory: process.oom_killed.unwrap_or_default(),
    });
    ContainerExam {
        state,
        ended,
        restarts: inspected.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        mounts: mounts.collect(),
        pgdata: variable(inspected.config.unwrap_or_default().env.as_ref(), "PGDATA"),
    }
}

fn variable(environment: Option<&Vec<String>>, name: &str) -> Option<String> {
    environment?.iter().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, MountPoint};

    use super::*;

    #[test]
    fn mounts_that_are_no_volumes_have_no_volume() {
        let mount = |typ: &str, name: &str, path: &str| MountPoint {
            typ: Some(typ.into()),
            name: Some(name.into()),
            destination: Some(path.into()),
            ..MountPoint::default()
        };
        let inspected = ContainerInspectResponse {
            mounts: Some(vec![mount("volume", "v", "/a"), mount("bind", "", "/b")]),
            restart_count: Some(7),
            config: Some(ContainerConfig {
                env: Some(vec!["PGDATA2=/x".into(), "PGDATA=/a/b=c".into()]),
                ..ContainerConfig::default()
            }),
            ..ContainerInspectResponse::default()
        };
        let exam = container_exam(inspected, RunState::Running);
        assert_eq!((exam.restarts, exam.pgdata.as_deref()), (7, Some("/a/b=c")));
        let volumes: Vec<_> = exam.mounts.iter().map(|mount| mount.volume.as_deref()).collect();
        assert_eq!(volumes, [Some("v"), None]);
    }

    #[tokio::test]
    async fn tells_a_missing_socket_from_one_where_nobody_listens() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("docker.sock");
        assert_eq!(knock(&socket).await, Some(Answer::NoSocket));
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        assert_eq!(knock(&socket).await, None);
        drop(listener);
        assert_eq!(knock(&socket).await, Some(Answer::NobodyListens));
    }
}
