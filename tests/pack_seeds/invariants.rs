//! What holds for every pack, whatever is in it.

use hypertide::model::names::Ident;
use hypertide::model::pack::Pack;
use tokio_postgres::Client;

use super::support::{Failure, ask, expect, left_to_do};

/// Every name that a document mentions is there. A list has a kind and a name in each line.
pub async fn every_object_exists(client: &Client, list: &str) -> Result<(), Failure> {
    let there = ask(client, include_str!("objects.sql")).await?;
    let wanted = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let missing: Vec<&str> = wanted.filter(|line| !there.iter().any(|object| object == line)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing: {missing:#?}").into()) }
}

pub async fn hold(client: &Client, packs: &[Pack]) -> Result<(), Failure> {
    let published = list(packs.iter().flat_map(|pack| &pack.published));
    let schemas = list(packs.iter().flat_map(|pack| &pack.schemas));
    let chunk_schemas = list(packs.iter().flat_map(|pack| &pack.chunk_schemas));
    let made = format!("select nspname::text from pg_namespace where nspname = any ({schemas}) order by 1");
    let mut names: Vec<&str> = packs.iter().flat_map(|pack| &pack.schemas).map(Ident::as_str).collect();
    names.sort_unstable();
    expect(client, &made, &names).await?;

    // Tables and their chunks can be updated and deleted from when they are published.
    let without_key = include_str!("../../sql/setup/without_identity.sql").replace("$1::text[]", &published);
    expect(client, &without_key, &[]).await?;

    let stray_chunks = format!(
        "select h.schema_name || '.' || h.table_name from _timescaledb_catalog.hypertable h
         where h.schema_name = any ({published}) and h.associated_schema_name <> all ({chunk_schemas})"
    );
    expect(client, &stray_chunks, &[]).await?;

    // A migration runs on both sides of replication: rows it wrote would come twice.
    let tables = format!("select schemaname || '.' || tablename from pg_tables where schemaname = any ({published})");
    for table in ask(client, &tables).await? {
        expect(client, &format!("select count(*)::text from {table}"), &["0"]).await?;
    }

    // A procedure that commits cannot have settings of its own; those qualify every name.
    let unpinned = format!(
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = any (select oid from pg_namespace where nspname = any ({schemas}))
           and p.prokind = 'f' and p.prosqlbody is null
           and not exists (select from unnest(p.proconfig) s where s like 'search_path=%')"
    );
    expect(client, &unpinned, &[]).await?;

    // People find their way by comments.
    let undescribed = format!(
        "select c.oid::regclass::text from pg_class c
         where c.relnamespace = any (select oid from pg_namespace where nspname = any ({published}))
           and c.relkind in ('r', 'p', 'v', 'm') and obj_description(c.oid, 'pg_class') is null order by 1"
    );
    let undescribed = ask(client, &undescribed).await?;
    if !undescribed.is_empty() {
        return Err(format!("without a comment: {undescribed:?}").into());
    }

    let again = left_to_do(client, packs).await?;
    if again == "[] []" { Ok(()) } else { Err(format!("not a no-op the second time: {again}").into()) }
}

fn list<'a>(names: impl Iterator<Item = &'a Ident>) -> String {
    let names: Vec<&str> = names.map(Ident::as_str).collect();
    format!("'{{{}}}'::text[]", names.join(","))
}
