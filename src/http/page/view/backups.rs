//! Backup jobs on the page: how old the last backup and its last proof are, as words and as marks on a line.

use chrono::{DateTime, Utc};

use super::nodes::Row;
use super::{At, Badge, Tone, counted, time};
use crate::model::readable::{size, span};
use crate::status::backups::JobStatus;

/// The line's left end, in seconds of age. What is older stands there too.
const OLDEST_SECS: f64 = 31.0 * 86_400.0;

/// Ages up to this have the right end to themselves.
const NEWEST_SECS: f64 = 600.0;

/// The line ends this far from the edges, in per cent, so that marks at its ends are whole.
const MARGIN: f64 = 3.0;

/// A job.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its name.
    pub name: String,
    /// What it makes.
    pub kind: &'static str,
    /// Where it goes.
    pub store: String,
    /// How its last run ended.
    pub last: Badge,
    /// Its last drill: whether the backup could be restored and was equal.
    pub drill: Badge,
    /// More about it.
    pub drill_more: Option<String>,
    /// When things happened, or will.
    pub times: Vec<TimeRow>,
    /// Where it goes, how large and how long it was, what is not archived yet.
    pub figures: Vec<Row>,
    /// The line in words.
    pub told: String,
    /// Its marks, the oldest first.
    pub marks: Vec<Mark>,
}

/// A point in time with its name.
#[derive(Clone, Debug)]
pub struct TimeRow {
    /// Its name.
    pub name: &'static str,
    /// When; none when it never was or is not known.
    pub at: Option<At>,
    /// What to say then.
    pub none: &'static str,
}

/// Something that happened, on the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// `backup`, `proof` or `failure`: each has a shape.
    pub shape: &'static str,
    /// Where, in per cent of the line's width.
    pub x: String,
    /// What and when.
    pub title: String,
}

/// A mark of the axis.
#[derive(Clone, Debug)]
pub struct Tick {
    /// Where, in per cent.
    pub x: String,
    /// The age.
    pub label: &'static str,
}

/// Where an age is, in per cent from the left: the logarithm of it, since an hour matters today and not after a month.
fn x(age_secs: f64) -> f64 {
    let age = age_secs.clamp(NEWEST_SECS, OLDEST_SECS);
    let share = (age / NEWEST_SECS).ln() / (OLDEST_SECS / NEWEST_SECS).ln();
    (100.0 - 2.0 * MARGIN).mul_add(1.0 - share, MARGIN)
}

fn percent(x: f64) -> String {
    format!("{x:.1}%")
}

/// The axis that all lines share.
pub(super) fn ticks() -> Vec<Tick> {
    let ticks = [(30.0 * 86_400.0, "30 d"), (7.0 * 86_400.0, "7 d"), (86_400.0, "1 d"), (3600.0, "1 h"), (0.0, "now")];
    ticks.into_iter().map(|(age, label)| Tick { x: percent(x(age)), label }).collect()
}

impl JobRow {
    pub(super) fn of(job: &JobStatus, is_old: bool, clock: DateTime<Utc>) -> Self {
        let is_wal = job.kind == "wal";
        let aged = |badge: Badge| if is_old { badge.was() } else { badge };
        let last = match job.last_result {
            Some("succeeded") => Badge::new(Tone::Good, "succeeded"),
            Some("running") => Badge::new(Tone::Passing, "running"),
            Some("failed") => Badge::new(Tone::Bad, "failed"),
            Some(other) => Badge::new(Tone::Warn, other),
            None if is_wal && job.last_success.is_some() => Badge::new(Tone::Good, "archiving"),
            None => Badge::new(Tone::Unknown, "no run on record"),
        };
        let (drill, drill_more) = drill(job, is_wal, clock);
        let row = |name, at: &Option<String>, none| TimeRow { name, at: At::parse(at.as_deref(), clock), none };
        let times = if is_wal {
            vec![row("Archived", &job.last_success, "nothing yet")]
        } else {
            vec![
                row("Last backup", &job.last_success, "none yet"),
                row("Proven", &job.last_verified, "never"),
                row("Last run", &job.last_run, "none on record"),
                row("Next run", &job.next_run, "not known"),
            ]
        };
        let figures = [
            Some(("Store", job.store.clone())),
            job.figures.size_bytes.map(|bytes| ("Size", size(bytes))),
            job.figures.duration_secs.map(|seconds| ("Took", span(seconds))),
            job.rpo_seconds.map(|seconds| ("Unarchived", format!("{seconds:.1} s of log"))),
            job.rpo_bytes.map(|bytes| ("Unarchived", format!("{} of log", size(bytes)))),
        ];
        let marks = marks(job, clock);
        let told: Vec<&str> = marks.iter().map(|mark| mark.title.as_str()).collect();
        Self {
            name: job.name.clone(),
            kind: job.kind,
            store: job.store.clone(),
            last: aged(last),
            drill: aged(drill),
            drill_more,
            times,
            figures: figures.into_iter().flatten().map(|(name, text)| Row::plain(name, text)).collect(),
            told: if told.is_empty() { "nothing on record".to_owned() } else { told.join("; ") },
            marks,
        }
    }
}

fn drill(job: &JobStatus, is_wal: bool, clock: DateTime<Utc>) -> (Badge, Option<String>) {
    let Some(drill) = job.figures.drill else {
        let word = if is_wal { "with its base backups" } else { "never restored" };
        return (Badge::new(if is_wal { Tone::Good } else { Tone::Unknown }, word), None);
    };
    let at = At::new(drill.finished, clock);
    let badge =
        if drill.is_equal { Badge::new(Tone::Good, "restored, equal") } else { Badge::new(Tone::Bad, "drill failed") };
    let more = [
        Some(at.ago),
        drill.rows.map(|rows| counted(rows, "row")),
        drill.differences.filter(|differences| *differences > 0).map(|it| counted(it, "difference")),
    ];
    (badge, Some(more.into_iter().flatten().collect::<Vec<_>>().join(", ")))
}

fn marks(job: &JobStatus, clock: DateTime<Utc>) -> Vec<Mark> {
    let failed_run = job.last_run.as_ref().filter(|_| matches!(job.last_result, Some("failed" | "interrupted")));
    let failed_drill = job.figures.drill.filter(|drill| !drill.is_equal).map(|drill| drill.finished);
    let mut all: Vec<(&'static str, &str, DateTime<Utc>)> = [
        ("backup", "backup made", job.last_success.as_deref().and_then(time)),
        ("proof", "restored and equal", job.last_verified.as_deref().and_then(time)),
        ("failure", "run failed", failed_run.and_then(|at| time(at))),
        ("failure", "drill failed", failed_drill),
    ]
    .into_iter()
    .filter_map(|(shape, what, at)| Some((shape, what, at?)))
    .collect();
    all.sort_by_key(|(_, _, at)| *at);
    let mark = |(shape, what, at): (&'static str, &str, DateTime<Utc>)| {
        #[allow(clippy::cast_precision_loss)] // a position on a line
        let age = (clock - at).num_seconds().max(0) as f64;
        Mark { shape, x: percent(x(age)), title: format!("{what} {}", At::new(at, clock).ago) }
    };
    all.into_iter().map(mark).collect()
}
