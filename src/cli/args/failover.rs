//! What can be typed after `failover`.

use std::time::Duration;

use clap::Subcommand;

use crate::config::formats;

/// Verbs under `failover`.
#[derive(Debug, Subcommand)]
pub enum FailoverVerb {
    /// Pause it: the agent does not start a primary that was stopped
    Pause {
        /// How long, `2h` for instance, a minute to 30 days [default: until `failover resume`]
        #[arg(long = "for", value_name = "TIME", value_parser = formats::pause)]
        lasting: Option<Duration>,
    },
    /// Let it go on
    Resume,
}
