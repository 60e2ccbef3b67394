//! The cluster's database, what hypertide keeps in it, and who may use its schemas.

use std::collections::BTreeSet;

use crate::model::cluster::Seat;
use crate::model::names::{Ident, NodeName};
use crate::postgres::session::{PostgresError, Session};

/// Creates the cluster's database, in UTF-8 whatever the image's template is.
pub async fn create_database(session: &Session, database: &Ident) -> Result<(), PostgresError> {
    let exists = session
        .client()
        .query_opt("select from pg_database where datname = $1", &[&database.as_str()])
        .await
        .map_err(|source| session.failed("look for the database", source))?;
    if exists.is_some() {
        return Ok(());
    }
    let sql = format!("create database {} template template0 encoding 'UTF8'", database.quoted());
    session.run("create the database", &sql).await
}

/// hypertide's schema, in the order of its parts. One statement string, so one transaction: all of it or nothing.
pub const CATALOG: [&str; 9] = [
    include_str!("../../../sql/setup/catalog.sql"),
    include_str!("../../../sql/setup/chunks.sql"),
    include_str!("../../../sql/setup/retire.sql"),
    include_str!("../../../sql/setup/read_only.sql"),
    include_str!("../../../sql/setup/compare.sql"),
    include_str!("../../../sql/setup/pooler.sql"),
    include_str!("../../../sql/setup/wal.sql"),
    include_str!("../../../sql/setup/backups.sql"),
    include_str!("../../../sql/setup/jobs.sql"),
];

/// Installs TimescaleDB and hypertide's schema, and writes down what the node is.
pub async fn install_catalog(session: &Session, node: &NodeName, seat: Seat) -> Result<(), PostgresError> {
    session.run("install hypertide's schema", &CATALOG.concat()).await?;
    session
        .client()
        .execute(
            "insert into hypertide.node (node, seat, epoch) values ($1, $2, 1) on conflict do nothing",
            &[&node.as_str(), &seat.word()],
        )
        .await
        .map_err(|source| session.failed("write down what the node is", source))?;
    let public = BTreeSet::from([Ident::new("public").expect("valid")]);
    grant_access(session, &public, seat == Seat::Primary).await
}

pub(super) async fn grant_access(
    session: &Session,
    schemas: &BTreeSet<Ident>,
    is_writable: bool,
) -> Result<(), PostgresError> {
    let schemas: Vec<&str> = schemas.iter().map(Ident::as_str).collect();
    session
        .client()
        .execute(
            "select hypertide.grant_access(nspname, $2) from pg_namespace where nspname = any ($1)",
            &[&schemas, &is_writable],
        )
        .await
        .map_err(|source| session.failed("grant access to schemas", source))?;
    Ok(())
}
