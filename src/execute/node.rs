//! Steps on a node's volume and container.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::{Cause, Executor};
use crate::docker::files::File;
use crate::docker::{image, spec};
use crate::model::names::{Ident, NodeName};
use crate::plan::step::NodeSpec;
use crate::postgres::session::Session;
use crate::site::ReachError;

/// How long a server may take to accept connections. Crash recovery replays at most a few GiB of WAL; what takes longer
/// is told as "try again", never as a failure of the data.
const START_PATIENCE: Duration = Duration::from_mins(2);

/// How often a starting server is asked; each attempt costs a refused connection.
const START_POLL: Duration = Duration::from_millis(15);

impl Executor<'_> {
    pub(super) async fn create_volume(&self, spec: &NodeSpec) -> Result<(), Cause> {
        let cluster = &self.site.desired.cluster;
        let labels = spec::volume_labels(cluster, spec, &self.image()?);
        Ok(self.site.engine.create_volume(&cluster.volume(&spec.node), labels).await?)
    }

    pub(super) async fn create_node(&self, spec: &NodeSpec) -> Result<(), Cause> {
        let cluster = &self.site.desired.cluster;
        let name = cluster.container(&spec.node);
        let body = spec::node(cluster, spec, &self.image()?.id);
        Ok(self.site.engine.create_container(&name, body).await?)
    }

    /// Puts the passwords on the volume, through a container that mounts it.
    pub(super) async fn put_secrets(&self, container: &str) -> Result<(), Cause> {
        let secrets = self.site.known_secrets().ok_or(ReachError::NoSecrets)?;
        let owner = image::postgres_uid(self.site.engine.client(), container).await?;
        let pgpass = secrets.to_pgpass();
        let files = [
            File { path: spec::PASSFILE, bytes: pgpass.as_bytes(), mode: 0o600, owner },
            File {
                path: spec::SUPERUSER_PASSWORD_FILE,
                bytes: secrets.superuser().reveal().as_bytes(),
                mode: 0o600,
                owner,
            },
        ];
        Ok(self.site.engine.put_files(container, &files).await?)
    }

    pub(super) async fn start_node(&self, node: &NodeName) -> Result<(), Cause> {
        let container = self.site.desired.cluster.container(node);
        self.site.forget_session(node);
        self.site.engine.start_container(&container).await?;
        let maintenance = Ident::new("postgres").expect("valid");
        let target = self.site.target(node, self.port(node)?, &maintenance)?;
        let began = Instant::now();
        loop {
            match Session::connect(&target).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_final() => return Err(error.into()),
                Err(error) if began.elapsed() > START_PATIENCE => {
                    tracing::debug!(%error, "last attempt");
                    return Err(Cause::NotReady { node: node.clone(), patience_secs: START_PATIENCE.as_secs() });
                }
                Err(_) => {}
            }
            self.fail_if_ended(&container).await?;
            tokio::time::sleep(START_POLL).await;
        }
    }

    async fn fail_if_ended(&self, container: &str) -> Result<(), Cause> {
        let engine = &self.site.engine;
        if engine.is_running(container).await? {
            return Ok(());
        }
        let output: Vec<String> = engine.logs(container, "15", false).try_collect().await.unwrap_or_default();
        Err(Cause::Ended { container: container.to_owned(), output: output.concat().trim().to_owned() })
    }

    pub(super) async fn stop_node(&self, node: &NodeName) -> Result<(), Cause> {
        self.site.forget_session(node);
        let container = self.site.desired.cluster.container(node);
        Ok(self.site.engine.stop_container(&container, spec::STOP_PATIENCE_SECS).await?)
    }

    pub(super) async fn clone_standby(&self, node: &NodeName, from: &NodeName) -> Result<(), Cause> {
        let script = clone_script(&self.site.desired.cluster.container(from), node);
        self.fill(node, "clone", &script, &format!("the base backup of {from} for {node}")).await
    }

    /// Runs a script on a node's volume, in a container of the node's image.
    pub(super) async fn fill(&self, node: &NodeName, what: &str, script: &str, doing: &str) -> Result<(), Cause> {
        let cluster = &self.site.desired.cluster;
        let engine = &self.site.engine;
        let helper = format!("{}.{what}", cluster.container(node));
        // One left over by an interrupted run did not finish.
        engine.discard_container(&helper).await?;
        let mut body = spec::helper(cluster, node, &self.image()?.id, script);
        body.user = Some("postgres".to_owned());
        engine.create_container(&helper, body).await?;
        self.put_secrets(&helper).await?;
        let filled = engine.run_helper(&helper, doing).await;
        engine.discard_container(&helper).await?;
        Ok(filled?)
    }
}

/// How a standby reaches its primary, whose container this is.
pub(super) fn following(primary: &str, node: &NodeName) -> String {
    format!(
        "host={primary} port={} user=replicator dbname=postgres application_name={node} connect_timeout=5 passfile={}",
        spec::POSTGRES_PORT,
        spec::PASSFILE
    )
}

/// Copies the primary beside the data directory.
pub(super) fn base_backup(primary: &str, node: &NodeName) -> String {
    format!(
        "pg_basebackup --dbname='{}' --pgdata=\"$PGDATA.incoming\" --slot={} --wal-method=stream --checkpoint=fast \
         --write-recovery-conf --no-password",
        following(primary, node),
        node.slot()
    )
}

/// Fills the data directory by rename, so that it is there whole or not at all; leaves one that is there alone.
fn clone_script(primary: &str, node: &NodeName) -> String {
    format!(
        "test ! -s \"$PGDATA/PG_VERSION\" || exit 0\n\
         rm -rf \"$PGDATA.incoming\"\n\
         {}\n\
         mv \"$PGDATA.incoming\" \"$PGDATA\"\n",
        base_backup(primary, node)
    )
}
