//! What a doctor's examination finds out, as plain values; an observation is one of them.
//!
//! Made by `examine` and the adapters below it, read by the judgements beside this file.

mod node;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use node::{ContainerExam, Ended, MountSeen, NodeExam, ServerExam, ServerFacts, SettingSeen};

use crate::model::endpoint::Access;
use crate::model::names::NodeName;
use crate::model::observed::{ImageFacts, Observed};
use crate::model::seen::Seen;
use crate::plan::image::ImagePlan;

/// Everything one examination found out.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The configuration.
    pub config: ConfigSeen,
    /// The Docker engine.
    pub engine: EngineSeen,
    /// The file systems that fill up.
    pub disks: Vec<DiskSeen>,
    /// The state directory.
    pub passwords: PasswordsSeen,
    /// Host ports of the nodes and of the agent; empty while the configuration is broken.
    pub ports: Vec<PortSeen>,
    /// Who answers at PostgreSQL's own port on this host.
    pub default_port: Vec<ListenerSeen>,
    /// Where nodes are told to keep their data.
    pub place: DataPlace,
    /// The image; absent without an engine or a configuration.
    pub image: Seen<ImageSeen>,
    /// The nodes one by one; empty without an engine or a configuration.
    pub nodes: Vec<NodeExam>,
    /// The agent's container.
    pub agent: Seen<ContainerExam>,
    /// The observation a plan is made from; absent without an engine or a configuration.
    pub observed: Seen<Observed>,
}

/// Paths in a node's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPlace {
    /// Where the data volume is mounted.
    pub volume: &'static str,
    /// The data directory, below that.
    pub pgdata: &'static str,
}

/// The configuration as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSeen {
    /// The file; `None` when everything is a default.
    pub origin: Option<PathBuf>,
    /// What is wrong with it.
    pub mistakes: Vec<Mistake>,
}

/// One mistake in the configuration or in a pack it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong and where.
    pub text: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Where the engine is and what came back from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSeen {
    /// Its address.
    pub address: String,
    /// `DOCKER_HOST` says so; else it is the usual place.
    pub is_from_environment: bool,
    /// Sockets at other usual places of this host.
    pub other_sockets: Vec<String>,
    /// What came back.
    pub answer: Answer,
}

/// What came back from the engine's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An engine.
    Engine(EngineFacts),
    /// There is no such socket.
    NoSocket,
    /// This user may not use the socket.
    Forbidden {
        /// The group that may.
        group: Option<String>,
        /// The user is in that group by now, and was not when the session began.
        is_member: bool,
    },
    /// The socket is there, and nothing listens.
    NobodyListens,
    /// Something else went wrong.
    Failed {
        /// What.
        because: String,
    },
}

/// An engine about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// Its version.
    pub version: String,
    /// The version of its API.
    pub api: String,
    /// Where it keeps images and volumes.
    pub root_dir: Option<PathBuf>,
    /// Memory of its host, in bytes.
    pub memory_bytes: Option<u64>,
}

/// A directory whose file system must not fill up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSeen {
    /// Whose it is.
    pub holds: &'static str,
    /// The directory.
    pub path: PathBuf,
    /// What is left; absent when the directory is not on this host.
    pub room: Seen<Room>,
}

/// A file system's size and what is left of it for unprivileged users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Free, in bytes.
    pub free_bytes: u64,
    /// Size, in bytes.
    pub total_bytes: u64,
}

/// The state directory and the password file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordsSeen {
    /// The directory's path.
    pub dir_path: PathBuf,
    /// The directory.
    pub dir: Seen<FileSeen>,
    /// The file's path.
    pub file_path: PathBuf,
    /// The file.
    pub file: Seen<FileSeen>,
    /// Why the file's text cannot be used.
    pub unusable: Option<Mistake>,
}

/// Who may do what with a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSeen {
    /// Permission bits.
    pub mode: u32,
    /// It belongs to the user who asks.
    pub is_ours: bool,
}

/// A wanted host port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSeen {
    /// Whose it is to be.
    pub owner: PortOwner,
    /// The port.
    pub port: u16,
    /// Who has it.
    pub holder: PortHolder,
}

/// Whose a wanted port is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortOwner {
    /// A node's: PostgreSQL answers there.
    Node(NodeName),
    /// An endpoint's: PgBouncer answers there.
    Endpoint(Access),
    /// The agent's: HTTP.
    Agent,
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => name.fmt(f),
            Self::Endpoint(access) => write!(f, "the {access} endpoint"),
            Self::Agent => f.write_str("the agent"),
        }
    }
}

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortHolder {
    /// Nobody.
    Nobody,
    /// Its owner.
    Owner,
    /// Somebody else: a container or a process.
    Other(String),
    /// Somebody who may well be its owner: without an engine it cannot be told.
    Unclear(String),
}

/// Somebody who answers at an address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSeen {
    /// Where.
    pub address: SocketAddr,
    /// It speaks PostgreSQL's protocol.
    pub is_postgres: bool,
    /// A container or a process.
    pub holder: String,
    /// It is a node of the cluster.
    pub is_ours: bool,
}

/// The image nodes are to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSeen {
    /// It is not on this host, and this is how it would come.
    Elsewhere(ImagePlan),
    /// It is here.
    Local {
        /// What is in it.
        facts: ImageFacts,
        /// Its names.
        tags: Vec<String>,
        /// Directories it declares to be volumes.
        volumes: Vec<String>,
        /// The data directory it is made for.
        pgdata: Option<String>,
    },
}

impl Examined {
    /// Some node of the cluster has been provisioned.
    pub fn is_provisioned(&self) -> bool {
        let has_volume = |observed: &Observed| {
            observed.nodes.values().any(|node| node.volume.present().is_some_and(|volume| volume.ours))
        };
        self.observed.present().is_some_and(has_volume) || self.nodes.iter().any(|node| node.container.is_present())
    }
}
