//! The key `retention`: which hypertables lose what is old, and when the agent sees to it.
//!
//! In goes the file, out come the rules as a data job. A list is the rules alone; a map has them beside the schedule.

use super::{jobs, timing};
use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::expiry::{ExpiryRule, Floor};
use crate::model::job::{DataJob, Task};

const KEYS: [&str; 6] = ["schedule", "timezone", "jitter", "catch_up", "timeout", "rules"];
const RULE_KEYS: [&str; 3] = ["hypertable", "drop_after", "floor"];
const FLOORS: [(&str, Floor); 2] = [("backup", Floor::Backup), ("none", Floor::None)];

/// Once a day, after the night's backups.
const SCHEDULE: &str = "30 4 * * *";

/// Reads the key; `None` without a rule.
pub fn resolve(file: &Fields<'_>, problems: &mut Problems) -> Option<DataJob> {
    let entry = file.get("retention")?;
    let (keys, rules) = if let Node::Map(_) = entry.node {
        let keys = entry.fields(&KEYS, problems)?;
        let rules = keys.need("rules", problems).map(|rules| self::rules(rules, problems));
        (keys, rules.unwrap_or_default())
    } else {
        (Fields::none("retention"), rules(entry, problems))
    };
    let timing = timing::timing(&keys, Some(SCHEDULE), problems);
    let timeout = timing::within(&keys, "timeout", &jobs::TIMEOUTS, DataJob::TIMEOUT, problems);
    let job = DataJob {
        name: DataJob::RETENTION.to_owned(),
        pack: None,
        task: Task::Retention(rules),
        timing,
        timeout,
        // What it did not drop is found again the next time.
        retries: 0,
        backoff: DataJob::BACKOFF,
    };
    matches!(&job.task, Task::Retention(rules) if !rules.is_empty()).then_some(job)
}

fn rules(entry: &Entry<'_>, problems: &mut Problems) -> Vec<ExpiryRule> {
    let (mut rules, mut hypertables) = (Vec::new(), Vec::new());
    for item in entry.list("retention rules", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&RULE_KEYS, problems) else { continue };
        let hypertable = keys.need("hypertable", problems).and_then(|entry| {
            let name = entry.checked("a hypertable", formats::table_name, problems)?;
            hypertables.push(Claim::of(entry, name.clone()));
            Some(name)
        });
        let drop_after =
            keys.need("drop_after", problems).and_then(|entry| entry.checked("an age", formats::age, problems));
        let floor = keys.get("floor").and_then(|entry| entry.choice(&FLOORS, problems)).unwrap_or_default();
        if let (Some(hypertable), Some(drop_after)) = (hypertable, drop_after) {
            rules.push(ExpiryRule { hypertable, drop_after, floor });
        }
    }
    refuse_twice(&hypertables, problems);
    rules
}
