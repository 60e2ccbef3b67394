//! Roles that a dump names and a server lacks. A dump of a database holds no roles, and an owner that is missing fails its restore.
//!
//! They are made without a password and without the right to log in: what they may do comes from the dump, who may be them from
//! elsewhere.

use std::collections::BTreeSet;

use super::error::RestoreError;
use crate::backup::contents::{Contents, NEEDED_ROLE};
use crate::model::names::Ident;
use crate::postgres::session::Session;

/// Every role that the contents of a backup name.
pub fn named(contents: &Contents) -> BTreeSet<String> {
    let listed = contents.objects.keys().filter_map(|name| name.strip_prefix(NEEDED_ROLE));
    let owners = contents.objects.iter().filter(|(name, _)| name.starts_with("job ")).flat_map(|(_, definition)| {
        definition.lines().filter_map(|line| line.strip_prefix("owner ").map(|role| role.trim_matches('"')))
    });
    listed.chain(owners).filter(|role| !role.starts_with("pg_")).map(str::to_owned).collect()
}

/// Makes those that are missing; tells which.
pub async fn create_missing(session: &Session, contents: &Contents) -> Result<Vec<String>, RestoreError> {
    let wanted: Vec<String> = named(contents).into_iter().collect();
    let missing = session
        .client()
        .query(
            "select r from unnest($1::text[]) r where not exists (select from pg_roles where rolname = r)",
            &[&wanted],
        )
        .await
        .map_err(|error| session.failed("look for roles", error))?;
    let mut made = Vec::new();
    for row in missing {
        let name: String = row.get(0);
        let sql = format!("create role {} nologin", Ident::new(&name)?.quoted());
        session.run(&format!("create the role {name}"), &sql).await?;
        made.push(name);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_of_tables_and_of_jobs_are_named_and_postgresqls_own_are_not() {
        let objects = [
            ("needed role app", ""),
            ("needed role pg_monitor", ""),
            ("table a.b", "owner somebody else"),
            ("job public.x", "every 1 day\nowner \"Job Owner\"\nchecked by y"),
        ];
        let objects = objects.map(|(name, definition)| (name.to_owned(), definition.to_owned())).into();
        let named: Vec<String> = named(&Contents { objects, ..Contents::default() }).into_iter().collect();
        assert_eq!(named, ["Job Owner", "app"]);
    }
}
