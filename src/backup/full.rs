//! A backup of the whole database by `pg_dump`: one archive, or one with everything but the big tables and several with those.
//!
//! In: a snapshot. Out: the tools to run, each for one object. All of them see the same rows.

use super::source::Reading;
use crate::backup::manifest::Part;
use crate::backup::tools::Tool;
use crate::model::names::{Ident, TableName};
use crate::postgres::session::PostgresError;

/// One object of a logical backup and what writes it.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The object's name, without what compression and encryption append.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// The table it holds, for [`Part::Table`].
    pub table: Option<String>,
    /// The tool whose output it is.
    pub tool: Tool,
}

/// A table smaller than this stays in the archive.
const BIG: u64 = 1024 * 1024;

/// The first version of `pg_dump` with `--filter`; before, tables are named on the command line.
const HAS_FILTER: u32 = 17;

/// `pg_dump` of everything, uncompressed: compression is the pipeline's.
pub fn dump(reading: &Reading, database: &Ident) -> Tool {
    Tool::new("pg_dump")
        .args(["--format=custom", "--compress=none", "--lock-wait-timeout=60000"])
        .arg(format!("--snapshot={}", reading.snapshot))
        .connected_to(database)
}

/// What has to run for a whole dump over so many connections.
pub async fn pieces(reading: &Reading, database: &Ident, parallel: u32) -> Result<Vec<Piece>, PostgresError> {
    let piece = |name: String, part, tool| Piece { name, part, table: None, tool };
    let mut big = if parallel < 2 { Vec::new() } else { reading.sizes().await? };
    big.retain(|(_, bytes)| *bytes >= BIG);
    let shares = shares(big, parallel);
    if shares.len() < 2 {
        return Ok(vec![piece("archive.dump".into(), Part::Archive, dump(reading, database))]);
    }
    let major = reading.facts.postgres_major;
    let every: Vec<&TableName> = shares.iter().flatten().collect();
    let archive = choose(dump(reading, database), major, Choice::WithoutRows, &every);
    let mut pieces = vec![piece("archive.dump".into(), Part::Archive, archive)];
    for (place, share) in shares.iter().enumerate() {
        let tool = dump(reading, database).arg("--data-only");
        let tool = choose(tool, major, Choice::Only, &share.iter().collect::<Vec<_>>());
        pieces.push(piece(format!("rows-{:02}.dump", place + 1), Part::Rows, tool));
    }
    Ok(pieces)
}

#[derive(Clone, Copy)]
enum Choice {
    Only,
    WithoutRows,
}

/// Thousands of tables do not fit a command line, so they are named in a file where that is possible.
fn choose(tool: Tool, major: u32, choice: Choice, tables: &[&TableName]) -> Tool {
    let (in_file, option) = match choice {
        Choice::Only => ("include table", "--table="),
        Choice::WithoutRows => ("exclude table_data", "--exclude-table-data="),
    };
    if major < HAS_FILTER {
        return tool.args(tables.iter().map(|table| format!("{option}{}", table.quoted())));
    }
    let lines: Vec<String> = tables.iter().map(|table| format!("{in_file} {}", table.quoted())).collect();
    tool.file("--filter=", "tables", (lines.join("\n") + "\n").into_bytes())
}

/// Divides tables into so many shares of about the same size, none empty: the biggest first, each to the smallest share.
fn shares(mut tables: Vec<(TableName, u64)>, count: u32) -> Vec<Vec<TableName>> {
    if count < 2 {
        return Vec::new();
    }
    tables.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let mut shares: Vec<(u64, Vec<TableName>)> = (0..count).map(|_| (0, Vec::new())).collect();
    for (table, bytes) in tables {
        if let Some(smallest) = shares.iter_mut().min_by_key(|(sum, _)| *sum) {
            smallest.0 += bytes;
            smallest.1.push(table);
        }
    }
    shares.into_iter().map(|(_, share)| share).filter(|share| !share.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_hold_every_table_once_and_none_is_much_bigger(sizes in proptest::collection::vec(1_u64..1000, 0..60), count in 2_u32..6) {
            let tables: Vec<(TableName, u64)> = sizes
                .iter()
                .enumerate()
                .map(|(at, bytes)| (TableName::new("s", &format!("t{at}")).expect("valid"), *bytes))
                .collect();
            let shares = shares(tables.clone(), count);
            let mut all: Vec<&TableName> = shares.iter().flatten().collect();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), tables.len());
            let size = |share: &Vec<TableName>| -> u64 {
                tables.iter().filter(|(name, _)| share.contains(name)).map(|(_, bytes)| bytes).sum()
            };
            let biggest = sizes.iter().max().copied().unwrap_or_default();
            let (low, high) = (shares.iter().map(size).min().unwrap_or_default(), shares.iter().map(size).max().unwrap_or_default());
            if shares.len() == count as usize {
                prop_assert!(high - low <= biggest);
            }
        }
    }
}
