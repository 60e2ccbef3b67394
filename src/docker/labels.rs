//! The labels hypertide writes on everything it makes; they are how it recognises its own.

use std::collections::HashMap;

use crate::model::names::{ClusterName, NodeName};

/// Which cluster a resource belongs to. Nothing without it is ever removed.
pub const CLUSTER: &str = "hypertide.cluster";
/// Which node.
pub const NODE: &str = "hypertide.node";
/// What it is for: one of the `KIND_*` words.
pub const KIND: &str = "hypertide.kind";
/// What the node was provisioned as: `primary`, `logical` or `physical`.
pub const SEAT: &str = "hypertide.seat";
/// The node's host port.
pub const PORT: &str = "hypertide.port";
/// Digest of the specification a container was created from.
pub const SPEC: &str = "hypertide.spec";
/// PostgreSQL's major version that initialised a volume.
pub const POSTGRES: &str = "hypertide.postgres";
/// TimescaleDB's version a volume was initialised with.
pub const TIMESCALEDB: &str = "hypertide.timescaledb";

/// On containers that end when the process that made them does; what of them has ended is nobody's any more.
pub const LEASH: &str = "hypertide.leash";

/// What a restored server is called.
pub const RESTORED: &str = "hypertide.restored";
/// The backup it was restored from.
pub const BACKUP: &str = "hypertide.backup";

/// A node's container or volume.
pub const KIND_NODE: &str = "node";
/// The agent's container.
pub const KIND_AGENT: &str = "agent";
/// An endpoint's container.
pub const KIND_ENDPOINT: &str = "endpoint";
/// The container or volume of Prometheus or Grafana.
pub const KIND_MONITORING: &str = "monitoring";
/// A container that does one thing and is removed.
pub const KIND_HELPER: &str = "helper";
/// A throw-away server for drills and restores.
pub const KIND_SANDBOX: &str = "sandbox";
/// A server that a restore made beside a cluster, and its volume.
pub const KIND_RESTORED: &str = "restored";
/// The network.
pub const KIND_NETWORK: &str = "network";

/// The labels every resource of a cluster carries.
pub fn of_cluster(cluster: &ClusterName, kind: &str) -> HashMap<String, String> {
    HashMap::from([(CLUSTER.to_owned(), cluster.to_string()), (KIND.to_owned(), kind.to_owned())])
}

/// The labels every resource of a node carries.
pub fn of_node(cluster: &ClusterName, kind: &str, node: &NodeName) -> HashMap<String, String> {
    let mut labels = of_cluster(cluster, kind);
    labels.insert(NODE.to_owned(), node.to_string());
    labels
}
