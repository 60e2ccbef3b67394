//! `jobs list`, `jobs run` and `jobs history`: the data jobs of the configuration and of the packs.

use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::args::Cli;
use super::args::jobs::{HistoryArgs, JobsVerb};
use super::context::Context;
use super::failure::Failure;
use super::signals::interrupted;
use super::{exit, render};
use crate::jobs::{self, Ran, Which, Work};
use crate::model::finding::{Finding, Findings};
use crate::model::job::DataJob;
use crate::plan::jobs::{JobLine, lines};
use crate::postgres::job_runs::{self, JobRun};
use crate::postgres::ledger::JOBS;
use crate::postgres::session::Session;
use crate::site::Reach;

/// What a run by hand came to.
#[derive(Debug, Serialize)]
struct Document<'a> {
    job: &'a str,
    rows: u64,
    seconds: f64,
    details: Option<Value>,
    findings: Option<Findings>,
}

/// Runs a verb.
pub async fn run(cli: &Cli, verb: &JobsVerb) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    match verb {
        JobsVerb::List => list(cli, &context).await,
        JobsVerb::Run { name } => run_one(cli, &context, name).await,
        JobsVerb::History(args) => history(cli, &context, args).await,
    }
}

async fn list(cli: &Cli, context: &Context) -> Result<u8, Failure> {
    let target = context.primary_target(&context.observe().await?)?;
    let session = Session::watch(&target).await?;
    let lines = lines(&context.site.desired.jobs, &JOBS.read(&session).await?);
    if cli.json {
        render::json(&serde_json::json!({ "jobs": lines }));
    } else if lines.is_empty() {
        render::line("the configuration has no data jobs");
    } else {
        render::line(list_text(&lines));
    }
    Ok(exit::DONE)
}

/// Runs a job by hand. It counts as a run, but for no time of the schedule.
pub async fn run_one(cli: &Cli, context: &Context, name: &str) -> Result<u8, Failure> {
    let job = find(&context.site.desired.jobs, name)?;
    let target = context.primary_target(&context.observe().await?)?;
    let stop = CancellationToken::new();
    let began = Instant::now();
    let which = Which { scheduled_for: None, attempt: 0 };
    let mut running = std::pin::pin!(jobs::run(&context.site, &target, job, which, &stop));
    let ran = tokio::select! {
        ran = &mut running => ran,
        () = interrupted() => {
            stop.cancel();
            running.await
        }
    };
    match ran? {
        Ran::Done(Work { rows, details, findings }) => {
            let seconds = began.elapsed().as_secs_f64();
            if cli.json {
                render::json(&Document { job: name, rows, seconds, details, findings });
            } else {
                render::line(format!("{name}: done in {seconds:.1} s, {rows} rows"));
                for finding in findings.iter().flat_map(|found| &found.list) {
                    render::line(finding_line(finding));
                }
                for report in details.iter().filter_map(Value::as_array).flatten() {
                    render::line(report_line(report));
                }
            }
            Ok(exit::DONE)
        }
        Ran::Elsewhere => Err(Failure::new(exit::TRY_AGAIN, format!("somebody else runs job {name} now"))
            .with_help("`hypertide jobs list` says when it is done")),
    }
}

fn finding_line(Finding { finding, object, value }: &Finding) -> String {
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!("  {finding} {object}: {value}")
}

/// What retention did with one hypertable.
fn report_line(report: &Value) -> String {
    let number = |key: &str| report[key].as_u64().unwrap_or_default();
    let kept = report["kept"].as_array().map_or(0, Vec::len);
    let hypertable = report["hypertable"].as_str().unwrap_or_default();
    match report["refused"].as_str() {
        Some(word) => format!("  {hypertable}: refused ({word})"),
        None => format!(
            "  {hypertable}: dropped {} chunks, {} rows, {} bytes; kept {kept} that are old enough",
            number("chunks"),
            number("rows"),
            number("bytes")
        ),
    }
}

fn find<'a>(jobs: &'a [DataJob], name: &str) -> Result<&'a DataJob, Failure> {
    jobs.iter().find(|job| job.name == name).ok_or_else(|| {
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        let help = if names.is_empty() {
            "the configuration has no data jobs: add it under `jobs`".to_owned()
        } else {
            format!("the jobs are: {}", names.join(", "))
        };
        Failure::new(exit::USAGE, format!("there is no data job `{name}`")).with_help(help)
    })
}

async fn history(cli: &Cli, context: &Context, args: &HistoryArgs) -> Result<u8, Failure> {
    let target = context.primary_target(&context.observe().await?)?;
    let session = Session::watch(&target).await?;
    // A job that is no longer in the configuration still has its history.
    let runs = job_runs::read(&session, args.name.as_deref(), args.limit).await?;
    if cli.json {
        render::json(&serde_json::json!({ "runs": runs }));
    } else if runs.is_empty() {
        render::line("nothing has run yet");
    } else {
        render::line(runs.iter().map(run_line).collect::<Vec<_>>().join("\n"));
    }
    Ok(exit::DONE)
}

fn list_text(lines: &[JobLine]) -> String {
    let head = format!(
        "{:<30} {:<17} {:<16} {:<9} {:<20} {:<12} {:<20} {}",
        "JOB", "FROM", "SCHEDULE", "ROLE", "LAST RUN", "RESULT", "NEXT RUN", "ERROR"
    );
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
    };
    let line = |line: &JobLine| {
        format!(
            "{:<30} {:<17} {:<16} {:<9} {:<20} {:<12} {:<20} {}",
            line.name,
            line.pack.as_ref().map_or_else(|| "configuration".to_owned(), |pack| format!("pack {pack}")),
            line.schedule.as_deref().unwrap_or("-"),
            line.role,
            time(line.last_run),
            line.last_result.unwrap_or("-"),
            time(line.next_run),
            line.last_error.as_deref().unwrap_or_default(),
        )
        .trim_end()
        .to_owned()
    };
    [head.trim_end().to_owned()].into_iter().chain(lines.iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn run_line(run: &JobRun) -> String {
    let seconds = run.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
    let rows = run.rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string());
    format!(
        "{}  {:<30} {:<12} {:>8} s {:>10} rows  {}",
        run.began.format("%Y-%m-%d %H:%M:%S"),
        run.job,
        run.outcome,
        seconds,
        rows,
        run.error.as_deref().unwrap_or_default(),
    )
    .trim_end()
    .to_owned()
}
