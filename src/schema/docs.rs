//! A schema described in Markdown. Pure: the same description gives the same text, whose lines change with what they tell of.

use std::fmt::Write as _;

use crate::model::description::{Description, FunctionDescription, RelationDescription, SchemaDescription};

const HEAD: &str = "<!-- Written by `hypertide schema docs`; `--check` tells whether it is still so. -->\n\n";

/// The whole text.
pub fn markdown(database: &str, description: &Description) -> String {
    let mut text = format!("{HEAD}# Schema of {}\n", inline(database));
    for schema in &description.schemas {
        self::schema(&mut text, schema);
    }
    text
}

fn schema(text: &mut String, SchemaDescription { name, comment, grants, relations, functions }: &SchemaDescription) {
    write(text, format_args!("\n## Schema `{name}`\n"));
    paragraph(text, comment.as_deref());
    list(text, "Grants", grants);
    for relation in relations {
        self::relation(text, name, relation);
    }
    if functions.is_empty() {
        return;
    }
    write(text, format_args!("\n### Functions of `{name}`\n\n| function | gives | what it does |\n|---|---|---|\n"));
    for FunctionDescription { signature, returns, comment } in functions {
        let gives = returns.as_deref().map(code).unwrap_or_default();
        let comment = inline(comment.as_deref().unwrap_or_default());
        write(text, format_args!("| {} | {gives} | {comment} |\n", code(signature)));
    }
}

fn relation(text: &mut String, schema: &str, relation: &RelationDescription) {
    let RelationDescription { name, kind, comment, definition, columns, chunks, indexes, constraints, grants } =
        relation;
    write(text, format_args!("\n### {} `{schema}.{name}`\n", capitalized(kind)));
    paragraph(text, comment.as_deref());
    if !columns.is_empty() {
        text.push_str("\n| column | type | null | default | what it is |\n|---|---|---|---|---|\n");
    }
    for column in columns {
        let null = if column.not_null { "no" } else { "yes" };
        let default = column.default.as_deref().map(code).unwrap_or_default();
        let comment = inline(column.comment.as_deref().unwrap_or_default());
        let (name, data_type) = (code(&column.name), inline(&column.data_type));
        write(text, format_args!("| {name} | {data_type} | {null} | {default} | {comment} |\n"));
    }
    list(text, "Chunks", chunks);
    list(text, "Constraints", constraints);
    list(text, "Indexes", indexes);
    list(text, "Grants", grants);
    if let Some(definition) = definition {
        write(text, format_args!("\n```sql\n{}\n```\n", definition.trim()));
    }
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    write(text, format_args!("\n{title}:\n\n"));
    for item in items {
        write(text, format_args!("- {}\n", marked(&one_line(item))));
    }
}

fn paragraph(text: &mut String, comment: Option<&str>) {
    if let Some(comment) = comment {
        write(text, format_args!("\n{}\n", inline(comment)));
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// On one line, and no end of a cell.
fn inline(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// The same as code.
fn code(text: &str) -> String {
    marked(&inline(text))
}

/// Backticks in it would end it, so there are more around it than in it.
fn marked(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn write(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_told_table_by_table() {
        let json = r#"{"schemas": [{"name": "s", "comment": "What\nfor.", "grants": ["app: usage"], "relations": [
            {"name": "bars", "kind": "hypertable", "comment": null, "definition": null,
             "columns": [{"name": "at", "type": "timestamptz", "not_null": true, "default": "now()", "comment": "a | b"}],
             "chunks": ["dimension at every 7 days"], "indexes": [], "constraints": ["p: CHECK (a || b)"], "grants": []},
            {"name": "day", "kind": "view", "comment": "Per day.", "definition": " SELECT 1;", "columns": [], "chunks": [],
             "indexes": [], "constraints": [], "grants": ["reader: select"]}],
            "functions": [{"signature": "f(a text)", "returns": "bigint", "comment": null}]}]}"#;
        let description = serde_json::from_str(json).expect("well-formed");
        insta::assert_snapshot!(markdown("trading_data", &description));
    }
}
