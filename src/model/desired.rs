//! What the user wants: the configuration after every check, with all defaults filled in.
//!
//! Made by `config::resolve`, read by `plan`. It names preferences only: who is the primary gets observed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::backup::BackupJob;
use super::cluster::{Mode, Seat};
use super::collecting::Collecting;
use super::endpoint::{Access, Pooling};
use super::job::DataJob;
use super::monitoring::Monitoring;
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
    /// Which commits wait for replicas.
    pub synchronous: Synchronous,
    /// What becomes of them when no replica is left that they could wait for.
    pub when_lost: WhenLost,
    /// What hypertide may do by itself when the primary fails.
    pub failover: Failover,
    /// What clients connect to.
    pub endpoint: Endpoint,
    /// What connections to endpoints are encrypted with; `None`: they are not.
    pub endpoint_tls: Option<TlsFiles>,
    /// Where on the host the agent answers over HTTP; `None` when it does not.
    pub metrics: Option<SocketAddr>,
    /// What its collectors ask servers for.
    pub collecting: Collecting,
    /// What is asked of those who connect there.
    pub guard: Guard,
    /// Prometheus and Grafana beside the cluster.
    pub monitoring: Monitoring,
    /// How the agent tells what happens.
    pub events: Events,
    /// Backup jobs, in the order of the file; names unique.
    pub backups: Vec<BackupJob>,
    /// Data jobs, in the order of the file; names unique.
    pub jobs: Vec<DataJob>,
}

/// How the agent tells what happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// How its container logs.
    pub log_format: LogFormat,
    /// An address that each event is posted to as JSON.
    pub webhook: Option<String>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
}

impl LogFormat {
    /// The words that name it.
    pub const WORDS: [(&'static str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Who may read over HTTP, and how that is kept from others on the way. Secrets are in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Connections are encrypted.
    pub tls: Option<TlsFiles>,
    /// A name and a password let a request in.
    pub basic_auth: Option<BasicAuth>,
    /// The file with a token that does.
    pub bearer_token_file: Option<PathBuf>,
}

/// What connections are encrypted with, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A name, and the file with its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The name.
    pub username: String,
    /// The file.
    pub password_file: PathBuf,
}

impl Guard {
    /// The files it names.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let tls = self.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        tls.chain(self.basic_auth.iter().map(|basic| &basic.password_file)).chain(&self.bearer_token_file)
    }
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
    /// Among equal replicas the higher one is promoted; 0: never unless it is named.
    pub priority: u16,
}

/// How often logical replicas are compared with the primary, and at which pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifySchedule {
    /// From the end of one verification to the start of the next.
    pub every: Duration,
    /// Rows read per second, on average, on each side.
    pub rows_per_second: u64,
}

/// What hypertide may do by itself when the primary fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// It acts by itself.
    pub automatic: bool,
    /// What it rather does.
    pub prefer: Prefer,
    /// Loss that it may decide on by itself, in bytes of log.
    pub max_loss_bytes: u64,
}

/// What is rather done about a primary that failed on an intact volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefer {
    /// Restarting it, unless a synchronous replica takes over sooner.
    Auto,
    /// Restarting it, as long as that is possible.
    Restart,
    /// Promoting a replica, where nothing forbids it.
    Promote,
}

/// Which commits wait for replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Synchronous {
    /// None.
    Off,
    /// Each, for one replica.
    On,
    /// Each, for any one of them.
    Quorum,
}

/// What becomes of commits that wait for a replica which is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenLost {
    /// They wait until it is back.
    Wait,
    /// They go on without it, and wait for it again once it has caught up.
    Continue,
}

/// What clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The nodes themselves.
    Direct,
    /// Two host ports that stay the same whoever is the primary.
    Ports {
        /// Leads to the primary.
        read_write: u16,
        /// Leads to a replica.
        read_only: u16,
        /// How clients share connections.
        pooling: Pooling,
    },
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

impl Endpoint {
    /// The host port of each; none where clients connect to the nodes.
    pub fn ports(self) -> Vec<(Access, u16)> {
        match self {
            Self::Direct => Vec::new(),
            Self::Ports { read_write, read_only, .. } => {
                vec![(Access::ReadWrite, read_write), (Access::ReadOnly, read_only)]
            }
        }
    }
}

impl DesiredNode {
    /// The priority of a node that is given none.
    pub const PRIORITY: u16 = 100;
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
