//! What a server's log says of a subscription that does not apply: PostgreSQL tells it nowhere else.
//!
//! Reads the end of the container's log, and only while the apply worker fails.

use futures_util::TryStreamExt;

use crate::docker::engine::{DockerError, Engine};
use crate::model::names::TableName;

/// Lines looked at. A failing worker writes a few at each attempt, several times in a second at most.
const LINES: &str = "100";

/// The table that the last failed attempt did not find.
pub(super) async fn wanting(engine: &Engine, container: &str) -> Result<Option<TableName>, DockerError> {
    let lines: Vec<String> = engine.logs(container, LINES, false).try_collect().await?;
    Ok(lines.concat().lines().rev().find_map(missing_relation))
}

/// PostgreSQL's message, as of version 17: names stand as they are, without quotes of their own.
fn missing_relation(line: &str) -> Option<TableName> {
    let (_, rest) = line.split_once("logical replication target relation \"")?;
    let (name, _) = rest.split_once("\" does not exist")?;
    let (schema, table) = name.split_once('.')?;
    TableName::new(schema, table).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::simulate::world::table;

    #[test]
    fn the_relation_is_taken_from_the_servers_words() {
        let line = "2026-11-21 10:00:00.123 UTC [77] ERROR:  logical replication target relation \"trading_chunks._hyper_1_9_chunk\" does not exist";
        assert_eq!(missing_relation(line), Some(table("trading_chunks._hyper_1_9_chunk")));
        assert_eq!(
            missing_relation("ERROR:  logical replication target relation \"a.B c\" does not exist"),
            Some(table("a.B c"))
        );
        for other in
            ["", "ERROR:  relation \"a.b\" does not exist", "logical replication target relation \"a\" does not exist"]
        {
            assert_eq!(missing_relation(other), None, "{other}");
        }
    }
}
