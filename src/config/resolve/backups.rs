//! The key `backups`: which backups are made, when, of what, where they go and what stays.
//!
//! In goes the file, out come jobs with all their defaults. Whether a store can be reached, a table exists or a key file can be
//! read is not known here. A key that means nothing for a job's kind is a mistake: it would be ignored in silence.

mod parts;

pub use parts::address;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::read::Fields;
use crate::config::resolve::timing::{self, TIMED_KEYS};
use crate::model::backup::{BackupJob, DrillEvery, Kind, Source, Work};
use crate::model::names::{NodeName, TableName};

const KEYS: [&str; 22] = [
    "name",
    "schedule",
    "timezone",
    "jitter",
    "catch_up",
    "kind",
    "tables",
    "store",
    "keep",
    "drill",
    "from",
    "compression",
    "encrypt",
    "identity",
    "parallel",
    "incrementals",
    "timeout",
    "retries",
    "backoff",
    "max_age",
    "on_success",
    "on_failure",
];

/// The word for archiving the log, which is no kind of backup by itself.
const WAL: &str = "wal";

const KINDS: [(&str, Option<Kind>); 6] = [
    (Kind::Full.word(), Some(Kind::Full)),
    (Kind::Schema.word(), Some(Kind::Schema)),
    (Kind::Tables.word(), Some(Kind::Tables)),
    (Kind::Globals.word(), Some(Kind::Globals)),
    (Kind::Base.word(), Some(Kind::Base)),
    (WAL, None),
];

const DRILLS: [(&str, DrillEvery); 5] = [
    ("never", DrillEvery::Never),
    ("always", DrillEvery::Backup),
    ("daily", DrillEvery::Days(1)),
    ("weekly", DrillEvery::Days(7)),
    ("monthly", DrillEvery::Days(30)),
];

/// What means nothing for a job that never ends and makes no backups of its own.
const NOT_FOR_WAL: [&str; 13] = [
    "schedule",
    "timezone",
    "jitter",
    "catch_up",
    "keep",
    "drill",
    "from",
    "identity",
    "timeout",
    "retries",
    "backoff",
    "on_success",
    "on_failure",
];

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A dump of a terabyte takes hours.
const TIMEOUT: Duration = Duration::from_hours(12);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(7 * 24);

/// What fails for a moment (a restart, a store that throttles) rarely does so for longer than these two take.
const RETRIES: u32 = 2;
const MOST_RETRIES: i128 = 20;
const BACKOFF: Duration = Duration::from_mins(1);
const BACKOFFS: RangeInclusive<Duration> = Duration::from_secs(1)..=DAY;

/// What is lost at most when the primary's disk is; a closed segment takes up 16 MB before it is compressed, and next to nothing
/// after it.
const MAX_AGE: Duration = Duration::from_mins(1);
const MAX_AGES: RangeInclusive<Duration> = Duration::from_secs(5)..=HOUR;

/// More connections than this slow a server down that has other things to do.
const MOST_PARALLEL: i128 = 32;

/// Each restore puts all of a chain together.
const MOST_INCREMENTALS: i128 = 100;

/// Reads the key.
pub fn resolve(file: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Vec<BackupJob> {
    let Some(entry) = file.get("backups") else { return Vec::new() };
    let mut names = Vec::new();
    let mut jobs = Vec::new();
    for item in entry.list("backups", problems).unwrap_or_default() {
        let Some(keys) = item.fields(&KEYS, problems) else { continue };
        let name = keys.need("name", problems).and_then(|entry| {
            let name = entry.checked("a name", formats::label, problems)?;
            names.push(Claim::of(entry, name.clone()));
            Some(name)
        });
        jobs.extend(job(name, &keys, base_dir, problems));
    }
    refuse_twice(&names, problems);
    jobs
}

fn job(name: Option<String>, keys: &Fields<'_>, base_dir: &Path, problems: &mut Problems) -> Option<BackupJob> {
    let kind = keys.get("kind").map_or(Some(Some(Kind::Full)), |entry| entry.choice(&KINDS, problems));
    // With a kind that is not understood, nothing is known to be out of place.
    if let Some(kind) = kind {
        out_of_place(kind, keys, problems);
    }
    let max_age = timing::within(keys, "max_age", &MAX_AGES, MAX_AGE, problems);
    let sealing = parts::sealing(keys, problems);
    let identity =
        keys.get("identity").and_then(|entry| entry.checked("a path", |text| formats::path(text, base_dir), problems));
    let store = keys.need("store", problems).and_then(|entry| parts::store(entry, problems));
    let timing = timing::timing(keys, None, problems);
    let tables = tables(keys, problems);
    let source = keys.get("from").and_then(|entry| entry.checked("a node", source, problems)).unwrap_or(Source::Auto);
    let drill = drill(keys, kind.flatten(), !sealing.recipients.is_empty() && identity.is_none(), problems);
    let parallel = timing::count(keys, "parallel", &(1..=MOST_PARALLEL), 1, problems);
    let incrementals = timing::count(keys, "incrementals", &(0..=MOST_INCREMENTALS), 0, problems);
    let keep = keys.get("keep").and_then(|entry| parts::keep(entry, problems));
    let timeout = timing::within(keys, "timeout", &TIMEOUTS, TIMEOUT, problems);
    let retries = timing::count(keys, "retries", &(0..=MOST_RETRIES), RETRIES, problems);
    let backoff = timing::within(keys, "backoff", &BACKOFFS, BACKOFF, problems);
    let on_success = parts::hooks(keys.get("on_success"), problems);
    let on_failure = parts::hooks(keys.get("on_failure"), problems);
    // Only now that every key was looked at may one that is missing end it.
    Some(BackupJob {
        name: name?,
        work: kind?.map_or(Work::Wal { max_age }, Work::Backup),
        timing,
        store: store?,
        tables,
        source,
        sealing,
        identity,
        parallel,
        incrementals,
        keep,
        drill,
        timeout,
        retries,
        backoff,
        on_success,
        on_failure,
    })
}

/// Keys that mean nothing for the kind, and those that it needs.
fn out_of_place(kind: Option<Kind>, keys: &Fields<'_>, problems: &mut Problems) {
    let mut refuse = |key: &str, message: &str| {
        if let Some(entry) = keys.get(key) {
            entry.refuse(problems, message);
        }
    };
    for (key, only) in [("tables", Kind::Tables), ("parallel", Kind::Full), ("incrementals", Kind::Base)] {
        if kind != Some(only) {
            refuse(key, &format!("only means something with `kind: {only}`"));
        }
    }
    if kind.is_none() {
        for key in NOT_FOR_WAL {
            refuse(key, "means nothing with `kind: wal`, which runs all the time and keeps what base backups need");
        }
    } else {
        refuse("max_age", "only means something with `kind: wal`");
        if keys.get("schedule").is_none() {
            for key in TIMED_KEYS {
                refuse(key, "only means something with `schedule`");
            }
        }
    }
    if kind == Some(Kind::Tables) {
        keys.need("tables", problems);
    }
}

fn tables(keys: &Fields<'_>, problems: &mut Problems) -> Vec<TableName> {
    let Some(entry) = keys.get("tables") else { return Vec::new() };
    let Some(items) = entry.list("tables", problems) else { return Vec::new() };
    if items.is_empty() {
        entry.refuse(problems, "is empty");
    }
    let mut claims = Vec::new();
    for item in items {
        if let Some(table) = item.checked("a table", formats::table_name, problems) {
            claims.push(Claim::of(&item, table));
        }
    }
    refuse_twice(&claims, problems);
    claims.into_iter().map(|claim| claim.value).collect()
}

/// Once a week, unless it is encrypted for keys that are not here.
fn drill(keys: &Fields<'_>, kind: Option<Kind>, is_sealed: bool, problems: &mut Problems) -> DrillEvery {
    let entry = keys.get("drill");
    match entry.and_then(|entry| entry.choice(&DRILLS, problems).map(|drill| (entry, drill))) {
        Some((entry, drill)) if is_sealed && drill != DrillEvery::Never => {
            entry.refuse_and_help(
                problems,
                "nobody can restore what is encrypted without a key",
                Some(
                    "name the file with the age identity under `identity`, or drill elsewhere with `drill: never`"
                        .into(),
                ),
            );
            drill
        }
        Some((_, drill)) => drill,
        None if is_sealed || kind.is_none() => DrillEvery::Never,
        None => DrillEvery::Days(7),
    }
}

fn source(text: &str) -> Result<Source, String> {
    match text {
        "auto" => Ok(Source::Auto),
        "primary" => Ok(Source::Primary),
        name => {
            NodeName::new(name).map(Source::Node).map_err(|error| format!("{error}; `auto` and `primary` work too"))
        }
    }
}
