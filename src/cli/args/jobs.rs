//! What can be typed after `jobs` and `retention`.

use clap::{Args, Subcommand};

/// Verbs under `jobs`.
#[derive(Debug, Subcommand)]
pub enum JobsVerb {
    /// Show every data job, how its last run ended and when it runs next
    List,
    /// Run a job now, on the primary
    Run {
        /// The job's name
        name: String,
    },
    /// Show the last runs, newest first
    History(HistoryArgs),
}

/// Verbs under `retention`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum RetentionVerb {
    /// Show which chunks would go, which stay and why; drops nothing
    Plan,
    /// Drop them now
    Run,
}

/// Arguments of `jobs history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only this job's
    pub name: Option<String>,
    /// How many
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}
