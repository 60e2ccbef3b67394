//! What the tests of the image need: containers and volumes under a label of their own, and a way to wait.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptionsBuilder, ListVolumesOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions,
    StopContainerOptions, UploadToContainerOptionsBuilder,
};
use futures_util::{FutureExt, StreamExt};
use hypertide::docker::image;
use hypertide::plan::image::ImagePlan;
use tokio::sync::OnceCell;

/// Where the tests mount a volume, as hypertide does.
pub const VOLUME_PATH: &str = "/var/lib/postgresql/data";
/// The superuser's password.
pub const PASSWORD: &str = "correct horse: battery '$staple\"";

const LABEL: &str = "hypertide.test";
const PATIENCE: Duration = Duration::from_mins(1);

/// The bundled image, built once for all tests of this file.
static IMAGE: OnceCell<String> = OnceCell::const_new();

/// One test's own corner of the engine.
pub struct World {
    pub docker: Docker,
    pub image: String,
    label: String,
}

/// A container to be.
#[derive(Default)]
pub struct Container<'a> {
    pub environment: &'a [&'a str],
    pub command: &'a [&'a str],
    pub volume: Option<&'a str>,
    /// Path, mode and content of files that are in it before it starts.
    pub files: &'a [(&'a str, u32, &'a [u8])],
}

/// Runs a test and removes what it made, however it ends.
pub async fn in_a_world(test: impl AsyncFnOnce(&World)) {
    let docker = Docker::connect_with_defaults().expect("these tests need a Docker engine; DOCKER_HOST says where");
    let image = IMAGE
        .get_or_init(async || {
            image::provide(&docker, &ImagePlan::Build, &|line| eprintln!("{line}"))
                .await
                .unwrap_or_else(|error| panic!("{error:#?}\nhelp: {}", error.help()))
        })
        .await
        .clone();
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system has randomness");
    let world = World { docker, image, label: format!("{LABEL}={:016x}", u64::from_ne_bytes(random)) };
    let outcome = AssertUnwindSafe(test(&world)).catch_unwind().await;
    world.clear().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Asks until there is an answer.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl World {
    fn labels(&self) -> HashMap<String, String> {
        let (key, value) = self.label.split_once('=').expect("key=value");
        HashMap::from([(key.to_owned(), value.to_owned())])
    }

    pub async fn volume(&self) -> String {
        let request = VolumeCreateRequest { labels: Some(self.labels()), ..VolumeCreateRequest::default() };
        let volume = self.docker.create_volume(request).await;
        volume.expect("a volume").name
    }

    /// Creates and starts it.
    pub async fn start(&self, container: Container<'_>) -> String {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: None };
        let body = ContainerCreateBody {
            image: Some(self.image.clone()),
            env: Some(owned(container.environment)),
            cmd: (!container.command.is_empty()).then(|| owned(container.command)),
            labels: Some(self.labels()),
            host_config: Some(HostConfig {
                binds: container.volume.map(|volume| vec![format!("{volume}:{VOLUME_PATH}")]),
                port_bindings: Some(HashMap::from([("5432/tcp".to_owned(), Some(vec![binding]))])),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let id = self.docker.create_container(None::<CreateContainerOptions>, body).await.expect("a container").id;
        if !container.files.is_empty() {
            let options = UploadToContainerOptionsBuilder::new().path("/").build();
            let archive = bollard::body_full(archive(container.files).into());
            self.docker.upload_to_container(&id, Some(options), archive).await.expect("files uploaded");
        }
        self.start_again(&id).await;
        id
    }

    pub async fn start_again(&self, id: &str) {
        self.docker.start_container(id, None::<StartContainerOptions>).await.expect("started");
    }

    pub async fn stop(&self, id: &str) {
        self.docker.stop_container(id, None::<StopContainerOptions>).await.expect("stopped");
    }

    pub async fn kill(&self, id: &str) {
        self.docker.kill_container(id, None::<KillContainerOptions>).await.expect("killed");
        self.ended(id).await;
    }

    /// Waits until it ends and answers its exit code.
    pub async fn ended(&self, id: &str) -> i64 {
        eventually("the container ends", async || {
            let state = self.docker.inspect_container(id, None).await.ok()?.state?;
            (state.running == Some(false)).then_some(state.exit_code).flatten()
        })
        .await
    }

    pub async fn log(&self, id: &str) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
        self.docker
            .logs(id, Some(options))
            .map(|part| part.expect("a part of the log").to_string())
            .collect::<Vec<_>>()
            .await
            .concat()
    }

    pub async fn until_log_has(&self, id: &str, text: &str) {
        eventually(&format!("the log has {text:?}"), async || self.log(id).await.contains(text).then_some(())).await;
    }

    /// Waits until the server answers, and connects.
    pub async fn connect(&self, id: &str, database: &str) -> tokio_postgres::Client {
        eventually("the server answers", async || {
            let inspected = self.docker.inspect_container(id, None).await.ok()?;
            let is_running = inspected.state?.running == Some(true);
            assert!(is_running, "the server ended:\n{}", self.log(id).await);
            let ports = inspected.network_settings?.ports?.remove("5432/tcp")??;
            let port = ports.first()?.host_port.as_ref()?.parse().ok()?;
            let (client, connection) = tokio_postgres::Config::new()
                .host("127.0.0.1")
                .port(port)
                .user("postgres")
                .password(PASSWORD)
                .dbname(database)
                .connect(tokio_postgres::NoTls)
                .await
                .ok()?;
            tokio::spawn(connection);
            Some(client)
        })
        .await
    }

    async fn clear(&self) {
        let mine = HashMap::from([("label", vec![self.label.as_str()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&mine).build();
        let containers = self.docker.list_containers(Some(options)).await;
        for container in containers.expect("the list of containers") {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let id = container.id.expect("an id");
            let removed = self.docker.remove_container(&id, Some(options)).await;
            removed.expect("the container goes");
        }
        let options = ListVolumesOptionsBuilder::new().filters(&mine).build();
        let volumes = self.docker.list_volumes(Some(options)).await;
        for volume in volumes.expect("the volumes").volumes.unwrap_or_default() {
            let options = None::<RemoveVolumeOptions>;
            let removed = self.docker.remove_volume(&volume.name, options).await;
            removed.expect("the volume goes");
        }
    }
}

fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        archive.append_data(&mut header, path, *content).expect("a Vec takes every write");
    }
    archive.into_inner().expect("a Vec takes every write")
}
