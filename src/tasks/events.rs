//! Asks for a pass at once when something happens to the container of a node or an endpoint, so that what died is started
//! again within milliseconds.
//!
//! Tells of memory that ran out, which no look shows. A container that was stopped waits for the next tick: whoever stopped it may be about to start or to replace it.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::docker::engine::{DockerError, Engine};
use crate::docker::events;
use crate::site::Site;
use crate::status::events::Event;
use crate::tasks::agent::Handles;
use crate::tasks::announce::Listeners;

/// The engine lists an end some hundred milliseconds after it; later than this something else is going on.
const LISTED_WITHIN: Duration = Duration::from_secs(1);
const LISTING_POLL: Duration = Duration::from_millis(15);

/// The watch is over; meanwhile the passes look once a second, as ever.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The engine would not tell.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// It stopped telling, as an engine does that is being stopped.
    #[error("the engine ended its events")]
    Ended,
}

/// Watches until told to stop.
pub async fn run(site: &Site, handles: &Handles, listeners: Listeners<'_>) -> Result<(), WatchError> {
    let cluster = &site.desired.cluster;
    let mut events = pin!(events::of_servers(&site.engine, cluster));
    loop {
        let event = tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            event = events.next() => event.ok_or(WatchError::Ended)??,
        };
        tracing::debug!(container = event.container, action = event.action, "an event");
        if event.is_out_of_memory() {
            let own = event.container.strip_prefix(&format!("{cluster}-")).unwrap_or(&event.container);
            listeners.tell(cluster.as_str(), &Event::memory_ran_out(own));
        }
        if event.is_clean_end() {
            continue;
        }
        if event.exit_code.is_some() {
            until_listed_as_ended(&site.engine, &event.container).await?;
        }
        handles.wake.notify_one();
    }
}

/// The engine tells of an end before it lists it, and a look that comes too early finds a container that runs: the next one would be
/// at the next tick.
async fn until_listed_as_ended(engine: &Engine, container: &str) -> Result<(), DockerError> {
    let began = Instant::now();
    while engine.is_listed_as_running(container).await? && began.elapsed() < LISTED_WITHIN {
        tokio::time::sleep(LISTING_POLL).await;
    }
    Ok(())
}
