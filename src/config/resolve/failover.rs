//! The keys `failover` and `endpoint`: what may be done when the primary fails, and where clients find the one there is.
//!
//! In goes the file, out come the values with their defaults, and the host ports the endpoint claims.

use std::path::Path;

use crate::config::claim::Claim;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::config::resolve::metrics::tls;
use crate::model::desired::{Endpoint, Failover, Prefer, TlsFiles};
use crate::model::endpoint::Pooling;

const PREFERENCES: [(&str, Prefer); 3] =
    [("auto", Prefer::Auto), ("restart", Prefer::Restart), ("promote", Prefer::Promote)];

const POOLINGS: [(&str, Pooling); 2] =
    [(Pooling::Transaction.word(), Pooling::Transaction), (Pooling::Session.word(), Pooling::Session)];

/// The ports PostgreSQL's clients try first.
const READ_WRITE: u16 = 5432;
const READ_ONLY: u16 = 5433;

/// Reads `failover`.
pub fn failover(file: &Fields<'_>, problems: &mut Problems) -> Failover {
    let keys = file.within("failover", &["automatic", "prefer", "max_loss_bytes"], problems);
    let bytes = keys.get("max_loss_bytes").and_then(|entry| entry.number(&(0..=i128::from(i64::MAX)), problems));
    Failover {
        automatic: keys.get("automatic").and_then(|entry| entry.flag(problems)).unwrap_or(true),
        prefer: keys.get("prefer").and_then(|entry| entry.choice(&PREFERENCES, problems)).unwrap_or(Prefer::Auto),
        max_loss_bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
    }
}

/// What `endpoint` says.
pub struct ResolvedEndpoint {
    /// What clients connect to.
    pub endpoint: Endpoint,
    /// What connections to it are encrypted with.
    pub tls: Option<TlsFiles>,
    /// The host ports it claims.
    pub ports: Vec<Claim<u16>>,
}

/// Reads `endpoint`.
pub fn endpoint(file: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> ResolvedEndpoint {
    let direct = ResolvedEndpoint { endpoint: Endpoint::Direct, tls: None, ports: Vec::new() };
    let Some(entry) = file.get("endpoint") else { return direct };
    match entry.node {
        Node::Text(_) => {
            entry.choice(&[("direct", ())], problems);
            direct
        }
        Node::Map(_) => {
            let Some(keys) = entry.fields(&["read_write", "read_only", "pooling", "tls"], problems) else {
                return direct;
            };
            refuse_unservable(file, entry, problems);
            let mut ports = Vec::new();
            let mut port = |name, default| {
                let given = keys.get(name);
                let port = given.map_or(Some(default), |entry| entry.port(problems));
                ports.extend(port.map(|port| Claim::of_key(keys.path(name), given, port)));
                port.unwrap_or(default)
            };
            let read_write = port("read_write", READ_WRITE);
            let read_only = port("read_only", READ_ONLY);
            let pooling = keys.get("pooling").and_then(|entry| entry.choice(&POOLINGS, problems));
            let tls = tls(&keys, base_dir, problems);
            let pooling = pooling.unwrap_or(Pooling::Transaction);
            ResolvedEndpoint { endpoint: Endpoint::Ports { read_write, read_only, pooling }, tls, ports }
        }
        _ => {
            entry.expected(problems, "`direct` or a map of read_write, read_only, pooling and tls");
            direct
        }
    }
}

/// PgBouncer's configuration has no way to write every name, and keeps one for its own console.
fn refuse_unservable(file: &Fields<'_>, endpoint: &Entry<'_>, problems: &mut Problems) {
    let Some(Node::Text(database)) = file.get("database").map(|entry| entry.node) else { return };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if database == "pgbouncer" || !database.chars().all(is_plain) {
        let help = "name the database with letters, digits, `_`, `-` and `.`, or use `endpoint: direct`";
        let name = database.escape_debug();
        endpoint.refuse_and_help(problems, format!("cannot serve the database `{name}`"), Some(help.to_owned()));
    }
}
