//! Steps on the agent's container.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::{Cause, Executor};
use crate::docker::engine::Engine;
use crate::docker::files::File;
use crate::docker::{image, spec};
use crate::model::digest;
use crate::site::ReachError;

/// How long the agent must have run to count as started: a binary that does not fit the image ends at once.
const SETTLING: Duration = Duration::from_millis(150);

/// The running program's own file.
pub fn own_binary() -> Result<Vec<u8>, Cause> {
    std::fs::read("/proc/self/exe").map_err(Cause::OwnBinary)
}

/// The digest of an agent made of this binary and this configuration.
pub fn spec_digest(binary: &[u8], config: &str) -> String {
    digest::short(&[binary, config.as_bytes()])
}

impl Executor<'_> {
    pub(super) async fn remove_agent(&self) -> Result<(), Cause> {
        let name = self.site.desired.cluster.agent();
        self.site.engine.stop_container(&name, 10).await?;
        Ok(self.site.engine.discard_container(&name).await?)
    }

    pub(super) async fn create_agent(&self, digest: &str) -> Result<(), Cause> {
        let cluster = &self.site.desired.cluster;
        let name = cluster.agent();
        let listen = self.site.desired.metrics;
        let body = spec::agent(cluster, digest, &image::bundled_reference(), &Engine::socket_path(), listen);
        self.site.engine.create_container(&name, body).await?;
        let secrets = self.site.known_secrets().ok_or(ReachError::NoSecrets)?;
        let (pgpass, config) = (format!("{}/pgpass", spec::AGENT_DIR), format!("{}/hypertide.yaml", spec::AGENT_DIR));
        let (passwords, binary, owner) = (secrets.to_pgpass(), own_binary()?, (0, 0));
        let files = [
            File { path: spec::AGENT_BINARY, bytes: &binary, mode: 0o755, owner },
            File { path: &pgpass, bytes: passwords.as_bytes(), mode: 0o600, owner },
            File { path: &config, bytes: self.agent.config.as_bytes(), mode: 0o600, owner },
        ];
        Ok(self.site.engine.put_files(&name, &files).await?)
    }

    pub(super) async fn start_agent(&self) -> Result<(), Cause> {
        let engine = &self.site.engine;
        let name = self.site.desired.cluster.agent();
        engine.start_container(&name).await?;
        let began = Instant::now();
        while began.elapsed() < SETTLING {
            if !engine.is_running(&name).await? {
                let output: Vec<String> = engine.logs(&name, "5", false).try_collect().await.unwrap_or_default();
                return Err(Cause::Ended { container: name, output: output.concat().trim().to_owned() });
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    }
}
