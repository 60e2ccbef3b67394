//! What clients connect to: the two endpoints of a cluster and how they share connections among clients.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::observed::ContainerSeen;
use super::seen::Seen;

/// What clients want of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// The primary.
    ReadWrite,
    /// A replica, or the primary where there is none.
    ReadOnly,
}

/// When a server's connection goes from one client to the next (PgBouncer's `pool_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// After each transaction.
    Transaction,
    /// When the client leaves.
    Session,
}

/// An endpoint as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSeen {
    /// Its container.
    pub container: Seen<ContainerSeen>,
    /// Its PgBouncer, asked over its admin console; absent while the container does not run.
    pub pooler: Seen<PoolerSeen>,
}

/// What a PgBouncer says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolerSeen {
    /// The hosts that it leads to, by name.
    pub hosts: BTreeSet<String>,
    /// It holds its clients, until it is told to go on.
    pub is_paused: bool,
}

impl Access {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ReadWrite, Self::ReadOnly];

    /// In people's words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
        }
    }

    /// What it is called: the host name on the cluster's network, and what verbs take.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "endpoint-rw",
            Self::ReadOnly => "endpoint-ro",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.name() == name)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Pooling {
    /// PgBouncer's word for it, which is the configuration's as well.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
        }
    }
}
