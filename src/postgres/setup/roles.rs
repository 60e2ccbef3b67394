//! Login roles and their password verifiers.

use std::collections::BTreeMap;

use crate::model::names::Ident;
use crate::postgres::session::{PostgresError, Session};

/// Password verifiers by role name.
pub type Verifiers = BTreeMap<String, String>;

/// Creates the login roles, or gives existing ones these verifiers.
pub async fn create_roles(session: &Session, verifiers: &Verifiers) -> Result<(), PostgresError> {
    let mut statements = vec!["begin".to_owned()];
    for (role, verifier) in verifiers {
        let attributes = match role.as_str() {
            "replicator" => "login replication",
            _ => "login",
        };
        let name = Ident::new(role).expect("role names are constants").quoted();
        // Verifiers are base64 with `$` and `:`; none of them contains a quote.
        statements.push(format!(
            "do $do$ begin if to_regrole('{name}') is null then create role {name} {attributes}; end if; end $do$"
        ));
        statements.push(format!("alter role {name} password '{verifier}'"));
    }
    statements.extend(["grant pg_monitor to monitor".to_owned(), "commit".to_owned()]);
    session.run("create the login roles", &statements.join(";\n")).await
}

/// The verifiers a server holds for these roles.
pub async fn verifiers(session: &Session, roles: &[&str]) -> Result<Verifiers, PostgresError> {
    let rows = session
        .client()
        .query(
            "select rolname::text, rolpassword from pg_authid where rolname = any ($1) and rolpassword is not null",
            &[&roles],
        )
        .await
        .map_err(|source| session.failed("read the password verifiers", source))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
