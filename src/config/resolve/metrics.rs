//! The key `metrics`: where the agent answers over HTTP, and whom, and what it asks servers for beside the usual.
//!
//! In goes the file, out come the address on the host, what is asked of those who connect there, the port it claims, and what is collected.

mod databases;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::config::claim::Claim;
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::collecting::{Collecting, Statements};
use crate::model::desired::{BasicAuth, DesiredNode, Guard, TlsFiles};

/// The port PostgreSQL's exporters are looked for at (<https://github.com/prometheus/prometheus/wiki/Default-port-allocations>),
/// on this host only.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9187);

/// Statements whose figures are told of each server: enough for what weighs, and a hundred series.
const TOP: u16 = 20;
/// A thousand series of each server.
const MOST_STATEMENTS: u16 = 200;

const KEYS: [&str; 7] =
    ["listen", "statements", "databases", "tls", "basic_auth", "bearer_token_file", "allow_anonymous"];

/// What the file says.
pub struct Resolved {
    /// The address; `None` for none, or when it has a mistake.
    pub listen: Option<SocketAddr>,
    /// Somebody said that there is to be none.
    pub is_off: bool,
    /// What is asked of those who connect.
    pub guard: Guard,
    /// The port.
    pub claim: Option<Claim<u16>>,
}

/// Reads the key.
pub fn resolve(file: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Resolved {
    let keys = keys(file, problems);
    let given = keys.get("listen");
    let listen = match given {
        None => Some(LISTEN),
        Some(entry) if is_off(entry) => None,
        Some(entry) => entry.checked("an address and port, or `off`", address, problems),
    };
    let guard = Guard {
        tls: tls(&keys, base_dir, problems),
        basic_auth: basic_auth(&keys, base_dir, problems),
        bearer_token_file: file_of(keys.get("bearer_token_file"), base_dir, problems),
    };
    let allows_anonymous = keys.get("allow_anonymous").and_then(|entry| entry.flag(problems)).unwrap_or(false);
    let is_guarded = keys.get("basic_auth").is_some() || keys.get("bearer_token_file").is_some();
    if let (Some(at), Some(entry)) = (listen, given)
        && !at.ip().is_loopback()
        && !is_guarded
        && !allows_anonymous
    {
        let help = "ask for a password (`metrics.basic_auth`) or a token (`metrics.bearer_token_file`), or say that everybody may read \
                    with `metrics.allow_anonymous: true`";
        let message = format!("whoever reaches {at} could read names, addresses and sizes without a password");
        entry.refuse_and_help(problems, message, Some(help.to_owned()));
    }
    let is_off = given.is_some_and(is_off);
    Resolved {
        listen,
        is_off,
        guard,
        claim: listen.map(|listen| Claim::of_key(keys.path("listen"), given, listen.port())),
    }
}

/// The key `tls` of a map: what connections are encrypted with.
pub fn tls(keys: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Option<TlsFiles> {
    keys.get("tls")?;
    let tls = keys.within("tls", &["certificate", "key"], problems);
    let certificate = file_of(tls.need("certificate", problems), base_dir, problems);
    let key = file_of(tls.need("key", problems), base_dir, problems);
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn basic_auth(keys: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Option<BasicAuth> {
    keys.get("basic_auth")?;
    let basic = keys.within("basic_auth", &["username", "password_file"], problems);
    let username = basic.need("username", problems).and_then(|entry| entry.checked("a name", username, problems));
    let password_file = file_of(basic.need("password_file", problems), base_dir, problems);
    Some(BasicAuth { username: username?, password_file: password_file? })
}

/// RFC 7617: the first colon is where the password begins.
fn username(text: &str) -> Result<String, String> {
    let is_bad = text.is_empty() || text.contains(':') || text.chars().any(char::is_control);
    if is_bad {
        Err(format!("`{}` is no name: at least a character, and no colon", text.escape_debug()))
    } else {
        Ok(text.to_owned())
    }
}

fn file_of(entry: Option<&Entry<'_>>, base_dir: &Path, problems: &mut Problems) -> Option<PathBuf> {
    entry?.checked("a path", |text| formats::path(text, base_dir), problems)
}

fn keys<'a>(file: &Fields<'a>, problems: &mut Problems) -> Fields<'a> {
    file.within("metrics", &KEYS, problems)
}

/// What the collectors ask for, and whom beside these nodes. Mistakes in the names of keys were told by [`resolve`].
pub fn collecting(file: &Fields<'_>, base_dir: &Path, nodes: &[DesiredNode], problems: &mut Problems) -> Collecting {
    let keys = keys(file, &mut Problems::default());
    Collecting {
        statements: statements(&keys, problems),
        databases: databases::resolve(&keys, base_dir, nodes, problems),
    }
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
