//! Roles, tablespaces and settings of a whole server, run on one that has none of them.
//!
//! The superuser that the server has already is not made again; tablespaces get directories of their own.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::error::RestoreError;
use super::origin::Origin;
use super::place::Place;
use crate::backup::contents::Contents;
use crate::backup::manifest::ObjectRecord;
use crate::backup::pipeline::Plain;
use crate::backup::tools::Tool;
use crate::model::names::Ident;
use crate::plan::provision::SUPERUSER;
use crate::postgres::contents::ddl::settings;

/// What comes before a password's verifier.
const PASSWORD: &str = " PASSWORD '";

/// The statements of a backup.
pub async fn text(origin: &Origin, record: &ObjectRecord) -> Result<String, RestoreError> {
    String::from_utf8(origin.read(record).await?)
        .map_err(|error| RestoreError::Odd { object: record.name.clone(), because: error.to_string() })
}

/// Runs them, each by itself, as some may not be in a transaction. The first that fails ends it.
pub async fn run(record: &ObjectRecord, text: String, place: &Place) -> Result<(), RestoreError> {
    let tool = Tool::new("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).connected_to(&Ident::new("postgres")?);
    place.feed(&tool, &record.name, Plain(std::io::Cursor::new(runnable(&text)))).await
}

/// The statements that would make a server what this one is now, with passwords where `text` has some.
pub async fn found(text: &str, place: &Place) -> Result<String, RestoreError> {
    let mut tool = Tool::new("pg_dumpall").arg("--globals-only");
    if !text.contains(PASSWORD) {
        tool = tool.arg("--no-role-passwords");
    }
    let mut found = place.read(&tool.connected_to(&Ident::new("postgres")?)).await?;
    for line in settings(&place.maintenance().await?).await? {
        found.push_str(&line);
        found.push('\n');
    }
    Ok(found)
}

/// Makes the databases, empty, that settings are about. They are no part of a backup of this kind.
pub async fn create_databases(text: &str, place: &Place) -> Result<(), RestoreError> {
    let session = place.maintenance().await?;
    for name in databases(text) {
        let there = "select exists (select from pg_database where quote_ident(datname) = $1)";
        let failed = |error| session.failed("look for a database", error);
        if !session.client().query_one(there, &[&name]).await.map_err(failed)?.get::<_, bool>(0) {
            // Quoted as the backup has it.
            session.run(&format!("create the database {name}"), &format!("create database {name}")).await?;
        }
    }
    Ok(())
}

/// The databases that settings are about, quoted where that is needed.
fn databases(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(database).collect()
}

fn database(line: &str) -> Option<&str> {
    let rest = match line.strip_prefix("ALTER DATABASE ") {
        Some(rest) => rest,
        None if line.starts_with("ALTER ROLE ") => line.split_once(" IN DATABASE ")?.1,
        None => return None,
    };
    let end = match rest.strip_prefix('"') {
        Some(quoted) => quoted.find("\" ")? + 2,
        None => rest.find(' ')?,
    };
    rest.get(..end)
}

/// Each statement as an object of its own, so that one that is missing has a name. Passwords are compared and not shown.
pub fn contents(text: &str) -> Contents {
    let statements = text.lines().map(str::trim).filter(|line| {
        !line.is_empty() && !line.starts_with("--") && !line.starts_with('\\') && !line.starts_with("SET ")
    });
    let objects = statements.map(|line| match line.split_once(PASSWORD) {
        Some((before, after)) => {
            let (verifier, rest) = after.split_once('\'').unwrap_or((after, ""));
            let digest = Sha256::digest(verifier);
            let digest = u64::from_be_bytes(*digest.first_chunk().expect("32 bytes"));
            (format!("{before}{rest}"), format!("password {digest:016x}"))
        }
        None => (line.to_owned(), String::new()),
    });
    Contents { tables: BTreeMap::new(), objects: objects.collect() }
}

/// The directories that tablespaces are to have.
pub fn locations(text: &str) -> Vec<String> {
    let of_line = |line: &str| {
        let rest = line.strip_prefix("CREATE TABLESPACE ")?;
        let (_, quoted) = rest.split_once(" LOCATION '")?;
        Some(quoted.strip_suffix("';")?.replace("''", "'"))
    };
    text.lines().filter_map(of_line).collect()
}

/// Without the statement that makes the superuser, who is there.
fn runnable(text: &str) -> String {
    let is_superuser = format!("CREATE ROLE {SUPERUSER};");
    text.lines().filter(|line| *line != is_superuser).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superuser_is_not_made_again_and_everybody_else_is() {
        let text = "CREATE ROLE app;\nCREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER;\n";
        assert_eq!(runnable(text), "CREATE ROLE app;\nALTER ROLE postgres WITH SUPERUSER;\n");
    }

    #[test]
    fn databases_that_have_settings_are_found() {
        let text = "ALTER DATABASE shop SET a = 'b';\nALTER ROLE x IN DATABASE \"a \"\"b\"\"c\" SET y TO 'z';\n\
                    ALTER ROLE x SET y TO ' IN DATABASE';\nALTER SYSTEM SET a = 'b';\n";
        assert_eq!(databases(text).into_iter().collect::<Vec<_>>(), ["\"a \"\"b\"\"c\"", "shop"]);
    }

    #[test]
    fn a_password_is_compared_and_not_shown() {
        let of = |verifier: &str| contents(&format!("ALTER ROLE a WITH LOGIN PASSWORD '{verifier}';\n"));
        assert_eq!(of("SCRAM-SHA-256$1"), of("SCRAM-SHA-256$1"));
        assert_ne!(of("SCRAM-SHA-256$1"), of("SCRAM-SHA-256$2"));
        assert!(!format!("{:?}", of("SCRAM-SHA-256$1")).contains("SCRAM"));
    }

    #[test]
    fn tablespaces_say_where_they_are() {
        let text = "CREATE TABLESPACE fast OWNER postgres LOCATION '/mnt/it''s fast';\n-- CREATE TABLESPACE x\n";
        assert_eq!(locations(text), ["/mnt/it's fast"]);
    }
}
