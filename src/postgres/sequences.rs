//! Reads how far sequences are, and sets them.

use std::collections::{BTreeMap, BTreeSet};

use super::look::odd;
use super::session::{PostgresError, Session};
use crate::model::names::{Ident, TableName};
use crate::model::sequence::Sequence;
use crate::plan::sequences::SequenceToSet;

/// The sequences of these schemas.
pub async fn read(
    session: &Session,
    schemas: &BTreeSet<Ident>,
) -> Result<BTreeMap<TableName, Sequence>, PostgresError> {
    let schemas: Vec<&str> = schemas.iter().map(Ident::as_str).collect();
    let rows = session
        .client()
        .query(include_str!("../../sql/observe/sequences.sql"), &[&schemas])
        .await
        .map_err(|source| session.failed("read the sequences", source))?;
    rows.iter()
        .map(|row| {
            let name = TableName::new(row.get(0), row.get(1)).map_err(|error| odd(session, &error))?;
            let sequence = Sequence {
                increment: row.get(2),
                min: row.get(3),
                max: row.get(4),
                cycles: row.get(5),
                last_value: row.get(6),
                is_called: row.get(7),
            };
            Ok((name, sequence))
        })
        .collect()
}

/// The schemas of this publication, and those of the tables that it names.
pub async fn published_schemas(session: &Session, publication: &Ident) -> Result<BTreeSet<Ident>, PostgresError> {
    let question = "select n.nspname::text from pg_publication p
                    join pg_publication_namespace m on m.pnpubid = p.oid join pg_namespace n on n.oid = m.pnnspid
                    where p.pubname = $1
                    union
                    select n.nspname::text from pg_publication p
                    join pg_publication_rel m on m.prpubid = p.oid join pg_class c on c.oid = m.prrelid
                    join pg_namespace n on n.oid = c.relnamespace where p.pubname = $1";
    let rows = session.client().query(question, &[&publication.as_str()]).await;
    let rows = rows.map_err(|source| session.failed("read which schemas are published", source))?;
    let names = rows.iter().map(|row| Ident::new(row.get(0)));
    names.collect::<Result<_, _>>().map_err(|error| odd(session, &error))
}

/// Sets sequences, all in one statement.
pub async fn set(session: &Session, wanted: &[SequenceToSet]) -> Result<(), PostgresError> {
    let schemas: Vec<&str> = wanted.iter().map(|set| set.name.schema.as_str()).collect();
    let names: Vec<&str> = wanted.iter().map(|set| set.name.table.as_str()).collect();
    let values: Vec<i64> = wanted.iter().map(|set| set.last_value).collect();
    let called: Vec<bool> = wanted.iter().map(|set| set.is_called).collect();
    session
        .client()
        .execute(include_str!("../../sql/setup/set_sequences.sql"), &[&schemas, &names, &values, &called])
        .await
        .map_err(|source| session.failed("set the sequences", source))?;
    Ok(())
}
