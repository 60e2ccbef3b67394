//! A database's schema as readable text: what `pg_dump` knows, then TimescaleDB's own statements.
//!
//! In: a snapshot and the tools of the server's version. Out: text that is the same as long as the schema is, on every server
//! with the same version: nothing in it tells a time, an id or who made it. `psql -1` restores it into an empty database, with
//! policies and jobs switched off. hypertide's own schema, publications and subscriptions are not in it.

use std::io::Read as _;

use super::order;
use crate::backup::error::BackupError;
use crate::backup::source::Reading;
use crate::backup::tools::{Tool, Toolbox};
use crate::model::names::Ident;
use crate::postgres::contents::ddl;

/// The file's name, wherever it is kept.
pub const FILE_NAME: &str = "schema.sql";

const HEAD: &str = "-- The schema of a database, written by hypertide. Restore it into an empty one: psql -1 -v ON_ERROR_STOP=1 -f\n\n";

/// Kinds of statements after the plain ones, each under a line of its own.
const SECTIONS: [&str; 4] =
    ["Hypertables", "Continuous aggregates", "Views on continuous aggregates", "Policies and jobs"];

const JOBS_ARE_OFF: &str =
    "-- They are off. SELECT alter_job(job_id, scheduled => true) switches one on; retention last.\n";

/// Writes the schema down.
pub async fn write(reading: &Reading, tools: &Toolbox, database: &Ident) -> Result<String, BackupError> {
    let apart = ddl::apart(reading.session(), reading.inner()).await?;
    let statements = ddl::statements(reading.session(), reading.inner()).await?;

    let mut plain = schema_only(reading, database)
        .args(["--exclude-schema=_timescaledb_*", "--exclude-schema=hypertide"])
        .args(apart.patterns.iter().map(|pattern| format!("--exclude-table={pattern}")));
    plain = plain.args(apart.dependents.iter().map(|view| format!("--exclude-table={}", view.quoted())));
    let mut text = HEAD.to_owned();
    text.push_str(&order::stable(&printed(tools, &plain).await?));

    let dependents = if apart.dependents.is_empty() {
        String::new()
    } else {
        let views = apart.dependents.iter().map(|view| format!("--table={}", view.quoted()));
        order::stable(&printed(tools, &schema_only(reading, database).args(views)).await?)
    };
    let lines = |lines: &[String]| lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
    let jobs = lines(&statements.jobs);
    let jobs = if jobs.is_empty() { jobs } else { format!("{JOBS_ARE_OFF}{jobs}") };
    let parts = [lines(&statements.hypertables), lines(&statements.aggregates), dependents, jobs];
    for (title, part) in SECTIONS.into_iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
        for piece in ["\n--\n-- ", title, "\n--\n\n", &part] {
            text.push_str(piece);
        }
    }
    Ok(text)
}

fn schema_only(reading: &Reading, database: &Ident) -> Tool {
    Tool::new("pg_dump")
        .args(["--schema-only", "--no-publications", "--no-subscriptions", "--lock-wait-timeout=60000"])
        .arg(format!("--snapshot={}", reading.snapshot))
        .connected_to(database)
}

async fn printed(tools: &Toolbox, tool: &Tool) -> Result<String, BackupError> {
    let mut output = tools.reading(tool)?;
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let because =
        |error: &dyn std::fmt::Display| BackupError::Unreadable { what: "schema".into(), because: error.to_string() };
    read.await.map_err(|error| because(&error))?.map_err(|error| because(&error))
}
