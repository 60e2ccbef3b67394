//! A cluster of one test's own: random name, free ports, a directory for configuration and passwords; removed at the
//! end by its label, however the test ends.
//!
//! It runs the image hypertide chooses, or the one `HYPERTIDE_TEST_IMAGE` names, unless the test names one itself.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use hypertide::docker::image;
use hypertide::plan::image::ImagePlan;
use serde_json::Value;

/// How long anything may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program under test.
pub const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");

/// A test's own cluster and directory.
pub struct World {
    pub dir: tempfile::TempDir,
    pub cluster: String,
    /// Free host ports: the primary's first, then the replicas'.
    pub ports: Vec<u16>,
    /// Another, for the agent.
    pub agent_port: u16,
}

/// What a run of the program came to.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    /// A world with a configuration that names cluster and ports; `more` is appended to it.
    pub fn new(more: &str) -> Self {
        image_is_there();
        Self::without_image(more)
    }

    /// The same for tests that never get as far as an image.
    pub fn without_image(more: &str) -> Self {
        let mut random = [0; 4];
        getrandom::fill(&mut random).unwrap();
        let cluster = format!("t{:08x}", u32::from_ne_bytes(random));
        let mut ports = free_ports(7);
        let agent_port = ports.pop().unwrap();
        let world = Self { dir: tempfile::tempdir().unwrap(), cluster, ports, agent_port };
        world.configure(more);
        world
    }

    /// Rewrites the configuration; without `nodes:` in it, one logical replica is the default, and without `image:` the
    /// image the environment names, if it names one.
    pub fn configure(&self, more: &str) {
        let nodes = if more.contains("nodes:") {
            String::new()
        } else {
            format!(
                "nodes: {{primary: {{port: {}}}, replicas: [{{name: replica-1, port: {}}}]}}\n",
                self.ports[0], self.ports[1]
            )
        };
        let metrics = if more.contains("metrics:") {
            String::new()
        } else {
            format!(
                "metrics: {{listen: \"127.0.0.1:{}\"}}
",
                self.agent_port
            )
        };
        let image = match std::env::var("HYPERTIDE_TEST_IMAGE") {
            Ok(image) if !image.is_empty() && !more.contains("image:") => format!(
                "image: {image:?}
"
            ),
            _ => String::new(),
        };
        // What tests count the lines of comes before.
        std::fs::write(
            self.config(),
            format!(
                "cluster: {}
{nodes}{more}
{metrics}{image}",
                self.cluster
            ),
        )
        .unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("hypertide.yaml")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join(".hypertide")
    }

    /// A command on this world's configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(HYPERTIDE);
        command.arg("--config").arg(self.config()).args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(&self.command(args).output().unwrap())
    }

    /// Runs the program and insists on success.
    pub fn ok(&self, args: &[&str]) -> Run {
        let run = self.run(args);
        assert_eq!(run.code, 0, "hypertide {args:?}\n{}{}", run.stdout, run.stderr);
        run
    }

    /// The JSON document of a verb that succeeds.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        self.ok(&args).json()
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// Runs SQL as superuser on a node and gives psql's unaligned output, trimmed.
    pub fn sql(&self, node: &str, sql: &str) -> String {
        self.ok(&["psql", node, "--", "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql]).stdout.trim().to_owned()
    }

    /// Waits until a condition holds.
    pub fn eventually(&self, what: &str, condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(
                began.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}\n{}\n{}",
                self.run(&["status"]).stdout,
                self.run(&["logs", "--tail", "15"]).stdout
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Rows and their hash, of a table on a node.
    pub fn fingerprint(&self, node: &str, table: &str) -> String {
        self.sql(node, &format!("select count(*), sum(hashtextextended(t::text, 0)::numeric) from {table} t"))
    }

    /// Waits until a table is the same on both nodes, and gives its fingerprint.
    pub fn eventually_equal(&self, table: &str, one: &str, other: &str) -> String {
        let wanted = self.fingerprint(one, table);
        self.eventually(&format!("{table} on {other} is that of {one}: {wanted}"), || {
            self.fingerprint(other, table) == wanted
        });
        wanted
    }

    /// Insists that nothing is left to do, now and for the planner.
    pub fn is_converged(&self) {
        let plan = self.json(&["up", "--plan"]);
        assert_eq!(plan, serde_json::json!({ "steps": [], "holds": [] }));
    }

    /// The name of a node's container.
    pub fn container(&self, node: &str) -> String {
        format!("{}-{node}", self.cluster)
    }

    /// Everything on the host that carries this cluster's label.
    pub async fn leftovers(&self) -> Vec<String> {
        labelled(&docker(), &format!("hypertide.cluster={}", self.cluster)).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let label = format!("hypertide.cluster={}", self.cluster);
        // The test's own runtime may be this very thread's.
        let cleaned = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(remove_labelled(&label));
        })
        .join();
        if cleaned.is_err() {
            eprintln!("could not remove everything of {}", self.cluster);
        }
    }
}

impl Run {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// How often to kill something in the middle of something: a few times, or as often as `HYPERTIDE_TEST_KILLS` says.
pub fn kills(few: u32) -> u32 {
    std::env::var("HYPERTIDE_TEST_KILLS").map_or(few, |kills| kills.parse().unwrap())
}

/// A client of the engine.
pub fn docker() -> Docker {
    Docker::connect_with_defaults().expect("these tests need a Docker engine; DOCKER_HOST says where")
}

/// Freezes a container as soon as nobody is about to run a command in it: an old engine that freezes one in the middle of that (a
/// health check is enough) waits for the command for ever, and does not let go of the container even to end it.
pub async fn freeze(container: &str) {
    let is_idle = async || {
        let seen = docker().inspect_container(container, None::<InspectContainerOptions>).await.unwrap();
        seen.exec_ids.unwrap_or_default().is_empty()
    };
    let began = Instant::now();
    while !is_idle().await {
        assert!(began.elapsed() < PATIENCE, "a command never ends in {container}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    docker().pause_container(container).await.unwrap();
}

/// Lets it go on.
pub async fn thaw(container: &str) {
    docker().unpause_container(container).await.unwrap();
}

/// A role's own connection, with its password from the state directory.
pub async fn connect(world: &World, port: u16, role: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    connect_with(&world.state_dir(), port, role).await
}

/// The same for a thread of its own.
pub async fn connect_with(
    state_dir: &Path,
    port: u16,
    role: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let pgpass = std::fs::read_to_string(state_dir.join("pgpass")).unwrap();
    let prefix = format!("*:*:*:{role}:");
    let password = pgpass.lines().find_map(|line| line.strip_prefix(&prefix)).expect("every role has a password");
    let (client, connection) = tokio_postgres::Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(role)
        .password(password)
        .dbname("trading_data")
        .connect(tokio_postgres::NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn labelled(docker: &Docker, label: &str) -> Vec<String> {
    let filters = std::collections::HashMap::from([("label", vec![label])]);
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let volumes = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let networks = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let containers = docker.list_containers(Some(containers)).await.unwrap();
    let volumes = docker.list_volumes(Some(volumes)).await.unwrap().volumes.unwrap_or_default();
    let networks = docker.list_networks(Some(networks)).await.unwrap();
    containers
        .into_iter()
        .filter_map(|container| container.id.map(|id| format!("container {id}")))
        .chain(volumes.into_iter().map(|volume| format!("volume {}", volume.name)))
        .chain(networks.into_iter().filter_map(|network| network.name.map(|name| format!("network {name}"))))
        .collect()
}

async fn remove_labelled(label: &str) {
    let docker = docker();
    for found in labelled(&docker, label).await {
        let (kind, name) = found.split_once(' ').unwrap();
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = match kind {
            "container" => docker.remove_container(name, Some(options)).await,
            "volume" => docker.remove_volume(name, None::<RemoveVolumeOptions>).await,
            _ => docker.remove_network(name).await,
        };
        if let Err(error) = removed {
            eprintln!("could not remove {found}: {error}");
        }
    }
}

/// Ports nobody listens on, each given out once. They lie below the range from which the system takes ports for
/// outgoing connections, which could otherwise be in the way minutes later.
fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        AtomicU16::new(20_000 + u16::from_ne_bytes(random) % 10_000)
    });
    std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .take(count)
        .collect()
}

/// The bundled image is built once, not by every test that happens to begin first.
fn image_is_there() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                image::provide(&docker(), &ImagePlan::Build, &|line| eprintln!("{line}"))
                    .await
                    .unwrap_or_else(|error| panic!("{error}\nhelp: {}", error.help()));
            });
        })
        .join()
        .expect("the image can be built");
    });
}

/// Writes a file below the world's directory, with its parents.
pub fn write(world: &World, path: &str, text: &str) {
    let path: PathBuf = world.dir.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
    std::fs::write(path, text).unwrap();
}
