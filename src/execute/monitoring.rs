//! Steps on Prometheus and Grafana beside the cluster.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::{Cause, Event, Executor, Listener};
use crate::docker::files::File;
use crate::docker::{image, labels, monitoring};
use crate::model::monitoring::Monitor;
use crate::plan::image::ImagePlan;
use crate::plan::monitoring::files::{self, GRAFANA_PASSWORD, Guarded, SCRAPE_SECRET};
use crate::plan::monitoring::step::{MonitorSpec, MonitorStep};
use crate::postgres::password::Password;
use crate::secrets::monitoring as kept;

/// How long one must have run to count as started: a configuration that it cannot read ends it at once.
const SETTLING: Duration = Duration::from_millis(700);
const POLL: Duration = Duration::from_millis(50);

impl Executor<'_> {
    pub(super) async fn take_monitor(
        &self,
        monitor: Monitor,
        step: &MonitorStep,
        listener: Listener<'_>,
    ) -> Result<(), Cause> {
        let engine = &self.site.engine;
        let name = self.site.desired.cluster.monitor(monitor);
        match step {
            MonitorStep::ProvideImage { reference } => {
                let pull = ImagePlan::Pull { reference: reference.clone(), or_build: false };
                let pulled = image::provide(engine.client(), &pull, &|line| listener(Event::Progress(&line))).await;
                let missing = |source| Cause::MonitorImage { monitor, reference: reference.clone(), source };
                pulled.map(|_| ()).map_err(missing)
            }
            MonitorStep::Create(spec) => self.create_monitor(spec).await,
            MonitorStep::Start => self.start_monitor(&name).await,
            MonitorStep::Stop => Ok(engine.stop_container(&name, monitoring::STOP_PATIENCE_SECS).await?),
            MonitorStep::Remove => {
                engine.stop_container(&name, monitoring::STOP_PATIENCE_SECS).await?;
                Ok(engine.discard_container(&name).await?)
            }
        }
    }

    async fn create_monitor(&self, spec: &MonitorSpec) -> Result<(), Cause> {
        let engine = &self.site.engine;
        let desired = &self.site.desired;
        let (cluster, monitor) = (&desired.cluster, spec.monitor);
        let name = cluster.monitor(monitor);
        let labels = labels::of_cluster(cluster, labels::KIND_MONITORING);
        engine.create_volume(&cluster.monitor_volume(monitor), labels).await?;
        engine.create_container(&name, monitoring::container(cluster, spec)).await?;
        let placed = files::of(monitor, &desired.guard);
        let (root, owner) = ((0, 0), engine.container_user(&name).await?);
        let secret = self.monitor_secret(monitor, &name).await?;
        let secret = secret.iter().map(|(path, bytes)| File { path, bytes, mode: 0o400, owner });
        let placed =
            placed.iter().map(|file| File { path: file.path, bytes: file.text.as_bytes(), mode: 0o644, owner: root });
        let all: Vec<File<'_>> = placed.chain(secret).collect();
        Ok(engine.put_files(&name, &all).await?)
    }

    /// What only this container's user may read, and where.
    async fn monitor_secret(
        &self,
        monitor: Monitor,
        container: &str,
    ) -> Result<Option<(&'static str, Vec<u8>)>, Cause> {
        match monitor {
            Monitor::Prometheus => {
                let Some(path) = Guarded::of(&self.site.desired.guard).secret_file() else { return Ok(None) };
                let bytes =
                    std::fs::read(path).map_err(|source| Cause::ScrapeSecret { path: path.to_owned(), source })?;
                Ok(Some((SCRAPE_SECRET, bytes)))
            }
            Monitor::Grafana => {
                let password = self.grafana_password(container).await?;
                Ok(Some((GRAFANA_PASSWORD, password.reveal().as_bytes().to_vec())))
            }
        }
    }

    /// The password that Grafana's database was made with, which lies beside it; else the one in the state directory, else a new
    /// one. The state directory has it in any case.
    async fn grafana_password(&self, container: &str) -> Result<Password, Cause> {
        let state_dir = &self.site.state_dir;
        let on_file = kept::load(state_dir)?;
        let on_volume = self.site.engine.read_file(container, GRAFANA_PASSWORD).await?;
        let on_volume = on_volume.map(|bytes| Password::new(String::from_utf8_lossy(&bytes).trim()));
        let password = match on_volume.or_else(|| on_file.clone()) {
            Some(password) => password,
            None => kept::generate()?,
        };
        if on_file.as_ref() != Some(&password) {
            kept::save(state_dir, &password)?;
        }
        Ok(password)
    }

    async fn start_monitor(&self, name: &str) -> Result<(), Cause> {
        let engine = &self.site.engine;
        engine.start_container(name).await?;
        let began = Instant::now();
        while began.elapsed() < SETTLING {
            if !engine.is_running(name).await? {
                let output: Vec<String> = engine.logs(name, "10", false).try_collect().await.unwrap_or_default();
                return Err(Cause::Ended { container: name.to_owned(), output: output.concat().trim().to_owned() });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}
