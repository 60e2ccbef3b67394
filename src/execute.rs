//! Does what a plan says, step by step; decides nothing.
//!
//! One exhaustive `match` hands each step to the file that knows how. Every step can be repeated, so an interrupted run
//! is simply planned again.

pub mod agent;
mod database;
pub mod endpoint;
mod error;
mod first_copy;
mod monitoring;
mod node;
mod outside;
mod succession;

use std::sync::{Mutex, OnceLock};

use futures_util::future::join_all;
use tokio_postgres::error::SqlState;

pub use self::agent::parts::AgentParts;
pub use self::error::{Cause, ExecuteError};
pub use self::first_copy::Copies;
use crate::docker::image;
use crate::docker::labels;
use crate::error::in_one_line;
use crate::model::desired::DesiredNode;
use crate::model::names::{NodeName, TableName};
use crate::model::observed::{ImageFacts, Observed};
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use crate::plan::image::decide;
use crate::plan::step::{Plan, Step};
use crate::plan::topology;
use crate::postgres::setup::Verifiers;
use crate::site::Site;

/// Tables that one error names.
const NAMED: usize = 3;

/// What an observer of the execution is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step begins.
    Began(&'a Step),
    /// A step is done.
    Done(&'a Step),
    /// A step found that the world had moved on since the look, and changed nothing: a matter for the next pass.
    Overtaken(&'a Step),
    /// A long step says how far it is.
    Progress(&'a str),
}

/// Told about every step, from several lanes at once.
pub type Listener<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// Executes plans against one site.
#[derive(Debug)]
pub struct Executor<'a> {
    site: &'a Site,
    packs: &'a [Pack],
    agent: AgentParts,
    nodes: Vec<DesiredNode>,
    image: Mutex<Option<ImageFacts>>,
    verifiers: OnceLock<Verifiers>,
    copies: Option<&'a Copies>,
}

impl<'a> Executor<'a> {
    /// For plans made from this observation.
    pub fn new(site: &'a Site, packs: &'a [Pack], agent: AgentParts, observed: &Observed) -> Self {
        let image = Mutex::new(observed.image.present().cloned());
        Self {
            site,
            packs,
            agent,
            nodes: topology::nodes(&site.desired, observed),
            image,
            verifiers: OnceLock::new(),
            copies: None,
        }
    }

    /// Lets first copies go on beside further passes, instead of waiting for each.
    #[must_use]
    pub fn with_copies(self, copies: &'a Copies) -> Self {
        Self { copies: Some(copies), ..self }
    }

    /// Runs all stages; lanes of a stage run side by side. Ends at the first stage in which a lane failed, unless that was about
    /// what clients connect to: nodes and replication need no endpoint. The second of two failures in one stage is logged.
    ///
    /// # Errors
    /// The first failed step. Steps before it, and other lanes of its stage, are done.
    pub async fn run(&self, plan: &Plan, listener: Listener<'_>) -> Result<(), ExecuteError> {
        let mut of_endpoints = Ok(());
        for stage in &plan.stages {
            let taken = join_all(stage.lanes.iter().map(|lane| self.run_lane(lane, listener))).await;
            let mut failed = Ok(());
            for (lane, taken) in stage.lanes.iter().zip(taken) {
                if lane.iter().all(|step| matches!(step, Step::Endpoint { .. })) {
                    of_endpoints = of_endpoints.and(taken);
                } else if let (Err(_), Err(error)) = (&failed, &taken) {
                    tracing::warn!("{}", in_one_line(error));
                } else {
                    failed = failed.and(taken);
                }
            }
            failed?;
        }
        of_endpoints
    }

    async fn run_lane(&self, lane: &[Step], listener: Listener<'_>) -> Result<(), ExecuteError> {
        for step in lane {
            listener(Event::Began(step));
            tracing::debug!(step = step.label(), "{step}");
            match self.take(step, listener).await {
                Err(cause) if self.bears(step, &cause) => continue,
                Err(cause) if is_overtaken(step, &cause) => {
                    tracing::info!("could not {step}: {}; the next pass tries again", in_one_line(&cause));
                    listener(Event::Overtaken(step));
                    continue;
                }
                taken => taken.map_err(|cause| ExecuteError { step: step.to_string(), cause })?,
            }
            listener(Event::Done(step));
        }
        Ok(())
    }

    async fn take(&self, step: &Step, listener: Listener<'_>) -> Result<(), Cause> {
        let engine = &self.site.engine;
        let cluster = &self.site.desired.cluster;
        match step {
            Step::ProvideImage => self.provide_image(listener).await,
            Step::ProvideToolImage => self.provide_tool_image(listener).await,
            Step::CreateSecrets => Ok(self.site.create_secrets()?),
            Step::CreateNetwork => {
                let labels = labels::of_cluster(cluster, labels::KIND_NETWORK);
                Ok(engine.create_network(&cluster.network(), labels).await?)
            }
            Step::CreateVolume { spec } => self.create_volume(spec).await,
            Step::CloneStandby { node, from } => self.clone_standby(node, from).await,
            Step::Rejoin { node, from } => self.rejoin(node, from).await,
            Step::Follow { node, from } => self.follow(node, from).await,
            Step::RaiseEpoch { node, epoch } => self.raise_epoch(node, *epoch).await,
            Step::LiftFence { node, to } => self.lift_fence(node, to).await,
            Step::Demote { node, from, resumes } => self.demote(node, from, *resumes).await,
            Step::CreateNode { spec } => self.create_node(spec).await,
            Step::GiveSecrets { node } => self.put_secrets(&cluster.container(node)).await,
            Step::StartNode { node } => self.start_node(node).await,
            Step::StopNode { node } => self.stop_node(node).await,
            Step::RemoveContainer { node } => Ok(engine.remove_container(&cluster.container(node)).await?),
            Step::RemoveVolume { node } => Ok(engine.remove_volume(&cluster.volume(node)).await?),
            Step::CreateRoles { node } => self.create_roles(node).await,
            Step::AlignPasswords { node, from } => self.align_passwords(node, from).await,
            Step::CreateDatabase { node } => self.create_database(node).await,
            Step::InstallCatalog { node, seat } => self.install_catalog(node, *seat).await,
            Step::CatchUp { node, with } => self.catch_up(node, with).await,
            Step::ApplyMigration { node, id, seat } => self.apply_migration(node, id, *seat).await,
            Step::CreatePublication { node, schemas } => self.create_publication(node, schemas).await,
            Step::PublishSchemas { node, schemas } => self.publish_schemas(node, schemas).await,
            Step::PublishTables { node, tables } => self.publish_tables(node, tables).await,
            Step::EnableAutoPublication { node } => self.enable_auto_publication(node).await,
            Step::CreateSlot { node, slot } => self.create_slot(node, slot).await,
            Step::DropSlot { node, slot } => self.drop_slot(node, slot).await,
            Step::PrepareSubscriber { node, reserves_chunk_names } => {
                self.prepare_subscriber(node, *reserves_chunk_names).await
            }
            Step::MirrorChunks { node, chunks } => self.mirror_chunks(node, chunks).await,
            Step::AlignPartitioning { node, hypertables } => self.align_partitioning(node, hypertables).await,
            Step::RetireChunks { node, from, chunks } => self.retire_chunks(node, from, chunks).await,
            Step::KeepPlaces { node, from, chunks, hypertable } => {
                self.keep_places(node, from, chunks, hypertable).await
            }
            Step::ForgetRetired { node, chunks } => self.forget_retired(node, chunks).await,
            Step::MakeChunksAhead { node, chunks } => self.make_chunks_ahead(node, chunks).await,
            Step::GuardTables { node, tables } => self.guard_tables(node, tables).await,
            Step::UnguardTables { node, tables } => self.unguard_tables(node, tables).await,
            Step::SetStandbys { node, setting, value, .. } => self.set_standbys(node, *setting, value).await,
            Step::SetApplyFlush { node, flushes } => self.set_apply_flush(node, *flushes).await,
            Step::Resubscribe { node, to } => self.resubscribe(node, to).await,
            Step::Redirect { node, to } => self.redirect(node, to).await,
            Step::Subscribe { node, to } => self.subscribe(node, to).await,
            Step::RefreshSubscription { node } => self.refresh_subscription(node).await,
            Step::Unsubscribe { node } => self.unsubscribe(node).await,
            Step::EmptyReplica { node, tables } => self.empty_replica(node, tables).await,
            Step::Outside { node, step } => self.take_outside(node, step).await,
            Step::Endpoint { access, step } => self.take_endpoint(*access, step).await,
            Step::Monitor { monitor, step } => self.take_monitor(*monitor, step, listener).await,
            Step::RemoveAgent => self.remove_agent().await,
            Step::CreateAgent { spec } => self.create_agent(spec).await,
            Step::StartAgent => self.start_agent().await,
        }
    }

    async fn provide_image(&self, listener: Listener<'_>) -> Result<(), Cause> {
        let client = self.site.engine.client();
        let bundled = image::bundled_reference();
        let local = image::local_references(client).await?;
        let plan = decide(&self.site.desired.image, image::offers(&bundled), &local, None);
        let reference = image::provide(client, &plan, &|line| listener(Event::Progress(&line))).await?;
        let unfit = |what| Cause::UnfitImage { reference: reference.clone(), what };
        let Seen::Present(facts) = image::facts(client, &reference).await? else { return Err(unfit("contents")) };
        if facts.postgres_major.is_none() {
            return Err(unfit("PostgreSQL server"));
        }
        if facts.timescaledb.is_none() {
            return Err(unfit("TimescaleDB library"));
        }
        *self.image.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(facts);
        Ok(())
    }

    async fn provide_tool_image(&self, listener: Listener<'_>) -> Result<(), Cause> {
        let client = self.site.engine.client();
        let reference = image::bundled_reference();
        if self.site.engine.image_id(&reference).await?.is_none() {
            let plan = crate::plan::image::ImagePlan::Build;
            image::provide(client, &plan, &|line| listener(Event::Progress(&line))).await?;
        }
        Ok(())
    }

    fn image(&self) -> Result<ImageFacts, Cause> {
        let image = self.image.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        image.ok_or_else(|| Cause::Unplanned("the database image".into()))
    }

    fn port(&self, node: &NodeName) -> Result<u16, Cause> {
        self.nodes
            .iter()
            .find(|known| known.name == *node)
            .map(|known| known.port)
            .ok_or_else(|| Cause::Unplanned(format!("node {node}")))
    }
}

/// The first few of them.
pub(crate) fn named(tables: &[TableName]) -> String {
    let named = tables.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if tables.len() > NAMED { format!("{named} and {} others", tables.len() - NAMED) } else { named }
}

/// Since we looked, traffic has made a chunk that the subscriber does not have yet, or a chunk was dropped, or another reconciler has
/// published it.
fn is_overtaken(step: &Step, cause: &Cause) -> bool {
    let Cause::Postgres(error) = cause else { return false };
    match step {
        Step::RefreshSubscription { .. } | Step::Resubscribe { .. } => error.code() == Some(&SqlState::UNDEFINED_TABLE),
        // A slot that went away in this moment.
        Step::SetStandbys { .. } => error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE),
        // Whoever holds a table for longer than writers can wait is in no hurry.
        Step::UnguardTables { .. } => error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE),
        Step::PublishTables { .. } => {
            [&SqlState::UNDEFINED_TABLE, &SqlState::DUPLICATE_OBJECT].into_iter().any(|code| error.code() == Some(code))
        }
        _ => false,
    }
}
