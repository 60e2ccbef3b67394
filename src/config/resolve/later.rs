//! Keys of features that this version checks but does not act on.
//!
//! In goes the file, out come the names of those that were given. Their values are checked as strictly as all
//! others, so that a file that is accepted today keeps its meaning, and are then dropped.

use chrono_tz::Tz;

use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::{Entry, Fields};
use crate::model::names::TableName;
use crate::plan::schedule::calendar::Calendar;

/// Checks `retention` and `jobs`; gives back those that were given.
pub fn check(file: &Fields<'_>, problems: &mut Problems) -> Vec<String> {
    type Check = fn(&Entry<'_>, &mut Problems);
    let checks: [(&str, Check); 2] = [("retention", retention), ("jobs", jobs)];
    let mut given = Vec::new();
    for (name, check) in checks {
        if let Some(entry) = file.get(name) {
            check(entry, problems);
            given.push(name.to_owned());
        }
    }
    given
}

fn retention(entry: &Entry<'_>, problems: &mut Problems) {
    let mut hypertables = Vec::new();
    for item in entry.list("retention rules", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&["hypertable", "drop_after"], problems) else {
            continue;
        };
        if let Some(hypertable) = keys.need("hypertable", problems) {
            let name = hypertable.checked("a hypertable", table_name, problems);
            hypertables.extend(name.map(|name| Claim::of(hypertable, name)));
        }
        if let Some(age) = keys.need("drop_after", problems) {
            age.checked("an age", formats::age, problems);
        }
    }
    refuse_twice(&hypertables, problems);
}

fn jobs(entry: &Entry<'_>, problems: &mut Problems) {
    let mut names = Vec::new();
    for item in entry.list("jobs", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&["name", "schedule", "sql"], problems) else {
            continue;
        };
        if let Some(name) = keys.need("name", problems) {
            let label = name.checked("a name", formats::label, problems);
            names.extend(label.map(|label| Claim::of(name, label)));
        }
        if let Some(schedule) = keys.need("schedule", problems) {
            schedule.checked("a schedule", |text| Calendar::new(text, Tz::UTC), problems);
        }
        if let Some(sql) = keys.need("sql", problems) {
            let checked = |text: &str| {
                if text.trim().is_empty() { Err("there is no statement in it") } else { Ok(()) }
            };
            sql.checked("SQL", checked, problems);
        }
    }
    refuse_twice(&names, problems);
}

/// `schema.table`
pub fn table_name(text: &str) -> Result<TableName, String> {
    let (schema, table) =
        text.split_once('.').ok_or_else(|| format!("`{}` lacks its schema: `schema.table`", text.escape_debug()))?;
    TableName::new(schema, table).map_err(|error| error.to_string())
}
