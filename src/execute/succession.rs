//! Steps after a change of the primary, or after one that was cut off.

use super::{Cause, Executor, endpoint};
use crate::docker::spec;
use crate::model::names::NodeName;
use crate::postgres::{handover, lock, setup, succession};
use crate::site::Site;

/// Seconds that a node gets to shut down which must not write any more.
const STOP_SECS: i32 = 10;

impl Executor<'_> {
    pub(super) async fn follow(&self, node: &NodeName, from: &NodeName) -> Result<(), Cause> {
        setup::create_physical_slot(&*self.session(from).await?, &node.slot()).await?;
        let primary = self.site.desired.cluster.container(from);
        let standby = self.own_session(node).await?;
        Ok(succession::follow(&standby, &super::node::following(&primary, node), &node.slot()).await?)
    }

    pub(super) async fn raise_epoch(&self, node: &NodeName, epoch: u64) -> Result<(), Cause> {
        let session = self.own_session(node).await?;
        Ok(succession::raise_epoch(&session, node, epoch).await?)
    }

    /// Only where the replica has not taken the place and cannot any more: what it was told before it was started again is
    /// forgotten.
    pub(super) async fn lift_fence(&self, node: &NodeName, to: &NodeName) -> Result<(), Cause> {
        // With the mark on it, it takes no writes. One that does not start is not worth a disturbance of the others.
        self.start_node(node).await?;
        let replica = self.own_session(to).await?;
        let is_subscriber = !succession::is_in_recovery(&replica).await? && !handover::has_taken_over(&replica).await?;
        if is_subscriber {
            return self.lift_fence_beside_subscriber(node, to).await;
        }
        if !succession::is_receiving(&replica).await? {
            drop(replica);
            self.stop_node(to).await?;
            self.start_node(to).await?;
        }
        // Whoever changes the primary holds it on both.
        let target = self.site.target(to, self.port(to)?, &self.site.desired.database)?;
        let held = lock::try_lock(&target).await?;
        let replica = self.own_session(to).await?;
        if held.is_none() || !succession::is_in_recovery(&replica).await? {
            // The next look shows what became of it.
            return Ok(());
        }
        self.let_write(node).await
    }

    /// The same where the replica is a logical one: under the lock it takes the place no more.
    async fn lift_fence_beside_subscriber(&self, node: &NodeName, to: &NodeName) -> Result<(), Cause> {
        let target = self.site.target(to, self.port(to)?, &self.site.desired.database)?;
        let held = lock::try_lock(&target).await?;
        let replica = self.own_session(to).await?;
        if held.is_none() || handover::has_taken_over(&replica).await? {
            return Ok(());
        }
        handover::forget(&replica, &node.slot()).await?;
        self.let_write(node).await
    }

    /// Lets a primary go on that was about to give up its place.
    async fn let_write(&self, node: &NodeName) -> Result<(), Cause> {
        let primary = self.own_session(node).await?;
        succession::allow_writes(&primary).await?;
        let is_in_recovery = succession::is_in_recovery(&primary).await?;
        if !is_in_recovery {
            endpoint::release(self.site, node).await?;
        }
        // Last, since it is what tells that something is left to do.
        succession::unmark(&primary).await?;
        if is_in_recovery {
            drop(primary);
            self.stop_node(node).await?;
            self.start_node(node).await?;
            endpoint::release(self.site, node).await?;
        }
        Ok(())
    }

    /// Everything it holds stays. Until its row says what it is, it starts as a standby, whoever starts it. A standby ends recovery as a
    /// server whose transactions begin read-only, since clients may know its own port; and only once the primary has answered, so
    /// that it does not stay like that for long.
    pub(super) async fn demote(&self, node: &NodeName, from: &NodeName, resumes: bool) -> Result<(), Cause> {
        self.site.forget_session(node);
        // Clients whom a change that was cut off has left waiting.
        if let Err(error) = endpoint::release(self.site, from).await {
            tracing::warn!(%error, "the endpoint could not be led to the new primary yet");
        }
        let epoch = handover::epoch(&*self.session(from).await?).await?;
        let mut session = self.own_session(node).await?;
        if succession::is_in_recovery(&session).await? {
            succession::begin_read_only(&session).await?;
            succession::unmark(&session).await?;
            drop(session);
            self.stop_node(node).await?;
            self.start_node(node).await?;
            session = self.own_session(node).await?;
            succession::mark(&session, from).await?;
        }
        handover::demote(&session, from, epoch, resumes, &self.site.desired.database).await?;
        setup::drop_slot(&session, &from.slot()).await?;
        succession::allow_writes(&session).await?;
        Ok(succession::unmark(&session).await?)
    }

    /// Whatever the node wrote that the primary does not have is given up: it belongs to an epoch that is over.
    pub(super) async fn rejoin(&self, node: &NodeName, from: &NodeName) -> Result<(), Cause> {
        self.site.forget_session(node);
        let engine = &self.site.engine;
        let container = self.site.desired.cluster.container(node);
        engine.stop_container(&container, STOP_SECS).await?;
        // Clients whom a change that was cut off has left waiting.
        if let Err(error) = endpoint::release(self.site, from).await {
            tracing::warn!(%error, "the endpoint could not be led to the new primary yet");
        }
        setup::create_physical_slot(&*self.session(from).await?, &node.slot()).await?;
        let script = script(self.site, node, from);
        self.fill(node, "rejoin", &script, &format!("making {node} a standby of {from}")).await
    }
}

/// Rewinds the data directory to where both were the same, or fills it anew when that cannot be done. Until it is a standby the
/// mark is in it, except while PostgreSQL's own recovery has to finish, which the mark would keep from ending. Slots of its time as the
/// primary go: they would keep log for nobody, and be in the way of those that it is to keep for subscribers.
fn script(site: &Site, node: &NodeName, from: &NodeName) -> String {
    let primary = site.desired.cluster.container(from);
    let following = super::node::following(&primary, node);
    let copy = super::node::base_backup(&primary, node);
    format!(
        "cd \"$PGDATA\"\n\
         if [ -e standby.signal ] && [ ! -s standby.signal ] && grep -q 'host={primary} ' postgresql.auto.conf; then exit 0; fi\n\
         mark() {{ echo {from} >standby.signal; }}\n\
         trap mark EXIT\n\
         rm -f standby.signal postmaster.pid\n\
         if pg_rewind --target-pgdata=\"$PGDATA\" \
             --source-server='host={primary} port={port} user=postgres dbname=postgres passfile={passfile}'; then\n\
             sed -i -e '/^primary_conninfo/d' -e '/^primary_slot_name/d' -e '/^default_transaction_read_only/d' \
             postgresql.auto.conf\n\
             printf \"primary_conninfo = '%s'\\nprimary_slot_name = '%s'\\n\" '{following}' {slot} >>postgresql.auto.conf\n\
         else\n\
             mark\n\
             rm -rf \"$PGDATA.incoming\"\n\
             {copy}\n\
             cd /\n\
             rm -rf \"$PGDATA\"\n\
             mv \"$PGDATA.incoming\" \"$PGDATA\"\n\
             cd \"$PGDATA\"\n\
         fi\n\
         trap - EXIT\n\
         rm -rf pg_replslot/*\n\
         : >standby.signal\n",
        port = spec::POSTGRES_PORT,
        passfile = spec::PASSFILE,
        slot = node.slot(),
    )
}
