//! The key `preset`: a word, or a map of the user's own settings on top of a preset.
//!
//! In goes the entry, out come the settings. A setting hypertide depends on is refused with the reason, and one that
//! must not fall below a floor is held to it. Whether PostgreSQL knows a name is left to PostgreSQL.

use std::collections::BTreeMap;

use crate::config::presets::{self, Demand, Floor, Preset};
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::Entry;
use crate::model::desired::Setting;

/// Settings that hypertide depends on, grouped by the reason.
const OWNED: [(&[&str], &str); 11] = [
    (&["wal_level"], "every node must be able to feed a logical replica"),
    (
        &["listen_addresses", "port", "unix_socket_directories"],
        "containers and health checks reach the server there; set `nodes.*.port` and `bind` for the host",
    ),
    (
        &["data_directory", "config_file", "hba_file", "ident_file", "external_pid_file"],
        "hypertide lays out the data volume and writes the access rules",
    ),
    (&["shared_preload_libraries"], "TimescaleDB must be preloaded, by its image's own version"),
    (&["password_encryption"], "every node stores the same SCRAM verifiers"),
    (&["hot_standby"], "a standby that refuses connections can be neither observed nor promoted"),
    (
        &[
            "primary_conninfo",
            "primary_slot_name",
            "restore_command",
            "synchronized_standby_slots",
            "sync_replication_slots",
        ],
        "hypertide points replicas at whichever node is the primary",
    ),
    (&["synchronous_standby_names"], "it follows the replicas; use `replication.synchronous`"),
    (
        &[
            "default_transaction_read_only",
            "session_replication_role",
            "allow_alter_system",
            "timescaledb.restoring",
            "timescaledb.enable_chunk_auto_publication",
        ],
        "hypertide changes it while it runs, and the command line would override that",
    ),
    (&["logging_collector", "log_destination"], "`hypertide logs` reads the container's own output"),
    (&["fsync", "full_page_writes"], "a crashed primary is restarted on its volume, which only these keep intact"),
];

/// Whole families of settings, by how their names begin.
const OWNED_FAMILIES: [(&str, &str); 2] = [
    ("ssl", "hypertide provides the certificates"),
    ("recovery_", "recovery belongs to restores, which set it themselves"),
];

/// The settings of the cluster; the laptop's when `preset` is not given.
pub fn resolve(entry: Option<&Entry<'_>>, demand: Demand, problems: &mut Problems) -> Vec<Setting> {
    let mut preset = Preset::Laptop;
    let mut own = BTreeMap::new();
    match entry {
        None => {}
        Some(entry) if matches!(entry.node, Node::Map(_)) => {
            for (name, value) in entry.pairs(problems).unwrap_or_default() {
                if name == "base" {
                    preset = value.choice(&Preset::WORDS, problems).unwrap_or(preset);
                } else if let Some(text) = own_value(name, &value, problems) {
                    own.insert(name.to_owned(), (text, value));
                }
            }
        }
        Some(entry) if matches!(entry.node, Node::Text(_)) => {
            preset = entry.choice(&Preset::WORDS, problems).unwrap_or(preset);
        }
        Some(entry) => entry.expected(problems, "laptop, cloud or a map of settings"),
    }
    let values: BTreeMap<String, String> = own.iter().map(|(name, (text, _))| (name.clone(), text.clone())).collect();
    for floor in presets::floors(demand, &values) {
        if let Some((text, entry)) = own.get(floor.name) {
            hold_to(&floor, text, entry, problems);
        }
    }
    presets::settings(preset, demand, &values)
}

/// One value as `postgres -c` takes it, when the user may set it at all.
fn own_value(name: &str, entry: &Entry<'_>, problems: &mut Problems) -> Option<String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    let is_first = |c: char| c.is_ascii_lowercase() || c == '_';
    if !name.starts_with(is_first) || !name.chars().all(is_inner) {
        let lower = name.to_lowercase().replace('-', "_");
        let help = (lower != name && lower.chars().all(is_inner)).then(|| format!("did you mean `{lower}`?"));
        entry.refuse_and_help(problems, "no setting name: a-z, 0-9, `_` and `.`", help);
        return None;
    }
    if let Some(reason) = why_owned(name) {
        entry.refuse(problems, format!("is not yours to set: {reason}"));
        return None;
    }
    // One letter off a name of ours is a typo; further off it may well be another setting of PostgreSQL's.
    if let Some(meant) = presets::names().find(|known| strsim::osa_distance(known, name) == 1) {
        let help = Some(format!("did you mean `{meant}`?"));
        entry.refuse_and_help(problems, "unknown setting", help);
        return None;
    }
    match entry.node {
        Node::Text(text) if text.contains('\0') => {
            entry.refuse(problems, "no setting can hold a NUL");
            None
        }
        Node::Text(text) => Some(text.clone()),
        Node::Int(number) => Some(number.to_string()),
        Node::Float(number) => Some(number.to_string()),
        Node::Bool(true) => Some("on".to_owned()),
        Node::Bool(false) => Some("off".to_owned()),
        Node::Null | Node::List(_) | Node::Map(_) => {
            entry.expected(problems, "a value (text, a number, true or false)");
            None
        }
    }
}

fn why_owned(name: &str) -> Option<&'static str> {
    let by_name = OWNED.iter().find(|(names, _)| names.contains(&name)).map(|(_, reason)| *reason);
    by_name
        .or_else(|| OWNED_FAMILIES.iter().find(|(beginning, _)| name.starts_with(beginning)).map(|(_, reason)| *reason))
}

fn hold_to(floor: &Floor, text: &str, entry: &Entry<'_>, problems: &mut Problems) {
    let Floor { least, why, .. } = floor;
    match text.parse::<u32>() {
        Ok(number) if number >= *least => {}
        Ok(number) => entry.refuse(problems, format!("{number} is too few, {least} are needed: {why}")),
        Err(_) => entry.expected(problems, &format!("a whole number, {least} or more")),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;
    use std::path::Path;

    fn value(text: &str, name: &str) -> String {
        let desired = parse(text, Path::new("")).expect(text);
        let mut found = desired.settings.into_iter().filter(|setting| setting.name == name);
        let setting = found.next().expect(name);
        assert_eq!(found.next(), None, "{name} twice");
        setting.value
    }

    fn mistake(text: &str) -> String {
        let problems = parse(text, Path::new("")).expect_err(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].to_string()
    }

    #[test]
    fn own_values_are_rendered_as_postgres_takes_them_on_top_of_the_base() {
        for (text, name, rendered) in [
            ("preset: {max_connections: 50}", "max_connections", "50"),
            ("preset: {max_connections: 50}", "shared_buffers", "256MB"),
            ("preset: {base: cloud, work_mem: 1MB}", "shared_buffers", "512MB"),
            ("preset: {jit: false}", "jit", "off"),
            ("preset: {jit: on}", "jit", "on"),
            ("preset: {seq_page_cost: 1.5}", "seq_page_cost", "1.5"),
            ("preset: {log_line_prefix: ''}", "log_line_prefix", ""),
            ("preset: {timezone: Europe/Berlin}", "timezone", "Europe/Berlin"),
            ("preset: {max_wal_senders: 40}", "max_wal_senders", "40"),
            ("preset: {max_replication_slots: '7'}", "max_replication_slots", "7"),
            ("preset: {}", "wal_level", "logical"),
        ] {
            assert_eq!(value(text, name), rendered, "{text}");
        }
    }

    #[test]
    fn settings_that_hypertide_depends_on_are_refused_with_the_reason() {
        for name in [
            "wal_level",
            "port",
            "hba_file",
            "ssl",
            "ssl_cert_file",
            "recovery_target_time",
            "fsync",
            "synchronous_standby_names",
        ] {
            let said = mistake(&format!("preset: {{{name}: x}}"));
            assert!(said.contains(&format!("preset.{name}: is not yours to set: ")), "{said}");
        }
    }

    #[test]
    fn what_the_replicas_need_cannot_be_taken_away() {
        assert_eq!(
            mistake("preset: {max_wal_senders: 3}"),
            "line 1: preset.max_wal_senders: 3 is too few, 7 are needed: \
             replicas: 1 logical with 4 table copies each, 0 physical; 2 for a base backup and the archive of the log"
        );
        let fewer_copies = "preset: {max_wal_senders: 4, max_sync_workers_per_subscription: 1}";
        assert_eq!(value(fewer_copies, "max_wal_senders"), "4");
        assert_eq!(value("{nodes: {replicas: []}, preset: {max_wal_senders: 3}}", "max_wal_senders"), "3");
        assert!(mistake("preset: {max_wal_senders: many}").contains("a whole number, 7 or more"));
        assert!(mistake("preset: {max_worker_processes: 8}").contains("28 are needed"));
    }

    #[test]
    fn near_misses_are_typos_and_other_names_are_left_to_postgresql() {
        assert!(mistake("preset: {max_connection: 5}").contains("unknown setting"));
        assert!(mistake("preset: {TimeZone: UTC}").contains("no setting name"));
        assert_eq!(value("preset: {min_wal_size: 80MB}", "min_wal_size"), "80MB");
        assert_eq!(value("preset: {pg_stat_statements.max: 9}", "pg_stat_statements.max"), "9");
    }
}
