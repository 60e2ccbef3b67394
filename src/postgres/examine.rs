//! One look at how a server runs, for `doctor`.

use std::time::SystemTime;

use super::look::{odd, one_json};
use super::session::{PostgresError, Session};
use crate::model::names::Ident;
use crate::plan::doctor::facts::{ServerExam, ServerFacts};

/// Reads what a server says about itself, and compares its clock with this host's.
pub async fn server(session: &Session, database: &Ident, settings: &[String]) -> Result<ServerExam, PostgresError> {
    let before = unix_secs();
    let json = one_json(
        session,
        "examine the server",
        include_str!("../../sql/observe/doctor.sql"),
        &[&database.as_str(), &settings],
    )
    .await?;
    let after = unix_secs();
    let facts: ServerFacts = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    let clock_ahead_secs = ahead(facts.clock, before, after);
    Ok(ServerExam { facts, clock_ahead_secs })
}

/// How far a clock that was read between `before` and `after` is ahead, at the least.
fn ahead(clock: f64, before: f64, after: f64) -> f64 {
    if clock < before {
        clock - before
    } else if clock > after {
        clock - after
    } else {
        0.0
    }
}

fn unix_secs() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // exact by construction
    fn the_time_the_answer_took_does_not_count_as_a_difference() {
        for (clock, wanted) in [(10.0, 0.0), (12.0, 0.0), (11.5, 0.0), (7.0, -3.0), (15.0, 3.0)] {
            assert_eq!(ahead(clock, 10.0, 12.0), wanted, "{clock}");
        }
    }
}
