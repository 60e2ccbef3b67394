//! Reads what there is to say of a schema, as `sql/docs/schema.sql` answers.

use super::Inner;
use crate::model::description::Description;
use crate::postgres::session::{PostgresError, Session};

const QUERY: &str =
    concat!(include_str!("../../../sql/backup/objects/own.sql"), include_str!("../../../sql/docs/schema.sql"));

/// Reads it; takes TimescaleDB.
pub async fn describe(session: &Session, inner: &Inner) -> Result<Description, PostgresError> {
    // A continuous aggregate is a user's own, whatever is behind it.
    let left_out: Vec<u32> = inner.left_out.iter().filter(|oid| !inner.aggregates.contains(oid)).copied().collect();
    let failed = |source| session.failed("read what there is to say of the schema", source);
    let row = session.client().query_one(QUERY, &[&left_out]).await.map_err(failed)?;
    serde_json::from_str(row.get(0))
        .map_err(|error| PostgresError::Unexpected { node: session.node.to_string(), because: error.to_string() })
}
