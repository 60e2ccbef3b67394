//! What can be typed after `backup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::formats;
use crate::model::backup::{Keep, Kind, S3Options, Scope, StoreChoice, StoreUrl};

/// More would be a slip of the finger.
const LONGEST_GRACE: Duration = Duration::from_hours(365 * 24);

/// Verbs under `backup`.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Make a backup now: of a job, or as the options say
    Run(RunArgs),
    /// List the backups in the stores; needs no database and no Docker
    List(ListArgs),
    /// Show all that is known of one backup
    Show(ShowArgs),
    /// Read a backup again and compare it with its checksums
    Verify(CheckArgs),
    /// Restore a backup into a throw-away server and compare
    Drill(CheckArgs),
    /// Remove what `keep` does not keep, and what interrupted runs left
    Prune(PruneArgs),
}

/// What a backup holds, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// The whole database
    Full,
    /// Everything but rows
    Schema,
    /// Rows of named tables
    Tables,
    /// Roles and settings of the server
    Globals,
    /// The data directory
    Base,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Full => Self::Full,
            KindArg::Schema => Self::Schema,
            KindArg::Tables => Self::Tables,
            KindArg::Globals => Self::Globals,
            KindArg::Base => Self::Base,
        }
    }
}

/// A store that is not the configuration's.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// Where: `file:///directory` or `s3://bucket/prefix` [default: the stores of the configuration]
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreUrl>,
    /// Whose backups: a cluster's name, or the one given to a database without one [default: all; the configured cluster's
    /// without --store]
    #[arg(long, value_name = "NAME")]
    pub scope: Option<Scope>,
    /// Another S3 service than Amazon's: `http://host:port`
    #[arg(long, value_name = "URL", requires = "store")]
    pub s3_endpoint: Option<String>,
    /// Its region [default: what the AWS SDK finds]
    #[arg(long, value_name = "REGION", requires = "store")]
    pub s3_region: Option<String>,
    /// The bucket in the path instead of the host name
    #[arg(long, requires = "store")]
    pub s3_path_style: bool,
    /// Encryption at rest by the service: AES256 or aws:kms
    #[arg(long, value_name = "HOW", requires = "store", value_parser = ["AES256", "aws:kms"])]
    pub s3_encryption: Option<String>,
    /// The key of aws:kms
    #[arg(long, value_name = "KEY", requires = "s3_encryption")]
    pub s3_kms_key: Option<String>,
}

impl StoreArgs {
    /// The store that was typed.
    pub fn choice(&self) -> Option<StoreChoice> {
        let s3 = S3Options {
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            path_style: self.s3_path_style,
            encryption: self.s3_encryption.clone(),
            kms_key: self.s3_kms_key.clone(),
        };
        self.store.clone().map(|url| StoreChoice { url, s3 })
    }
}

/// Arguments of `backup run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A job of the configuration
    pub job: Option<String>,
    /// What to back up [default: full]
    #[arg(long, value_enum, conflicts_with = "job")]
    pub kind: Option<KindArg>,
    /// Where it goes
    #[command(flatten)]
    pub store: StoreArgs,
    /// Any database instead of the cluster's: `postgres://user@host:port/database`. A password is better left to ~/.pgpass
    #[arg(long, value_name = "URL", env = "HYPERTIDE_BACKUP_URL", hide_env_values = true, conflicts_with = "job")]
    pub url: Option<String>,
    /// Tables of --kind tables: `schema.table,…`
    #[arg(long, value_name = "TABLES", value_delimiter = ',', conflicts_with = "job")]
    pub tables: Vec<String>,
    /// From which node: auto, primary or a name
    #[arg(long, value_name = "NODE", conflicts_with_all = ["job", "url"])]
    pub from: Option<String>,
    /// Connections that copy rows at the same time
    #[arg(long, value_name = "COUNT", conflicts_with = "job")]
    pub parallel: Option<u32>,
    /// Only what changed since the last base backup
    #[arg(long, conflicts_with = "job")]
    pub incremental: bool,
    /// zstd's level, 1 to 19
    #[arg(long, value_name = "LEVEL", conflicts_with = "job")]
    pub compression: Option<i32>,
    /// zstd's long-distance matching
    #[arg(long, conflicts_with = "job")]
    pub long: bool,
    /// Encrypt for an age recipient (`age1…`); may be given several times
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "job")]
    pub encrypt: Vec<String>,
    /// Take no fingerprints: nothing can be compared after a restore. For measuring
    #[arg(long, hide = true)]
    pub no_fingerprints: bool,
}

/// Arguments of `backup list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where to look
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only of this kind
    #[arg(long, value_enum)]
    pub kind: Option<KindArg>,
    /// Only of this job
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
}

/// Arguments of `backup show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its name, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub backup: String,
    /// Where to look
    #[command(flatten)]
    pub list: ListArgs,
}

/// Arguments of `backup verify` and `backup drill`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Its name, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub backup: String,
    /// Where to look
    #[command(flatten)]
    pub list: ListArgs,
    /// A file with the age identity to decrypt with [default: that of the job that made it]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// The image of the throw-away server [default: the one the backup was taken from]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Every backup there is
    #[arg(long, conflicts_with = "backup")]
    pub all: bool,
}

/// Arguments of `backup prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Where to remove
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print what would go and stay, each with the reason, and remove nothing
    #[arg(long)]
    pub plan: bool,
    /// Keep the last so many of each job and kind; with any --keep-…, the configuration's `keep` does not count
    #[arg(long, value_name = "COUNT")]
    pub keep_last: Option<u32>,
    /// Keep the newest of each of the last so many hours
    #[arg(long, value_name = "COUNT")]
    pub keep_hourly: Option<u32>,
    /// The same for days
    #[arg(long, value_name = "COUNT")]
    pub keep_daily: Option<u32>,
    /// The same for weeks
    #[arg(long, value_name = "COUNT")]
    pub keep_weekly: Option<u32>,
    /// The same for months
    #[arg(long, value_name = "COUNT")]
    pub keep_monthly: Option<u32>,
    /// The same for years
    #[arg(long, value_name = "COUNT")]
    pub keep_yearly: Option<u32>,
    /// Keep everything younger, in days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub keep_days: Option<u32>,
    /// Leave alone for so long what has no manifest, `30m` for instance: it may belong to a backup that is being made. Less only
    /// when none is [default: a day, or as long as a job may take]
    #[arg(long, value_name = "TIME", value_parser = grace)]
    pub grace: Option<Duration>,
}

fn grace(text: &str) -> Result<Duration, String> {
    formats::span(text, &(Duration::ZERO..=LONGEST_GRACE))
}

impl PruneArgs {
    /// What was typed to be kept; `None` when nothing was.
    pub fn keep(&self) -> Option<Keep> {
        let counts =
            [self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly];
        if counts.iter().chain([&self.keep_days]).all(Option::is_none) {
            return None;
        }
        let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Option::unwrap_or_default);
        let min_age = Duration::from_hours(u64::from(self.keep_days.unwrap_or_default()) * 24);
        Some(Keep { last, hourly, daily, weekly, monthly, yearly, min_age })
    }
}
