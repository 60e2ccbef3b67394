//! Names that reach Docker, SQL or a path: checked once, here, and trusted ever after.
//!
//! Each type says in its constructor what it accepts; every other layer takes the type and never the text.

use std::fmt;

use serde::{Serialize, Serializer};

use super::endpoint::Access;
use super::monitoring::Monitor;

/// Words a node cannot be called, because verbs give them a meaning of their own (`psql primary`), or because the slot of that
/// name is taken: that of `wal` keeps the log until it is archived.
pub const RESERVED_NODE_NAMES: [&str; 13] = [
    "primary",
    "replica",
    "standby",
    "subscriber",
    "agent",
    "all",
    "localhost",
    "none",
    "wal",
    Access::ReadWrite.name(),
    Access::ReadOnly.name(),
    Monitor::Prometheus.name(),
    Monitor::Grafana.name(),
];

/// Roles and databases PostgreSQL itself claims; a cluster's database may not take such a name.
pub const RESERVED_DATABASE_NAMES: [&str; 3] = ["postgres", "template0", "template1"];

/// Why a text is not acceptable as a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A cluster's name becomes the prefix of containers, volumes and the network.
    #[error("`{0}` is no cluster name: 1 to 30 of a-z, 0-9 and `-`, beginning and ending with a letter or digit")]
    Cluster(String),
    /// A node's name is its host name on the cluster's network.
    #[error("`{0}` is no host name: 1 to 30 of a-z, 0-9 and `-`, beginning and ending with a letter or digit")]
    Node(String),
    /// The name has a meaning of its own.
    #[error("`{0}` is reserved: hypertide gives it a meaning of its own")]
    ReservedNode(String),
    /// Not usable as an SQL identifier.
    #[error("`{0}` is no SQL identifier: 1 to 63 bytes without a NUL")]
    Ident(String),
    /// PostgreSQL's own database.
    #[error("`{0}` is PostgreSQL's own database")]
    ReservedDatabase(String),
}

fn is_host_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=30).contains(&text.len()) && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The checked text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

text_name! {
    /// A cluster: the prefix of every container, volume and network it owns.
    ClusterName
}
text_name! {
    /// A node: its host name on the cluster's network.
    NodeName
}
text_name! {
    /// An SQL identifier, unquoted. Use [`Ident::quoted`] wherever it becomes SQL.
    Ident
}

impl ClusterName {
    /// Accepts a host label of at most 30 characters.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if is_host_label(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Cluster(text.to_owned())) }
    }

    /// The name of the cluster's Docker network.
    pub fn network(&self) -> String {
        format!("{self}-net")
    }

    /// The name of a node's container.
    pub fn container(&self, node: &NodeName) -> String {
        format!("{self}-{node}")
    }

    /// The name of a node's data volume.
    pub fn volume(&self, node: &NodeName) -> String {
        format!("{self}-{node}-data")
    }

    /// The name of the agent's container.
    pub fn agent(&self) -> String {
        format!("{self}-agent")
    }

    /// The name of an endpoint's container.
    pub fn endpoint(&self, access: Access) -> String {
        format!("{self}-{}", access.name())
    }

    /// The name of the container of Prometheus or Grafana.
    pub fn monitor(&self, monitor: Monitor) -> String {
        format!("{self}-{}", monitor.name())
    }

    /// The name of the volume with what it keeps.
    pub fn monitor_volume(&self, monitor: Monitor) -> String {
        format!("{self}-{}-data", monitor.name())
    }

    /// The name of the agent's volume.
    pub fn agent_volume(&self) -> String {
        format!("{self}-agent-data")
    }
}

impl NodeName {
    /// Accepts a host label of at most 30 characters that no verb gives another meaning.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if RESERVED_NODE_NAMES.contains(&text) {
            return Err(NameError::ReservedNode(text.to_owned()));
        }
        if is_host_label(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Node(text.to_owned())) }
    }

    /// The replication slot, and subscription, that belong to this node: `hypertide_` and its name with `_` for `-`.
    pub fn slot(&self) -> Ident {
        Ident(format!("hypertide_{}", self.0.replace('-', "_")))
    }
}

impl Ident {
    /// Accepts any identifier PostgreSQL would not truncate.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if (1..=63).contains(&text.len()) && !text.contains('\0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Ident(text.to_owned()))
        }
    }

    /// A database of the cluster's own: any identifier but those of PostgreSQL.
    pub fn new_database(text: &str) -> Result<Self, NameError> {
        if RESERVED_DATABASE_NAMES.contains(&text) {
            return Err(NameError::ReservedDatabase(text.to_owned()));
        }
        Self::new(text)
    }

    /// Quoted for SQL; the one place where identifiers are quoted.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A table: schema and name, unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema it lives in.
    pub schema: Ident,
    /// Its name within the schema.
    pub table: Ident,
}

impl TableName {
    /// Both parts, checked.
    pub fn new(schema: &str, table: &str) -> Result<Self, NameError> {
        Ok(Self { schema: Ident::new(schema)?, table: Ident::new(table)? })
    }

    /// Quoted for SQL.
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.table.quoted())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_node_name_is_a_host_label_that_no_verb_claims() {
        for good in ["a", "replica-1", "db2", "0"] {
            assert!(NodeName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Replica", "a_b", "-a", "a-", "a.b", "replica", "primary", "ä", &"x".repeat(31)] {
            assert!(NodeName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slot_name_is_acceptable_to_postgresql() {
        let name = NodeName::new("replica-1").expect("valid");
        assert_eq!(name.slot().as_str(), "hypertide_replica_1");
    }

    proptest! {
        #[test]
        fn quoting_survives_any_identifier(text in "[^\0]{1,20}") {
            prop_assume!(text.len() <= 63);
            let quoted = Ident::new(&text).expect("checked").quoted();
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert_eq!(inner.replace("\"\"", "\""), text);
            prop_assert_eq!(inner.matches('"').count() % 2, 0);
        }
    }
}
