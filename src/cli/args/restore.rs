//! What can be typed after `restore`.

use std::path::PathBuf;

use clap::Args;

use super::backup::ListArgs;

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Its name, the beginning of it, or `latest`: the newest one, with --to-time the newest from which that time can be reached
    #[arg(default_value = "latest")]
    pub backup: String,
    /// Where to: `database:NAME` of the primary, `new:NAME` for a server beside the cluster, `cluster:NAME` for a new cluster
    #[arg(long, value_name = "WHERE")]
    pub into: String,
    /// Where to look
    #[command(flatten)]
    pub list: ListArgs,
    /// Follow the log of a base backup to this time (`2026-11-21T02:15:00Z`), or `latest`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["to_lsn", "to_name"])]
    pub to_time: Option<String>,
    /// Follow the log to this position
    #[arg(long, value_name = "LSN", conflicts_with = "to_name")]
    pub to_lsn: Option<String>,
    /// Follow the log to this restore point
    #[arg(long, value_name = "NAME")]
    pub to_name: Option<String>,
    /// The port of the new server [default: that of the configuration's primary plus 100]
    #[arg(long)]
    pub port: Option<u16>,
    /// A file with the age identity to decrypt with [default: that of the job that made it]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Turn the jobs on that were scheduled, retention last, once everything was compared and is equal
    #[arg(long)]
    pub enable_jobs: bool,
    /// Replace what has that name; it has to be typed again
    #[arg(long, value_name = "NAME")]
    pub replace: Option<String>,
    /// Print what would be done and change nothing
    #[arg(long)]
    pub plan: bool,
}
