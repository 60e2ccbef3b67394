//! Whether the hypertables of a restored database take rows: one row into each, in a transaction that is rolled back.
//!
//! In: a session to the restored database. Out: what became of each. Leaves nothing behind.

use serde::{Deserialize, Serialize};

use crate::postgres::session::{PostgresError, Session};

/// What became of a row that was put into a hypertable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The hypertable, `schema.table`.
    pub hypertable: String,
    /// How it went.
    pub outcome: ProbeOutcome,
    /// What had to be left out, or why it did not go.
    pub because: Option<String>,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The row went into a chunk.
    Works,
    /// The hypertable is empty, or its own rules let no row in that could be made up: nothing is proven, nothing is wrong.
    Untried,
    /// It takes no rows.
    Broken,
}

/// Reads the sentence of `sql/drill/probe.sql`.
fn outcome(hypertable: String, said: &str) -> Probe {
    let (word, because) =
        said.split_once(": ").map_or((said, None), |(word, because)| (word, Some(because.to_owned())));
    let outcome = match word {
        "works" => ProbeOutcome::Works,
        "refused" => ProbeOutcome::Untried,
        _ => ProbeOutcome::Broken,
    };
    Probe { hypertable, outcome, because }
}

/// Tries every hypertable.
pub async fn all(session: &mut Session) -> Result<Vec<Probe>, PostgresError> {
    let doing = "put a row into every hypertable";
    let node = session.node.to_string();
    let failed = |answer| PostgresError::Statement { doing: doing.to_owned(), node: node.clone(), answer };
    let ask = "select to_regclass('timescaledb_information.dimensions') is not null";
    if !session.client().query_one(ask, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)? {
        return Ok(Vec::new());
    }
    let transaction = session.client_mut().transaction().await.map_err(failed)?;
    transaction.batch_execute("set local statement_timeout = 0").await.map_err(failed)?;
    transaction.batch_execute(include_str!("../../../sql/drill/probe.sql")).await.map_err(failed)?;
    let rows = transaction.query(include_str!("../../../sql/drill/probe_all.sql"), &[]).await.map_err(failed)?;
    let probes = rows.iter().map(|row| Ok(outcome(row.try_get(0)?, row.try_get(1)?))).collect::<Result<Vec<_>, _>>();
    transaction.rollback().await.map_err(failed)?;
    probes.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_read_as_meant() {
        let read = |said: &str| {
            let probe = outcome("t".into(), said);
            (probe.outcome, probe.because)
        };
        assert_eq!(read("works"), (ProbeOutcome::Works, None));
        assert_eq!(read("works: without triggers"), (ProbeOutcome::Works, Some("without triggers".into())));
        assert_eq!(read("refused: a: b"), (ProbeOutcome::Untried, Some("a: b".into())));
        assert_eq!(read("broken: gone"), (ProbeOutcome::Broken, Some("gone".into())));
        assert_eq!(read("nonsense").0, ProbeOutcome::Broken);
    }
}
