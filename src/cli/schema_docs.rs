//! `schema docs`: the live schema in Markdown, on the terminal, in a file, or compared with the file that is committed.

use super::args::{Cli, DocsArgs};
use super::exit;
use super::failure::Failure;
use super::schema_dump::{Ground, origin, tell};
use crate::backup::run::Origin;
use crate::backup::source::Reading;
use crate::postgres::contents::described;
use crate::schema::docs;

/// Runs the verb.
pub async fn run(cli: &Cli, args: &DocsArgs) -> Result<u8, Failure> {
    let mut ground = Ground::default();
    let Origin { session, database, .. } = origin(cli, args.url.as_deref(), &mut ground).await?;
    let reading = Reading::begin(session, None).await?;
    if !reading.inner().has_timescaledb {
        return Err(Failure::new(exit::FAILED, format!("{database} has no TimescaleDB, which this describes"))
            .with_help("`hypertide schema dump` writes the schema of any database down"));
    }
    let description = described::describe(reading.session(), reading.inner()).await?;
    tell(cli, docs::markdown(database.as_str(), &description), args.out.as_deref(), args.check.as_deref())
}
