//! Tables and chunks with rows, and their fingerprints: many of them with each question, each read once.

use std::fmt::Write as _;

use super::Inner;
use crate::model::names::{Ident, TableName};
use crate::model::rows::{DumpTable, Fingerprint, Method};
use crate::postgres::look::odd;
use crate::postgres::session::{PostgresError, Session};

/// Tables in one statement that hashes, and bytes in them: a statement cannot be interrupted politely, and tells nothing before
/// its end.
const BATCH_TABLES: usize = 100;
const BATCH_BYTES: u64 = 256 * 1024 * 1024;

/// Tables in one statement that locks.
const LOCK_BATCH: usize = 500;

/// Every table and chunk whose rows a dump holds, by name.
pub async fn list(session: &Session, inner: &Inner) -> Result<Vec<DumpTable>, PostgresError> {
    let rows = session
        .client()
        .query(include_str!("../../../sql/backup/tables.sql"), &[&inner.roots, &inner.compressed])
        .await
        .map_err(|source| session.failed("list the tables", source))?;
    rows.iter()
        .map(|row| {
            let hypertable = match (row.get::<_, Option<&str>>(3), row.get::<_, Option<&str>>(4)) {
                (Some(schema), Some(table)) => Some(TableName::new(schema, table)),
                _ => None,
            };
            let columns: Vec<&str> = row.get(6);
            let columns = columns.into_iter().map(Ident::new).collect::<Result<_, _>>();
            Ok(DumpTable {
                oid: row.get(0),
                name: TableName::new(row.get(1), row.get(2)).map_err(|error| odd(session, &error))?,
                hypertable: hypertable.transpose().map_err(|error| odd(session, &error))?,
                bytes: row.get::<_, Option<i64>>(5).unwrap_or_default().unsigned_abs(),
                columns: columns.map_err(|error| odd(session, &error))?,
                method: if row.get(7) { Method::Record } else { Method::Text },
            })
        })
        .collect()
}

/// The sizes of some tables.
pub async fn sizes(session: &Session, oids: &Vec<u32>) -> Result<Vec<(TableName, u64)>, PostgresError> {
    let sql = "select n.nspname::text, c.relname::text, pg_table_size(c.oid) from pg_class c \
               join pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1) and c.relkind = 'r' order by 1, 2";
    let rows = session.client().query(sql, &[oids]).await.map_err(|source| session.failed("measure tables", source))?;
    rows.iter()
        .map(|row| {
            let name = TableName::new(row.get(0), row.get(1)).map_err(|error| odd(session, &error))?;
            Ok((name, row.get::<_, Option<i64>>(2).unwrap_or_default().unsigned_abs()))
        })
        .collect()
}

/// Keeps tables from being dropped or rewritten until the transaction ends; nobody's reading or writing is in the way.
pub async fn lock(session: &Session, tables: &[DumpTable]) -> Result<(), PostgresError> {
    for batch in tables.chunks(LOCK_BATCH) {
        let names: Vec<String> = batch.iter().map(|table| format!("only {}", table.name.quoted())).collect();
        session
            .run("keep the tables as they are", &format!("lock table {} in access share mode", names.join(", ")))
            .await?;
    }
    Ok(())
}

/// The fingerprints of tables, in their order; `on_bytes` is told how much was read.
pub async fn fingerprints(
    session: &Session,
    tables: &[&DumpTable],
    on_bytes: impl Fn(u64),
) -> Result<Vec<Fingerprint>, PostgresError> {
    let mut all = Vec::with_capacity(tables.len());
    for batch in batches(tables) {
        let rows = session
            .client()
            .query(&statement(batch), &[])
            .await
            .map_err(|source| session.failed(&format!("hash {}", described(batch)), source))?;
        // A union has no order of its own.
        let mut found: Vec<Option<Fingerprint>> = vec![None; batch.len()];
        for row in &rows {
            let place = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
            if let (Some(slot), Some(table)) = (found.get_mut(place), batch.get(place)) {
                *slot = Some(Fingerprint {
                    rows: row.get::<_, i64>(1).unsigned_abs(),
                    hash: row.get(2),
                    method: table.method,
                });
            }
        }
        for (slot, table) in found.into_iter().zip(batch) {
            all.push(slot.ok_or_else(|| PostgresError::Unexpected {
                node: session.node.to_string(),
                because: format!("no fingerprint of {} came", table.name),
            })?);
            on_bytes(table.bytes);
        }
    }
    Ok(all)
}

fn described(batch: &[&DumpTable]) -> String {
    match batch {
        [only] => only.name.to_string(),
        [first, rest @ ..] => format!("{} and {} more", first.name, rest.len()),
        [] => "nothing".to_owned(),
    }
}

fn batches<'a, 'b>(tables: &'b [&'a DumpTable]) -> impl Iterator<Item = &'b [&'a DumpTable]> {
    let mut rest = tables;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |table: &&DumpTable| {
            bytes += table.bytes;
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take(BATCH_TABLES).copied().take_while(fits).count().max(1).min(rest.len());
        let (batch, later) = rest.split_at(count);
        rest = later;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Columns come by name, so that two tables with the same columns in another order are equal.
fn statement(batch: &[&DumpTable]) -> String {
    let mut sql = String::new();
    for (place, table) in batch.iter().enumerate() {
        let columns: Vec<String> = table.columns.iter().map(|column| format!("t.{}", column.quoted())).collect();
        let row = format!("row({})", columns.join(", "));
        let hash = match table.method {
            Method::Record => format!("hash_record_extended({row}, 0)"),
            Method::Text => format!("hashtextextended({row}::text, 0)"),
        };
        // What is compressed in a chunk lies elsewhere, and ONLY would leave it out.
        let only = if table.hypertable.is_some() { "" } else { "only " };
        let union = if place == 0 { "" } else { "\nunion all " };
        let from = table.name.quoted();
        write!(sql, "{union}select {place}, count(*), coalesce(sum({hash}), 0)::text from {only}{from} t")
            .expect("a string takes any text");
    }
    sql
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(bytes: u64, method: Method, hypertable: bool) -> DumpTable {
        let name = TableName::new("s", "it's \"x\"").expect("valid");
        DumpTable {
            oid: 1,
            hypertable: hypertable.then(|| name.clone()),
            name,
            bytes,
            columns: vec![Ident::new("a").expect("valid"), Ident::new("B").expect("valid")],
            method,
        }
    }

    #[test]
    fn a_statement_hashes_chunks_with_what_is_compressed_in_them() {
        let (chunk, plain) = (table(1, Method::Record, true), table(1, Method::Text, false));
        assert_eq!(
            statement(&[&chunk, &plain]),
            "select 0, count(*), coalesce(sum(hash_record_extended(row(t.\"a\", t.\"B\"), 0)), 0)::text from \
             \"s\".\"it's \"\"x\"\"\" t\n\
             union all select 1, count(*), coalesce(sum(hashtextextended(row(t.\"a\", t.\"B\")::text, 0)), 0)::text from \
             only \"s\".\"it's \"\"x\"\"\" t"
        );
    }

    proptest! {
        #[test]
        fn batches_hold_every_table_once_and_are_bounded(sizes in proptest::collection::vec(0..BATCH_BYTES * 2, 0..400)) {
            let tables: Vec<DumpTable> = sizes.iter().map(|bytes| table(*bytes, Method::Record, true)).collect();
            let all: Vec<&DumpTable> = tables.iter().collect();
            let mut seen = 0;
            for batch in batches(&all) {
                prop_assert!(batch.len() <= BATCH_TABLES);
                prop_assert!(batch.len() == 1 || batch.iter().map(|table| table.bytes).sum::<u64>() <= BATCH_BYTES);
                seen += batch.len();
            }
            prop_assert_eq!(seen, tables.len());
        }
    }
}
