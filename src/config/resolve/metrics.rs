//! The key `metrics`: where the agent answers over HTTP.
//!
//! In goes the file, out come the address on the host and the port it claims.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::claim::Claim;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};

/// The port PostgreSQL's exporters are looked for at (<https://github.com/prometheus/prometheus/wiki/Default-port-allocations>),
/// on this host only.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9187);

/// The address; `None` for none, or when it has a mistake.
pub fn resolve(file: &Fields<'_>, problems: &mut Problems) -> (Option<SocketAddr>, Option<Claim<u16>>) {
    let keys = file.within("metrics", &["listen"], problems);
    let given = keys.get("listen");
    let listen = match given {
        None => Some(LISTEN),
        Some(entry) if is_off(entry) => None,
        Some(entry) => entry.checked("an address and port, or `off`", address, problems),
    };
    (listen, listen.map(|listen| Claim::of_key(keys.path("listen"), given, listen.port())))
}

fn is_off(entry: &Entry<'_>) -> bool {
    match entry.node {
        Node::Bool(is_on) => !is_on,
        Node::Text(word) => word == "off",
        _ => false,
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .ok()
        .filter(|address| address.port() > 0)
        .ok_or_else(|| format!("`{}` is no address and port such as `{LISTEN}`, nor `off`", text.escape_debug()))
}
