//! Writes down each second where the primary's log is, so that a position a replica has confirmed tells how old it is.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::error::in_one_line;
use crate::site::Site;
use crate::tasks::agent::Handles;
use crate::tasks::primary::ToPrimary;

/// How often: lag in seconds is told to this accuracy.
const INTERVAL: Duration = Duration::from_secs(1);

/// Beats until told to stop. A beat that fails is left out; lag then reads as older, never as newer.
pub async fn run(site: &Site, handles: &Handles) -> Result<(), Infallible> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut primary = ToPrimary::new(site, handles.latest.clone());
    loop {
        tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let beaten = match primary.session().await {
            Ok(None) => continue,
            Ok(Some(session)) => session.run("write the heartbeat", "select hypertide.beat()").await,
            Err(error) => {
                tracing::debug!("{}", in_one_line(&error));
                continue;
            }
        };
        if let Err(error) = beaten {
            tracing::debug!("{}", in_one_line(&error));
            primary.forget();
        }
    }
}
