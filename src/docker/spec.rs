//! Container specifications: from a node as planned to what the engine's create call takes. Pure.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::labels;
use super::shared_dir::VOLUME_DIR;
use crate::model::names::{ClusterName, NodeName};
use crate::model::observed::ImageFacts;
use crate::plan::endpoint::configuration;
use crate::plan::endpoint::step::EndpointSpec;
use crate::plan::provision::POOLER;
use crate::plan::step::NodeSpec;

/// Where the volume is mounted; the image contract's own place.
pub const VOLUME_PATH: &str = "/var/lib/postgresql/data";
/// The data directory: below the mount, so that a finished directory can be renamed into place.
pub const PGDATA: &str = "/var/lib/postgresql/data/pgdata";
/// What makes a data directory a standby's when it is started; what `postgres::succession` writes into it is a mark.
pub const STANDBY_SIGNAL: &str = "/var/lib/postgresql/data/pgdata/standby.signal";
/// The password file beside the data directory, on the volume: it stays with the data it opens.
pub const PASSFILE: &str = "/var/lib/postgresql/data/hypertide/pgpass";
/// The superuser's password for the image's first start.
pub const SUPERUSER_PASSWORD_FILE: &str = "/var/lib/postgresql/data/hypertide/superuser_password";
/// Where agents keep configuration and passwords.
pub const AGENT_DIR: &str = "/etc/hypertide";
/// Where agents keep the binary.
pub const AGENT_BINARY: &str = "/usr/local/bin/hypertide";
/// PostgreSQL's port inside a container.
pub const POSTGRES_PORT: u16 = 5432;

/// Where an agent answers over HTTP inside its container, whatever the port on the host.
pub const AGENT_PORT: u16 = 9187;

/// Seconds PostgreSQL gets to shut down cleanly: a checkpoint of several GiB of dirty buffers on a slow disk.
pub const STOP_PATIENCE_SECS: i32 = 120;
/// Seconds an endpoint gets to let transactions end.
pub const ENDPOINT_STOP_PATIENCE_SECS: i32 = 5;
/// How often Docker asks a node for its health. Nothing of ours waits for the answer; it is for people and other tools.
const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
/// Parallel queries share memory through /dev/shm, and Docker's default of 64 MiB fails them.
pub(super) const SHM_BYTES: i64 = 512 * 1024 * 1024;

/// A node's container.
pub fn node(cluster: &ClusterName, spec: &NodeSpec, image: &str) -> ContainerCreateBody {
    let mut labels = labels::of_node(cluster, labels::KIND_NODE, &spec.node);
    labels.insert(labels::SEAT.to_owned(), spec.seat.to_string());
    labels.insert(labels::PORT.to_owned(), spec.port.to_string());
    labels.insert(labels::SPEC.to_owned(), spec.digest());

    let port = format!("{POSTGRES_PORT}/tcp");
    let settings = spec.settings.iter().flat_map(|setting| ["-c".to_owned(), setting.clone()]);
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(spec.node.to_string()),
        labels: Some(labels),
        cmd: Some(std::iter::once("postgres".to_owned()).chain(settings).collect()),
        env: Some(vec![
            format!("PGDATA={PGDATA}"),
            format!("POSTGRES_PASSWORD_FILE={SUPERUSER_PASSWORD_FILE}"),
            "POSTGRES_INITDB_ARGS=--encoding=UTF8 --locale=C.UTF-8 --data-checksums --auth-host=scram-sha-256".into(),
        ]),
        exposed_ports: Some(vec![port.clone()]),
        // SIGINT is PostgreSQL's fast shutdown: sessions are ended, a checkpoint is written.
        stop_signal: Some("SIGINT".to_owned()),
        stop_timeout: Some(i64::from(STOP_PATIENCE_SECS)),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["CMD".into(), "pg_isready".into(), "--quiet".into(), "--username=postgres".into()]),
            interval: nanoseconds(HEALTH_INTERVAL),
            timeout: nanoseconds(Duration::from_secs(5)),
            retries: Some(3),
            ..Default::default()
        }),
        host_config: Some(HostConfig {
            mounts: Some(vec![data_mount(cluster, &spec.node)]),
            port_bindings: Some(published(&port, SocketAddr::new(spec.bind, spec.port))),
            shm_size: Some(SHM_BYTES),
            ..host_config(RestartPolicyNameEnum::NO)
        }),
        networking_config: Some(network(cluster, &[spec.node.as_str()])),
        ..Default::default()
    }
}

/// The labels of a node's volume, from which the node can be recognised when all else is gone.
pub fn volume_labels(cluster: &ClusterName, spec: &NodeSpec, image: &ImageFacts) -> HashMap<String, String> {
    let mut labels = labels::of_node(cluster, labels::KIND_NODE, &spec.node);
    labels.insert(labels::SEAT.to_owned(), spec.seat.to_string());
    labels.insert(labels::PORT.to_owned(), spec.port.to_string());
    if let Some(major) = image.postgres_major {
        labels.insert(labels::POSTGRES.to_owned(), major.to_string());
    }
    if let Some(version) = &image.timescaledb {
        labels.insert(labels::TIMESCALEDB.to_owned(), version.clone());
    }
    labels
}

/// A container that runs one shell script as user `postgres` on a node's volume, then ends.
pub fn helper(cluster: &ClusterName, node: &NodeName, image: &str, script: &str) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(labels::of_node(cluster, labels::KIND_HELPER, node)),
        entrypoint: Some(vec!["/bin/sh".into(), "-euc".into(), script.to_owned()]),
        cmd: Some(Vec::new()),
        env: Some(vec![format!("PGDATA={PGDATA}"), format!("PGPASSFILE={PASSFILE}")]),
        host_config: Some(HostConfig {
            mounts: Some(vec![data_mount(cluster, node)]),
            ..host_config(RestartPolicyNameEnum::NO)
        }),
        networking_config: Some(network(cluster, &[])),
        ..Default::default()
    }
}

/// What the agent's container has of its host.
#[derive(Clone, Copy, Debug)]
pub struct AgentOutside<'a> {
    /// The engine's socket.
    pub socket: &'a str,
    /// Where on the host it answers over HTTP.
    pub listen: Option<SocketAddr>,
    /// Directories that it has at the same path: stores.
    pub dirs: &'a [PathBuf],
    /// `NAME=value`, nothing secret.
    pub env: &'a [String],
}

/// The agent's container: this binary, the engine's socket, a volume of its own, and what it has of the host.
pub fn agent(cluster: &ClusterName, digest: &str, image: &str, outside: &AgentOutside<'_>) -> ContainerCreateBody {
    let mut labels = labels::of_cluster(cluster, labels::KIND_AGENT);
    labels.insert(labels::SPEC.to_owned(), digest.to_owned());
    let mount = |typ, source: &str, target: &str| Mount {
        typ: Some(typ),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        ..Default::default()
    };
    let own = [
        mount(MountType::BIND, outside.socket, "/var/run/docker.sock"),
        mount(MountType::VOLUME, &cluster.agent_volume(), VOLUME_DIR),
    ];
    let dirs = outside.dirs.iter().map(|dir| dir.to_string_lossy());
    let mounts = own.into_iter().chain(dirs.map(|dir| mount(MountType::BIND, &dir, &dir)));
    let port = format!("{AGENT_PORT}/tcp");
    let command =
        ["--config", &format!("{AGENT_DIR}/hypertide.yaml"), "--state-dir", AGENT_DIR, "agent", "--contained"];
    // One thread does nearly all the work here; more arenas of the allocator would only keep memory.
    let env = std::iter::once("MALLOC_ARENA_MAX=1".to_owned()).chain(outside.env.iter().cloned());
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("agent".to_owned()),
        user: Some("0:0".to_owned()),
        labels: Some(labels),
        entrypoint: Some(vec![AGENT_BINARY.to_owned()]),
        cmd: Some(command.map(str::to_owned).to_vec()),
        exposed_ports: outside.listen.map(|_| vec![port.clone()]),
        stop_signal: Some("SIGTERM".to_owned()),
        env: Some(env.collect()),
        host_config: Some(HostConfig {
            mounts: Some(mounts.collect()),
            port_bindings: outside.listen.map(|listen| published(&port, listen)),
            init: Some(true),
            ..host_config(RestartPolicyNameEnum::UNLESS_STOPPED)
        }),
        networking_config: Some(network(cluster, &["agent"])),
        ..Default::default()
    }
}

/// An endpoint's container: PgBouncer and nothing else, without any right beyond its own.
///
/// Its configuration and the password in it are put there before it starts.
pub fn endpoint(cluster: &ClusterName, spec: &EndpointSpec) -> ContainerCreateBody {
    let mut labels = labels::of_cluster(cluster, labels::KIND_ENDPOINT);
    labels.insert(labels::PORT.to_owned(), spec.port.to_string());
    labels.insert(labels::SPEC.to_owned(), spec.digest());
    let port = format!("{POSTGRES_PORT}/tcp");
    let asking = ["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", "--dbname=pgbouncer"];
    let asking = asking.map(str::to_owned).into_iter().chain([format!("--username={POOLER}")]);
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: Some(spec.access.name().to_owned()),
        user: Some("postgres".to_owned()),
        labels: Some(labels),
        entrypoint: Some(vec!["pgbouncer".to_owned()]),
        cmd: Some(vec![configuration::FILE.to_owned()]),
        exposed_ports: Some(vec![port.clone()]),
        // No new transaction begins, those under way may end (https://www.pgbouncer.org/usage.html#signals).
        stop_signal: Some("SIGINT".to_owned()),
        stop_timeout: Some(i64::from(ENDPOINT_STOP_PATIENCE_SECS)),
        healthcheck: Some(HealthConfig {
            test: Some(asking.collect()),
            interval: nanoseconds(HEALTH_INTERVAL),
            timeout: nanoseconds(Duration::from_secs(5)),
            retries: Some(3),
            ..Default::default()
        }),
        host_config: Some(HostConfig {
            port_bindings: Some(published(&port, SocketAddr::new(spec.bind, spec.port))),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            ..host_config(RestartPolicyNameEnum::UNLESS_STOPPED)
        }),
        networking_config: Some(network(cluster, &[spec.access.name()])),
        ..Default::default()
    }
}

/// A port of a container and where on the host it leads from.
pub(super) fn published(port: &str, at: SocketAddr) -> HashMap<String, Option<Vec<PortBinding>>> {
    let binding = PortBinding { host_ip: Some(at.ip().to_string()), host_port: Some(at.port().to_string()) };
    HashMap::from([(port.to_owned(), Some(vec![binding]))])
}

pub(super) fn host_config(restart: RestartPolicyNameEnum) -> HostConfig {
    HostConfig {
        restart_policy: Some(RestartPolicy { name: Some(restart), maximum_retry_count: None }),
        // A chatty server must not fill the disk with its log.
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "20m".to_owned()),
                ("max-file".to_owned(), "5".to_owned()),
            ])),
        }),
        ..Default::default()
    }
}

fn data_mount(cluster: &ClusterName, node: &NodeName) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(cluster.volume(node)),
        target: Some(VOLUME_PATH.to_owned()),
        ..Default::default()
    }
}

pub(super) fn network(cluster: &ClusterName, aliases: &[&str]) -> NetworkingConfig {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    let endpoint = EndpointSettings { aliases: Some(aliases), ..Default::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(cluster.network(), endpoint)])) }
}

fn nanoseconds(duration: Duration) -> Option<i64> {
    i64::try_from(duration.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::Seat;
    use crate::model::endpoint::{Access, Pooling};
    use crate::model::names::Ident;

    fn example() -> ContainerCreateBody {
        let spec = NodeSpec {
            node: NodeName::new("primary-1").expect("valid"),
            seat: Seat::Primary,
            port: 5434,
            bind: "127.0.0.1".parse().expect("an address"),
            settings: vec!["wal_level=logical".into()],
        };
        node(&ClusterName::new("trading").expect("valid"), &spec, "sha256:1")
    }

    #[test]
    fn a_node_comes_back_only_when_hypertide_says_so() {
        let restart = example().host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
        assert_eq!(restart, Some(RestartPolicyNameEnum::NO));
    }

    #[test]
    fn a_node_is_reachable_from_this_host_only_unless_asked() {
        let ports = example().host_config.and_then(|host| host.port_bindings).expect("bound");
        let binding = ports["5432/tcp"].as_ref().and_then(|bindings| bindings.first()).expect("one");
        assert_eq!((binding.host_ip.as_deref(), binding.host_port.as_deref()), (Some("127.0.0.1"), Some("5434")));
    }

    #[test]
    fn a_node_gets_a_signal_and_time_for_a_clean_shutdown() {
        let body = example();
        assert_eq!(body.stop_signal.as_deref(), Some("SIGINT"));
        assert!(body.stop_timeout >= Some(60));
    }

    #[test]
    fn settings_reach_the_server_as_arguments() {
        assert_eq!(example().cmd, Some(["postgres", "-c", "wal_level=logical"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn an_endpoint_comes_back_by_itself_has_no_rights_and_nothing_of_a_password() {
        let spec = EndpointSpec {
            access: Access::ReadWrite,
            port: 5432,
            bind: "127.0.0.1".parse().expect("an address"),
            pooling: Pooling::Transaction,
            database: Ident::new("data").expect("valid"),
            connections: 40,
            image: "image".into(),
            certificate: None,
        };
        let body = endpoint(&ClusterName::new("trading").expect("valid"), &spec);
        assert_eq!((body.user.as_deref(), &body.env), (Some("postgres"), &None));
        assert_eq!(body.cmd, Some(vec!["/etc/hypertide/pgbouncer.ini".to_owned()]));
        let host = body.host_config.expect("set");
        assert_eq!(host.cap_drop.as_deref(), Some(["ALL".to_owned()].as_slice()));
        assert_eq!(host.mounts, None);
        let restart = host.restart_policy.and_then(|policy| policy.name);
        assert_eq!(restart, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
        let ports = host.port_bindings.expect("bound");
        let binding = ports["5432/tcp"].as_ref().and_then(|bindings| bindings.first()).expect("one");
        assert_eq!((binding.host_ip.as_deref(), binding.host_port.as_deref()), (Some("127.0.0.1"), Some("5432")));
    }

    #[test]
    fn the_agent_comes_back_by_itself_and_listens_only_where_it_is_told() {
        let agent = |listen: Option<&str>| {
            let listen = listen.map(|listen| listen.parse().expect("an address"));
            let dirs = [PathBuf::from("/var/backups")];
            let outside = AgentOutside { socket: "/run/docker.sock", listen, dirs: &dirs, env: &[] };
            agent(&ClusterName::new("trading").expect("valid"), "d", "image", &outside)
        };
        let host = agent(None).host_config.expect("set");
        let restart = host.restart_policy.and_then(|policy| policy.name);
        assert_eq!(restart, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
        assert_eq!(host.port_bindings, None);
        let mounts = host.mounts.expect("set");
        let same = |mount: &&Mount| mount.source == mount.target && mount.typ == Some(MountType::BIND);
        assert_eq!(mounts.iter().filter(same).count(), 1, "a store is where the configuration says, on both sides");
        assert!(mounts.iter().any(|mount| mount.source.as_deref() == Some("trading-agent-data")));
        let body = agent(Some("127.0.0.1:9200"));
        // The engine ignores a binding of a port that is not exposed.
        assert_eq!(body.exposed_ports.as_deref(), Some(["9187/tcp".to_owned()].as_slice()));
        let ports = body.host_config.and_then(|host| host.port_bindings).expect("bound");
        let binding = ports["9187/tcp"].as_ref().and_then(|bindings| bindings.first()).expect("one");
        assert_eq!((binding.host_ip.as_deref(), binding.host_port.as_deref()), (Some("127.0.0.1"), Some("9200")));
    }
}
