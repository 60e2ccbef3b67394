//! The rows of one table, from a `COPY` stream with a line that names its columns, into the table of that name.
//!
//! Columns are taken by name, so a table that has gained or moved columns still takes the rows. User triggers and foreign keys do
//! not fire: the rows are those that passed them once.

use std::io::{self, BufRead, BufReader, Read};

use super::error::RestoreError;
use super::origin::Origin;
use super::place::Place;
use crate::backup::manifest::ObjectRecord;
use crate::backup::pipeline::{Source, StopOnDrop, Stopper, Unsealed};
use crate::backup::tools::Tool;
use crate::model::names::{Ident, TableName};

/// The line with the columns is not longer than this: 1600 columns of 63 bytes, escaped.
const LONGEST_HEADER: u64 = 1 << 20;

/// Copies one object into its table.
pub async fn table(
    origin: &Origin,
    place: &Place,
    database: &Ident,
    record: &ObjectRecord,
) -> Result<(), RestoreError> {
    let odd = |because: String| RestoreError::Odd { object: record.name.clone(), because };
    let named = record.table.as_deref().and_then(parse).ok_or_else(|| odd("the manifest names no table".into()))?;
    let unsealed = origin.open(record)?;
    let stopper = unsealed.stopper();
    let mut guard = StopOnDrop::new(stopper.clone());
    let (header, rest) = tokio::task::spawn_blocking(move || header(unsealed))
        .await
        .map_err(|error| odd(error.to_string()))?
        .map_err(|error| odd(error.to_string()))?;
    guard.disarm();
    let columns: Vec<String> = header
        .split('\t')
        .map(|column| Ident::new(&unescape(column)).map(|it| it.quoted()))
        .collect::<Result<_, _>>()?;
    let command =
        format!("set session_replication_role = replica; copy {} ({}) from stdin", named.quoted(), columns.join(", "));
    // Two commands: COPY reads the program's input only as one of its own.
    let (set, copy) = command.split_once("; ").expect("made above");
    let tool = Tool::new("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", set, "-c", copy]);
    place.feed(&tool.connected_to(database), &record.name, Rest { rest, stopper }).await
}

/// `schema.table` as the manifest has it; a name with a dot in it cannot be told apart and is quoted there.
pub(super) fn parse(text: &str) -> Option<TableName> {
    let (schema, table) = text.split_once('.')?;
    TableName::new(schema, table).ok()
}

/// `COPY`'s text format escapes in names what it escapes in values.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('v') => out.push('\u{b}'),
                Some(other) => out.push(other),
                None => {}
            },
            (plain, false) => out.push(plain),
        }
    }
    out
}

/// The line with the columns, and a reader for what follows.
fn header(unsealed: Unsealed) -> io::Result<(String, BufReader<Unsealed>)> {
    let mut reader = BufReader::with_capacity(64 * 1024, unsealed);
    let mut line = String::new();
    (&mut reader).take(LONGEST_HEADER).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(header) => Ok((header.to_owned(), reader)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "it has no line that names the columns")),
    }
}

/// The rows.
struct Rest {
    rest: BufReader<Unsealed>,
    stopper: Stopper,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl Source for Rest {
    fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_as_copy_writes_it() {
        assert_eq!(unescape("plain"), "plain");
        assert_eq!(unescape(r"a\tb\\c\n"), "a\tb\\c\n");
        assert_eq!(unescape("ä"), "ä");
    }
}
