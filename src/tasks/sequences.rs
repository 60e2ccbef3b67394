//! Keeps the sequences of logical replicas ahead of the primary's, which logical replication does not do.
//!
//! A duty beside the passes and no step of a plan: a busy sequence moves all the time, and no cluster is out of order for
//! it. Reads both sides, sets what `plan::sequences` says.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::error::in_one_line;
use crate::model::cluster::Role;
use crate::model::desired::DesiredNode;
use crate::model::names::{Ident, NodeName};
use crate::model::observed::Observed;
use crate::observe::observe;
use crate::plan::sequences::{Occasion, to_set};
use crate::plan::topology;
use crate::postgres::sequences;
use crate::postgres::session::{PostgresError, Session};
use crate::site::{ReachError, Site};

/// How often sequences are compared. What a primary that dies gave out since the last time must fit into the margin
/// (`plan::sequences`); two short queries at this interval cost nothing that could be measured.
const INTERVAL: Duration = Duration::from_secs(10);

/// Compares and sets again and again until told to stop. What goes wrong is logged when its message changes.
pub async fn run(site: &Site, stop: &CancellationToken) -> Result<(), Infallible> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_word = String::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let word = match observe(site, None).await {
            Ok(observed) => synchronize_all(site, &observed).await,
            // The passes say so already.
            Err(_) => continue,
        };
        if word != last_word {
            if word.is_empty() {
                tracing::info!("the replicas' sequences follow again");
            } else {
                tracing::warn!("{word}");
            }
            last_word = word;
        }
    }
}

/// Every replica that can be compared; gives back what went wrong.
async fn synchronize_all(site: &Site, observed: &Observed) -> String {
    let nodes = topology::nodes(&site.desired, observed);
    let Ok(primary) = topology::primary(&nodes, observed) else { return String::new() };
    let mut failures = Vec::new();
    for node in subscribers(&nodes, &primary, observed) {
        match synchronize(site, observed, &primary, &node.name).await {
            Ok(0) => {}
            Ok(set) => tracing::debug!(node = %node.name, set, "set sequences ahead of the primary's"),
            Err(error) => failures.push(in_one_line(&error)),
        }
    }
    failures.join("; ")
}

/// The logical replicas that answer.
fn subscribers<'a>(
    nodes: &'a [DesiredNode],
    primary: &NodeName,
    observed: &Observed,
) -> impl Iterator<Item = &'a DesiredNode> {
    let is_subscriber = |node: &&DesiredNode| {
        let seen = observed.nodes.get(&node.name);
        node.name != *primary && seen.is_some_and(|seen| topology::role(seen, false) == Role::Subscriber)
    };
    nodes.iter().filter(is_subscriber)
}

/// Sets the sequences of a logical replica by the primary's, and tells how many were set.
///
/// Does nothing when one of the two does not answer or nothing is published.
///
/// # Errors
/// A server cannot be reached or refuses a statement; then no sequence was set.
pub async fn synchronize(
    site: &Site,
    observed: &Observed,
    primary: &NodeName,
    replica: &NodeName,
) -> Result<usize, ReachError> {
    let server = |name| observed.nodes.get(name).and_then(|seen| seen.server.present());
    let database = server(primary).and_then(|server| server.database.present());
    let publication = database.and_then(|database| database.publication.as_ref());
    let (Some(publication), Some(_)) = (publication, server(replica)) else { return Ok(0) };
    let nodes = topology::nodes(&site.desired, observed);
    let port = |name: &NodeName| nodes.iter().find(|node| node.name == *name).map(|node| node.port);
    let (Some(primary_port), Some(replica_port)) = (port(primary), port(replica)) else { return Ok(0) };

    let from = site.session(primary, primary_port).await?;
    let to = site.session(replica, replica_port).await?;
    Ok(set(&from, &to, &publication.schemas, Occasion::Periodic).await?)
}

/// The same by two sessions and the replica's own publication, in a change of the primary. For [`Occasion::Final`] the primary must have
/// taken its last write.
pub async fn set_by(
    primary: &Session,
    replica: &Session,
    publication: &Ident,
    occasion: Occasion,
) -> Result<usize, PostgresError> {
    let schemas = sequences::published_schemas(replica, publication).await?;
    set(primary, replica, &schemas, occasion).await
}

async fn set(
    primary: &Session,
    replica: &Session,
    schemas: &BTreeSet<Ident>,
    occasion: Occasion,
) -> Result<usize, PostgresError> {
    // The primary last, so that what it gives out meanwhile counts as well.
    let ours = sequences::read(replica, schemas).await?;
    let theirs = sequences::read(primary, schemas).await?;
    let wanted = to_set(&theirs, &ours, occasion);
    if !wanted.is_empty() {
        sequences::set(replica, &wanted).await?;
    }
    Ok(wanted.len())
}
