//! What can go wrong while an image is looked into, pulled, built or made, and what to do about each.

use std::path::PathBuf;

use bollard::errors::Error as Docker;

use super::tail::Tail;

/// Why there is no image, or no knowing what is in it.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The engine refused or could not be asked.
    #[error("{doing} {what}")]
    Docker {
        /// The operation.
        doing: &'static str,
        /// The image or container.
        what: String,
        /// The engine's answer.
        source: Box<Docker>,
    },
    /// A registry did not give the image.
    #[error("pull image {reference}")]
    Pull {
        /// What was to be pulled.
        reference: String,
        /// The engine's answer.
        source: Box<Docker>,
    },
    /// A step of the bundled image's build failed.
    #[error("build image {reference}; the build ended with\n{tail}")]
    Build {
        /// What was to be built.
        reference: String,
        /// The last lines of its output.
        tail: Tail,
        /// The engine's answer.
        source: Box<Docker>,
    },
    /// A file of a container came, but not as it should be.
    #[error("read {path} of container {container}")]
    File {
        /// The file.
        path: String,
        /// The container.
        container: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The image knows no user `postgres`.
    #[error("find the user postgres in /etc/passwd of container {container}")]
    NoPostgresUser {
        /// The container.
        container: String,
    },
    /// The base image can only be made by root.
    #[error("make {reference}: debootstrap needs root, and this is user {uid}")]
    NotRoot {
        /// The base image.
        reference: String,
        /// Who asked.
        uid: u32,
    },
    /// The base image cannot be made on this host.
    #[error("make {reference}: this host has neither debootstrap nor apt-get")]
    NoDebootstrap {
        /// The base image.
        reference: String,
    },
    /// A program could not be started.
    #[error("start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("run `{command}`: {status}; its output ended with\n{tail}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines of its output.
        tail: Tail,
    },
    /// A file or directory of this host.
    #[error("{doing} {}", path.display())]
    Path {
        /// The operation.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl ImageError {
    /// What to do about it, in one sentence.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Docker { .. } => "see that the Docker engine runs and that this user may use it",
            Self::Pull { .. } => {
                "check the name and the network, or `docker load` the image from a machine that has it"
            }
            Self::Build { .. } => {
                "the build needs a Debian mirror: check the network and http_proxy, or set `image` to one that is local"
            }
            Self::File { .. } | Self::NoPostgresUser { .. } => {
                "use an image that follows docker-library's `postgres`, such as timescale/timescaledb"
            }
            Self::NotRoot { .. } | Self::NoDebootstrap { .. } => {
                "`docker load` a debian:trixie-slim from a machine that has it, or run this once as root on a Debian host"
            }
            Self::Start { .. } => "install the program, or `docker load` a debian:trixie-slim",
            Self::Command { .. } => {
                "check that the Debian mirror can be reached (http_proxy counts), or `docker load` a debian:trixie-slim"
            }
            Self::Path { .. } => "see that the directory is writable and has 1 GB free",
        }
    }

    /// An engine's answer, with what was asked.
    pub(crate) fn docker(doing: &'static str, what: &str) -> impl FnOnce(Docker) -> Self {
        let what = what.to_owned();
        move |source| Self::Docker { doing, what, source: Box::new(source) }
    }

    /// A failure on a path of this host.
    pub(crate) fn path(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Path { doing, path, source }
    }
}

/// The engine says that there is no such thing.
pub(crate) fn is_not_found(error: &Docker) -> bool {
    matches!(error, Docker::DockerResponseServerError { status_code: 404, .. })
}
