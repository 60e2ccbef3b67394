//! Reads what the primary has for the outside, and tries out row filters.

mod rows;

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;

use super::look::{odd, one_json};
use super::session::{PostgresError, Session};
use crate::model::names::{Ident, TableName};
use crate::model::outside::{DeclaredTable, FilterSeen, Outside, OutsideSeen};
use rows::OutsideRow;

/// Reads it, without filters, passwords and refusals.
pub async fn read(session: &Session, declared: &Outside) -> Result<OutsideSeen, PostgresError> {
    let publications: Vec<&str> = declared.publications.iter().map(|it| it.name.as_str()).collect();
    let tables: BTreeSet<&TableName> =
        declared.publications.iter().flat_map(|it| &it.tables).map(|table| &table.name).collect();
    let table_schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let table_names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
    let schemas: Vec<&str> = declared.publications.iter().flat_map(|it| &it.schemas).map(Ident::as_str).collect();
    let subscriptions: Vec<&str> = declared.subscriptions.iter().map(|it| it.name.as_str()).collect();
    let json = one_json(
        session,
        "observe what there is for the outside",
        include_str!("../../sql/observe/outside.sql"),
        &[&publications, &table_schemas, &table_names, &schemas, &subscriptions],
    )
    .await?;
    let row: OutsideRow = serde_json::from_str(&json).map_err(|error| odd(session, &error))?;
    row.into_model().map_err(|error| odd(session, &error))
}

/// Tries a row filter out on its table, in a publication that is rolled back. The session must be the caller's own.
///
/// PostgreSQL has no other way to say whether it takes a filter, and which columns that reads.
pub async fn try_filter(session: &mut Session, table: &DeclaredTable) -> Result<Option<FilterSeen>, PostgresError> {
    let Some(filter) = &table.filter else { return Ok(None) };
    let doing = format!("try out the row filter of {}", table.name);
    let node = session.node.to_string();
    let failed = |answer| PostgresError::Statement { doing: doing.clone(), node: node.clone(), answer };
    let transaction = session.client_mut().transaction().await.map_err(failed)?;
    // Whoever changes the table right now is not waited for; the next look tries again.
    transaction.batch_execute("set local lock_timeout = '1s'").await.map_err(failed)?;
    // Several may try at the same time.
    let name: String = transaction
        .query_one("select 'hypertide tries a filter ' || pg_backend_pid()", &[])
        .await
        .map_err(failed)?
        .get(0);
    let probe = Ident::new(&name).expect("short, and without a NUL").quoted();
    let sql = format!(
        "create publication {probe} for table only {} where ({filter}\n) \
         with (publish_via_partition_root = true)",
        table.name.quoted()
    );
    // As a prepared statement it cannot be more than one.
    if let Err(answer) = transaction.execute(&sql, &[]).await {
        return match answer.as_db_error() {
            Some(refusal) if *refusal.code() != SqlState::LOCK_NOT_AVAILABLE => {
                let detail = refusal.detail().map_or(String::new(), |detail| format!(" ({detail})"));
                Ok(Some(FilterSeen::Refused(format!("{}{detail}", refusal.message()))))
            }
            _ => Err(failed(answer)),
        };
    }
    let columns = transaction
        .query(
            "select a.attname::text
             from pg_publication p
             join pg_publication_rel pr on pr.prpubid = p.oid
             join pg_depend d on d.classid = 'pg_publication_rel'::regclass and d.objid = pr.oid
             join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
             where p.pubname = $1 and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0",
            &[&name],
        )
        .await
        .map_err(failed)?;
    let columns = columns.iter().map(|row| Ident::new(row.get(0))).collect::<Result<BTreeSet<_>, _>>();
    transaction.rollback().await.map_err(failed)?;
    Ok(Some(FilterSeen::Reads(columns.map_err(|error| odd(session, &error))?)))
}
