//! Keys of features that this version checks but does not act on.
//!
//! In goes the file, out come the names of those that were given and the host ports they claim. Their values are
//! checked as strictly as all others, so that a file that is accepted today keeps its meaning, and are then dropped.

use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::names::TableName;

/// What clients use (`endpoint`), read-write and read-only.
const ENDPOINT_PORTS: [(&str, u16); 2] = [("read_write", 5432), ("read_only", 5433)];

const BACKUP_KEYS: [&str; 7] = ["name", "schedule", "kind", "store", "keep", "drill", "tables"];
const KEEP_KEYS: [&str; 5] = ["last", "daily", "weekly", "monthly", "yearly"];

/// More backups of one job than anybody keeps; beyond it a number is a slip of the finger.
const MOST_KEPT: i128 = 100_000;

/// A backup that needs the key `tables`.
const TABLES: &str = "tables";
const KINDS: [(&str, &str); 5] =
    [("full", "full"), ("schema", "schema"), (TABLES, TABLES), ("globals", "globals"), ("base", "base")];
const DRILLS: [(&str, ()); 5] = [("never", ()), ("always", ()), ("daily", ()), ("weekly", ()), ("monthly", ())];
const PREFERENCES: [(&str, ()); 3] = [("auto", ()), ("restart", ()), ("promote", ())];

/// What remains of the keys once they are checked.
#[derive(Default)]
pub struct Later {
    /// Top-level keys that were given.
    pub not_acted_on: Vec<String>,
    /// Host ports they ask for.
    pub ports: Vec<Claim<u16>>,
}

/// Checks `endpoint`, `backups`, `failover`, `retention` and `jobs`.
pub fn check(file: &Fields<'_>, problems: &mut Problems) -> Later {
    type Check = fn(&Entry<'_>, &mut Later, &mut Problems);
    let checks: [(&str, Check); 5] = [
        ("endpoint", endpoint),
        ("backups", |entry, _, problems| backups(entry, problems)),
        ("failover", |entry, _, problems| failover(entry, problems)),
        ("retention", |entry, _, problems| retention(entry, problems)),
        ("jobs", |entry, _, problems| jobs(entry, problems)),
    ];
    let mut later = Later::default();
    for (name, check) in checks {
        if let Some(entry) = file.get(name) {
            check(entry, &mut later, problems);
            // Without an endpoint clients connect to the nodes, which is what this version offers.
            if !is_direct(entry.node) {
                later.not_acted_on.push(name.to_owned());
            }
        }
    }
    later
}

fn is_direct(node: &Node) -> bool {
    matches!(node, Node::Text(word) if word == "direct")
}

fn endpoint(entry: &Entry<'_>, later: &mut Later, problems: &mut Problems) {
    match entry.node {
        Node::Text(_) => {
            entry.choice(&[("direct", ())], problems);
        }
        Node::Map(_) => {
            let known = ENDPOINT_PORTS.map(|(name, _)| name);
            let Some(keys) = entry.fields(&known, problems) else {
                return;
            };
            for (name, default) in ENDPOINT_PORTS {
                later.ports.extend(match keys.get(name) {
                    Some(entry) => entry.port(problems).map(|port| Claim::of(entry, port)),
                    None => Some(Claim::of_key(keys.path(name), None, default)),
                });
            }
        }
        _ => entry.expected(problems, "`direct` or a map of read_write and read_only"),
    }
}

fn backups(entry: &Entry<'_>, problems: &mut Problems) {
    each_named(entry, "backups", &BACKUP_KEYS, problems, |keys, problems| {
        if let Some(schedule) = keys.need("schedule", problems) {
            schedule.checked("a schedule", formats::schedule, problems);
        }
        if let Some(store) = keys.need("store", problems) {
            store.checked("a store", formats::store, problems);
        }
        let kind = keys.get("kind").and_then(|entry| entry.choice(&KINDS, problems));
        match (keys.get(TABLES), kind) {
            (None, Some(TABLES)) => {
                keys.need(TABLES, problems);
            }
            (Some(tables), Some(TABLES)) => {
                for table in tables.list("tables", problems).unwrap_or_default() {
                    table.checked("a table", table_name, problems);
                }
            }
            (Some(tables), _) => {
                tables.refuse(problems, "only means something with `kind: tables`");
            }
            (None, _) => {}
        }
        if let Some(keep) = keys.get("keep") {
            kept(keep, problems);
        }
        if let Some(drill) = keys.get("drill") {
            drill.choice(&DRILLS, problems);
        }
    });
}

fn kept(entry: &Entry<'_>, problems: &mut Problems) {
    let Some(keys) = entry.fields(&KEEP_KEYS, problems) else {
        return;
    };
    let given = KEEP_KEYS.iter().filter_map(|name| keys.get(name));
    let numbers: Vec<_> = given.map(|entry| entry.number(&(0..=MOST_KEPT), problems)).collect();
    // A wrong number may have meant to keep something; an empty or all-zero policy certainly keeps nothing.
    if numbers.iter().all(|number| *number == Some(0)) {
        entry.refuse(problems, "keeps no backup at all");
    }
}

fn failover(entry: &Entry<'_>, problems: &mut Problems) {
    let known = ["automatic", "prefer", "max_loss_bytes"];
    let Some(keys) = entry.fields(&known, problems) else {
        return;
    };
    if let Some(automatic) = keys.get("automatic") {
        automatic.flag(problems);
    }
    if let Some(prefer) = keys.get("prefer") {
        prefer.choice(&PREFERENCES, problems);
    }
    if let Some(bytes) = keys.get("max_loss_bytes") {
        bytes.number(&(0..=i128::from(i64::MAX)), problems);
    }
}

fn retention(entry: &Entry<'_>, problems: &mut Problems) {
    let mut hypertables = Vec::new();
    for item in entry.list("retention rules", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&["hypertable", "drop_after"], problems) else {
            continue;
        };
        if let Some(hypertable) = keys.need("hypertable", problems) {
            let name = hypertable.checked("a hypertable", table_name, problems);
            hypertables.extend(name.map(|name| Claim::of(hypertable, name)));
        }
        if let Some(age) = keys.need("drop_after", problems) {
            age.checked("an age", formats::age, problems);
        }
    }
    refuse_twice(&hypertables, problems);
}

fn jobs(entry: &Entry<'_>, problems: &mut Problems) {
    let known = ["name", "schedule", "sql"];
    each_named(entry, "jobs", &known, problems, |keys, problems| {
        if let Some(schedule) = keys.need("schedule", problems) {
            schedule.checked("a schedule", formats::schedule, problems);
        }
        if let Some(sql) = keys.need("sql", problems) {
            let checked = |text: &str| {
                if text.trim().is_empty() { Err("there is no statement in it") } else { Ok(()) }
            };
            sql.checked("SQL", checked, problems);
        }
    });
}

/// Checks a list of maps that each have a name of their own.
fn each_named(
    entry: &Entry<'_>,
    what: &str,
    known: &[&str],
    problems: &mut Problems,
    check: impl Fn(&Fields<'_>, &mut Problems),
) {
    let mut names = Vec::new();
    for item in entry.list(what, problems).unwrap_or_default() {
        let Some(keys) = item.fields(known, problems) else {
            continue;
        };
        if let Some(name) = keys.need("name", problems) {
            let label = name.checked("a name", formats::label, problems);
            names.extend(label.map(|label| Claim::of(name, label)));
        }
        check(&keys, problems);
    }
    refuse_twice(&names, problems);
}

/// `schema.table`
pub fn table_name(text: &str) -> Result<TableName, String> {
    let (schema, table) =
        text.split_once('.').ok_or_else(|| format!("`{}` lacks its schema: `schema.table`", text.escape_debug()))?;
    TableName::new(schema, table).map_err(|error| error.to_string())
}
