//! The key `subscriptions`: what comes from servers outside the cluster. No password is ever read here.

use std::path::Path;

use super::{reclaim, unique};
use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::{Entry, Fields};
use crate::config::resolve::refuse_password;
use crate::model::names::Ident;
use crate::model::outside::{DeclaredSubscription, Origin};

const KEYS: [&str; 5] = ["name", "from", "publications", "copy_data", "reclaim"];
const FROM_KEYS: [&str; 6] = ["host", "port", "database", "user", "password_file", "password"];

const POSTGRES_PORT: u16 = 5432;

/// Longest name of a replication slot.
const LONGEST_SLOT_NAME: usize = 63;

/// The beginning of the names that the replicas' own subscriptions have.
const OURS: &str = "hypertide_";

pub fn resolve(file: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Vec<DeclaredSubscription> {
    let Some(entry) = file.get("subscriptions") else { return Vec::new() };
    let mut names = Vec::new();
    let mut declared = Vec::new();
    for item in entry.list("subscriptions", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&KEYS, problems) else { continue };
        let name = keys.need("name", problems).and_then(|entry| {
            let name = entry.checked("a name", slot_name, problems)?;
            names.push(Claim::of(entry, name.clone()));
            Some(name)
        });
        let from = keys.need("from", problems).and_then(|entry| origin(entry, base_dir, problems));
        let publications = keys.need("publications", problems);
        let publications = publications.map(|entry| unique(entry, "publications", Ident::new, problems));
        let copy_data = keys.get("copy_data").and_then(|entry| entry.flag(problems)).unwrap_or(true);
        let reclaim = reclaim(&keys, problems);
        if let (Some(name), Some(from), Some(publications)) = (name, from, publications) {
            declared.push(DeclaredSubscription { name, from, publications, copy_data, reclaim });
        }
    }
    refuse_twice(&names, problems);
    declared
}

/// The subscription's slot on the other server gets the same name, and PostgreSQL takes little in those.
fn slot_name(text: &str) -> Result<Ident, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.starts_with(OURS) {
        Err(format!("names that begin with `{OURS}` belong to the cluster's own replicas"))
    } else if (1..=LONGEST_SLOT_NAME).contains(&text.len()) && text.chars().all(is_inner) {
        Ident::new(text).map_err(|error| error.to_string())
    } else {
        let text = text.escape_debug();
        Err(format!("`{text}` cannot name a replication slot as well: 1 to {LONGEST_SLOT_NAME} of a-z, 0-9 and `_`"))
    }
}

fn origin(entry: &Entry<'_>, base_dir: &Path, problems: &mut Problems) -> Option<Origin> {
    let keys = entry.fields(&FROM_KEYS, problems)?;
    refuse_password(keys.get("password"), problems);
    let host = keys.need("host", problems).and_then(|entry| entry.checked("a host", host, problems));
    let port = keys.get("port").map_or(Some(POSTGRES_PORT), |entry| entry.port(problems));
    let mut name = |key| keys.need(key, problems).and_then(|entry| entry.checked("a name", Ident::new, problems));
    let (database, user) = (name("database"), name("user"));
    let password_file = keys.need("password_file", problems);
    let password_file =
        password_file.and_then(|entry| entry.checked("a path", |text| formats::path(text, base_dir), problems));
    Some(Origin {
        host: host?,
        port: port?,
        database: database?.to_string(),
        user: user?.to_string(),
        password_file: password_file?,
    })
}

fn host(text: &str) -> Result<String, String> {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == ',' || c == '/';
    if text.is_empty() || text.contains(is_odd) {
        Err(format!("`{}` is no host: one name or address such as `db.example.net`", text.escape_debug()))
    } else {
        Ok(text.to_owned())
    }
}
