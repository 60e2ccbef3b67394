//! Keys of features that this version checks but does not act on.
//!
//! In goes the file, out come the names of those that were given. Their values are checked as strictly as all
//! others, so that a file that is accepted today keeps its meaning, and are then dropped.

use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::{Entry, Fields};

/// Checks `retention`; gives back those that were given.
pub fn check(file: &Fields<'_>, problems: &mut Problems) -> Vec<String> {
    type Check = fn(&Entry<'_>, &mut Problems);
    let checks: [(&str, Check); 1] = [("retention", retention)];
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
            let name = hypertable.checked("a hypertable", formats::table_name, problems);
            hypertables.extend(name.map(|name| Claim::of(hypertable, name)));
        }
        if let Some(age) = keys.need("drop_after", problems) {
            age.checked("an age", formats::age, problems);
        }
    }
    refuse_twice(&hypertables, problems);
}
