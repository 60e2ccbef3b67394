//! From a server's answer to samples. Pure; what the server does not know (null) gives no sample.

use serde_json::{Map, Value};

use super::collectors::{Answer, Collector};
use super::families::Sample;
use super::groups::Group;
use super::settings;

/// An answer is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is no JSON, or no object of lists.
    #[error("the answer is not the JSON that was asked for")]
    Json(#[from] serde_json::Error),
    /// A column is missing.
    #[error("{metric} has no {column}")]
    Missing {
        /// The metric, or the group of metrics.
        metric: &'static str,
        /// The column.
        column: &'static str,
    },
    /// What should be a number is none.
    #[error("{metric} is {value}, which is no number")]
    NoNumber {
        /// The metric.
        metric: String,
        /// What it is instead.
        value: String,
    },
    /// A setting has a unit that nobody knows.
    #[error("the unit {unit} of {setting} is not known")]
    Unit {
        /// The setting.
        setting: String,
        /// Its unit.
        unit: String,
    },
}

/// The samples of a node's answer to a collector.
///
/// # Errors
/// It is not what was asked for; then there are no samples at all.
pub fn read(collector: &Collector, node: &str, json: &str) -> Result<Vec<Sample>, AnswerError> {
    let mut samples = Vec::new();
    match collector.answer {
        Answer::Settings => settings::read(node, json, &mut samples)?,
        Answer::Groups(groups) => {
            let answer: Map<String, Value> = serde_json::from_str(json)?;
            for group in groups {
                let rows =
                    answer.get(group.key).ok_or(AnswerError::Missing { metric: collector.name, column: group.key })?;
                // An aggregate of no rows is null.
                let rows: Option<Vec<Map<String, Value>>> = serde_json::from_value(rows.clone())?;
                for row in rows.unwrap_or_default() {
                    read_row(group, node, &row, &mut samples)?;
                }
            }
        }
    }
    Ok(samples)
}

fn read_row(group: &Group, node: &str, row: &Map<String, Value>, samples: &mut Vec<Sample>) -> Result<(), AnswerError> {
    for (column, metric) in group.columns {
        let missing = |column| AnswerError::Missing { metric: metric.name, column };
        let value = match row.get(*column).ok_or_else(|| missing(column))? {
            Value::Null => continue,
            Value::Bool(is_it) => f64::from(u8::from(*is_it)),
            value => value
                .as_f64()
                .ok_or_else(|| AnswerError::NoNumber { metric: metric.name.to_owned(), value: value.to_string() })?,
        };
        let mut values = vec![node.to_owned()];
        // The first label is the node everywhere.
        for label in &metric.labels[1..] {
            values.push(match row.get(*label).ok_or_else(|| missing(label))? {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                value => value.to_string(),
            });
        }
        samples.push(Sample::new(*metric, values, value));
    }
    Ok(())
}
