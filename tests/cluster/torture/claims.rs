//! Holds every status to its word.
//!
//! A status that was asked for at `t0`, and that calls the mirror complete with a lag of `l` seconds, says: whatever was
//! acknowledged before `t0 - l` is on the replica. The replica is read right after, and may know more.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Client;

use super::storm::{self, Storm, answer, open};
use crate::world::{Run, World};

/// Between two looks, so that the writers get their share of the machine.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Default)]
pub struct Claims {
    /// Looks that said complete and were compared with the replica, and all looks.
    checked: Cell<usize>,
    looks: Cell<usize>,
    /// Rows that were compared, and the shortest lag that was claimed.
    rows: Cell<usize>,
    shortest: Cell<Option<f64>>,
    last: RefCell<String>,
}

impl Claims {
    pub fn checked(&self) -> usize {
        self.checked.get()
    }

    /// The last answer.
    pub fn last(&self) -> String {
        self.last.borrow().clone()
    }

    /// Looks again and again while the storm lasts.
    pub async fn check(&self, world: &World, storm: &Storm<'_>) {
        let (mut primary, mut replica) = (None, None);
        while !storm.is_over() {
            tokio::time::sleep(PAUSE).await;
            let Some(began) = server_time(world, &mut primary).await else { continue };
            self.looks.set(self.looks.get() + 1);
            let status = tokio::process::Command::from(world.command(&["--json", "status"])).output().await.unwrap();
            let status = Run::of(&status);
            *self.last.borrow_mut() = format!("{}{}", status.stdout, status.stderr);
            let Some(lag) = (status.code == 0).then(|| claimed_lag(&status.json())).flatten() else { continue };
            #[allow(clippy::cast_possible_truncation)] // microseconds of some minutes
            let wanted = storm.acknowledged_before(began - (lag * 1e6).ceil() as i64);
            let Some(there) = marks(world, &mut replica).await else { continue };
            let missing: Vec<&i64> = wanted.iter().filter(|mark| !there.contains(*mark)).collect();
            assert!(
                missing.is_empty(),
                "{} of {} rows are missing although the status said complete: {missing:?}\n{}",
                missing.len(),
                wanted.len(),
                self.last()
            );
            self.checked.set(self.checked.get() + 1);
            self.rows.set(self.rows.get() + wanted.len());
            self.shortest.set(Some(self.shortest.get().map_or(lag, |shortest| shortest.min(lag))));
        }
    }
}

/// How far behind a replica says it is that calls itself complete; `None` when it claims nothing.
fn claimed_lag(status: &Value) -> Option<f64> {
    let replica = status["nodes"].as_array()?.iter().find(|node| node["name"] == "replica-1")?;
    let replication = &replica["replication"];
    let is_complete =
        ["unpublished", "unsubscribed", "not_ready"].iter().all(|count| replication["chunks"][count] == 0);
    (replica["role"] == "subscriber" && is_complete).then(|| replication["lag_seconds"].as_f64()).flatten()
}

async fn server_time(world: &World, kept: &mut Option<Client>) -> Option<i64> {
    let client = match kept.take() {
        Some(client) => client,
        None => open(world, world.ports[0], "app").await?,
    };
    let now = answer(storm::now(&client)).await?;
    *kept = Some(client);
    Some(now)
}

/// What the replica has now; `None` when it does not answer.
async fn marks(world: &World, kept: &mut Option<Client>) -> Option<HashSet<i64>> {
    // A second try on a new connection: the kept one may be from before a restart.
    for _ in 0..2 {
        let client = match kept.take() {
            Some(client) => client,
            None => open(world, world.ports[1], "reader").await?,
        };
        if let Some(marks) = answer(storm::marks(&client)).await {
            *kept = Some(client);
            return Some(marks.into_iter().collect());
        }
    }
    None
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (checked, looks, rows) = (self.checked.get(), self.looks.get(), self.rows.get());
        write!(f, "{looks} looks, {checked} said complete and were, over {rows} rows")?;
        self.shortest.get().map_or(Ok(()), |lag| write!(f, ", at the shortest {lag:.3} s behind"))
    }
}
