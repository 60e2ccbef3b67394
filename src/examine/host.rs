//! This host's part: disks, the state directory, ports, and who answers where clients look by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::docker::look::HostLook;
use crate::docker::spec::POSTGRES_PORT;
use crate::error::in_one_line;
use crate::host;
use crate::model::desired::{Desired, DesiredNode};
use crate::model::endpoint::Access;
use crate::model::seen::Seen;
use crate::observe::holder;
use crate::plan::doctor::facts::{
    Answer, DiskSeen, EngineSeen, ListenerSeen, Mistake, PasswordsSeen, PortHolder, PortOwner, PortSeen,
};
use crate::secrets;

/// Where Docker keeps its data unless it says otherwise.
const USUAL_DOCKER_ROOT: &str = "/var/lib/docker";

/// A server on this very host accepts and answers within microseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// PostgreSQL's SSLRequest, which every server answers with one byte:
/// <https://www.postgresql.org/docs/17/protocol-message-formats.html>.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The file systems of Docker's data and of the state directory.
pub fn disks(engine: &EngineSeen, state_dir: &Path) -> Vec<DiskSeen> {
    let docker_dir = match &engine.answer {
        Answer::Engine(facts) => facts.root_dir.clone(),
        // An engine that does not answer may still be the one of this host that ran out of disk.
        _ => Some(PathBuf::from(USUAL_DOCKER_ROOT)).filter(|path| path.exists()),
    };
    let is_here = engine.address.starts_with("unix://");
    let docker = docker_dir.map(|path| {
        let seen = match host::room(&path) {
            Ok(room) if is_here => Seen::Present(room),
            Err(error) if is_here && error.kind() != std::io::ErrorKind::NotFound => Seen::unknown(error.to_string()),
            _ => Seen::Absent,
        };
        DiskSeen { holds: "Docker's data", path, room: seen }
    });
    let path = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    // It is made with the first `up`; until then the room is that of the directory it will be in.
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(&path);
    let seen = host::room(existing).map_or_else(|error| Seen::unknown(error.to_string()), Seen::Present);
    docker.into_iter().chain([DiskSeen { holds: "the state directory", path, room: seen }]).collect()
}

/// The state directory and its password file.
pub fn passwords(state_dir: &Path) -> PasswordsSeen {
    let file_path = secrets::path(state_dir);
    let file = host::access(&file_path);
    let unusable = match secrets::load(state_dir) {
        Err(error) if file.is_present() => Some(Mistake { text: in_one_line(&error), help: error.help() }),
        _ => None,
    };
    PasswordsSeen { dir_path: state_dir.to_owned(), dir: host::access(state_dir), file_path, file, unusable }
}

/// Who has each port of a node, of the endpoints and the agent's; `has_engine` tells whether the containers are known.
pub fn ports(desired: &Desired, nodes: &[DesiredNode], look: &HostLook, has_engine: bool) -> Vec<PortSeen> {
    let cluster = &desired.cluster;
    let of_nodes = nodes.iter().map(|node| {
        let at = SocketAddr::new(desired.bind, node.port);
        (PortOwner::Node(node.name.clone()), cluster.container(&node.name), at)
    });
    let of_endpoints = desired.endpoint.ports().into_iter().map(|(access, port)| {
        (PortOwner::Endpoint(access), cluster.endpoint(access), SocketAddr::new(desired.bind, port))
    });
    let of_agent = desired.metrics.map(|listen| (PortOwner::Agent, cluster.agent(), listen));
    let seen = |(owner, container, at): (PortOwner, String, SocketAddr)| {
        let container = look.containers.get(&container);
        let is_ours = container.is_some_and(|container| container.seen.ours && container.holds(at.ip(), at.port()));
        let holder = match holder(at.ip(), at.port(), look) {
            _ if is_ours => PortHolder::Owner,
            Some(other) if !has_engine && may_be_docker(&other) => PortHolder::Unclear(other),
            Some(other) => PortHolder::Other(other),
            None => PortHolder::Nobody,
        };
        PortSeen { owner, port: at.port(), holder }
    };
    of_nodes.chain(of_endpoints).chain(of_agent).map(seen).collect()
}

/// Docker itself listens for the containers: `docker-proxy`, `rootlesskit`, Docker Desktop's `com.docker.backend`.
fn may_be_docker(holder: &str) -> bool {
    let is_named = holder.starts_with("process ");
    !is_named || holder.contains("docker") || holder.contains("rootless")
}

/// Whoever answers at PostgreSQL's own port on either of localhost's addresses.
pub async fn default_port(desired: &Desired, nodes: &[DesiredNode], look: &HostLook) -> Vec<ListenerSeen> {
    let mut listeners = Vec::new();
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let address = SocketAddr::new(ip, POSTGRES_PORT);
        let Some(is_postgres) = greet(address).await else { continue };
        let of_nodes = nodes.iter().map(|node| desired.cluster.container(&node.name));
        let ours = of_nodes.chain(Access::ALL.map(|access| desired.cluster.endpoint(access)));
        let is_ours = ours
            .filter_map(|name| look.containers.get(&name))
            .any(|container| container.seen.ours && container.holds(ip, POSTGRES_PORT));
        let holder = holder(ip, POSTGRES_PORT, look).unwrap_or_else(|| "somebody who cannot be named".into());
        listeners.push(ListenerSeen { address, is_postgres, holder, is_ours });
    }
    listeners
}

/// Whether who listens at an address speaks PostgreSQL's protocol; `None` when nobody listens.
async fn greet(address: SocketAddr) -> Option<bool> {
    let mut stream = timeout(PATIENCE, TcpStream::connect(address)).await.ok()?.ok()?;
    let mut answer = [0];
    let asking = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    let has_answered = timeout(PATIENCE, asking).await.is_ok_and(|asked| asked.is_ok());
    Some(has_answered && matches!(&answer, b"S" | b"N"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn greeted(answer: &'static [u8]) -> Option<bool> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let serving = async {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut request = [0; 8];
            client.read_exact(&mut request).await.expect("a request");
            client.write_all(answer).await.expect("it listens");
            request
        };
        let (is_postgres, request) = tokio::join!(greet(address), serving);
        assert_eq!(request, SSL_REQUEST);
        is_postgres
    }

    #[tokio::test]
    async fn knows_postgresql_by_its_answer() {
        assert_eq!(greeted(b"N").await, Some(true));
        assert_eq!(greeted(b"S").await, Some(true));
        assert_eq!(greeted(b"HTTP/1.1 400 Bad Request").await, Some(false));
        assert_eq!(greeted(b"").await, Some(false));
    }

    #[test]
    fn only_a_process_of_another_name_is_surely_not_docker() {
        assert!(may_be_docker("process docker-proxy (pid 7)"));
        assert!(may_be_docker("a process that cannot be named without more rights"));
        assert!(!may_be_docker("process python3 (pid 7)"));
    }

    #[test]
    fn a_state_directory_that_is_not_there_yet_has_the_room_of_its_parent() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let engine = EngineSeen {
            address: "tcp://elsewhere:2375".into(),
            is_from_environment: true,
            other_sockets: Vec::new(),
            answer: Answer::Engine(crate::plan::doctor::facts::EngineFacts {
                root_dir: Some("/".into()),
                ..Default::default()
            }),
        };
        let found = disks(&engine, &dir.path().join("a/b"));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].room, Seen::Absent, "another host's directory is not ours to measure");
        assert!(found[1].room.is_present());
    }
}
