//! The agent: keeps what is provisioned working and every chunk mirrored, and tells how it is.
//!
//! Several tasks, each with one owner, one input, one output and one way to stop ([`Handles`]). Nothing is decided here.

mod crew;
mod failover;
mod passes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::http::guard::{Guard, GuardError};
use crate::http::page::stream::Streams;
use crate::http::{self, Limits, Source};
use crate::metrics::{Collected, PassMetrics};
use crate::site::Site;
use crate::status::latest::Latest;
use crate::tasks::announce::{Listeners, Outbox};
use crate::tasks::backup::maker::OfSite;
use crate::tasks::{announce, backup, collect, events, heartbeat, jobs, nudge, sequences, verify, wal};
use crew::Crew;

/// What the tasks of an agent share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handles {
    /// Asks for a pass now: `notify_one`, as often as one likes.
    pub wake: Arc<Notify>,
    /// What the last look saw.
    pub latest: watch::Receiver<Latest>,
    /// Cancelled when the agent is to end; a task returns soon after.
    pub stop: CancellationToken,
}

/// The agent cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The system gives us no signals.
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    /// What is asked of those who connect cannot be read.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// HTTP cannot be served where the configuration wants it.
    #[error("cannot listen on {at}")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

impl AgentError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Signals(_) => None,
            Self::Guard(error) => Some(error.help()),
            Self::Listen { at, .. } => Some(format!(
                "stop what listens on {}, choose another address, or turn it off: `metrics.listen` in hypertide.yaml",
                at.port()
            )),
        }
    }
}

/// Runs until the process is told to stop (SIGTERM, SIGINT).
///
/// A task that fails is logged and starts again; it is never silently gone.
pub async fn run(site: &Site) -> Result<(), AgentError> {
    let (publish, latest) = watch::channel(Latest::new(Instant::now()));
    let handles = Handles { wake: Arc::default(), latest, stop: CancellationToken::new() };
    let (metrics, stop) = (PassMetrics::default(), &handles.stop);
    let (collects, collected) = watch::channel(Collected::default());
    for job in &site.desired.backups {
        metrics.expect_backup(&job.name);
    }
    for job in &site.desired.jobs {
        metrics.expect_job(&job.name);
    }
    let mut guard = Guard::default();
    let listener = match site.listen() {
        Some(at) => {
            guard = Guard::open(&site.desired.guard)?;
            Some(http::bind(at, &guard).await.map_err(|source| AgentError::Listen { at, source })?)
        }
        None => None,
    };
    let told_to_stop = told_to_stop().map_err(AgentError::Signals)?;

    let maker = OfSite(site);
    let (events, outbox) = (&site.desired.events, Outbox::default());
    let listeners = Listeners { metrics: &metrics, outbox: events.webhook.as_ref().map(|_| &outbox) };
    let mut crew = Crew::new(handles.stop.clone());
    crew.keep("passes", || passes::run(site, &handles, &publish, &metrics));
    crew.keep("container watch", || events::run(site, &handles, listeners));
    crew.keep("chunk watch", || nudge::run(site, &handles));
    crew.keep("events", || announce::run(&handles, listeners));
    if let Some(url) = &events.webhook {
        crew.keep("webhook", || announce::deliver(&outbox, url, stop));
    }
    crew.keep("heartbeat", || heartbeat::run(site, &handles));
    crew.keep("sequences", || sequences::run(site, &handles.stop));
    crew.keep("verification", || verify::run(site, &handles.stop));
    crew.keep("archive of the log", || wal::run(site, &handles));
    crew.keep("backups", || backup::run(site, &handles, &metrics, &maker));
    crew.keep("jobs", || jobs::run(site, &handles, &metrics));
    if let Some(listener) = &listener {
        // Nobody else reads what they bring.
        crew.keep("collectors", || collect::run(site, &handles, &collects));
        let limits = Limits::default();
        let source = Source {
            latest: handles.latest.clone(),
            passes: metrics.clone(),
            collected,
            streams: Streams::new(limits, stop.clone()),
        };
        let router = http::routes::router(source, guard.clone());
        let tls = guard.tls.as_ref();
        crew.keep("http", move || http::serve(listener, router.clone(), tls, limits, stop));
    }

    tracing::info!(cluster = %site.desired.cluster, "agent started");
    crew.work_until(told_to_stop).await;
    tracing::info!("agent stopped");
    Ok(())
}

/// Ends when the process is told to.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
