//! Chunks: made like the publisher's, made ahead, dropped after the publisher's.

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;

use crate::model::chunk::{ChunkToMirror, Hypertable, Partitioning};
use crate::model::lsn::Lsn;
use crate::model::names::TableName;
use crate::plan::chunks::ahead::ChunkAhead;
use crate::postgres::session::{PostgresError, Session};

/// Chunks made in one transaction: many at a time are much faster, and each holds some locks until its end.
const BATCH: usize = 50;

/// How long writers of a hypertable may have to wait while a chunk is made ahead. Whoever holds the table longer is not in a
/// hurry; the next pass tries again.
const LOCK_PATIENCE: &str = "100ms";

/// Makes chunks exactly as the publisher has them. All that can be made are made; the first failure is told.
pub async fn make_chunks(session: &Session, chunks: &[ChunkToMirror]) -> Result<(), PostgresError> {
    let mut first_failure = Ok(());
    for batch in chunks.chunks(BATCH) {
        if make_batch(session, batch).await.is_ok() {
            continue;
        }
        for chunk in batch {
            let made = make_batch(session, std::slice::from_ref(chunk)).await;
            first_failure = first_failure.and(made);
        }
    }
    first_failure
}

async fn make_batch(session: &Session, chunks: &[ChunkToMirror]) -> Result<(), PostgresError> {
    // Arrays of arrays must all be of one length, so slices travel as text: `{start,end,start,end}`.
    let slices: Vec<String> = chunks
        .iter()
        .map(|chunk| {
            let bounds = chunk.slices.iter().flat_map(|slice| [slice.start.to_string(), slice.end.to_string()]);
            format!("{{{}}}", bounds.collect::<Vec<_>>().join(","))
        })
        .collect();
    let roots: Vec<String> = chunks.iter().map(|chunk| chunk.hypertable.quoted()).collect();
    let schemas: Vec<&str> = chunks.iter().map(|chunk| chunk.name.schema.as_str()).collect();
    let names: Vec<&str> = chunks.iter().map(|chunk| chunk.name.table.as_str()).collect();
    let made = session
        .client()
        .execute(
            "select hypertide.make_chunk(root::regclass, slices::int8[], chunk_schema::name, chunk_name::name)
             from unnest($1::text[], $2::text[], $3::text[], $4::text[]) u (root, slices, chunk_schema, chunk_name)",
            &[&roots, &slices, &schemas, &names],
        )
        .await;
    let doing = match chunks {
        [chunk] => format!("create chunk {}", chunk.name),
        _ => "create chunks".to_owned(),
    };
    made.map(|_| ()).map_err(|source| session.failed(&doing, source))
}

/// Has TimescaleDB cut new chunks of these hypertables like the publisher's.
pub async fn align_partitioning(session: &Session, hypertables: &[Hypertable]) -> Result<(), PostgresError> {
    for hypertable in hypertables {
        for dimension in &hypertable.dimensions {
            let (root, column) = (hypertable.name.quoted(), dimension.column.as_str());
            let set = match dimension.partitioning {
                Partitioning::Range { interval } => {
                    let sql = "select set_chunk_time_interval($1::text::regclass, $2::int8, $3::text::name)";
                    session.client().execute(sql, &[&root, &interval, &column]).await
                }
                Partitioning::Hash { partitions } => {
                    let sql = "select set_number_partitions($1::text::regclass, $2, $3::text::name)";
                    session.client().execute(sql, &[&root, &i32::from(partitions), &column]).await
                }
            };
            set.map_err(|source| session.failed(&format!("set how {} is partitioned", hypertable.name), source))?;
        }
    }
    Ok(())
}

/// Makes chunks on the publisher before the first row needs them. One whose hypertable is locked for longer than writers can
/// wait is left for the next pass.
pub async fn make_chunks_ahead(session: &mut Session, chunks: &[ChunkAhead]) -> Result<(), PostgresError> {
    for chunk in chunks {
        match make_chunk_ahead(session, chunk).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                tracing::info!(hypertable = %chunk.hypertable, "is in use; its next chunk is made later");
            }
            made => made?,
        }
    }
    Ok(())
}

async fn make_chunk_ahead(session: &mut Session, chunk: &ChunkAhead) -> Result<(), PostgresError> {
    let node = session.node.to_string();
    let doing = format!("create the next chunk of {}", chunk.hypertable);
    let failed = |answer| PostgresError::Statement { doing: doing.clone(), node: node.clone(), answer };
    let transaction = session.client_mut().transaction().await.map_err(failed)?;
    transaction.batch_execute(&format!("set local lock_timeout = '{LOCK_PATIENCE}'")).await.map_err(failed)?;
    transaction
        .execute("select hypertide.make_chunk_at($1::text::regclass, $2)", &[&chunk.hypertable.quoted(), &chunk.point])
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Those of these chunks that a publisher does not have, and a position of its log at which it did not have them.
pub async fn gone(session: &Session, chunks: &BTreeSet<TableName>) -> Result<(Vec<TableName>, Lsn), PostgresError> {
    let (schemas, names) = columns(chunks.iter());
    let rows = session
        .client()
        .query(
            "select u.schema_name, u.table_name, pg_current_wal_insert_lsn()::text
             from unnest($1::text[], $2::text[]) u (schema_name, table_name)
             where to_regclass(format('%I.%I', u.schema_name, u.table_name)) is null",
            &[&schemas, &names],
        )
        .await
        .map_err(|source| session.failed("look for dropped chunks", source))?;
    let mut lsn = Lsn::default();
    let mut gone = Vec::new();
    for row in &rows {
        let unexpected = |because: String| PostgresError::Unexpected { node: session.node.to_string(), because };
        gone.push(TableName::new(row.get(0), row.get(1)).map_err(|error| unexpected(error.to_string()))?);
        lsn = row.get::<_, &str>(2).parse().map_err(|_| unexpected("a position in the log is none".into()))?;
    }
    Ok((gone, lsn))
}

/// Drops chunks and leaves an empty table in each one's place, until the publisher's log is applied up to `lsn`.
pub async fn retire_chunks(session: &Session, chunks: &[TableName], lsn: Lsn) -> Result<(), PostgresError> {
    for batch in chunks.chunks(BATCH) {
        let (schemas, names) = columns(batch.iter());
        session
            .client()
            .execute(
                "select hypertide.retire_chunks($1::text[]::name[], $2::text[]::name[], $3::text::pg_lsn)",
                &[&schemas, &names, &lsn.to_string()],
            )
            .await
            .map_err(|source| session.failed("drop chunks that the primary has dropped", source))?;
    }
    Ok(())
}

/// Makes empty tables with the columns of the hypertable in the places of chunks that never came to be here, until the
/// publisher's log is applied up to `lsn`. Changes for them have nowhere to go and stop all others.
pub async fn keep_places(
    session: &Session,
    chunks: &[TableName],
    hypertable: &TableName,
    lsn: Lsn,
) -> Result<(), PostgresError> {
    let (schemas, names) = columns(chunks.iter());
    let sql = "select hypertide.keep_place(schema_name::name, table_name::name, $3::text::regclass, $4::text::pg_lsn)
               from unnest($1::text[], $2::text[]) u (schema_name, table_name)";
    session
        .client()
        .execute(sql, &[&schemas, &names, &hypertable.quoted(), &lsn.to_string()])
        .await
        .map_err(|source| session.failed("keep the places of chunks that the primary has dropped", source))?;
    Ok(())
}

/// Drops the tables that keep the places of retired chunks.
pub async fn forget_retired(session: &Session, chunks: &BTreeSet<TableName>) -> Result<(), PostgresError> {
    let (schemas, names) = columns(chunks.iter());
    session
        .client()
        .execute("select hypertide.forget_retired($1::text[]::name[], $2::text[]::name[])", &[&schemas, &names])
        .await
        .map_err(|source| session.failed("clear the places of dropped chunks", source))?;
    Ok(())
}

fn columns<'a>(tables: impl Iterator<Item = &'a TableName>) -> (Vec<&'a str>, Vec<&'a str>) {
    tables.map(|table| (table.schema.as_str(), table.table.as_str())).unzip()
}
