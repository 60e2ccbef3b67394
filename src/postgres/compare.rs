//! Reading what two servers hold of the same tables: lists, fingerprints, and the record of earlier comparisons.
//!
//! Changes nothing but that record. [`fence`] makes both sides stand still, [`repair`] makes a table equal.

pub mod fence;
pub mod record;
pub mod repair;

use serde_json::json;

use super::look::odd;
use super::session::{PostgresError, Session};
use crate::model::names::{Ident, TableName};
use crate::plan::verify::{Fingerprint, Problem, Published, Subscribed};

/// What a session that compares needs besides what every session has: hashing takes its time and one core, a table that
/// somebody locks is left for later, no commit waits for a replica, and a frozen process of ours holds nobody up for
/// long.
const SETTINGS: &str = "set statement_timeout = '1h'; set lock_timeout = '2s'; set synchronous_commit = local; \
    set max_parallel_workers_per_gather = 0; set jit = off; set idle_in_transaction_session_timeout = '10min'; \
    set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 1; \
    set client_min_messages = error";

/// Prepares a session of one's own.
pub async fn prepare(session: &Session) -> Result<(), PostgresError> {
    session.run("prepare to compare", SETTINGS).await
}

/// Tables whose rows a publication carries.
pub async fn published(session: &Session, publication: &Ident) -> Result<Vec<Published>, PostgresError> {
    let rows = session
        .client()
        .query(include_str!("../../sql/observe/comparable.sql"), &[&publication.as_str()])
        .await
        .map_err(|source| session.failed("list the published tables", source))?;
    rows.iter()
        .map(|row| {
            let columns: Vec<&str> = row.get(2);
            let idents = columns.into_iter().map(Ident::new).collect::<Result<_, _>>();
            Ok(Published {
                name: TableName::new(row.get(0), row.get(1)).map_err(|error| odd(session, &error))?,
                columns: idents.map_err(|error| odd(session, &error))?,
                is_tree: row.get(3),
                filter: row.get(4),
                rows: row.get::<_, i64>(5).unsigned_abs(),
                activity: row.get(6),
            })
        })
        .collect()
}

/// What a subscriber has of these tables, in their order.
pub async fn subscribed<'a>(
    session: &Session,
    subscription: &Ident,
    tables: impl Iterator<Item = &'a TableName>,
) -> Result<Vec<Subscribed>, PostgresError> {
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        tables.map(|table| (table.schema.as_str(), table.table.as_str())).unzip();
    let rows = session
        .client()
        .query(include_str!("../../sql/observe/subscribed.sql"), &[&subscription.as_str(), &schemas, &names])
        .await
        .map_err(|source| session.failed("list the subscribed tables", source))?;
    let table = |row: &tokio_postgres::Row| Subscribed {
        is_there: row.get(1),
        state: row.get::<_, Option<&str>>(2).and_then(|state| state.chars().next()),
        activity: row.get(3),
    };
    Ok(rows.iter().map(table).collect())
}

/// On which side something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where a filter decides which rows are published.
    Primary,
    /// Where every row counts.
    Replica,
}

/// The fingerprints of tables, in their order.
pub async fn fingerprints(
    session: &Session,
    tables: &[&Published],
    side: Side,
) -> Result<Vec<Result<Fingerprint, Problem>>, PostgresError> {
    let wanted: Vec<_> = tables
        .iter()
        .map(|table| {
            let filter = table.filter.as_ref().filter(|_| side == Side::Primary);
            json!([table.name.schema, table.name.table, table.columns, table.is_tree, filter])
        })
        .collect();
    let wanted = json!(wanted).to_string();
    let rows = session
        .client()
        .query("select found_rows, hash, problem from hypertide.fingerprint($1::text::json) order by place", &[&wanted])
        .await
        .map_err(|source| session.failed("hash tables", source))?;
    rows.iter()
        .map(|row| {
            match (row.get::<_, Option<i64>>(0), row.get::<_, Option<String>>(1), row.get::<_, Option<&str>>(2)) {
                (Some(rows), Some(hash), None) => Ok(Ok(Fingerprint { rows: rows.unsigned_abs(), hash })),
                (_, _, Some("locked")) => Ok(Err(Problem::Locked)),
                (_, _, Some("no_table")) => Ok(Err(Problem::NoTable)),
                (_, _, Some("no_column")) => Ok(Err(Problem::NoColumn)),
                (_, _, problem) => Err(PostgresError::Unexpected {
                    node: session.node.to_string(),
                    because: format!("a fingerprint has neither rows nor a known problem: {problem:?}"),
                }),
            }
        })
        .collect()
}
