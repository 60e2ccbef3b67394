//! `restore`: a backup into a database, a server of its own, or a new cluster.

use chrono::{DateTime, Utc};

use super::args::Cli;
use super::args::restore::RestoreArgs;
use super::backup::drill::differences;
use super::backup::pick::{Picked, Which, pick};
use super::context::Context;
use super::failure::Failure;
use super::progress::shown;
use super::{exit, render};
use crate::backup::drill::chance;
use crate::backup::manifest::Manifest;
use crate::backup::restore::ground;
use crate::backup::restore::images::described;
use crate::backup::restore::origin::Origin;
use crate::backup::restore::place::Place;
use crate::backup::restore::report::{Ended, RestoreReport};
use crate::backup::restore::run::{Order, restore};
use crate::backup::tools::Toolbox;
use crate::execute::Event;
use crate::model::backup::Kind;
use crate::model::desired::DesiredNode;
use crate::model::lsn::Lsn;
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::model::observed::Observed;
use crate::plan::restore::{self as planning, Destination, Refusal, RestorePlan, Target, Wish};
use crate::postgres::session::Session;
use crate::secrets::Secrets;
use crate::site::{Reach, Site};

/// How far above the primary's port that of a restored server is, unless one is typed.
const PORT_ABOVE: u16 = 100;

/// Runs the verb. Exit code 3 when it is refused, 1 when what came back is not what was there.
pub async fn run(cli: &Cli, args: &RestoreArgs) -> Result<u8, Failure> {
    let wish = wish(args)?;
    let context = Context::open(cli, Reach::Published).await?;
    let site = &context.site;
    let fits = |manifest: &Manifest| fits(manifest, &wish);
    let picked = pick(&site.desired, &args.list, Which::One(&args.backup), fits).await?;
    let Some(one) = picked.into_iter().next() else { unreachable!("pick gives one or an error") };
    let (origin, chain) = origins(&one, site, args)?;

    let observed = context.observe().await?;
    let node = primary(&context, &observed);
    let primary = match &node {
        Some(node) => site.session(&node.name, node.port).await.ok(),
        None => None,
    };
    let port = args.port.unwrap_or_else(|| site.desired.preferred_primary().port.saturating_add(PORT_ABOVE));
    let manifests: Vec<Manifest> = chain.iter().map(|origin| origin.manifest.clone()).collect();
    let ground = ground::look(site, &origin, &wish, primary.as_deref(), Some(port)).await?;
    let backup = described(&origin.manifest, &manifests)?;
    let plan = planning::plan(&backup, &wish, &ground).map_err(|refusals| refused(&refusals))?;
    if args.plan {
        if cli.json {
            render::json(&plan);
        } else {
            render::line(plan_text(&plan));
        }
        return Ok(exit::DONE);
    }

    let secrets = secrets(site)?;
    let place = match (&wish.destination, &node, &primary) {
        (Destination::Database(_), Some(node), Some(session)) => Some(place(site, node, session).await?),
        _ => None,
    };
    let random = u32::try_from(chance() & 0xffff_ffff).expect("32 bits");
    let order = Order {
        site,
        origin: &origin,
        chain,
        wish: &wish,
        plan: &plan,
        port,
        secrets: &secrets,
        primary: place,
        random,
    };
    let report = shown(cli.json, async |listener| {
        let told = |phase: &str| listener(Event::Progress(phase));
        restore(order, &told).await
    })
    .await?;
    if cli.json {
        render::json(&report);
    } else {
        render::line(text(&report, &wish));
    }
    Ok(if report.outcome == Ended::Restored { exit::DONE } else { exit::FAILED })
}

/// `latest` means a whole database where one is wanted, and a base backup from which the target can be reached.
fn fits(manifest: &Manifest, wish: &Wish) -> bool {
    match (&wish.target, &wish.destination) {
        (Target::Backup, Destination::Database(_)) => manifest.kind == Kind::Full,
        (Target::Backup, _) => matches!(manifest.kind, Kind::Full | Kind::Base),
        (Target::Time(time), _) => manifest.kind == Kind::Base && manifest.finished <= *time,
        _ => manifest.kind == Kind::Base,
    }
}

/// What was typed, as what it means.
fn wish(args: &RestoreArgs) -> Result<Wish, Failure> {
    let usage = |message: String, help: &str| Failure::new(exit::USAGE, message).with_help(help);
    let destination = match args.into.split_once(':') {
        Some(("database", name)) => Destination::Database(Ident::new_database(name)?),
        Some(("new", name)) => Destination::Node(NodeName::new(name)?),
        Some(("cluster", name)) => Destination::Cluster(ClusterName::new(name)?),
        _ => {
            let help = "use `database:NAME`, `new:NAME` or `cluster:NAME`";
            return Err(usage(format!("`{}` is no place to restore into", args.into), help));
        }
    };
    let target = match (&args.to_time, &args.to_lsn, &args.to_name) {
        (Some(word), _, _) if word == "latest" => Target::Latest,
        (Some(time), _, _) => {
            Target::Time(DateTime::parse_from_rfc3339(time).map(|time| time.with_timezone(&Utc)).map_err(|error| {
                usage(format!("`{time}` is no time: {error}"), "write it as `2026-11-21T02:15:00Z`, or `latest`")
            })?)
        }
        (_, Some(lsn), _) => Target::Lsn(
            lsn.parse::<Lsn>().map_err(|error| usage(error.to_string(), "write it as PostgreSQL does, `0/3000110`"))?,
        ),
        (_, _, Some(name)) => Target::Name(name.clone()),
        _ => Target::Backup,
    };
    Ok(Wish { destination, target, replace: args.replace.clone(), enable_jobs: args.enable_jobs })
}

fn origins(one: &Picked, site: &Site, args: &RestoreArgs) -> Result<(Origin, Vec<Origin>), Failure> {
    let keys = one.keys(&site.desired, args.identity.as_deref())?;
    let of = |manifest: Manifest| Origin { store: one.store.clone(), manifest, keys: keys.clone() };
    let chain = one.chain()?.into_iter().map(of).collect();
    Ok((of(one.manifest()?.clone()), chain))
}

/// The node that takes the writes, when one does.
fn primary(context: &Context, observed: &Observed) -> Option<DesiredNode> {
    let (nodes, primary) = context.nodes(observed);
    let node = nodes.into_iter().find(|node| Some(&node.name) == primary.as_ref())?;
    let server = observed.nodes.get(&node.name)?.server.present()?;
    (!server.in_recovery).then_some(node)
}

/// The cluster's passwords; where there is no cluster any more, new ones.
fn secrets(site: &Site) -> Result<Secrets, Failure> {
    if site.known_secrets().is_none() {
        site.create_secrets().map_err(|error| Failure::new(exit::FAILED, error.to_string()))?;
    }
    Ok(site.known_secrets().expect("known or just made"))
}

async fn place(site: &Site, node: &DesiredNode, session: &Session) -> Result<Place, Failure> {
    let ask = "select current_setting('server_version_num')::int / 10000";
    let row = session.client().query_one(ask, &[]).await;
    let major: i32 = row.map_err(|error| session.failed("ask for its version", error))?.get(0);
    let tools = Toolbox::for_node(site, &node.name, node.port, major.unsigned_abs()).await?;
    let target = site.target(&node.name, node.port, &Ident::new("postgres")?)?;
    Ok(Place::server(tools, target))
}

fn refused(refusals: &[Refusal]) -> Failure {
    let message = match refusals {
        [only] => format!("refused: {only}"),
        many => format!("refused for {} reasons", many.len()),
    };
    let failure = Failure { refusals: refusals.into(), ..Failure::new(exit::REFUSED, message) };
    match refusals {
        [only] => failure.with_help(only.help()),
        many => Failure {
            causes: many.iter().map(|refusal| format!("{refusal} ({})", refusal.help())).collect(),
            ..failure
        },
    }
}

fn plan_text(plan: &RestorePlan) -> String {
    let mut lines: Vec<String> =
        plan.steps.iter().enumerate().map(|(index, step)| format!("{:>3}. {step}", index + 1)).collect();
    lines.extend(plan.image.iter().map(|image| format!("image: {}", image.reference)));
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn text(report: &RestoreReport, wish: &Wish) -> String {
    let mut lines = match report.outcome {
        Ended::Restored => vec![format!(
            "{} is restored into {}: {} tables and chunks, {} rows, compared and equal",
            report.backup, report.into, report.tables, report.rows
        )],
        Ended::Differs => vec![format!(
            "{} is NOT restored: {} differences from what was there when it was taken; what came back was removed",
            report.backup, report.difference_count
        )],
    };
    lines.extend(differences(&report.differences, report.difference_count));
    lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
    if report.outcome == Ended::Restored {
        if let Some(address) = &report.address {
            lines.push(format!(
                "  reach it at {address}: PGPASSFILE=<state directory>/pgpass psql -h {} -p {} -U postgres {}",
                address.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host),
                address.rsplit_once(':').map_or("", |(_, port)| port),
                report.database
            ));
        }
        if let Destination::Cluster(name) = &wish.destination {
            lines.push(format!(
                "  take it over with a configuration that says `cluster: {name}` and this port: `hypertide --config FILE up`"
            ));
        }
        lines.extend(jobs_text(report));
    }
    lines.join("\n")
}

fn jobs_text(report: &RestoreReport) -> Vec<String> {
    if report.jobs.is_empty() {
        return Vec::new();
    }
    if report.jobs_enabled {
        return vec![format!("  {} scheduled jobs are on again, retention last", report.jobs.len())];
    }
    let mut lines = vec![format!(
        "  {} scheduled jobs are off: a retention policy would drop rows of an old backup within seconds. To turn them on, in \
         this order:",
        report.jobs.len()
    )];
    lines.extend(report.jobs.iter().map(|job| {
        let removes = if job.is_retention { " and removes rows" } else { "" };
        format!("    select alter_job({}, scheduled => true);  -- runs {}{removes}", job.id, job.runs)
    }));
    lines
}
