//! A backup of what belongs to the server and not to a database: roles, tablespaces, settings.

use std::io::Read as _;

use super::error::BackupError;
use crate::backup::tools::{Tool, Toolbox};
use crate::model::names::Ident;
use crate::postgres::contents::ddl::settings;
use crate::postgres::session::Session;

/// Writes them down as SQL. Passwords' verifiers are secrets too: they are in it only when asked for.
pub async fn write(
    session: &Session,
    tools: &Toolbox,
    database: &Ident,
    with_passwords: bool,
) -> Result<Vec<u8>, BackupError> {
    let mut tool = Tool::new("pg_dumpall").args(["--globals-only", "--lock-wait-timeout=60000"]);
    if !with_passwords {
        tool = tool.arg("--no-role-passwords");
    }
    let mut output = tools.reading(&tool.connected_to(database))?;
    let read = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        output.read_to_end(&mut text).map(|_| text)
    });
    let because =
        |error: &dyn std::fmt::Display| BackupError::Unreadable { what: "roles".into(), because: error.to_string() };
    let mut text = read.await.map_err(|error| because(&error))?.map_err(|error| because(&error))?;
    text.extend_from_slice(b"\n--\n-- Settings of databases and of the server\n--\n\n");
    for line in settings(session).await? {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    Ok(text)
}
