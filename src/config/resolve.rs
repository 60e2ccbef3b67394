//! Gives the tree its meaning: checks every key and fills in every default.
//!
//! In goes the tree of the whole file, out comes a [`Desired`] or all problems. It never stops at the first mistake: a
//! wrong value is replaced by its default so that the rest can be checked, and the result is then thrown away.

mod backups;
mod events;
mod failover;
pub(super) mod jobs;
mod metrics;
mod monitoring;
mod nodes;
mod outside;
mod replication;
mod retention;
mod settings;
mod timing;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path, PathBuf};

use serde_yaml::Spanned;

use super::claim::{Claim, refuse_twice};
use super::presets::Demand;
use super::problem::{Problem, Problems};
use super::raw::Node;
use super::read::{Entry, Fields};
use crate::model::desired::{Desired, ImageChoice, PackRef};
use crate::model::names::{ClusterName, Ident};

const KEYS: [&str; 18] = [
    "cluster",
    "database",
    "image",
    "bind",
    "preset",
    "nodes",
    "replication",
    "publications",
    "subscriptions",
    "packs",
    "endpoint",
    "backups",
    "failover",
    "retention",
    "jobs",
    "metrics",
    "monitoring",
    "events",
];

const CLUSTER: &str = "trading";
const DATABASE: &str = "trading_data";
const PACK: &str = "trading";

/// The word for the image hypertide chooses itself.
const AUTO: &str = "auto";

/// Resolves a whole file; relative paths count from `base_dir`.
pub fn desired(root: &Spanned<Node>, base_dir: &Path) -> Result<Desired, Vec<Problem>> {
    let mut found = Problems::default();
    let problems = &mut found;
    let root = Entry::root(root);
    let file = match root.node {
        Node::Null => Fields::none(""),
        _ => root.fields(&KEYS, problems).unwrap_or_else(|| Fields::none("")),
    };

    let replication = replication::resolve(&file, problems);
    let nodes::Resolved { nodes, mut ports } = nodes::resolve(&file, replication.mode, problems);
    let settings = settings::resolve(file.get("preset"), Demand::of(&nodes), problems);
    let endpoint = failover::endpoint(&file, base_dir, problems);
    ports.extend(endpoint.ports);
    let failover = failover::failover(&file, problems);
    let metrics = metrics::resolve(&file, base_dir, problems);
    let collecting = metrics::collecting(&file, base_dir, &nodes, problems);
    ports.extend(metrics.claim);
    let (monitoring, monitoring_ports) = monitoring::resolve(&file, !metrics.is_off, problems);
    ports.extend(monitoring_ports);
    refuse_twice(&ports, problems);
    let packs = packs(&file, base_dir, problems);

    let desired = Desired {
        cluster: cluster(&file, problems),
        database: database(&file, problems),
        image: image(&file, problems),
        settings,
        nodes,
        bind: bind(&file, problems),
        mode: replication.mode,
        outside: outside::resolve(&file, base_dir, &replication.publication.name, problems),
        publication: replication.publication,
        verify: replication.verify,
        jobs: jobs::resolve(&file, &packs, problems),
        packs,
        synchronous: replication.synchronous,
        when_lost: replication.when_lost,
        failover,
        endpoint: endpoint.endpoint,
        endpoint_tls: endpoint.tls,
        metrics: metrics.listen,
        guard: metrics.guard,
        monitoring,
        events: events::resolve(&file, problems),
        collecting,
        backups: backups::resolve(&file, base_dir, problems),
    };
    found.or(desired)
}

/// A password does not belong in a file that is committed and shown.
fn refuse_password(entry: Option<&Entry<'_>>, problems: &mut Problems) {
    let help = "put it into a file of its own and name that with `password_file`";
    if let Some(entry) = entry {
        entry.refuse_and_help(problems, "a password does not belong in this file", Some(help.to_owned()));
    }
}

fn cluster(file: &Fields<'_>, problems: &mut Problems) -> ClusterName {
    file.get("cluster")
        .and_then(|entry| entry.checked("a name", ClusterName::new, problems))
        .unwrap_or_else(|| ClusterName::new(CLUSTER).expect("the default is valid"))
}

fn database(file: &Fields<'_>, problems: &mut Problems) -> Ident {
    file.get("database")
        .and_then(|entry| entry.checked("a name", Ident::new_database, problems))
        .unwrap_or_else(|| Ident::new_database(DATABASE).expect("the default is valid"))
}

fn image(file: &Fields<'_>, problems: &mut Problems) -> ImageChoice {
    let checked = |text: &str| {
        if text == AUTO {
            Ok(ImageChoice::Auto)
        } else {
            let example = "`auto` or a reference such as `timescale/timescaledb:2.29.2-pg17`";
            image_reference(text, example).map(ImageChoice::Named)
        }
    };
    file.get("image").and_then(|entry| entry.checked("an image", checked, problems)).unwrap_or(ImageChoice::Auto)
}

/// A reference as the engine takes it; whether there is such an image is found out later.
fn image_reference(text: &str, example: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Err(format!("`{}` is no image: {example}", text.escape_debug()))
    } else {
        Ok(text.to_owned())
    }
}

fn bind(file: &Fields<'_>, problems: &mut Problems) -> IpAddr {
    let checked = |text: &str| {
        text.parse::<IpAddr>()
            .map_err(|_| format!("`{}` is no IP address such as 127.0.0.1 or 0.0.0.0", text.escape_debug()))
    };
    file.get("bind")
        .and_then(|entry| entry.checked("an IP address", checked, problems))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn packs(file: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Vec<PackRef> {
    let Some(entry) = file.get("packs") else {
        return vec![PackRef::BuiltIn(PACK.to_owned())];
    };
    let mut packs = Vec::new();
    let mut claims: Vec<Claim<String>> = Vec::new();
    for item in entry.list("packs", problems).unwrap_or_default() {
        let checked = |text: &str| pack(text, base_dir);
        if let Some(pack) = item.checked("a pack", checked, problems) {
            claims.push(Claim::of(&item, shown(&pack)));
            packs.push(pack);
        }
    }
    refuse_twice(&claims, problems);
    packs
}

fn pack(text: &str, base_dir: &Path) -> Result<PackRef, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.contains('\0') {
        Err("a directory's name cannot hold a NUL".to_owned())
    } else if text.contains('/') || text.starts_with('.') {
        Ok(PackRef::Directory(base_dir.join(text)))
    } else if !text.is_empty() && text.chars().all(is_inner) {
        Ok(PackRef::BuiltIn(text.to_owned()))
    } else {
        Err(format!(
            "`{}` is no pack: a name (a-z, 0-9 and `_`) or a directory such as `./my_pack`",
            text.escape_debug()
        ))
    }
}

/// A pack as one text, the same for two spellings of one directory.
fn shown(pack: &PackRef) -> String {
    match pack {
        PackRef::BuiltIn(name) => format!("`{name}`"),
        PackRef::Directory(path) => {
            let tidy: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
            format!("`{}`", tidy.display())
        }
    }
}
