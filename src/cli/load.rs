//! `load`: a CSV file into a table of the primary.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};

use super::args::Cli;
use super::args::load::LoadArgs;
use super::context::Context;
use super::failure::Failure;
use super::{exit, render};
use crate::config::formats::table_name;
use crate::load::csv::{Record, Splitter};
use crate::load::rejects::Rejects;
use crate::load::{self, Loaded, Order, Progress, Source};
use crate::model::job::JobRole;
use crate::plan::columns_of_file::{Said, matched};
use crate::postgres::load::{Column, Statements, target};
use crate::postgres::session::Session;
use crate::site::Reach;

/// A header that is longer is none.
const LONGEST_HEADER: usize = 1 << 20;

/// The JSON document.
#[derive(Debug, Serialize)]
struct Document {
    table: String,
    file: String,
    #[serde(flatten)]
    loaded: Loaded,
    seconds: f64,
    rows_per_second: f64,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &LoadArgs) -> Result<u8, Failure> {
    let usage = |message: String| Failure::new(exit::USAGE, message);
    let table = table_name(&args.table).map_err(usage)?;
    let delimiter = u8::try_from(args.delimiter).ok().filter(|byte| byte.is_ascii() && !b"\"\r\n\\".contains(byte));
    let delimiter = delimiter.ok_or_else(|| usage("the delimiter is one ASCII character, and no quote".to_owned()))?;
    let (source, header, size) = open(args, delimiter).await?;

    let context = Context::open(cli, Reach::Published).await?;
    let primary = context.primary_target(&context.observe().await?)?;
    let role = JobRole::ALL.into_iter().find(|(word, _)| *word == args.role).map_or(JobRole::App, |(_, role)| role);
    let session = Session::connect(&context.site.target_as(role, &primary)?).await?;
    session.run("prepare a session for loading", "set statement_timeout = 0").await?;
    let target = target(&session, &table).await?.ok_or_else(|| usage(format!("there is no table {table}")))?;

    let map = args.map.iter().map(|pair| {
        let pair = pair.split_once('=').map(|(from, to)| (from.to_owned(), to.to_owned()));
        pair.ok_or_else(|| {
            usage("`--map` takes a column of the file and one of the table: `--map Time=timestamp`".into())
        })
    });
    let map = map.collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = target.columns.iter().map(|column| column.name.clone()).collect();
    let pairs = matched(&header, &names, Said { map: &map, ignore: &args.ignore }).map_err(|problems| {
        usage(format!("the file does not fit {table}: {}", problems.join("; "))).with_help(format!(
            "the table has {}; `--map FILE=TABLE` renames, `--ignore COLUMN` leaves out",
            names.join(", ")
        ))
    })?;
    let columns: Vec<Column> = pairs.iter().map(|(_, column)| target.columns[*column].clone()).collect();
    let fields: Vec<usize> = pairs.iter().map(|(field, _)| *field).collect();
    let statements = Statements::new(&table, &columns, &target.key);
    let rejects_path = args.rejects.clone().unwrap_or_else(|| beside(&args.file));
    let order = Order {
        statements: &statements,
        fields: &fields,
        width: header.len(),
        delimiter,
        max_rejects: args.max_rejects,
        rejects_path: rejects_path.clone(),
    };
    let mut rejects = Rejects::new(rejects_path, header, delimiter);
    let bar = bar(cli.json, size);
    let began = Instant::now();
    let tell = |progress| {
        let Some(bar) = &bar else { return };
        match progress {
            Progress::Read(bytes) => bar.set_position(bytes),
            Progress::Taken(rows, of) => bar.set_message(format!("{rows} of {of} rows checked")),
        }
    };
    let loaded = load::run(&session, source, &order, &mut rejects, &tell).await;
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let loaded = loaded?;
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // rows of a file stay far below 2^52
    let rows_per_second = if seconds > 0.0 { loaded.loaded as f64 / seconds } else { 0.0 };
    let is_clean = loaded.rejected == 0 || args.max_rejects.is_some();
    let document =
        Document { table: table.to_string(), file: args.file.display().to_string(), loaded, seconds, rows_per_second };
    if cli.json {
        render::json(&document);
    } else {
        render::line(text(&document));
    }
    Ok(if is_clean { exit::DONE } else { exit::FAILED })
}

/// The file at its beginning, the names in its first line, and its size. Standard input is read once: what was read of it for the
/// header comes again.
async fn open(args: &LoadArgs, delimiter: u8) -> Result<(Source, Vec<String>, Option<u64>), Failure> {
    let unreadable = |error| Failure::new(exit::USAGE, format!("cannot read {}: {error}", args.file.display()));
    if args.file.as_os_str() == "-" {
        let mut stdin = tokio::io::stdin();
        let (header, seen) = header(&mut stdin, delimiter).await?;
        return Ok((Source::Stream(Box::new(std::io::Cursor::new(seen).chain(stdin))), header, None));
    }
    let mut file = tokio::fs::File::open(&args.file).await.map_err(unreadable)?;
    let size = file.metadata().await.map_err(unreadable)?.len();
    let (header, _) = header(&mut file, delimiter).await?;
    // A pipe cannot be read twice.
    let is_again = file.rewind().await;
    is_again.map_err(|error| unreadable(error).with_help("give what can be read once only as standard input: `-`"))?;
    Ok((Source::File(file), header, Some(size)))
}

/// The names in the first line, and all that was read for them.
async fn header(source: &mut (impl AsyncRead + Unpin), delimiter: u8) -> Result<(Vec<String>, Vec<u8>), Failure> {
    let usage = |message: String| Failure::new(exit::USAGE, message);
    let (mut seen, mut names) = (Vec::new(), None);
    let mut splitter = Splitter::new(delimiter);
    let mut piece = vec![0; 8192];
    while names.is_none() {
        let count = source.read(&mut piece).await.map_err(|error| usage(format!("cannot read the file: {error}")))?;
        let mut keep = |record: Record<'_>| {
            let text = |field: Option<&[u8]>| String::from_utf8_lossy(field.unwrap_or_default()).into_owned();
            names.get_or_insert_with(|| record.fields().map(text).collect::<Vec<_>>());
        };
        if count == 0 {
            splitter.finish(&mut keep).map_err(|error| usage(error.to_string()))?;
            break;
        }
        splitter.feed(&piece[..count], &mut keep).map_err(|error| usage(error.to_string()))?;
        seen.extend_from_slice(&piece[..count]);
        if seen.len() > LONGEST_HEADER && names.is_none() {
            return Err(usage("the first line names no columns: it does not end".to_owned()));
        }
    }
    let mut names =
        names.ok_or_else(|| usage("the file is empty: its first line has to name the columns".to_owned()))?;
    if let Some(first) = names.first_mut()
        && let Some(rest) = first.strip_prefix('\u{feff}')
    {
        *first = rest.to_owned();
    }
    Ok((names, seen))
}

fn beside(file: &std::path::Path) -> PathBuf {
    if file.as_os_str() == "-" {
        return PathBuf::from("stdin.rejected.csv");
    }
    let mut name = file.as_os_str().to_owned();
    name.push(".rejected.csv");
    PathBuf::from(name)
}

fn bar(is_json: bool, size: Option<u64>) -> Option<ProgressBar> {
    if is_json || !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = size.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template =
        if size.is_some() { "{elapsed:>4} {bar:30} {bytes}/{total_bytes} {msg}" } else { "{elapsed:>4} {bytes} {msg}" };
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    Some(bar)
}

fn text(document: &Document) -> String {
    let Document { table, loaded, seconds, rows_per_second, .. } = document;
    let Loaded { read, loaded, rejected, skipped, rejects } = loaded;
    let mut lines =
        vec![format!("{table}: {loaded} of {read} rows loaded in {seconds:.1} s ({rows_per_second:.0} rows/s)")];
    if *skipped > 0 {
        lines.push(format!("{skipped} were replaced by later rows of the file, or passed over by a trigger"));
    }
    if let Some(path) = rejects {
        lines.push(format!("{rejected} were refused: {}", path.display()));
    }
    lines.join("\n")
}
