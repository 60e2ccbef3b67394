//! `backup list` and `backup show`.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{configured, load_all, open_all, wanted};
use crate::backup::catalog::{Entry, FindError, Proof};
use crate::backup::manifest::Manifest;
use crate::cli::args::Cli;
use crate::cli::args::backup::{ListArgs, ShowArgs};
use crate::cli::failure::Failure;
use crate::cli::{exit, render};
use crate::model::readable::size;

/// A backup in a list.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    scope: String,
    store: String,
    kind: Option<&'static str>,
    state: &'static str,
    reason: Option<String>,
    job: Option<String>,
    database: Option<String>,
    node: Option<String>,
    role: Option<String>,
    began: DateTime<Utc>,
    finished: Option<DateTime<Utc>>,
    seconds: Option<f64>,
    raw_bytes: Option<u64>,
    stored_bytes: Option<u64>,
    rows: Option<u64>,
    tables: Option<u64>,
    chunks: Option<u64>,
    encrypted: Option<bool>,
    parent: Option<String>,
    verified_at: Option<DateTime<Utc>>,
}

/// All about one backup.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    line: Line,
    drills: &'a [Proof],
    checks: &'a [Proof],
    manifest: Option<&'a Manifest>,
}

/// A store that was asked.
#[derive(Debug, Serialize)]
struct Asked {
    url: String,
    error: Option<String>,
}

impl Line {
    fn of(entry: &Entry, store: &str) -> Self {
        let manifest = entry.manifest();
        let count = |of: fn(&Manifest) -> u64| manifest.map(of);
        #[allow(clippy::cast_precision_loss)] // milliseconds of a backup stay far below 2^52
        let seconds = manifest.map(|manifest| (manifest.finished - manifest.began).num_milliseconds() as f64 / 1000.0);
        Self {
            id: entry.id.to_string(),
            scope: entry.scope.to_string(),
            store: store.to_owned(),
            kind: entry.kind().map(crate::model::backup::Kind::word),
            state: entry.state(),
            reason: entry.unusable().map(ToString::to_string),
            job: manifest.and_then(|manifest| manifest.job.clone()),
            database: manifest.map(|manifest| manifest.database.clone()),
            node: manifest.and_then(|manifest| manifest.source.node.clone()),
            role: manifest.map(|manifest| manifest.source.role.clone()),
            began: manifest.map_or_else(|| entry.id.began(), |manifest| manifest.began),
            finished: manifest.map(|manifest| manifest.finished),
            seconds,
            raw_bytes: count(|manifest| manifest.objects.iter().map(|object| object.raw_bytes).sum()),
            stored_bytes: count(Manifest::stored_bytes),
            rows: count(|manifest| manifest.totals.rows),
            tables: count(|manifest| manifest.totals.tables),
            chunks: count(|manifest| manifest.totals.chunks),
            encrypted: manifest.map(|manifest| manifest.objects.iter().any(|object| object.is_encrypted)),
            parent: manifest.and_then(|manifest| manifest.parent.as_ref().map(ToString::to_string)),
            verified_at: entry.verified_at(),
        }
    }

    fn text(&self) -> String {
        let dash = || "-".to_owned();
        let verified = self.verified_at.map(|at| format!("verified {}", at.format("%Y-%m-%d %H:%M")));
        let note = self.reason.clone().or(verified).unwrap_or_default();
        format!(
            "{:<32} {:<14} {:<14} {:<12} {:>10} {:>12} {:>8}  {note}",
            self.id,
            self.scope,
            self.job.as_deref().unwrap_or("-"),
            self.state,
            self.stored_bytes.map_or_else(dash, size),
            self.rows.map_or_else(dash, |rows| rows.to_string()),
            self.seconds.map_or_else(dash, |seconds| format!("{seconds:.1}")),
        )
        .trim_end()
        .to_owned()
    }
}

/// Runs `backup list`. A store that does not answer does not hide the others; then the exit code is 1.
pub async fn list(cli: &Cli, args: &ListArgs) -> Result<u8, Failure> {
    let opened = open_all(&configured(cli)?, &args.store).await?;
    let (mut lines, mut stores) = (Vec::new(), Vec::new());
    for (one, read) in load_all(&opened).await? {
        let url = one.choice.url.to_string();
        match read {
            Ok(catalog) => {
                let wanted = wanted(args, one.scope.as_ref());
                let all = catalog.entries().into_iter().filter(|entry| wanted.has(entry));
                lines.extend(all.map(|entry| Line::of(entry, &url)));
                stores.push(Asked { url, error: None });
            }
            Err(failure) => stores.push(Asked { url, error: Some(failure.message) }),
        }
    }
    lines.sort_by(|one, other| other.id.cmp(&one.id));
    let is_partial = stores.iter().any(|asked| asked.error.is_some());
    if cli.json {
        render::json(&serde_json::json!({ "stores": stores, "backups": lines }));
    } else {
        if lines.is_empty() {
            render::line("no backups");
        } else {
            render::line(format!(
                "{:<32} {:<14} {:<14} {:<12} {:>10} {:>12} {:>8}  NOTE",
                "BACKUP", "SCOPE", "JOB", "STATE", "SIZE", "ROWS", "SECONDS"
            ));
        }
        for line in &lines {
            render::line(line.text());
        }
        for error in stores.iter().filter_map(|asked| asked.error.as_ref()) {
            render::note(format!("error: {error}"));
        }
    }
    Ok(if is_partial { exit::FAILED } else { exit::DONE })
}

/// Runs `backup show`.
pub async fn show(cli: &Cli, args: &ShowArgs) -> Result<u8, Failure> {
    let opened = open_all(&configured(cli)?, &args.list.store).await?;
    let mut not_found: Option<FindError> = None;
    let mut newest: Option<(Entry, String)> = None;
    let mut silent = None;
    for (one, read) in load_all(&opened).await? {
        let catalog = match read {
            Ok(catalog) => catalog,
            Err(failure) => {
                silent = Some(failure);
                continue;
            }
        };
        match catalog.find(&args.backup, &wanted(&args.list, one.scope.as_ref())) {
            Ok(entry) if newest.as_ref().is_none_or(|(known, _)| known.id < entry.id) => {
                newest = Some((entry.clone(), one.choice.url.to_string()));
            }
            Ok(_) => {}
            Err(error) => not_found = Some(error),
        }
    }
    let Some((entry, url)) = newest else {
        // What is not in the stores that answer may be in the one that does not.
        return Err(silent.or_else(|| not_found.map(Failure::from)).unwrap_or_else(|| FindError::None.into()));
    };
    let whole = Whole {
        line: Line::of(&entry, &url),
        drills: &entry.drills,
        checks: &entry.checks,
        manifest: entry.manifest(),
    };
    if cli.json {
        render::json(&whole);
    } else {
        render::line(told(&whole));
    }
    Ok(exit::DONE)
}

fn told(whole: &Whole<'_>) -> String {
    let line = &whole.line;
    let mut lines = vec![format!("{} in {} ({})", line.id, line.store, line.state)];
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<14} {value}"));
        }
    };
    say("reason", line.reason.clone());
    say("scope", Some(line.scope.clone()));
    say("job", line.job.clone());
    say("database", line.database.clone());
    say("began", Some(line.began.format("%Y-%m-%d %H:%M:%S UTC").to_string()));
    say("seconds", line.seconds.map(|seconds| format!("{seconds:.1}")));
    say("builds upon", line.parent.clone());
    if let Some(manifest) = whole.manifest {
        let source = &manifest.source;
        let node = source.node.as_deref().unwrap_or("a database without a cluster");
        let timescale =
            source.timescaledb.as_ref().map(|version| format!(", TimescaleDB {version}")).unwrap_or_default();
        say("taken from", Some(format!("{node} ({}), PostgreSQL {}{timescale}", source.role, source.postgres)));
        say("position", Some(format!("{} on timeline {}", manifest.position.lsn, manifest.position.timeline)));
        let totals = manifest.totals;
        say("holds", Some(format!("{} rows, {} tables, {} chunks", totals.rows, totals.tables, totals.chunks)));
        for object in &manifest.objects {
            say("object", Some(format!("{:<24} {:>10}", object.name, size(object.stored_bytes))));
        }
        say("made by", Some(manifest.tools.join(", ")).filter(|tools| !tools.is_empty()));
    }
    for (name, proofs) in [("drill", whole.drills), ("check", whole.checks)] {
        for proof in proofs {
            say(name, Some(format!("{} {}", proof.began.format("%Y-%m-%d %H:%M:%S UTC"), proof.outcome)));
        }
    }
    lines.join("\n")
}
