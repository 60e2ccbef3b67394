//! The keys `jobs` and `retention`: SQL that the agent runs on the primary at times.
//!
//! In goes the file, out come jobs with all their defaults, and after them those of the packs, changed where the file says so. Whether
//! the statements are any good is the server's to say.

mod change;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{retention, timing};
use crate::config::claim::{Claim, refuse_twice};
use crate::config::problem::{Problems, probably_meant};
use crate::config::read::{Entry, Fields};
use crate::config::{formats, pack_jobs, raw};
use crate::model::desired::PackRef;
use crate::model::job::{DataJob, JobRole, Task};

const KEYS: [&str; 11] =
    ["name", "schedule", "timezone", "jitter", "catch_up", "overlap", "sql", "role", "timeout", "retries", "backoff"];

/// What a job's run may take.
pub const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(7 * 24);

const BACKOFFS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

const MOST_RETRIES: i128 = 20;

/// Reads the key.
pub fn resolve(file: &Fields<'_>, packs: &[PackRef], problems: &mut Problems) -> Vec<DataJob> {
    let mut brought: Vec<DataJob> = pack_jobs::of(packs).flat_map(|(pack, text)| of_pack(pack, text)).collect();
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    let items = file.get("jobs").and_then(|entry| entry.list("jobs", problems));
    for item in items.unwrap_or_default() {
        let Some(keys) = item.fields(&KEYS, problems) else { continue };
        let name = keys.need("name", problems).and_then(|entry| {
            let name = name(entry, &brought, problems)?;
            names.push(Claim::of(entry, name.clone()));
            Some(name)
        });
        match brought.iter_mut().find(|job| Some(&job.name) == name.as_ref()) {
            Some(job) => change::apply(job, &keys, problems),
            None => jobs.extend(job(name, &keys, problems)),
        }
    }
    refuse_twice(&names, problems);
    jobs.extend(retention::resolve(file, problems));
    jobs.extend(brought);
    jobs
}

/// The jobs that a pack brings along; their names have its name and a dot before them.
pub fn of_pack(pack: &str, text: &str) -> Vec<DataJob> {
    const SOUND: &str = "a test reads the jobs of all packs";
    let mut problems = Problems::default();
    let root = raw::read(text).expect(SOUND);
    let file = Entry::root(&root).fields(&["jobs"], &mut problems).expect(SOUND);
    let items = file.get("jobs").and_then(|entry| entry.list("jobs", &mut problems)).expect(SOUND);
    let mut jobs = Vec::new();
    for item in items {
        let keys = item.fields(&KEYS, &mut problems).expect(SOUND);
        let name = keys.need("name", &mut problems);
        let name = name.and_then(|entry| entry.checked("a name", formats::label, &mut problems));
        let job = job(name, &keys, &mut problems).expect(SOUND);
        jobs.push(DataJob { name: format!("{pack}.{}", job.name), pack: Some(pack.to_owned()), ..job });
    }
    problems.or(jobs).expect(SOUND)
}

/// The name of a job of the file's own, or of one that a pack brings.
fn name(entry: &Entry<'_>, brought: &[DataJob], problems: &mut Problems) -> Option<String> {
    let text = entry.text("a name", problems)?;
    if text.contains('.') {
        let known: Vec<&str> = brought.iter().map(|job| job.name.as_str()).collect();
        if !known.contains(&text) {
            let help = match (probably_meant(text, &known), known.as_slice()) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, []) => "none of the packs brings jobs; the name of a job of your own has no dot".to_owned(),
                (None, known) => format!("jobs of the packs: {}", known.join(", ")),
            };
            let message = format!("no pack of this configuration has a job `{}`", text.escape_debug());
            entry.refuse_and_help(problems, message, Some(help));
            return None;
        }
        return Some(text.to_owned());
    }
    let name = entry.checked("a name", formats::label, problems)?;
    if name == DataJob::RETENTION {
        entry.refuse(problems, "is what the job of the key `retention` is called");
    }
    Some(name)
}

fn job(name: Option<String>, keys: &Fields<'_>, problems: &mut Problems) -> Option<DataJob> {
    let timing = timing::timing(keys, None, problems);
    if keys.get("schedule").is_none() {
        refuse_timed(keys, problems);
    }
    let sql = keys.need("sql", problems).and_then(|entry| sql(entry, problems));
    let role = keys.get("role").and_then(|entry| entry.choice(&JobRole::ALL, problems)).unwrap_or_default();
    let timeout = timing::within(keys, "timeout", &TIMEOUTS, DataJob::TIMEOUT, problems);
    let retries = timing::count(keys, "retries", &(0..=MOST_RETRIES), 0, problems);
    let backoff = timing::within(keys, "backoff", &BACKOFFS, DataJob::BACKOFF, problems);
    Some(DataJob { name: name?, pack: None, task: Task::Sql { sql: sql?, role }, timing, timeout, retries, backoff })
}

/// Keys that say nothing about a job without times.
fn refuse_timed(keys: &Fields<'_>, problems: &mut Problems) {
    for entry in timing::TIMED_KEYS.iter().chain(&["overlap", "retries", "backoff"]).filter_map(|key| keys.get(key)) {
        entry.refuse(problems, "only means something with `schedule`");
    }
}

fn sql(entry: &Entry<'_>, problems: &mut Problems) -> Option<String> {
    let checked =
        |text: &str| if text.trim().is_empty() { Err("there is no statement in it") } else { Ok(text.to_owned()) };
    entry.checked("SQL", checked, problems)
}
