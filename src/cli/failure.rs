//! How a verb ends when it does not succeed: exit code, message, causes and what to do.

use std::error::Error;

use serde::Serialize;

use super::exit;
use crate::backup::catalog::FindError;
use crate::backup::drill::DrillError;
use crate::backup::error::{BackupError, Weight};
use crate::backup::external::UrlError;
use crate::backup::pipeline::PipelineError;
use crate::backup::restore::error::RestoreError;
use crate::backup::tools::ToolError;
use crate::backup::verify::CheckError;
use crate::config::ConfigError;
use crate::docker::engine::DockerError;
use crate::docker::image::ImageError;
use crate::error::causes;
use crate::execute::agent::parts::PartsError;
use crate::execute::{Cause, ExecuteError};
use crate::jobs::JobError;
use crate::load::LoadError;
use crate::model::names::NameError;
use crate::observe::ObserveError;
use crate::plan::backup_source::NoSource;
use crate::plan::hold::Hold;
use crate::plan::restore::Refusal;
use crate::postgres::session::PostgresError;
use crate::postgres::setup::MigrationError;
use crate::schema::fresh::FreshError;
use crate::schema::packs::PackError;
use crate::site::ReachError;
use crate::store::{Fault, StoreError};
use crate::tasks::agent::AgentError;
use crate::tasks::converge::ConvergeError;
use crate::tasks::promotion::PromotionError;
use crate::tasks::switchover::SwitchoverError;
use crate::verify::VerifyError;

/// Why the program ends without success.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// One of [`super::exit`].
    #[serde(rename = "exit_code")]
    pub exit: u8,
    /// What was tried and went wrong, in a line.
    pub message: String,
    /// What led to it.
    pub causes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Reasons of a refusal, each with its own help.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// Reasons against a restore, each with its own help.
    #[serde(skip_serializing_if = "<[Refusal]>::is_empty")]
    pub refusals: Box<[Refusal]>,
}

impl Failure {
    /// A failure with nothing more to say.
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            help: None,
            holds: Vec::new(),
            refusals: Box::default(),
        }
    }

    /// The same with something to do about it.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn of(exit: u8, error: &dyn Error, help: Option<String>) -> Self {
        Self { causes: causes(error), help, ..Self::new(exit, error.to_string()) }
    }
}

impl From<DockerError> for Failure {
    fn from(error: DockerError) -> Self {
        // No engine, or none for this user, is a matter of how the host is set up.
        let exit = match error {
            DockerError::Unreachable { .. } | DockerError::Forbidden { .. } => exit::USAGE,
            _ => exit::FAILED,
        };
        Self::of(exit, &error, error.help())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(exit::USAGE, &error, error.help())
    }
}

impl From<PartsError> for Failure {
    fn from(error: PartsError) -> Self {
        Self::of(exit::USAGE, &error, Some(error.help()))
    }
}

impl From<FreshError> for Failure {
    fn from(error: FreshError) -> Self {
        let exit = if matches!(error, FreshError::Write { .. }) { exit::FAILED } else { exit::USAGE };
        Self::of(exit, &error, Some(error.help().to_owned()))
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        Self::of(exit::USAGE, &error, error.help())
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::of(exit::USAGE, &error, Some("choose another name".into()))
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        Self::of(exit::FAILED, &error, error.help())
    }
}

impl From<PromotionError> for Failure {
    fn from(error: PromotionError) -> Self {
        let exit = match &error {
            PromotionError::Refused(_) => exit::REFUSED,
            PromotionError::Switchover(error) if error.is_worth_a_retry() => exit::TRY_AGAIN,
            PromotionError::NotFed { .. } => exit::TRY_AGAIN,
            _ => exit::FAILED,
        };
        Self::of(exit, &error, error.help())
    }
}

impl From<SwitchoverError> for Failure {
    fn from(error: SwitchoverError) -> Self {
        let exit = if error.is_worth_a_retry() { exit::TRY_AGAIN } else { exit::FAILED };
        Self::of(exit, &error, error.help())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Server(error) => error.into(),
            LoadError::Csv(_) => {
                let help = "mend that line; nothing was loaded".to_owned();
                Self::of(exit::USAGE, &error, Some(help))
            }
            LoadError::TooMany { .. } => {
                let help = "the rejects file says why each was; mend them, or accept more".to_owned();
                Self::of(exit::FAILED, &error, Some(help))
            }
            LoadError::Read(_) | LoadError::Rejects { .. } => Self::of(exit::FAILED, &error, None),
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Reach(error) => error.into(),
            JobError::Failed(error) => error.into(),
            JobError::TooLong { .. } => {
                Self::of(exit::FAILED, &error, Some("give it more time under `timeout`".into()))
            }
            JobError::Stopped(_) => Self::of(exit::FAILED, &error, None),
        }
    }
}

impl From<ReachError> for Failure {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Docker(error) => error.into(),
            ReachError::Postgres(error) => error.into(),
            ReachError::Secrets(error) => Self::of(exit::FAILED, &error, error.help()),
            ReachError::Pooler(error) => Self::of(exit::FAILED, &error, Some(error.help())),
            ReachError::NoEndpoint(_) => Self::of(exit::USAGE, &error, Some("give `endpoint` two ports".into())),
            ReachError::NoSecrets => Self::of(exit::FAILED, &error, Some("run `hypertide up` first".into())),
        }
    }
}

impl From<ObserveError> for Failure {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::Docker(error) => error.into(),
            ObserveError::Image(error) => Self::of(exit::FAILED, &error, Some(error.help().to_owned())),
            ObserveError::Reach(error) => error.into(),
        }
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        let exit = match &error.cause {
            _ if error.is_worth_a_retry() => exit::TRY_AGAIN,
            // The configuration names an image that nobody has.
            Cause::Image(ImageError::Pull { .. }) | Cause::MonitorImage { source: ImageError::Pull { .. }, .. } => {
                exit::USAGE
            }
            Cause::UnfitImage { .. } | Cause::Migration(MigrationError::NoReplicaIdentity { .. }) => exit::REFUSED,
            _ => exit::FAILED,
        };
        Self::of(exit, &error, error.help())
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Reach(error) => error.into(),
            error if error.is_worth_a_retry() => Self::of(exit::TRY_AGAIN, &error, error.help()),
            error => Self::of(exit::FAILED, &error, error.help()),
        }
    }
}

impl From<ConvergeError> for Failure {
    fn from(error: ConvergeError) -> Self {
        match error {
            ConvergeError::Observe(error) => error.into(),
            ConvergeError::Execute(error) => error.into(),
            ConvergeError::Refused(holds) => Self::refused(holds),
            ConvergeError::Stuck(_) => Self::of(
                exit::FAILED,
                &error,
                Some("this is a fault of hypertide; `hypertide status` may say more".into()),
            ),
            ConvergeError::Busy => {
                Self::of(exit::TRY_AGAIN, &error, Some("wait for it to finish, then try again".into()))
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = if error.fault == Fault::Unavailable { exit::TRY_AGAIN } else { exit::FAILED };
        Self::of(exit, &error, Some(error.help()))
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Store(error) => error.into(),
            error => {
                let exit = if error.is_about_keys() { exit::USAGE } else { exit::FAILED };
                Self::of(exit, &error, error.help())
            }
        }
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        Self::of(exit::FAILED, &error, error.help())
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Store(error) => error.into(),
            RestoreError::Pipeline(error) => error.into(),
            RestoreError::Docker(error) => error.into(),
            error => {
                let exit = if error.is_worth_a_retry() { exit::TRY_AGAIN } else { exit::FAILED };
                Self::of(exit, &error, error.help())
            }
        }
    }
}

impl From<DrillError> for Failure {
    fn from(error: DrillError) -> Self {
        match error {
            DrillError::Restore(error) => error.into(),
            DrillError::Store(error) => error.into(),
            error @ DrillError::Refused(_) => Self::of(exit::REFUSED, &error, error.help()),
        }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Store(error) => error.into(),
            error @ CheckError::Name(_) => Self::of(exit::FAILED, &error, None),
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        Self::of(exit::USAGE, &error, Some(error.help()))
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let exit = match error.weight() {
            _ if matches!(&error, BackupError::Pipeline(error) if error.is_about_keys()) => exit::USAGE,
            Weight::Retry => exit::TRY_AGAIN,
            Weight::Refused => exit::REFUSED,
            Weight::Failed => exit::FAILED,
        };
        Self::of(exit, &error, error.help())
    }
}

impl From<NoSource> for Failure {
    fn from(error: NoSource) -> Self {
        let exit = match error {
            NoSource::Unknown(_) => exit::USAGE,
            NoSource::Unfit(..) => exit::REFUSED,
            NoSource::NoPrimary => exit::TRY_AGAIN,
        };
        Self::of(exit, &error, Some(error.help()))
    }
}

impl From<UrlError> for Failure {
    fn from(error: UrlError) -> Self {
        Self::of(exit::USAGE, &error, Some(error.help()))
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        Self::of(exit::FAILED, &error, error.help())
    }
}

impl Failure {
    /// Refused as unsafe, with every reason.
    pub fn refused(holds: Vec<Hold>) -> Self {
        let message = match holds.as_slice() {
            [only] => format!("refused: {only}"),
            many => format!("refused for {} reasons", many.len()),
        };
        let help = match holds.as_slice() {
            [only] => only.reason.help(),
            _ => None,
        };
        let causes = if holds.len() > 1 { holds.iter().map(ToString::to_string).collect() } else { Vec::new() };
        Self { causes, help, holds, ..Self::new(exit::REFUSED, message) }
    }
}
