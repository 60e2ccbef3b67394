//! What loading a file asks of the server: what the table is, rows by COPY, and rows from where they were put first.

use serde::Deserialize;
use tokio_postgres::CopyInSink;
use tokio_util::bytes::Bytes;

use super::session::{PostgresError, Session};
use crate::model::names::{Ident, TableName};

/// A table to load into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// Columns that can be given a value.
    pub columns: Vec<Column>,
    /// The primary key's columns.
    pub key: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as PostgreSQL writes it.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// Reads what a table is; `None` when there is none.
pub async fn target(session: &Session, table: &TableName) -> Result<Option<Target>, PostgresError> {
    let sql = include_str!("../../sql/load/table.sql");
    let row = session
        .client()
        .query_opt(sql, &[&table.schema.as_str(), &table.table.as_str()])
        .await
        .map_err(|source| session.failed(&format!("read what {table} is"), source))?;
    let read = row.map(|row| serde_json::from_str(row.get(0))).transpose();
    read.map_err(|error| PostgresError::Unexpected { node: session.node.to_string(), because: error.to_string() })
}

/// The statements of one load; `columns` are those of the file, in its order.
#[derive(Clone, Debug)]
pub struct Statements {
    /// Copies rows straight into the table.
    pub copy: String,
    /// Makes the place where rows are put first.
    pub stage: String,
    /// Copies rows there: their number, their line, their fields as text.
    pub copy_staged: String,
    /// Takes those numbered `$1` to `$2` from there into the table; of rows with the same key the last.
    pub take: String,
    /// Line and fields of row `$1`.
    pub row: String,
    /// The column of row `$1` whose text is not of its type.
    pub odd_column: String,
}

fn quoted(name: &str) -> String {
    Ident::new(name).map_or_else(|_| format!("\"{}\"", name.replace('"', "\"\"")), |ident| ident.quoted())
}

impl Statements {
    /// Puts them together.
    pub fn new(table: &TableName, columns: &[Column], key: &[String]) -> Self {
        let table = table.quoted();
        let list = |each: &dyn Fn((usize, &Column)) -> String, by: &str| {
            columns.iter().enumerate().map(each).collect::<Vec<_>>().join(by)
        };
        let names = list(&|(_, column)| quoted(&column.name), ", ");
        let raw = list(&|(place, _)| format!("c{place}"), ", ");
        let texts = list(&|(place, _)| format!("c{place} text"), ", ");
        let typed =
            list(&|(place, column)| format!("c{place}::{} as {}", column.type_name, quoted(&column.name)), ", ");
        let odd = list(
            &|(place, column)| {
                let (name, type_name) = (column.name.replace('\'', "''"), column.type_name.replace('\'', "''"));
                format!("when not pg_input_is_valid(c{place}, '{type_name}') then '{name}'")
            },
            " ",
        );
        // Without its whole key in the file a row cannot be known to be there already.
        let has_key = !key.is_empty() && key.iter().all(|name| columns.iter().any(|column| column.name == *name));
        let (distinct, order, conflict) = if has_key {
            let keys = key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
            let others = columns.iter().filter(|column| !key.contains(&column.name)).map(|column| quoted(&column.name));
            let sets: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
            let does = if sets.is_empty() { "nothing".to_owned() } else { format!("update set {}", sets.join(", ")) };
            (
                format!("distinct on ({keys}) "),
                format!("{keys}, load_number desc"),
                format!(" on conflict ({keys}) do {does}"),
            )
        } else {
            (String::new(), "load_number".to_owned(), String::new())
        };
        Self {
            copy: format!("copy {table} ({names}) from stdin"),
            stage: format!("create temp table hypertide_load (number bigint, line bigint, {texts}) on commit drop"),
            copy_staged: format!("copy pg_temp.hypertide_load (number, line, {raw}) from stdin"),
            take: format!(
                "insert into {table} ({names}) select {distinct}{names} from (select number as load_number, {typed} \
                 from pg_temp.hypertide_load where number between $1 and $2) t order by {order}{conflict}"
            ),
            row: format!("select line, {raw} from pg_temp.hypertide_load where number = $1"),
            odd_column: format!("select case {odd} end from pg_temp.hypertide_load where number = $1"),
        }
    }
}

/// Begins a COPY.
pub async fn copy_in(session: &Session, sql: &str) -> Result<CopyInSink<Bytes>, tokio_postgres::Error> {
    session.client().copy_in(sql).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_in_the_place_of_those_with_the_same_key() {
        let column = |name: &str, type_name: &str| Column { name: name.into(), type_name: type_name.into() };
        let table = TableName::new("trading", "bars").expect("valid");
        let columns = [column("timestamp", "timestamp with time zone"), column("Close", "numeric")];
        let statements = Statements::new(&table, &columns, &["timestamp".into()]);
        insta::assert_snapshot!(statements.take, @r#"insert into "trading"."bars" ("timestamp", "Close") select distinct on ("timestamp") "timestamp", "Close" from (select number as load_number, c0::timestamp with time zone as "timestamp", c1::numeric as "Close" from pg_temp.hypertide_load where number between $1 and $2) t order by "timestamp", load_number desc on conflict ("timestamp") do update set "Close" = excluded."Close""#);
        let without = Statements::new(&table, &columns, &["id".into()]);
        assert!(without.take.ends_with("t order by load_number"), "{}", without.take);
        let only_key = Statements::new(&table, &columns[..1], &["timestamp".into()]);
        assert!(only_key.take.ends_with("do nothing"), "{}", only_key.take);
    }
}
