//! A planned restore, from the store to a database or a server that people use.
//!
//! In: a backup, a plan without refusals, a site. Out: a [`RestoreReport`]. What stands where it goes stays as it is until what comes is
//! complete and equal.

use super::database;
use super::error::RestoreError;
use super::origin::Origin;
use super::phases::Phases;
use super::place::Place;
use super::report::{Ended, RestoreReport};
use super::server::{self, Filled};
use super::start::Server;
use crate::backup::contents::Difference;
use crate::backup::drill::report::NAMED;
use crate::backup::tools::shared_place;
use crate::model::names::{ClusterName, NodeName};
use crate::plan::restore::{Destination, RestorePlan, Wish};
use crate::secrets::Secrets;
use crate::site::Site;

/// What is restored, and how it was planned.
#[derive(Debug)]
pub struct Order<'a> {
    /// The cluster that the backup is restored beside.
    pub site: &'a Site,
    /// The backup.
    pub origin: &'a Origin,
    /// The base backups that it builds upon, the whole one first.
    pub chain: Vec<Origin>,
    /// What is wanted.
    pub wish: &'a Wish,
    /// What was planned.
    pub plan: &'a RestorePlan,
    /// The port of a new server.
    pub port: u16,
    /// Passwords of the cluster; a new server takes the same.
    pub secrets: &'a Secrets,
    /// The primary, for a database of its own.
    pub primary: Option<Place>,
    /// Tells this restore from others.
    pub random: u32,
}

/// Restores.
pub async fn restore(order: Order<'_>, told: &dyn Fn(&str)) -> Result<RestoreReport, RestoreError> {
    let mut phases = Phases::new(told);
    let mut report = match &order.wish.destination {
        Destination::Database(_) => into_database(&order, &mut phases).await?,
        Destination::Node(name) => into_server(&order, &order.site.desired.cluster, name, &mut phases).await?,
        Destination::Cluster(name) => {
            let node = order.site.desired.preferred_primary().name.clone();
            into_server(&order, name, &node, &mut phases).await?
        }
    };
    report.phases = phases.finish();
    Ok(report)
}

fn report(order: &Order<'_>, differences: Vec<Difference>) -> RestoreReport {
    RestoreReport {
        backup: order.origin.manifest.id.clone(),
        into: order.wish.destination.to_string(),
        outcome: if differences.is_empty() { Ended::Restored } else { Ended::Differs },
        database: order.origin.manifest.database.clone(),
        address: None,
        container: None,
        tables: 0,
        rows: 0,
        difference_count: differences.len() as u64,
        differences: differences.into_iter().take(NAMED).collect(),
        jobs: Vec::new(),
        jobs_enabled: false,
        notes: Vec::new(),
        phases: Vec::new(),
    }
}

async fn into_database(order: &Order<'_>, phases: &mut Phases<'_>) -> Result<RestoreReport, RestoreError> {
    let (Destination::Database(name), Some(place)) = (&order.wish.destination, &order.primary) else {
        return Err(RestoreError::NoPart { part: "server to be restored into" });
    };
    let replaces = order.wish.replace.is_some();
    let done = database::into_database(order.origin, place, name, replaces, order.random, phases).await?;
    let is_equal = done.differences.is_empty();
    let enables = order.wish.enable_jobs && is_equal;
    if enables {
        phases.begin("jobs");
        database::enable(place, name, &done.jobs).await?;
    }
    Ok(RestoreReport {
        database: name.to_string(),
        tables: done.tables,
        rows: done.rows,
        jobs: done.jobs,
        jobs_enabled: enables,
        ..report(order, done.differences)
    })
}

async fn into_server(
    order: &Order<'_>,
    cluster: &ClusterName,
    node: &NodeName,
    phases: &mut Phases<'_>,
) -> Result<RestoreReport, RestoreError> {
    let desired = &order.site.desired;
    let image = order.plan.image.as_ref().ok_or(RestoreError::NoPart { part: "image" })?;
    let server = Server {
        engine: &order.site.engine,
        cluster,
        node,
        is_primary: matches!(order.wish.destination, Destination::Cluster(_)),
        backup: &order.origin.manifest.id,
        image,
        bind: desired.bind,
        port: order.port,
        settings: desired.settings.iter().map(|setting| format!("{}={}", setting.name, setting.value)).collect(),
        enable_jobs: order.wish.enable_jobs,
        random: order.random,
    };
    server.prepare().await?;
    let filled = fill(order, &server, phases).await;
    let filled = match filled {
        Ok(filled) if filled.differences.is_empty() => filled,
        other => {
            server.give_up().await?;
            let filled = other?;
            return Ok(counted(filled, report(order, Vec::new())));
        }
    };
    phases.begin("start");
    server.start(order.secrets).await?;
    let report = counted(filled, report(order, Vec::new()));
    Ok(RestoreReport {
        address: Some(format!("{}:{}", desired.bind, order.port)),
        container: Some(cluster.container(node)),
        jobs_enabled: order.wish.enable_jobs,
        ..report
    })
}

fn counted(filled: Filled, report: RestoreReport) -> RestoreReport {
    RestoreReport {
        outcome: if filled.differences.is_empty() { Ended::Restored } else { Ended::Differs },
        tables: filled.tables,
        rows: filled.rows,
        difference_count: filled.differences.len() as u64,
        differences: filled.differences.into_iter().take(NAMED).collect(),
        jobs: filled.jobs,
        notes: filled.notes,
        ..report
    }
}

async fn fill(order: &Order<'_>, server: &Server<'_>, phases: &mut Phases<'_>) -> Result<Filled, RestoreError> {
    let verifiers = order.secrets.verifiers();
    let volume = server.volume();
    let fill = server::Order {
        engine: server.engine,
        shared: &shared_place(order.site),
        cluster: server.cluster,
        node: server.node,
        image: server.image,
        volume: &volume,
        verifiers: &verifiers,
        target: &order.wish.target,
        timeline: order.plan.timeline,
        enable_jobs: order.wish.enable_jobs,
    };
    server::fill(&fill, order.origin, order.chain.clone(), phases).await
}
