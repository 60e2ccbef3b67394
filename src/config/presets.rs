//! Server settings: the two presets, what the number of replicas demands, and the user's own values on top.
//!
//! In go a [`Preset`], a [`Demand`] and the user's values, out come settings sorted by name, each with its reason. The
//! sizes are those the project promises for a laptop and for a small cloud machine. Nothing here trades durability for
//! speed, and autovacuum keeps PostgreSQL's defaults.

use std::collections::BTreeMap;

use crate::model::cluster::{Mode, Seat};
use crate::model::desired::{DesiredNode, Setting};

/// Senders, slots and logical workers that are there even when fewer are needed, so that a replica can be added
/// without a restart.
const ROOMY: u32 = 10;

/// Tables that PostgreSQL copies at a time per subscription, after the first copy: 2 (the default) copy some 18 chunks a second.
const COPIES_AT_ONCE: u32 = 4;

/// TimescaleDB's own workers: one scheduler per database and one worker per running job.
const TIMESCALEDB_WORKERS: u32 = 8;

/// PostgreSQL's default for `max_parallel_workers`.
const PARALLEL_WORKERS: u32 = 8;

/// A base backup and the archive of the log stream through a sender each.
const BACKUP_SENDERS: u32 = 2;

/// The archive of the log keeps a slot, and a base backup another while it runs.
const BACKUP_SLOTS: u32 = 2;

/// Why a setting of the user's own has its value.
const OWN: &str = "set in the configuration";

/// A machine the settings are sized for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A developer's machine that runs other things too.
    Laptop,
    /// A small server (4 GB or more) that runs little else.
    Cloud,
}

/// How many replicas of each mode the cluster has. Any node may become the primary, so all are set up alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Logical replicas.
    pub logical: u32,
    /// Physical replicas.
    pub physical: u32,
}

/// The least value of a setting that the cluster works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The setting.
    pub name: &'static str,
    /// Its least value.
    pub least: u32,
    /// What it is needed for.
    pub why: String,
}

struct Row(
    /// Name.
    &'static str,
    /// Value on a laptop.
    &'static str,
    /// Value in the cloud.
    &'static str,
    /// Why.
    &'static str,
);

#[rustfmt::skip]
const ROWS: [Row; 23] = [
    Row("max_connections", "100", "200", "clients, agent and table copies; more belong behind the endpoint"),
    Row("shared_buffers", "256MB", "512MB", "about a quarter of the memory meant for the database"),
    Row("effective_cache_size", "1GB", "2GB", "what the operating system caches too, so that the planner trusts indexes"),
    Row("work_mem", "4MB", "8MB", "per sort or hash, several per query"),
    Row("wal_buffers", "16MB", "32MB", "bursts of inserts wait less for the log"),
    Row("shared_preload_libraries", "timescaledb,pg_stat_statements", "timescaledb,pg_stat_statements",
        "TimescaleDB works only when preloaded; statement statistics feed the metrics"),
    Row("listen_addresses", "*", "*", "the other containers connect over the cluster's network"),
    Row("wal_level", "logical", "logical", "logical replicas decode the log, and every node may become the primary"),
    Row("wal_retrieve_retry_interval", "200ms", "200ms",
        "workers of a subscription restart after this; with the default of 5s a new chunk's copy waits that long"),
    Row("wal_receiver_timeout", "15s", "15s",
        "a replica whose primary was cut off notices; the agent's heartbeat has something sent each second"),
    Row("max_slot_wal_keep_size", "4GB", "16GB", "the slot of a replica that never returns must not fill the disk"),
    Row("summarize_wal", "on", "on",
        "an incremental base backup needs to know which blocks changed; costs a process that reads the log once"),
    Row("hot_standby_feedback", "on", "on", "long queries on a standby are not cancelled, and its slots stay usable"),
    Row("sync_replication_slots", "on", "on", "a standby keeps the subscribers' slots too, so they survive its promotion"),
    Row("max_locks_per_transaction", "256", "256", "one statement may lock every chunk of a hypertable"),
    Row("timescaledb.telemetry_level", "off", "off", "a database does not call home unasked"),
    Row("password_encryption", "scram-sha-256", "scram-sha-256", "passwords are stored as SCRAM verifiers, the same on every node"),
    Row("timezone", "UTC", "UTC", "chunk boundaries and log times read the same on every node"),
    Row("log_timezone", "UTC", "UTC", "chunk boundaries and log times read the same on every node"),
    Row("log_line_prefix", "%m [%p] %q%u@%d/%a ", "%m [%p] %q%u@%d/%a ", "`hypertide logs` shows who and which application"),
    Row("log_lock_waits", "on", "on", "a mirror that waits for a lock leaves a trace"),
    Row("track_io_timing", "off", "on", "tells slow disks from slow plans; costs little on servers, unknown on laptops"),
    Row("max_wal_size", "1GB", "4GB", "fewer checkpoints while data is loaded"),
];

impl Preset {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("laptop", Self::Laptop), ("cloud", Self::Cloud)];
}

impl Demand {
    /// Counts the replicas among the nodes.
    pub fn of(nodes: &[DesiredNode]) -> Self {
        let count = |mode| {
            let of_mode = nodes.iter().filter(|node| node.seat == Seat::Replica(mode));
            u32::try_from(of_mode.count()).unwrap_or(u32::MAX)
        };
        Self { logical: count(Mode::Logical), physical: count(Mode::Physical) }
    }
}

/// The settings whose least value follows from the replicas and from the user's other values.
///
/// Each subscription uses one sender, slot and worker for applying and as many again as it copies tables at once:
/// <https://www.postgresql.org/docs/17/logical-replication-config.html>.
pub fn floors(demand: Demand, own: &BTreeMap<String, String>) -> Vec<Floor> {
    let Demand { logical, physical } = demand;
    let copies = number(own, "max_sync_workers_per_subscription").unwrap_or(COPIES_AT_ONCE);
    let per_subscription = copies.saturating_add(1);
    let slots = logical.saturating_mul(per_subscription).saturating_add(physical);
    let logical_workers = if logical > 0 { per_subscription } else { 0 };
    let timescaledb = number(own, "timescaledb.max_background_workers").unwrap_or(TIMESCALEDB_WORKERS);
    let logical_pool = number(own, "max_logical_replication_workers").unwrap_or(ROOMY.max(logical_workers));
    let parallel = number(own, "max_parallel_workers").unwrap_or(PARALLEL_WORKERS);
    let pool = [timescaledb, 1, logical_pool, 1, parallel].into_iter().fold(0, u32::saturating_add);
    let replicas = format!("replicas: {logical} logical with {copies} table copies each, {physical} physical");
    vec![
        Floor {
            name: "max_wal_senders",
            least: slots.saturating_add(BACKUP_SENDERS),
            why: format!("{replicas}; {BACKUP_SENDERS} for a base backup and the archive of the log"),
        },
        Floor {
            name: "max_replication_slots",
            least: slots.saturating_add(BACKUP_SLOTS),
            why: format!("{replicas}; {BACKUP_SLOTS} for a base backup and the archive of the log"),
        },
        Floor {
            name: "max_logical_replication_workers",
            least: logical_workers,
            why: format!("a subscription applies with 1 and copies with {copies}"),
        },
        Floor {
            name: "max_worker_processes",
            least: pool,
            why: format!(
                "{timescaledb} TimescaleDB workers + its launcher + {logical_pool} logical replication workers \
                 + their launcher + {parallel} parallel workers"
            ),
        },
    ]
}

/// All settings of a cluster, sorted by name. The user's own values win; `config::resolve` has checked them.
pub fn settings(preset: Preset, demand: Demand, own: &BTreeMap<String, String>) -> Vec<Setting> {
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: String, why: &str| {
        let setting = Setting { name: name.to_owned(), value, why: why.to_owned() };
        all.insert(name.to_owned(), setting);
    };
    for Row(name, laptop, cloud, why) in &ROWS {
        let value = match preset {
            Preset::Laptop => laptop,
            Preset::Cloud => cloud,
        };
        set(name, (*value).to_owned(), why);
    }
    set(
        "max_sync_workers_per_subscription",
        COPIES_AT_ONCE.to_string(),
        "tables that come after the first copy, many chunks at once among them, are copied so many at a time",
    );
    set(
        "timescaledb.max_background_workers",
        TIMESCALEDB_WORKERS.to_string(),
        "one scheduler per database and one worker per running job",
    );
    for floor in floors(demand, own) {
        let value = if floor.name == "max_worker_processes" { floor.least } else { floor.least.max(ROOMY) };
        set(floor.name, value.to_string(), &floor.why);
    }
    for (name, value) in own {
        set(name, value.clone(), OWN);
    }
    all.into_values().collect()
}

/// The names the presets set; a near miss of one of them is a typo.
pub fn names() -> impl Iterator<Item = &'static str> {
    let computed = [
        "max_sync_workers_per_subscription",
        "timescaledb.max_background_workers",
        "max_wal_senders",
        "max_replication_slots",
        "max_logical_replication_workers",
        "max_worker_processes",
    ];
    ROWS.iter().map(|row| row.0).chain(computed)
}

fn number(own: &BTreeMap<String, String>, name: &str) -> Option<u32> {
    own.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_LOGICAL: Demand = Demand { logical: 1, physical: 0 };

    fn shown(preset: Preset, demand: Demand, own: &[(&str, &str)]) -> String {
        let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let lines: Vec<_> = settings(preset, demand, &own)
            .iter()
            .map(|setting| format!("{}={}", setting.name, setting.value))
            .collect();
        lines.join("\n")
    }

    fn value(shown: &str, name: &str) -> String {
        shown.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).expect("the setting is there").to_owned()
    }

    #[test]
    fn the_presets_are_what_was_reviewed() {
        insta::assert_snapshot!("laptop", shown(Preset::Laptop, ONE_LOGICAL, &[]));
        insta::assert_snapshot!("cloud", shown(Preset::Cloud, ONE_LOGICAL, &[]));
    }

    #[test]
    fn every_setting_says_why_and_names_are_sorted_and_unique() {
        let settings = settings(Preset::Cloud, ONE_LOGICAL, &BTreeMap::new());
        assert!(settings.iter().all(|setting| !setting.why.is_empty()));
        assert!(settings.is_sorted_by(|a, b| a.name < b.name));
        let named: Vec<_> = names().collect();
        assert_eq!(named.len(), settings.len());
        assert!(settings.iter().all(|setting| named.contains(&setting.name.as_str())));
    }

    #[test]
    fn more_replicas_get_more_senders_and_slots() {
        let demand = Demand { logical: 3, physical: 2 };
        let shown = shown(Preset::Laptop, demand, &[]);
        assert_eq!(value(&shown, "max_wal_senders"), "19");
        assert_eq!(value(&shown, "max_replication_slots"), "19");
        assert_eq!(value(&shown, "max_logical_replication_workers"), "10");
    }

    #[test]
    fn worker_processes_follow_the_users_own_pools() {
        let shown = shown(
            Preset::Laptop,
            ONE_LOGICAL,
            &[("max_parallel_workers", "2"), ("timescaledb.max_background_workers", "16")],
        );
        assert_eq!(value(&shown, "max_worker_processes"), "30");
        assert_eq!(value(&shown, "max_parallel_workers"), "2");
    }
}
