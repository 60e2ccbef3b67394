//! Publications for the outside and subscriptions to other servers, as two small tables.

use std::fmt::Display;

use crate::model::outside::Reclaim;
use crate::status::Status;

/// Nothing when there is neither.
pub fn text(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if !status.publications.is_empty() {
        lines.push(line(["PUBLICATION", "STATE", "TABLES", "CHUNKS", "", "RECLAIM"]));
    }
    for it in &status.publications {
        let (tables, chunks) = (or_dash(it.tables), or_dash(it.chunks));
        let reclaim = reclaim(it.reclaim, it.managed);
        lines.push(line([it.name.as_str(), it.state, &tables, &chunks, "", &reclaim]));
    }
    if !status.subscriptions.is_empty() {
        lines.push(line(["SUBSCRIPTION", "STATE", "TABLES", "LAG BYTES", "ERRORS", "RECLAIM"]));
    }
    for it in &status.subscriptions {
        let (tables, lag, errors) = (or_dash(it.tables), or_dash(it.lag_bytes), or_dash(it.errors));
        let reclaim = reclaim(it.reclaim, it.managed);
        lines.push(line([it.name.as_str(), it.state, &tables, &lag, &errors, &reclaim]));
    }
    lines
}

fn line([name, state, first, second, third, reclaim]: [&str; 6]) -> String {
    format!("{name:<26} {state:<11} {first:>7} {second:>10} {third:>7}  {reclaim}")
}

fn reclaim(reclaim: Option<Reclaim>, is_managed: bool) -> String {
    let word = reclaim.map_or("-", Reclaim::word);
    if is_managed { word.to_owned() } else { format!("{word}, unmanaged") }
}

fn or_dash(number: Option<impl Display>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
