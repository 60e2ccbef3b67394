//! Why a step failed, and what to do about it.

use std::path::PathBuf;

use super::named;
use crate::docker::engine::DockerError;
use crate::docker::image::ImageError;
use crate::model::monitoring::Monitor;
use crate::model::names::{NodeName, TableName};
use crate::postgres::session::PostgresError;
use crate::postgres::setup::MigrationError;
use crate::secrets::SecretsError;
use crate::secrets::certificate::PairError;
use crate::site::ReachError;

/// A step failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {step}")]
pub struct ExecuteError {
    /// The step, as a sentence.
    pub step: String,
    /// Why it failed.
    #[source]
    pub cause: Cause,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Docker.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// An image.
    #[error("could not {0}")]
    Image(#[from] ImageError),
    /// A server.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A node could not be reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// A migration.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// Passwords.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The image that was provided cannot run a cluster.
    #[error("the image {reference} holds no {what}")]
    UnfitImage {
        /// Which image.
        reference: String,
        /// What is missing in it.
        what: &'static str,
    },
    /// A container ended while it was to come up.
    #[error("{container} ended while it was starting; its last words: {output}")]
    Ended {
        /// Which container.
        container: String,
        /// The end of its log.
        output: String,
    },
    /// A server did not accept connections in time.
    #[error("{node} did not accept connections within {patience_secs} s; it may still be recovering")]
    NotReady {
        /// Which node.
        node: NodeName,
        /// How long was waited.
        patience_secs: u64,
    },
    /// A replica did not apply what the primary had in time.
    #[error("{node} had not applied everything after {patience_secs} s; the migration waits for that")]
    Behind {
        /// Which node.
        node: NodeName,
        /// How long was waited.
        patience_secs: u64,
    },
    /// Published tables did not come to be on a replica that is to be subscribed to them.
    #[error("{node} does not have {}, so it cannot subscribe", named(tables))]
    NotMirrored {
        /// Which node.
        node: NodeName,
        /// What it lacks.
        tables: Vec<TableName>,
    },
    /// Rows are being copied to a replica that is to be emptied.
    #[error("the first copy to {node} is under way")]
    IsCopying {
        /// Which node.
        node: NodeName,
    },
    /// The plan names something that does not exist: a fault of the planner.
    #[error("the plan names {0}, which does not exist")]
    Unplanned(String),
    /// A store's directory could not be made, so that the agent could not have it either.
    #[error("cannot make the store's directory {}: {source}", path.display())]
    StoreDir {
        /// Which.
        path: PathBuf,
        /// Why; part of the message.
        source: std::io::Error,
    },
    /// The image of Prometheus or Grafana is neither here nor to be had.
    #[error("{monitor} runs {reference}, which is not on this host, and no registry gave it")]
    MonitorImage {
        /// Which of them.
        monitor: Monitor,
        /// The image.
        reference: String,
        /// Why.
        source: ImageError,
    },
    /// What the agent asks of who scrapes it could not be read.
    #[error("cannot read {} for Prometheus: {source}", path.display())]
    ScrapeSecret {
        /// Which file.
        path: PathBuf,
        /// Why; part of the message.
        source: std::io::Error,
    },
    /// There is no certificate for an endpoint, or none that fits its key.
    #[error(transparent)]
    Certificate(#[from] PairError),
    /// This program could not read its own file.
    #[error("cannot read this program's own file: {0}")]
    OwnBinary(std::io::Error),
}

impl ExecuteError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match &self.cause {
            Cause::Docker(error) => error.help(),
            Cause::Image(error) => Some(error.help().to_owned()),
            Cause::Postgres(error) | Cause::Reach(ReachError::Postgres(error)) => error.help(),
            Cause::Migration(error) => error.help(),
            Cause::Secrets(error) => error.help(),
            Cause::Reach(ReachError::Pooler(error)) => Some(error.help()),
            Cause::Reach(_) | Cause::Unplanned(_) | Cause::OwnBinary(_) => Some("run `hypertide doctor`".into()),
            Cause::Certificate(error) => Some(error.help()),
            Cause::StoreDir { path, .. } => {
                Some(format!("make {} by hand, or choose another `store` in hypertide.yaml", path.display()))
            }
            Cause::MonitorImage { monitor, reference, .. } => Some(format!(
                "the cluster itself is up; `docker load` {reference} from a machine that has it, or name an image that is \
                 here under `monitoring.{}.image` in hypertide.yaml, then `hypertide up`",
                monitor.name()
            )),
            Cause::ScrapeSecret { path, .. } => {
                Some(format!("make {} readable for you, then `hypertide up`", path.display()))
            }
            Cause::UnfitImage { .. } => Some("name another `image`, or use `image: auto`".into()),
            Cause::Ended { container, .. } => Some(format!("`docker logs {container}` has the whole story")),
            Cause::NotMirrored { node, .. } => Some(format!(
                "`hypertide status` names what keeps {node} from having them; then `hypertide up` carries on"
            )),
            Cause::IsCopying { .. } => {
                Some("wait for the `hypertide up` that copies, or end it; then try again".into())
            }
            Cause::Behind { .. } => Some("`hypertide status` shows how far it is; `hypertide up` carries on".into()),
            Cause::NotReady { node, .. } => {
                Some(format!("`hypertide logs {node}` shows how far it is; `hypertide up` carries on"))
            }
        }
    }

    /// Trying again later may be all that is needed.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self.cause, Cause::NotReady { .. } | Cause::Behind { .. } | Cause::IsCopying { .. })
    }
}
