//! Steps inside a node's server, over SQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Executor, first_copy};
use crate::docker::spec;
use crate::model::chunk::{ChunkToMirror, Hypertable};
use crate::model::cluster::{Mode, Seat};
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::pack::MigrationId;
use crate::plan::chunks::ahead::ChunkAhead;
use crate::plan::outside::quoted;
use crate::plan::provision::{ROLES, SUPERUSER};
use crate::plan::scope;
use crate::plan::step::{StandbySetting, Step};
use crate::postgres::first_copy::FirstCopy;
use crate::postgres::session::Session;
use crate::postgres::setup::{self, MigrationContext};
use crate::postgres::{catch_up, handover, look, server_setting};
use crate::site::ReachError;

/// How long a replica may take to catch up before a migration. One that needs longer is not about to be migrated.
const CATCH_UP_PATIENCE: Duration = Duration::from_mins(1);

impl Executor<'_> {
    pub(super) async fn session(&self, node: &NodeName) -> Result<Arc<Session>, Cause> {
        Ok(self.site.session(node, self.port(node)?).await?)
    }

    /// A session of its own to the cluster's database, which exists.
    pub(super) async fn own_session(&self, node: &NodeName) -> Result<Session, Cause> {
        let target = self.site.target(node, self.port(node)?, &self.site.desired.database)?;
        Ok(Session::connect(&target).await?)
    }

    pub(super) async fn create_roles(&self, node: &NodeName) -> Result<(), Cause> {
        let session = self.session(node).await?;
        Ok(setup::create_roles(&session, self.verifiers()?).await?)
    }

    pub(super) async fn align_passwords(&self, node: &NodeName, from: &NodeName) -> Result<(), Cause> {
        let roles: Vec<&str> = ROLES.into_iter().chain([SUPERUSER]).collect();
        let verifiers = setup::verifiers(&*self.session(from).await?, &roles).await?;
        Ok(setup::create_roles(&*self.session(node).await?, &verifiers).await?)
    }

    pub(super) async fn create_database(&self, node: &NodeName) -> Result<(), Cause> {
        setup::create_database(&*self.session(node).await?, &self.site.desired.database).await?;
        // The kept session is to `postgres`; the next one goes to the new database.
        self.site.forget_session(node);
        Ok(())
    }

    pub(super) async fn install_catalog(&self, node: &NodeName, seat: Seat) -> Result<(), Cause> {
        Ok(setup::install_catalog(&*self.session(node).await?, node, seat).await?)
    }

    /// A subscription that fails while we wait has met what the migration is to mend, such as a renamed column: then it has
    /// applied everything before that.
    pub(super) async fn catch_up(&self, node: &NodeName, with: &NodeName) -> Result<(), Cause> {
        let position = catch_up::mark(&*self.session(with).await?).await?;
        let (session, subscription) = (self.session(node).await?, node.slot());
        let errors_before = look::apply_errors(&session, &subscription).await?;
        for _ in 0..CATCH_UP_PATIENCE.as_secs() {
            let is_there =
                catch_up::wait_until_applied(&session, &subscription, position, Duration::from_secs(1)).await?;
            if is_there || look::apply_errors(&session, &subscription).await? > errors_before {
                return Ok(());
            }
        }
        Err(Cause::Behind { node: node.clone(), patience_secs: CATCH_UP_PATIENCE.as_secs() })
    }

    pub(super) async fn apply_migration(&self, node: &NodeName, id: &MigrationId, seat: Seat) -> Result<(), Cause> {
        let unplanned = || Cause::Unplanned(format!("migration {id}"));
        let pack = self.packs.iter().find(|pack| pack.name == id.pack).ok_or_else(unplanned)?;
        let migration = pack.migrations.iter().find(|migration| migration.id == *id).ok_or_else(unplanned)?;
        let is_published = self.nodes.iter().any(|node| node.seat == Seat::Replica(Mode::Logical));
        let published =
            if is_published { scope::schemas(&self.site.desired, Some(self.packs)) } else { BTreeSet::new() };
        let context = MigrationContext { pack, is_writable: seat == Seat::Primary, published: &published };
        let mut session = self.own_session(node).await?;
        Ok(setup::apply_migration(&mut session, migration, context).await?)
    }

    pub(super) async fn create_publication(&self, node: &NodeName, schemas: &BTreeSet<Ident>) -> Result<(), Cause> {
        let name = &self.site.desired.publication.name;
        Ok(setup::create_publication(&*self.session(node).await?, name, schemas).await?)
    }

    pub(super) async fn publish_schemas(&self, node: &NodeName, schemas: &BTreeSet<Ident>) -> Result<(), Cause> {
        let name = &self.site.desired.publication.name;
        Ok(setup::publish_schemas(&*self.session(node).await?, name, schemas).await?)
    }

    pub(super) async fn publish_tables(&self, node: &NodeName, tables: &BTreeSet<TableName>) -> Result<(), Cause> {
        let name = &self.site.desired.publication.name;
        Ok(setup::publish_tables(&*self.session(node).await?, name, tables).await?)
    }

    pub(super) async fn enable_auto_publication(&self, node: &NodeName) -> Result<(), Cause> {
        Ok(setup::enable_auto_publication(&*self.session(node).await?).await?)
    }

    pub(super) async fn create_slot(&self, node: &NodeName, slot: &Ident) -> Result<(), Cause> {
        Ok(setup::create_physical_slot(&*self.session(node).await?, slot).await?)
    }

    pub(super) async fn drop_slot(&self, node: &NodeName, slot: &Ident) -> Result<(), Cause> {
        Ok(setup::drop_slot(&*self.session(node).await?, slot).await?)
    }

    pub(super) async fn prepare_subscriber(&self, node: &NodeName, reserves_chunk_names: bool) -> Result<(), Cause> {
        let database = &self.site.desired.database;
        Ok(setup::prepare_subscriber(&*self.session(node).await?, database, reserves_chunk_names).await?)
    }

    pub(super) async fn unguard_tables(&self, node: &NodeName, tables: &BTreeSet<TableName>) -> Result<(), Cause> {
        Ok(setup::unguard_tables(&self.own_session(node).await?, tables).await?)
    }

    pub(super) async fn guard_tables(&self, node: &NodeName, tables: &BTreeSet<TableName>) -> Result<(), Cause> {
        Ok(setup::guard_tables(&*self.session(node).await?, tables).await?)
    }

    pub(super) async fn mirror_chunks(&self, node: &NodeName, chunks: &[ChunkToMirror]) -> Result<(), Cause> {
        Ok(setup::make_chunks(&*self.session(node).await?, chunks).await?)
    }

    pub(super) async fn align_partitioning(&self, node: &NodeName, hypertables: &[Hypertable]) -> Result<(), Cause> {
        Ok(setup::align_partitioning(&*self.session(node).await?, hypertables).await?)
    }

    /// The publisher is asked again, under the lock: a chunk may have been made and mirrored since the plan was made.
    pub(super) async fn retire_chunks(
        &self,
        node: &NodeName,
        from: &NodeName,
        chunks: &BTreeSet<TableName>,
    ) -> Result<(), Cause> {
        let (gone, lsn) = setup::gone(&*self.session(from).await?, chunks).await?;
        Ok(setup::retire_chunks(&*self.session(node).await?, &gone, lsn).await?)
    }

    pub(super) async fn keep_places(
        &self,
        node: &NodeName,
        from: &NodeName,
        chunks: &BTreeSet<TableName>,
        hypertable: &TableName,
    ) -> Result<(), Cause> {
        let (gone, lsn) = setup::gone(&*self.session(from).await?, chunks).await?;
        Ok(setup::keep_places(&*self.session(node).await?, &gone, hypertable, lsn).await?)
    }

    pub(super) async fn forget_retired(&self, node: &NodeName, chunks: &BTreeSet<TableName>) -> Result<(), Cause> {
        Ok(setup::forget_retired(&*self.session(node).await?, chunks).await?)
    }

    pub(super) async fn make_chunks_ahead(&self, node: &NodeName, chunks: &[ChunkAhead]) -> Result<(), Cause> {
        Ok(setup::make_chunks_ahead(&mut self.own_session(node).await?, chunks).await?)
    }

    /// How a logical replica reaches its primary.
    fn connection_to(&self, primary: &NodeName) -> String {
        let desired = &self.site.desired;
        format!(
            "host={} port={} dbname={} user=replicator passfile={}",
            desired.cluster.container(primary),
            spec::POSTGRES_PORT,
            quoted(desired.database.as_str()),
            spec::PASSFILE
        )
    }

    pub(super) async fn resubscribe(&self, node: &NodeName, to: &NodeName) -> Result<(), Cause> {
        let publication = &self.site.desired.publication.name;
        let session = self.own_session(node).await?;
        Ok(handover::resubscribe(&session, &node.slot(), &self.connection_to(to), publication).await?)
    }

    pub(super) async fn redirect(&self, node: &NodeName, to: &NodeName) -> Result<(), Cause> {
        let epoch = handover::epoch(&*self.session(to).await?).await?;
        let session = self.own_session(node).await?;
        Ok(handover::redirect(&session, &node.slot(), &self.connection_to(to), epoch).await?)
    }

    pub(super) async fn subscribe(&self, node: &NodeName, to: &NodeName) -> Result<(), Cause> {
        let desired = &self.site.desired;
        let session = self.session(node).await?;
        if setup::is_subscribed(&session, &node.slot()).await? {
            return Ok(());
        }
        let epoch = handover::epoch(&*self.session(to).await?).await?;
        handover::adopt_epoch(&self.own_session(node).await?, epoch).await?;
        let target = |node: &NodeName| Ok::<_, Cause>(self.site.target(node, self.port(node)?, &desired.database)?);
        let task = first_copy::Task {
            engine: self.site.engine.clone(),
            publisher_container: desired.cluster.container(to),
            publisher: target(to)?,
            replica: target(node)?,
            publication: desired.publication.name.clone(),
            connection: self.connection_to(to),
        };
        match (task.begin().await?, self.copies) {
            (Some(begun), Some(copies)) => {
                copies.go_on(Step::Subscribe { node: node.clone(), to: to.clone() }.to_string(), begun);
                Ok(())
            }
            (Some(begun), None) => begun.finish().await,
            (None, _) if setup::is_subscribed(&session, &node.slot()).await? => Ok(()),
            (None, _) => Err(Cause::IsCopying { node: node.clone() }),
        }
    }

    pub(super) async fn set_standbys(
        &self,
        node: &NodeName,
        setting: StandbySetting,
        value: &str,
    ) -> Result<(), Cause> {
        Ok(server_setting::set(&self.own_session(node).await?, setting.name(), value).await?)
    }

    pub(super) async fn set_apply_flush(&self, node: &NodeName, flushes: bool) -> Result<(), Cause> {
        Ok(setup::set_apply_flush(&*self.session(node).await?, &node.slot(), flushes).await?)
    }

    pub(super) async fn refresh_subscription(&self, node: &NodeName) -> Result<(), Cause> {
        Ok(setup::refresh_subscription(&*self.session(node).await?, &node.slot(), &self.site.desired.publication.name)
            .await?)
    }

    pub(super) async fn unsubscribe(&self, node: &NodeName) -> Result<(), Cause> {
        Ok(setup::unsubscribe(&*self.session(node).await?, &node.slot()).await?)
    }

    pub(super) async fn empty_replica(&self, node: &NodeName, tables: &BTreeSet<TableName>) -> Result<(), Cause> {
        let target = self.site.target(node, self.port(node)?, &self.site.desired.database)?;
        let Some(mark) = FirstCopy::begin(&target, &node.slot()).await? else {
            return Err(Cause::IsCopying { node: node.clone() });
        };
        setup::empty_tables(&*self.session(node).await?, tables).await?;
        Ok(mark.give_up().await?)
    }

    /// One set of verifiers for the whole run: pass-through authentication needs the same on every node.
    fn verifiers(&self) -> Result<&setup::Verifiers, Cause> {
        let secrets = self.site.known_secrets().ok_or(ReachError::NoSecrets)?;
        Ok(self.verifiers.get_or_init(|| secrets.verifiers()))
    }
}
