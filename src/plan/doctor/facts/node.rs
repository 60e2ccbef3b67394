//! What an examination finds out about one node: its container, inspected, and its server, asked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::names::NodeName;
use crate::model::observed::RunState;
use crate::model::seen::Seen;

/// One node, beyond what an observation tells.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeExam {
    /// Its name.
    pub name: NodeName,
    /// Its container.
    pub container: Seen<ContainerExam>,
    /// Its server; absent while the container does not run.
    pub server: Seen<ServerExam>,
    /// What to do about a server that could not be asked.
    pub help: Option<String>,
}

/// A container, inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerExam {
    /// Whether it runs.
    pub state: RunState,
    /// How its process ended, when it did.
    pub ended: Option<Ended>,
    /// How often Docker started it again by itself.
    pub restarts: u32,
    /// What is mounted.
    pub mounts: Vec<MountSeen>,
    /// The data directory it was told.
    pub pgdata: Option<String>,
}

/// How a container's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i64,
    /// The kernel ended it for want of memory.
    pub is_out_of_memory: bool,
}

/// A mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSeen {
    /// A volume's name; `None` for anything but a volume.
    pub volume: Option<String>,
    /// Where in the container.
    pub path: String,
}

/// A server and how its clock compares.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerExam {
    /// What it says about itself.
    pub facts: ServerFacts,
    /// Seconds its clock is ahead of this host's, at least.
    pub clock_ahead_secs: f64,
}

/// What a server says about itself: `sql/observe/doctor.sql`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ServerFacts {
    /// Seconds since 1970.
    pub clock: f64,
    /// `shared_preload_libraries`.
    pub preload: String,
    /// The version of TimescaleDB in the database; `None` when it is not installed.
    pub timescaledb_installed: Option<String>,
    /// The version the server's files would install.
    pub timescaledb_available: Option<String>,
    /// Data pages carry checksums.
    pub checksums: bool,
    /// `fsync`.
    pub fsync: bool,
    /// `full_page_writes`.
    pub full_page_writes: bool,
    /// The cluster's database's encoding; `None` while there is no such database.
    pub encoding: Option<String>,
    /// The wanted settings that the server knows, by their names in lower case.
    pub settings: BTreeMap<String, SettingSeen>,
}

/// A row of `pg_settings`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SettingSeen {
    /// The value, in `unit`s.
    pub value: String,
    /// The unit of a number, such as `8kB` or `ms`.
    pub unit: Option<String>,
    /// `bool`, `integer`, `real`, `enum` or `string`.
    pub kind: String,
    /// Where the value comes from.
    pub source: String,
}
