//! The command line: one file per verb, and the contract on output and exit codes.
//!
//! The only layer that prints. With `--json` exactly one JSON document goes to stdout; logs and progress go to stderr.

mod agent;
mod args;
mod backup;
mod completions;
mod context;
mod destroy;
mod doctor;
mod down;
mod failover;
mod failure;
mod jobs;
mod load;
mod logs;
mod metrics;
mod progress;
mod promote;
mod psql;
mod render;
mod replica;
mod replication;
mod restart;
mod restore;
mod retention;
mod schema;
mod schema_docs;
mod schema_dump;
mod schema_new;
mod signals;
mod status;
mod switchover;
mod up;
mod verify;

use std::process::ExitCode;

use clap::Parser;

pub use args::Cli;
use args::{ReplicaVerb, ReplicationVerb, SchemaVerb, Verb};
use failure::Failure;

/// Exit codes, a contract: scripts depend on them.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// Failed.
    pub const FAILED: u8 = 1;
    /// Usage or configuration, that of the host included: no Docker engine, an image that does not exist.
    pub const USAGE: u8 = 2;
    /// Refused as unsafe.
    pub const REFUSED: u8 = 3;
    /// `status --check`: not healthy.
    pub const DEGRADED: u8 = 4;
    /// Try again.
    pub const TRY_AGAIN: u8 = 75;
}

/// Runs the program and tells the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    crate::cli::progress::start_logging(&cli);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run(&cli));
            // A read of stdin that nobody ends must not keep the program from ending.
            runtime.shutdown_background();
            code
        }
        Err(error) => Err(Failure::new(exit::FAILED, format!("cannot start: {error}"))),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            render::failure(&failure, cli.json);
            ExitCode::from(failure.exit)
        }
    }
}

async fn run(cli: &Cli) -> Result<u8, Failure> {
    match &cli.verb {
        Verb::Up(args) => up::run(cli, args).await,
        Verb::Status(args) => status::run(cli, args).await,
        Verb::Down => down::run(cli).await,
        Verb::Restart { node } => restart::run(cli, node.as_deref()).await,
        Verb::Logs(args) => logs::run(cli, args).await,
        Verb::Psql { node, args } => psql::run(cli, node.as_deref(), args).await,
        Verb::Destroy { yes } => destroy::run(cli, *yes).await,
        Verb::Doctor => doctor::run(cli).await,
        Verb::Schema { verb: SchemaVerb::Apply { plan } } => schema::apply(cli, *plan).await,
        Verb::Schema { verb: SchemaVerb::Status } => schema::status(cli).await,
        Verb::Schema { verb: SchemaVerb::Dump(args) } => Box::pin(schema_dump::run(cli, args)).await,
        Verb::Schema { verb: SchemaVerb::New { name, dir } } => schema_new::run(cli, name, dir),
        Verb::Schema { verb: SchemaVerb::Docs(args) } => Box::pin(schema_docs::run(cli, args)).await,
        Verb::Replica { verb: ReplicaVerb::Add(args) } => replica::add(cli, args).await,
        Verb::Replica { verb: ReplicaVerb::Remove { node, plan } } => replica::remove(cli, node, *plan).await,
        Verb::Switchover(args) => Box::pin(switchover::run(cli, args)).await,
        Verb::Promote(args) => Box::pin(promote::run(cli, args)).await,
        Verb::Failover { verb } => Box::pin(failover::run(cli, verb)).await,
        Verb::Replication { verb: ReplicationVerb::Status } => replication::status(cli).await,
        Verb::Replication { verb: ReplicationVerb::Verify(args) } => verify::run(cli, args).await,
        Verb::Replication { verb: ReplicationVerb::Resync { node, plan } } => {
            replication::resync(cli, node.as_deref(), *plan).await
        }
        Verb::Backup { verb } => backup::run(cli, verb).await,
        Verb::Jobs { verb } => Box::pin(jobs::run(cli, verb)).await,
        Verb::Load(args) => Box::pin(load::run(cli, args)).await,
        Verb::Retention { verb } => Box::pin(retention::run(cli, verb)).await,
        Verb::Restore(args) => restore::run(cli, args).await,
        Verb::Metrics => metrics::run(cli).await,
        Verb::Agent(args) => agent::run(cli, args).await,
        Verb::Completions { shell } => Ok(completions::run(*shell)),
        Verb::Man => completions::man(),
    }
}
