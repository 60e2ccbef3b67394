//! What the user wants: the configuration after every check, with all defaults filled in.
//!
//! Made by `config::resolve`, read by `plan`. It names preferences only: who is the primary gets observed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::cluster::{Mode, Seat};
use super::names::{ClusterName, Ident, NodeName};
use super::outside::Outside;

/// A whole cluster as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Prefix of everything the cluster owns on the Docker host.
    pub cluster: ClusterName,
    /// The one database the cluster serves.
    pub database: Ident,
    /// Which image the database containers run.
    pub image: ImageChoice,
    /// Server settings, passed as `postgres -c name=value`; sorted by name, names unique.
    pub settings: Vec<Setting>,
    /// The preferred primary first, then the replicas in the order of the file. Never empty; names and ports unique.
    pub nodes: Vec<DesiredNode>,
    /// The address host ports are bound to.
    pub bind: IpAddr,
    /// How replicas follow that do not say so themselves.
    pub mode: Mode,
    /// What logical replicas subscribe to.
    pub publication: PublicationChoice,
    /// How the agent compares logical replicas with the primary; `None`: it does not.
    pub verify: Option<VerifySchedule>,
    /// Publications for consumers outside the cluster, and subscriptions to servers outside of it.
    pub outside: Outside,
    /// Schema packs, in the order they are applied.
    pub packs: Vec<PackRef>,
    /// Where on the host the agent answers over HTTP; `None` when it does not.
    pub metrics: Option<SocketAddr>,
    /// Keys that were read and checked but that this version does not act on yet, for a warning.
    pub not_acted_on: Vec<String>,
}

/// Where the database image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChoice {
    /// A local image, else the pinned public image, else the bundled Debian image.
    Auto,
    /// Exactly this reference: local, else pulled.
    Named(String),
}

/// One server setting and why it has this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// PostgreSQL's name for it.
    pub name: String,
    /// The value as `postgres -c` takes it.
    pub value: String,
    /// Why, in half a sentence; shown by `doctor` and `--plan`.
    pub why: String,
}

/// One node as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredNode {
    /// Its host name on the cluster's network.
    pub name: NodeName,
    /// What it is provisioned as.
    pub seat: Seat,
    /// The host port that leads straight to it.
    pub port: u16,
}

/// How often logical replicas are compared with the primary, and at which pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifySchedule {
    /// From the end of one verification to the start of the next.
    pub every: Duration,
    /// Rows read per second, on average, on each side.
    pub rows_per_second: u64,
}

/// The publication logical replicas subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationChoice {
    /// Its name.
    pub name: Ident,
    /// The schemas it covers; `None`: those the packs publish, or `public` when there is no pack.
    pub schemas: Option<Vec<Ident>>,
}

/// A pack as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackRef {
    /// One of those in the binary, by name.
    BuiltIn(String),
    /// A directory of the user's own; relative paths count from the configuration file.
    Directory(PathBuf),
}

impl Desired {
    /// The node that is initialised as primary when there is none yet.
    pub fn preferred_primary(&self) -> &DesiredNode {
        self.nodes.first().expect("config::resolve puts the primary first")
    }

    /// A node by name.
    pub fn node(&self, name: &NodeName) -> Option<&DesiredNode> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The replicas of one mode.
    pub fn replicas(&self, mode: Mode) -> impl Iterator<Item = &DesiredNode> {
        self.nodes.iter().filter(move |node| node.seat == Seat::Replica(mode))
    }
}
