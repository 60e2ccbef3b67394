//! The key `metrics.databases`: databases outside the cluster whose servers the agent asks for their metrics.
//!
//! In goes the file, out come checked addresses. No password is ever read here, and a URL is never repeated in a message.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::file_of;
use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::{Entry, Fields};
use crate::config::resolve::refuse_password;
use crate::model::collecting::WatchedDatabase;
use crate::model::desired::DesiredNode;
use crate::model::names::{Ident, NodeName};
use crate::model::tls_mode::TlsMode;

const KEYS: [&str; 4] = ["name", "url", "password_file", "password"];

const POSTGRES_PORT: u16 = 5432;

/// libpq's word for whom the system trusts, in place of a file.
const SYSTEM: &str = "system";

/// What a URL says.
struct Place {
    host: String,
    port: u16,
    database: Ident,
    user: String,
    tls: TlsMode,
    roots: Option<PathBuf>,
}

/// Reads the list. No database may be called as one of these nodes.
pub fn resolve(
    metrics: &Fields<'_>,
    base_dir: &Path,
    nodes: &[DesiredNode],
    problems: &mut Problems,
) -> Vec<WatchedDatabase> {
    let Some(entry) = metrics.get("databases") else { return Vec::new() };
    let (mut names, mut databases) = (Vec::new(), Vec::new());
    for item in entry.list("databases", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&KEYS, problems) else { continue };
        refuse_password(keys.get("password"), problems);
        let name = keys.need("name", problems).and_then(|entry| {
            let name = entry.checked("a name", NodeName::new, problems)?;
            names.push(Claim::of(entry, name.clone()));
            if nodes.iter().any(|node| node.name == name) {
                entry.refuse(problems, format!("`{name}` is a node of the cluster"));
            }
            Some(name)
        });
        let place = keys.need("url", problems).and_then(|entry| place(entry, base_dir, problems));
        let password_file = file_of(keys.get("password_file"), base_dir, problems);
        if let (Some(name), Some(place)) = (name, place) {
            let Place { host, port, database, user, tls, roots } = place;
            databases.push(WatchedDatabase { name, host, port, database, user, password_file, tls, roots });
        }
    }
    refuse_twice(&names, problems);
    databases
}

fn place(entry: &Entry<'_>, base_dir: &Path, problems: &mut Problems) -> Option<Place> {
    let url = match Url::parse(entry.text("a URL", problems)?) {
        Ok(url) => url,
        Err(error) => {
            odd(entry, error, problems);
            return None;
        }
    };
    if url.password().is_some() {
        refuse_password(Some(entry), problems);
        return None;
    }
    match read(&url, base_dir) {
        Ok(place) => Some(place),
        Err(because) => {
            odd(entry, because, problems);
            None
        }
    }
}

fn odd(entry: &Entry<'_>, because: impl fmt::Display, problems: &mut Problems) {
    let help = "it looks like postgres://watcher@db.example.net:5432/shop?sslmode=verify-full";
    entry.refuse_and_help(problems, format!("is no URL of a database: {because}"), Some(help.to_owned()));
}

fn read(url: &Url, base_dir: &Path) -> Result<Place, String> {
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("it begins with neither `postgres://` nor `postgresql://`".to_owned());
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => decoded(name)?,
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    if host.is_empty() || host.contains(['/', ',']) {
        return Err("it names no host, or several, or a socket".to_owned());
    }
    let user = decoded(url.username())?;
    if user.is_empty() {
        return Err("it names no user".to_owned());
    }
    // As with libpq, it is the user's own when it is not named.
    let database = Some(decoded(url.path().trim_start_matches('/'))?).filter(|name| !name.is_empty());
    let database = Ident::new(database.as_deref().unwrap_or(&user)).map_err(|error| error.to_string())?;
    let (mut tls, mut roots) = (TlsMode::Prefer, None);
    for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", word)) => {
                let words = TlsMode::ALL.map(TlsMode::word).join(", ");
                tls = TlsMode::from_word(word).ok_or_else(|| format!("`sslmode` is one of {words}"))?;
            }
            Some(("sslrootcert", file)) => roots = Some(decoded(file)?),
            // What is behind it may be secret.
            Some((key, _)) => return Err(format!("`{}` has no meaning here", key.escape_debug())),
            None => return Err("it has a parameter without a value".to_owned()),
        }
    }
    if roots.as_deref() == Some(SYSTEM) && tls != TlsMode::VerifyFull {
        return Err("`sslrootcert=system` needs `sslmode=verify-full`".to_owned());
    }
    let roots = roots.filter(|file| file != SYSTEM).map(|file| formats::path(&file, base_dir)).transpose()?;
    Ok(Place { host, port: url.port().unwrap_or(POSTGRES_PORT), database, user, tls, roots })
}

fn decoded(text: &str) -> Result<String, String> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| "it is not UTF-8".to_owned())
}
