//! `failover pause` and `failover resume`: for maintenance, the agent leaves a primary that was stopped alone.
//!
//! Written down on the primary, from where standbys get it. Both can be repeated.

use super::args::Cli;
use super::args::failover::FailoverVerb;
use super::context::Context;
use super::failure::Failure;
use super::{exit, render};
use crate::model::desired::DesiredNode;
use crate::model::observed::Observed;
use crate::model::promotion::By;
use crate::plan::provision::CATALOG_VERSION;
use crate::plan::topology;
use crate::postgres::failover_pause;
use crate::postgres::session::Session;
use crate::site::Reach;
use crate::status::failover::FailoverStatus;

/// Runs the verb.
pub async fn run(cli: &Cli, verb: &FailoverVerb) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let primary = writer(&context, &observed)?;
    let site = &context.site;
    let session = Session::connect(&site.target(&primary.name, primary.port, &site.desired.database)?).await?;
    let paused = match verb {
        FailoverVerb::Pause { lasting } => {
            if !is_followed(&context, &observed, &primary) {
                tracing::warn!("no standby follows {0}: once {0} is stopped nobody knows of the pause", primary.name);
            }
            Some(failover_pause::pause(&session, *lasting, By::Operator).await?)
        }
        FailoverVerb::Resume => {
            failover_pause::resume(&session).await?;
            None
        }
    };
    if cli.json {
        render::json(&FailoverStatus { automatic: site.desired.failover.automatic, paused });
    } else {
        render::line(paused.map_or_else(
            || "failover is not paused".to_owned(),
            |pause| format!("failover is {}", render::failover::paused(&pause)),
        ));
    }
    Ok(exit::DONE)
}

/// The primary, when it can write something down.
fn writer(context: &Context, observed: &Observed) -> Result<DesiredNode, Failure> {
    let refused = |message: String, help| Err(Failure::new(exit::REFUSED, message).with_help(help));
    let (nodes, primary) = context.nodes(observed);
    let Some(primary) = nodes.into_iter().find(|node| Some(&node.name) == primary.as_ref()) else {
        return refused("who the primary is cannot be told".to_owned(), "`hypertide status` shows every node");
    };
    let seen = observed.nodes.get(&primary.name);
    let database = seen.and_then(|seen| seen.server.present()?.database.present());
    if database.is_some_and(|database| database.catalog.is_some_and(|version| version < CATALOG_VERSION)) {
        let message = format!("{} has hypertide's schema in an older version, which knows no pause", primary.name);
        return refused(message, "run `hypertide up`");
    }
    if seen.and_then(topology::writer_epoch).is_none() {
        let message = format!("{} takes no writes, so nobody could write it down", primary.name);
        return refused(message, "`hypertide up` starts it; an agent does so too unless failover is paused");
    }
    Ok(primary)
}

/// A standby receives what is written on the primary.
fn is_followed(context: &Context, observed: &Observed, primary: &DesiredNode) -> bool {
    let (nodes, _) = context.nodes(observed);
    let server = |name| observed.nodes.get(name)?.server.present();
    topology::standbys(&nodes, &primary.name).filter_map(server).any(|server| server.is_receiving)
}
