//! The key `metrics`: where the agent answers over HTTP, and what it asks servers for beside the usual.
//!
//! In goes the file, out come the address on the host and the port it claims, and what is collected.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::claim::Claim;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::collecting::{Collecting, Statements};

/// The port PostgreSQL's exporters are looked for at (<https://github.com/prometheus/prometheus/wiki/Default-port-allocations>),
/// on this host only.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9187);

/// Statements whose figures are told of each server: enough for what weighs, and a hundred series.
const TOP: u16 = 20;
/// A thousand series of each server.
const MOST_STATEMENTS: u16 = 200;

/// The address; `None` for none, or when it has a mistake.
pub fn resolve(file: &Fields<'_>, problems: &mut Problems) -> (Option<SocketAddr>, Option<Claim<u16>>) {
    let keys = keys(file, problems);
    let given = keys.get("listen");
    let listen = match given {
        None => Some(LISTEN),
        Some(entry) if is_off(entry) => None,
        Some(entry) => entry.checked("an address and port, or `off`", address, problems),
    };
    (listen, listen.map(|listen| Claim::of_key(keys.path("listen"), given, listen.port())))
}

fn keys<'a>(file: &Fields<'a>, problems: &mut Problems) -> Fields<'a> {
    file.within("metrics", &["listen", "statements"], problems)
}

/// What the collectors ask for. Mistakes in the names of keys were told by [`resolve`].
pub fn collecting(file: &Fields<'_>, problems: &mut Problems) -> Collecting {
    let keys = keys(file, &mut Problems::default());
    Collecting { statements: statements(&keys, problems) }
}

/// `off`, or how many and whether with their text.
fn statements(keys: &Fields<'_>, problems: &mut Problems) -> Statements {
    let usual = Statements { top: TOP, text: false };
    let Some(entry) = keys.get("statements") else { return usual };
    if is_off(entry) {
        return Statements { top: 0, text: false };
    }
    let Some(keys) = entry.fields(&["top", "text"], problems) else { return usual };
    let top = keys.get("top").and_then(|entry| entry.number(&(0..=MOST_STATEMENTS.into()), problems));
    let text = keys.get("text").and_then(|entry| entry.flag(problems));
    Statements {
        top: top.and_then(|top| u16::try_from(top).ok()).unwrap_or(usual.top),
        text: text.unwrap_or(usual.text),
    }
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
