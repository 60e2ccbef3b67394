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

/// A node's container or volume.
pub const KIND_NODE: &str = "node";
/// The agent's container.
pub const KIND_AGENT: &str = "agent";
/// A container that does one thing and is removed.
pub const KIND_HELPER: &str = "helper";
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
