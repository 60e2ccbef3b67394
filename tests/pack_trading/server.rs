//! One TimescaleDB in a container of its own, gone when the test is over.
//!
//! The image is `HYPERTIDE_TEST_IMAGE`, or any local one of the repository `hypertide/timescaledb`. Only what carries
//! this run's random label is removed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio_postgres::{Client, Config, NoTls};

const REPOSITORY: &str = "hypertide/timescaledb";
const LABEL: &str = "hypertide.test";
const PORT: &str = "5432/tcp";

/// How long an image may take from `start` to a first answer; initialising a database takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running container.
pub struct Server {
    docker: Docker,
    run: String,
    id: String,
    password: String,
}

impl Server {
    /// Starts it with these settings (`name=value`), without waiting for its first answer.
    pub async fn start(settings: &[&str]) -> Self {
        let docker = Docker::connect_with_defaults().expect("Docker is set up on this machine");
        docker.ping().await.expect("this test needs a Docker engine, and none answers");
        let image = image(&docker).await;
        let run = random_hex();
        let password = random_hex();
        let body = ContainerCreateBody {
            image: Some(image),
            cmd: Some(command(settings)),
            env: Some(vec![format!("POSTGRES_PASSWORD={password}")]),
            labels: Some(HashMap::from([(LABEL.to_owned(), run.clone())])),
            exposed_ports: Some(vec![PORT.to_owned()]),
            host_config: Some(HostConfig {
                port_bindings: Some(HashMap::from([(
                    PORT.to_owned(),
                    Some(vec![PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) }]),
                )])),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let id =
            docker.create_container(None::<CreateContainerOptions>, body).await.expect("creating the container").id;
        let server = Self { docker, run, id, password };
        let started = server.docker.start_container(&server.id, None::<StartContainerOptions>).await;
        if let Err(error) = started {
            server.remove().await;
            panic!("starting the container: {error}");
        }
        server
    }

    /// Waits until the server takes connections over the network, and opens one to a database.
    ///
    /// The server that runs while the image initialises listens on its socket only, so the first answer is that of the
    /// final one.
    pub async fn connect(&self, database: &str) -> Client {
        let begun = Instant::now();
        loop {
            for (host, port) in self.addresses().await {
                let mut config = Config::new();
                config
                    .host(host)
                    .port(port)
                    .user("postgres")
                    .dbname(database)
                    .password(&self.password)
                    .connect_timeout(Duration::from_secs(2));
                if let Ok((client, connection)) = config.connect(NoTls).await {
                    tokio::spawn(connection);
                    return client;
                }
            }
            if begun.elapsed() > PATIENCE {
                self.remove().await;
                panic!("the server did not answer within {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The published port on this machine, and the container's own address for when the engine is its neighbour.
    async fn addresses(&self) -> Vec<(String, u16)> {
        let Ok(seen) = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await else {
            return Vec::new();
        };
        let settings = seen.network_settings.unwrap_or_default();
        let published = settings
            .ports
            .unwrap_or_default()
            .remove(PORT)
            .flatten()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|binding| binding.host_port?.parse().ok())
            .map(|port| ("127.0.0.1".to_owned(), port));
        let own = settings
            .networks
            .unwrap_or_default()
            .into_values()
            .filter_map(|network| network.ip_address)
            .filter(|address| !address.is_empty())
            .map(|address| (address, 5432));
        published.chain(own).collect()
    }

    /// Removes the container and its volumes.
    pub async fn remove(&self) {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}={}", self.run)])]);
        let list = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let ours = self.docker.list_containers(Some(list)).await.expect("listing what this run made");
        for id in ours.into_iter().filter_map(|container| container.id) {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            self.docker.remove_container(&id, Some(options)).await.expect("removing the container");
        }
    }
}

fn command(settings: &[&str]) -> Vec<String> {
    let options = settings.iter().flat_map(|setting| ["-c", setting]);
    ["postgres"].into_iter().chain(options).map(str::to_owned).collect()
}

async fn image(docker: &Docker) -> String {
    if let Ok(image) = std::env::var("HYPERTIDE_TEST_IMAGE") {
        return image;
    }
    let options = ListImagesOptionsBuilder::new().build();
    let images = docker.list_images(Some(options)).await.expect("listing images");
    images
        .into_iter()
        .flat_map(|image| image.repo_tags)
        .find(|tag| tag.rsplit_once(':').map(|(repository, _)| repository) == Some(REPOSITORY))
        .unwrap_or_else(|| panic!("this test needs an image: build {REPOSITORY}, or name one in HYPERTIDE_TEST_IMAGE"))
}

fn random_hex() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    format!("{:016x}", u64::from_ne_bytes(bytes))
}
