//! What can be typed: verbs and their arguments.

pub mod backup;
pub mod failover;
pub mod jobs;
pub mod load;
pub mod restore;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::plan::agent_needs::LOG_FORMAT;

/// Operates TimescaleDB on plain Docker.
#[derive(Debug, Parser)]
#[command(name = "hypertide", version, about, max_term_width = 110)]
pub struct Cli {
    /// The configuration file [default: ./hypertide.yaml when it exists, else built-in defaults]
    #[arg(long, global = true, value_name = "FILE", env = "HYPERTIDE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where passwords are kept [default: .hypertide next to the configuration file]
    #[arg(long, global = true, value_name = "DIR", env = "HYPERTIDE_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How lines of the log on stderr look
    #[arg(long, global = true, value_enum, default_value_t, env = LOG_FORMAT)]
    pub log_format: LogLines,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLines {
    /// For people
    #[default]
    Text,
    /// One JSON document a line
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Provision the cluster, or converge it to the configuration
    Up(UpArgs),
    /// Show nodes, roles, lag, completeness and what is held
    Status(StatusArgs),
    /// Stop the cluster; its nodes and their data stay
    Down,
    /// Restart all nodes, or one node or endpoint
    Restart {
        /// A node's name, `primary`, `replica`, `endpoint-rw` or `endpoint-ro`
        node: Option<String>,
    },
    /// Show what the nodes print
    Logs(LogsArgs),
    /// Open psql as superuser, or run it with arguments
    Psql {
        /// A node's name, `primary` or `replica` [default: primary]
        node: Option<String>,
        /// Passed on to psql
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Remove the cluster with all its data
    Destroy {
        /// Really
        #[arg(long)]
        yes: bool,
    },
    /// Find out what is wrong with this host or cluster
    Doctor,
    /// Schema packs and migrations
    Schema {
        /// What to do
        #[command(subcommand)]
        verb: SchemaVerb,
    },
    /// Grow or shrink the cluster
    Replica {
        /// What to do
        #[command(subcommand)]
        verb: ReplicaVerb,
    },
    /// Make a standby the primary: clients wait for a moment, nothing is lost
    Switchover(SwitchoverArgs),
    /// Make a standby the primary although the old one does not answer: that one is fenced first
    Promote(PromoteArgs),
    /// Have the agent leave a stopped primary alone, for maintenance
    Failover {
        /// What to do
        #[command(subcommand)]
        verb: failover::FailoverVerb,
    },
    /// Look after replication
    Replication {
        /// What to do
        #[command(subcommand)]
        verb: ReplicationVerb,
    },
    /// Backups: make, list, check, prove and remove them
    Backup {
        /// What to do
        #[command(subcommand)]
        verb: Box<backup::BackupVerb>,
    },
    /// Data jobs: what the agent runs on the primary at times
    Jobs {
        /// What to do
        #[command(subcommand)]
        verb: jobs::JobsVerb,
    },
    /// Load a CSV file into a table: good rows go in, bad ones into a file with the reason
    Load(Box<load::LoadArgs>),
    /// Drop chunks of hypertables that are old enough
    Retention {
        /// What to do
        #[command(subcommand)]
        verb: jobs::RetentionVerb,
    },
    /// Bring a backup back: into a database, a server of its own, or a new cluster
    Restore(Box<restore::RestoreArgs>),
    /// Print the metrics once, in Prometheus' text format
    Metrics,
    /// Run the agent in the foreground
    Agent(AgentArgs),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page (troff)
    Man,
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Print what would be done and change nothing
    #[arg(long)]
    pub plan: bool,
    /// Do not start the agent's container
    #[arg(long)]
    pub no_agent: bool,
    /// Have Prometheus and Grafana beside the cluster, on this host only, with hypertide's dashboards and alerts in them; later runs keep
    /// them
    #[arg(long)]
    pub monitoring: bool,
    /// Seconds to wait for first copies to finish
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub wait: u64,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Show it again every two seconds
    #[arg(long)]
    pub watch: bool,
    /// Exit with 4 unless healthy
    #[arg(long)]
    pub check: bool,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// A node's name, `primary`, `replica`, `endpoint-rw`, `endpoint-ro`, `agent`, `prometheus` or `grafana` [default: all but the
    /// last two]
    pub node: Option<String>,
    /// Go on as more comes
    #[arg(short, long)]
    pub follow: bool,
    /// Lines from the end
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    pub tail: u32,
}

/// Verbs under `schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaVerb {
    /// Apply migrations that are not applied yet, on both sides in the safe order
    Apply {
        /// Print what would be done and change nothing
        #[arg(long)]
        plan: bool,
    },
    /// Show where each migration stands
    Status,
    /// Write the schema down as text that restores to an equal schema, hypertables included
    Dump(DumpArgs),
    /// Begin the next migration of a pack in a directory, with a head that tells the rules
    New {
        /// What it does: a-z, 0-9, `-` and `_`
        name: String,
        /// The pack's directory
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Describe the live schema in Markdown: tables, hypertables, indexes, views, functions, grants
    Docs(DocsArgs),
}

/// Arguments of `schema docs`.
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// Any database instead of the cluster's: `postgres://user@host:port/database`. A password is better left to ~/.pgpass
    #[arg(long, value_name = "URL", env = "HYPERTIDE_BACKUP_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Write it to this file [default: to standard output]
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub out: Option<PathBuf>,
    /// Compare it with this file, and exit with 1 and a diff when it differs
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

/// Arguments of `schema dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Any database instead of the cluster's: `postgres://user@host:port/database`. A password is better left to ~/.pgpass
    #[arg(long, value_name = "URL", env = "HYPERTIDE_BACKUP_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Write it to `schema.sql` in this directory [default: to standard output]
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub out: Option<PathBuf>,
    /// Compare it with `schema.sql` in this directory, and exit with 1 and a diff when it differs
    #[arg(long, value_name = "DIR")]
    pub check: Option<PathBuf>,
}

/// Verbs under `replica`.
#[derive(Debug, Subcommand)]
pub enum ReplicaVerb {
    /// Add a replica; the labels of its volume remember it
    Add(ReplicaAddArgs),
    /// Remove a replica with its volume and its slot on the primary
    Remove {
        /// The replica's name
        node: String,
        /// Print what would be done and change nothing
        #[arg(long)]
        plan: bool,
    },
}

/// Arguments of `switchover`.
#[derive(Debug, Args)]
pub struct SwitchoverArgs {
    /// The standby that becomes the primary [default: the best]
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,
    /// Print what would be done and change nothing
    #[arg(long)]
    pub plan: bool,
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The standby that becomes the primary
    pub node: String,
    /// Acknowledged writes that may be lost, in bytes of log, or `all` [default: failover.max_loss_bytes of the configuration]
    #[arg(long, value_name = "BYTES")]
    pub accept_data_loss: Option<String>,
    /// Print what would be done and change nothing
    #[arg(long)]
    pub plan: bool,
}

/// Arguments of `replica add`.
#[derive(Debug, Args)]
pub struct ReplicaAddArgs {
    /// The new replica's name
    pub node: String,
    /// logical or physical [default: replication.mode of the configuration]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Its port on the host [default: the next one free]
    #[arg(long)]
    pub port: Option<u16>,
    /// Print what would be done and change nothing
    #[arg(long)]
    pub plan: bool,
}

/// Verbs under `replication`.
#[derive(Debug, Subcommand)]
pub enum ReplicationVerb {
    /// Show how every replica follows
    Status,
    /// Compare logical replicas with the primary, row by row
    Verify(VerifyArgs),
    /// Drop a replica's slot and copy everything afresh
    Resync {
        /// The replica's name [default: the only one]
        node: Option<String>,
        /// Print what would be done and change nothing
        #[arg(long)]
        plan: bool,
    },
}

/// Arguments of `replication verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The replica's name [default: all logical replicas]
    pub node: Option<String>,
    /// Compare tables that did not change since they were equal as well
    #[arg(long)]
    pub full: bool,
    /// Copy tables that differ afresh, and say what differed
    #[arg(long)]
    pub repair: bool,
}

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// This process runs on the cluster's network
    #[arg(long, hide = true)]
    pub contained: bool,
}
