//! `backup`: what its verbs have in common, which are stores and the names of backups.
//!
//! Listing, showing and pruning work from the stores alone: no Docker, no database, and with `--store` no configuration.

mod check;
pub mod drill;
mod list;
pub mod pick;
mod prune;
mod run;

use std::sync::Arc;

use super::args::Cli;
use super::args::backup::{BackupVerb, ListArgs, StoreArgs};
use super::exit;
use super::failure::Failure;
use crate::backup::catalog::{Catalog, Wanted};
use crate::config;
use crate::model::backup::{Scope, StoreChoice};
use crate::model::desired::Desired;
use crate::store::{Store, open};

/// Runs a verb.
pub async fn run(cli: &Cli, verb: &BackupVerb) -> Result<u8, Failure> {
    match verb {
        BackupVerb::List(args) => list::list(cli, args).await,
        BackupVerb::Show(args) => list::show(cli, args).await,
        BackupVerb::Prune(args) => prune::run(cli, args).await,
        BackupVerb::Run(args) => Box::pin(run::run(cli, args)).await,
        BackupVerb::Verify(args) => check::run(cli, args).await,
        BackupVerb::Drill(args) => drill::run(cli, args).await,
    }
}

/// A store that was opened, and whose backups in it are meant.
pub struct Opened {
    /// How it was named.
    pub choice: StoreChoice,
    /// It.
    pub store: Arc<dyn Store>,
    /// Only this scope; `None`: all.
    pub scope: Option<Scope>,
}

/// The configuration, without a look at Docker.
pub fn configured(cli: &Cli) -> Result<Desired, Failure> {
    Ok(config::load(cli.config.as_deref())?.desired)
}

/// Opens the store that was typed, or each store of the configuration once.
pub async fn open_all(desired: &Desired, args: &StoreArgs) -> Result<Vec<Opened>, Failure> {
    let (choices, scope) = if let Some(choice) = args.choice() {
        (vec![choice], args.scope.clone())
    } else {
        let mut choices: Vec<StoreChoice> = Vec::new();
        for job in &desired.backups {
            if !choices.contains(&job.store) {
                choices.push(job.store.clone());
            }
        }
        let own = || desired.cluster.as_str().parse().expect("a cluster's name is a scope");
        (choices, Some(args.scope.clone().unwrap_or_else(own)))
    };
    if choices.is_empty() {
        return Err(Failure::new(exit::USAGE, "there is no store to look into").with_help(
            "name one with `--store file:///directory` or `--store s3://bucket/prefix`, or configure `backups`",
        ));
    }
    let mut opened = Vec::new();
    for choice in choices {
        let store = open::open(&choice).await?;
        opened.push(Opened { choice, store, scope: scope.clone() });
    }
    Ok(opened)
}

/// What a name may mean.
pub fn wanted(args: &ListArgs, scope: Option<&Scope>) -> Wanted {
    Wanted { kind: args.kind.map(Into::into), job: args.job.clone(), scope: scope.cloned() }
}

/// Reads the catalogue of each store; those that do not answer with their reasons. Fails when none answers.
pub async fn load_all(opened: &[Opened]) -> Result<Vec<(&Opened, Result<Catalog, Failure>)>, Failure> {
    let mut all = Vec::new();
    for one in opened {
        let read = crate::backup::catalog::load(one.store.as_ref(), one.scope.as_ref()).await;
        all.push((one, read.map_err(Failure::from)));
    }
    if all.iter().all(|(_, read)| read.is_err())
        && let Some((_, Err(failure))) = all.pop()
    {
        return Err(failure);
    }
    Ok(all)
}
