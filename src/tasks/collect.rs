//! Asks every node's server for its metrics, and those of databases elsewhere that the configuration names; each collector at its
//! own interval. Publishes what they answer.
//!
//! In: the nodes of the last look. Out: a [`Collected`]; a scrape reads it there and asks nobody. A server that hangs keeps only its
//! own collectors waiting.

mod disk;
mod lane;
mod own;
mod source;

use std::convert::Infallible;

use futures_util::future::join_all;
use tokio::sync::watch;

use self::source::Source;
use crate::metrics::Collected;
use crate::metrics::collectors::Lane;
use crate::model::names::NodeName;
use crate::site::Site;
use crate::status::latest::Latest;
use crate::tasks::agent::Handles;

/// Collects until told to stop. Which nodes there are is known from the last look, however old it is: their servers may well
/// answer while the engine does not.
pub async fn run(site: &Site, handles: &Handles, publish: &watch::Sender<Collected>) -> Result<(), Infallible> {
    let mut latest = handles.latest.clone();
    loop {
        let nodes = nodes(&latest.borrow_and_update());
        let sources = source::all(&nodes, &site.desired.collecting.databases);
        publish.send_modify(|collected| collected.ask(sources.iter().map(Source::name)));
        tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            changed = latest.wait_for(|latest| self::nodes(latest) != nodes) => {
                if changed.is_err() {
                    return Ok(());
                }
            }
            never = collect(site, &sources, publish) => match never {},
        }
    }
}

/// The nodes and their ports on the host.
fn nodes(latest: &Latest) -> Vec<(NodeName, u16)> {
    let Some(look) = &latest.look else { return Vec::new() };
    let nodes = look.status.nodes.iter();
    nodes.filter_map(|node| Some((node.name.clone(), node.address.rsplit_once(':')?.1.parse().ok()?))).collect()
}

/// Every lane of every server, side by side.
async fn collect(site: &Site, sources: &[Source], publish: &watch::Sender<Collected>) -> Infallible {
    let lanes = sources.iter().flat_map(|source| Lane::ALL.map(|lane| lane::run(site, source, lane, publish)));
    let disks = sources.iter().filter_map(Source::node).map(|node| disk::run(site, node, publish));
    // None of them ends.
    let (never, ..) = tokio::join!(own::run(publish), join_all(lanes), join_all(disks));
    match never {}
}
