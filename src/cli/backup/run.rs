//! `backup run`: one backup now, of a job or as the options say.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr as _;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::backup::error::BackupError;
use crate::backup::external::External;
use crate::backup::manifest::Manifest;
use crate::backup::pipeline::Keys;
use crate::backup::run::{self, Base, Order, Origin, Progress};
use crate::cli::args::Cli;
use crate::cli::args::backup::{RunArgs, StoreArgs};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::signals::interrupted;
use crate::cli::{exit, render};
use crate::docker::engine::Engine;
use crate::error::in_one_line;
use crate::model::backup::{BackupJob, Kind, Scope, Sealing, Source, StoreChoice, Work};
use crate::model::names::{NodeName, TableName};
use crate::model::observed::Observed;
use crate::plan::backup_source::{self, Chosen};
use crate::plan::topology;
use crate::postgres::attempt::Attempt;
use crate::postgres::ledger::{self, RunEnd};
use crate::site::{Reach, Site};
use crate::store::open;
use crate::tasks::converge::primary_target;

/// What is to be made, whoever said it.
struct Wanted {
    job: Option<String>,
    kind: Kind,
    store: StoreChoice,
    scope: Option<Scope>,
    tables: Vec<TableName>,
    source: Source,
    sealing: Sealing,
    parallel: u32,
    incrementals: u32,
    identity: Option<PathBuf>,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &RunArgs) -> Result<u8, Failure> {
    let stop = CancellationToken::new();
    let mut attempt = None;
    // What the tools are made ready with, when they are wanted.
    let (engine, context);
    let (wanted, origin, own_scope, base) = if let Some(url) = &args.url {
        let wanted = typed(args)?;
        let external = External::parse(url, |name| std::env::var(name).ok())?;
        engine = Engine::connect().await.ok();
        let origin = Origin::external(engine.as_ref(), &external).await?;
        let own_scope = Scope::from_str(external.database.as_str()).ok();
        (wanted, origin, own_scope, None)
    } else {
        context = Context::open(cli, Reach::Published).await?;
        let wanted = match &args.job {
            Some(name) => configured(&context.site.desired.backups, name)?,
            None => typed(args)?,
        };
        let observed = context.observe().await?;
        let chosen = backup_source::choose(&wanted.source, wanted.kind, &context.site.desired, &observed)?;
        tracing::info!(node = %chosen.node, "taking the backup from there: {}", chosen.why);
        let primary = primary_target(&context.site, &observed);
        let origin = Origin::node(&context.site, &chosen.node, chosen.port, chosen.role, primary.as_ref()).await?;
        if let Some(job) = &args.job {
            attempt = begin(&context, &observed, job).await?;
        }
        let own_scope = Scope::from_str(context.site.desired.cluster.as_str()).ok();
        let base = match wanted.kind {
            Kind::Base => Some(base(&context.site, &observed, &chosen, &wanted)?),
            _ => None,
        };
        (wanted, origin, own_scope, base)
    };
    let scope = wanted.scope.or(own_scope).ok_or_else(|| {
        Failure::new(exit::USAGE, "the database's name cannot be part of a store's keys")
            .with_help("say under which name it is kept: `--scope NAME`, of a-z, 0-9, `-` and `_`")
    })?;
    let order = Order {
        job: wanted.job,
        scope,
        kind: wanted.kind,
        origin,
        store: open::open(&wanted.store).await?,
        sealing: wanted.sealing,
        parallel: wanted.parallel,
        tables: wanted.tables,
        has_fingerprints: !args.no_fingerprints,
        base,
        stop: stop.clone(),
    };
    let shown = Shown::new(cli.json);
    let tell = |progress| shown.tell(&progress);
    let mut running = std::pin::pin!(run::run(order, &tell));
    let made = tokio::select! {
        made = &mut running => made,
        () = interrupted() => {
            stop.cancel();
            running.await
        }
    };
    shown.finish();
    if let Some(attempt) = attempt {
        attempt.end(&end(&made)).await?;
    }
    let manifest = made?;
    if cli.json {
        render::json(&manifest);
    } else {
        render::line(text(&manifest));
    }
    Ok(exit::DONE)
}

/// What a base backup needs besides: both servers, since only the primary can mark a moment in the log.
fn base(site: &Site, observed: &Observed, chosen: &Chosen, wanted: &Wanted) -> Result<Base, Failure> {
    let nodes = topology::nodes(&site.desired, observed);
    let primary = topology::primary(&nodes, observed).map_err(|hold| Failure::refused(vec![hold]))?;
    let port = nodes.iter().find(|node| node.name == primary).map_or(chosen.port, |node| node.port);
    let database = &site.desired.database;
    Ok(Base {
        source: site.target(&chosen.node, chosen.port, database)?,
        primary: site.target(&primary, port, database)?,
        incrementals: wanted.incrementals,
        keys: wanted.identity.as_deref().map(Keys::read).transpose().map_err(BackupError::from)?,
    })
}

/// Puts the run of a job on record, and keeps others from running it; without a primary that answers there is no record.
async fn begin(context: &Context, observed: &Observed, job: &str) -> Result<Option<Attempt>, Failure> {
    let Some(target) = primary_target(&context.site, observed) else { return Ok(None) };
    match Attempt::begin(ledger::BACKUPS, &target, job, None, 0).await? {
        Some(attempt) => Ok(Some(attempt)),
        None => Err(Failure::new(exit::TRY_AGAIN, format!("somebody else makes a backup of `{job}` now"))
            .with_help("`hypertide status` says when it is done")),
    }
}

fn end(made: &Result<Manifest, BackupError>) -> RunEnd {
    match made {
        Ok(manifest) => RunEnd {
            backup: Some(manifest.id.to_string()),
            stored_bytes: Some(manifest.stored_bytes()),
            rows: Some(manifest.totals.rows),
            ..RunEnd::default()
        },
        Err(error) => RunEnd { error: Some(in_one_line(error)), ..RunEnd::default() },
    }
}

fn typed(args: &RunArgs) -> Result<Wanted, Failure> {
    let usage = |message: String, help: &str| Failure::new(exit::USAGE, message).with_help(help);
    let store = StoreArgs::choice(&args.store).ok_or_else(|| {
        usage(
            "where is the backup to go?".into(),
            "`--store file:///directory` or `--store s3://bucket/prefix`, or a job's name",
        )
    })?;
    let tables = args.tables.iter().map(|name| {
        let (schema, table) = name.split_once('.').unwrap_or(("public", name));
        TableName::new(schema, table)
    });
    let source = match args.from.as_deref() {
        None | Some("auto") => Source::Auto,
        Some("primary") => Source::Primary,
        Some(name) => Source::Node(NodeName::new(name)?),
    };
    let default = Sealing::default();
    Ok(Wanted {
        job: None,
        kind: args.kind.map_or(Kind::Full, Into::into),
        store,
        scope: args.store.scope.clone(),
        tables: tables.collect::<Result<_, _>>()?,
        source,
        sealing: Sealing {
            level: args.compression.unwrap_or(default.level),
            is_long: args.long,
            recipients: args.encrypt.clone(),
        },
        parallel: args.parallel.unwrap_or(1),
        incrementals: if args.incremental { u32::MAX } else { 0 },
        identity: None,
    })
}

fn configured(jobs: &[BackupJob], name: &str) -> Result<Wanted, Failure> {
    let names = || jobs.iter().map(|job| job.name.clone()).collect::<Vec<_>>().join(", ");
    let job = jobs.iter().find(|job| job.name == name).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("there is no backup job `{name}`"))
            .with_help(format!("the configuration has: {}", names()))
    })?;
    let Work::Backup(kind) = job.work else {
        return Err(Failure::new(exit::USAGE, format!("`{name}` archives the log all the time"))
            .with_help("the agent does that; there is nothing to run once"));
    };
    Ok(Wanted {
        job: Some(job.name.clone()),
        kind,
        store: job.store.clone(),
        scope: None,
        tables: job.tables.clone(),
        source: job.source.clone(),
        sealing: job.sealing.clone(),
        parallel: job.parallel,
        incrementals: job.incrementals,
        identity: job.identity.clone(),
    })
}

fn text(manifest: &Manifest) -> String {
    let seconds = (manifest.finished - manifest.began).num_seconds();
    format!(
        "{}: {} rows in {} tables and {} chunks, {} bytes in the store, {seconds} s",
        manifest.id,
        manifest.totals.rows,
        manifest.totals.tables,
        manifest.totals.chunks,
        manifest.stored_bytes(),
    )
}

/// Progress: a bar on a terminal, a line of JSON each with `--json`, else nothing.
struct Shown {
    bar: Option<ProgressBar>,
    is_json: bool,
}

impl Shown {
    fn new(is_json: bool) -> Self {
        let bar = (!is_json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, is_json }
    }

    fn tell(&self, progress: &Progress) {
        if self.is_json {
            render::note(serde_json::to_string(progress).expect("keys are text"));
            return;
        }
        if let (Some(bar), Progress::Moved { raw_bytes, stored_bytes, table_bytes, .. }) = (&self.bar, progress) {
            // What tables take on disk is only about what a dump of them has.
            bar.set_length((*table_bytes).max(*raw_bytes));
            bar.set_position(*raw_bytes);
            bar.set_message(format!("{} MiB read, {} MiB stored", raw_bytes >> 20, stored_bytes >> 20));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
