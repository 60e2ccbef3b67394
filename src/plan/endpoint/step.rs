//! Steps on what clients connect to, and everything an endpoint's container is made from.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::model::digest;
use crate::model::endpoint::{Access, Pooling};
use crate::model::names::{Ident, NodeName};

/// One thing to do with an endpoint. Each can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointStep {
    /// Create its container.
    Create(EndpointSpec),
    /// Give it its configuration, start it and wait until it answers.
    Start {
        /// Where it is to lead; `None`: where its configuration says already.
        to: Option<BTreeSet<NodeName>>,
    },
    /// Have the one that runs lead somewhere else.
    Repoint {
        /// Where.
        to: BTreeSet<NodeName>,
    },
    /// Stop it, transactions first.
    Stop,
    /// Remove its container; there is nothing in it to lose.
    Remove,
}

/// Everything an endpoint's container is made from; equal digests mean equal containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointSpec {
    /// Which one.
    pub access: Access,
    /// The host port that leads to it.
    pub port: u16,
    /// The host address that port is bound to.
    pub bind: IpAddr,
    /// How clients share connections.
    pub pooling: Pooling,
    /// The database it serves.
    pub database: Ident,
    /// Connections to servers that it opens at most.
    pub connections: u32,
    /// The image it runs.
    pub image: String,
    /// A digest of the certificate it shows; `None`: connections are not encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

impl EndpointSpec {
    /// The digest written on the container's label.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).expect("a spec is made of strings and numbers");
        digest::short(&[text.as_bytes()])
    }
}

impl EndpointStep {
    /// The stable word for this kind of step, in JSON and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Create(_) => "create_endpoint",
            Self::Start { .. } => "start_endpoint",
            Self::Repoint { .. } => "repoint_endpoint",
            Self::Stop => "stop_endpoint",
            Self::Remove => "remove_endpoint",
        }
    }

    /// The sentence for people.
    pub(in crate::plan) fn tell(&self, access: Access, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(spec) => {
                write!(f, "create the {access} endpoint (port {}, {} pooling)", spec.port, spec.pooling.word())
            }
            Self::Start { to: Some(to) } => write!(f, "start the {access} endpoint, leading to {}", list(to)),
            Self::Start { to: None } => write!(f, "start the {access} endpoint, leading where it did"),
            Self::Repoint { to } => write!(f, "lead the {access} endpoint to {}", list(to)),
            Self::Stop => write!(f, "stop the {access} endpoint"),
            Self::Remove => write!(f, "remove the {access} endpoint"),
        }
    }
}

fn list(nodes: &BTreeSet<NodeName>) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}
