//! Steps on the agent's container.

pub mod parts;

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::{Cause, Executor};
use crate::docker::engine::Engine;
use crate::docker::files::File;
use crate::docker::{image, labels, shared_dir, spec};
use crate::site::ReachError;

/// How long the agent must have run to count as started: a binary that does not fit the image ends at once.
const SETTLING: Duration = Duration::from_millis(150);

/// The running program's own file.
pub fn own_binary() -> Result<Vec<u8>, Cause> {
    std::fs::read("/proc/self/exe").map_err(Cause::OwnBinary)
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
        if shared_dir::is_local_engine() {
            make_dirs(&self.agent.dirs)?;
        }
        let labels = labels::of_cluster(cluster, labels::KIND_AGENT);
        self.site.engine.create_volume(&cluster.agent_volume(), labels).await?;
        let outside = spec::AgentOutside {
            socket: &Engine::socket_path(),
            listen: self.site.desired.metrics,
            dirs: &self.agent.dirs,
            env: &self.agent.env,
        };
        let body = spec::agent(cluster, digest, &image::bundled_reference(), &outside);
        self.site.engine.create_container(&name, body).await?;
        let secrets = self.site.known_secrets().ok_or(ReachError::NoSecrets)?;
        let (pgpass, config) = (format!("{}/pgpass", spec::AGENT_DIR), format!("{}/hypertide.yaml", spec::AGENT_DIR));
        let (passwords, binary, owner) = (secrets.to_pgpass(), own_binary()?, (0, 0));
        let own = [
            File { path: spec::AGENT_BINARY, bytes: &binary, mode: 0o755, owner },
            File { path: &pgpass, bytes: passwords.as_bytes(), mode: 0o600, owner },
            File { path: &config, bytes: self.agent.config.as_bytes(), mode: 0o600, owner },
        ];
        let more = self.agent.files.iter();
        let more = more.map(|file| File { path: &file.path, bytes: &file.bytes, mode: 0o600, owner });
        let files: Vec<File<'_>> = own.into_iter().chain(more).collect();
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

/// Makes stores' own directories, as a store does with its first object; what is above them has to be there.
fn make_dirs(dirs: &[PathBuf]) -> Result<(), Cause> {
    for path in dirs.iter().filter(|path| !path.exists()) {
        let made = std::fs::DirBuilder::new().mode(0o700).create(path);
        made.map_err(|source| Cause::StoreDir { path: path.clone(), source })?;
    }
    Ok(())
}
