//! Looks at the agent's own process now and then, so that a scrape need not.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::host::process::Process;
use crate::metrics::{Collected, process};

/// A scrape is at most so much behind.
const INTERVAL: Duration = Duration::from_secs(5);

/// For ever. What cannot be read is not told.
pub(super) async fn run(publish: &watch::Sender<Collected>) -> Infallible {
    loop {
        let samples = match Process::own() {
            Ok(own) => process::samples(&own),
            Err(error) => {
                tracing::debug!(%error, "cannot look at this process");
                Vec::new()
            }
        };
        publish.send_modify(|collected| collected.own(samples, Instant::now() + INTERVAL * 3));
        tokio::time::sleep(INTERVAL).await;
    }
}
