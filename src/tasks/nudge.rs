//! Asks for a pass at once when the primary has made a chunk, so that the mirror waits for no tick.
//!
//! Every chunk takes a number from one sequence, in every version and edition of TimescaleDB. Reading it costs the server
//! less than a tenth of a millisecond; a notification would need a trigger that TimescaleDB does not fire.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::error::in_one_line;
use crate::postgres::look;
use crate::site::Site;
use crate::tasks::agent::Handles;
use crate::tasks::primary::ToPrimary;

/// How often the sequence is read.
const INTERVAL: Duration = Duration::from_millis(100);

/// Watches until told to stop.
pub async fn run(site: &Site, handles: &Handles) -> Result<(), Infallible> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut primary = ToPrimary::new(site, handles.latest.clone());
    let mut known = None;
    loop {
        tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let newest = match primary.session().await {
            Ok(None) => continue,
            Ok(Some(session)) => look::newest_chunk(session).await,
            Err(error) => {
                tracing::debug!("{}", in_one_line(&error));
                continue;
            }
        };
        match newest {
            Ok(newest) => {
                if known.replace(newest).is_some_and(|known| known != newest) {
                    handles.wake.notify_one();
                }
            }
            Err(error) => {
                tracing::debug!("{}", in_one_line(&error));
                primary.forget();
            }
        }
    }
}
