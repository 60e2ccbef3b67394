//! A look inside one object: whether what was stored is what its part says, beyond its size and hash.
//!
//! In: an object that is read from the store to its end. Out: nothing, a note, or what is wrong. Restores nothing.

use std::io::{self, BufRead, BufReader, Read};

use tokio::sync::oneshot;

use super::{Means, with_causes};
use crate::backup::contents::Contents;
use crate::backup::manifest::{Manifest, ObjectRecord, Part};
use crate::backup::pipeline::{self, PipelineError, Source, StopOnDrop, Unsealed};
use crate::backup::tools::{self, Tool, ToolError, Toolbox};
use crate::model::backup::ObjectKey;
use crate::model::segment::{SEGMENT_BYTES, Segment};

/// Members that every base backup has.
const OF_A_BASE: [&str; 3] = ["PG_VERSION", "global/pg_control", "backup_manifest"];

/// What else there is to say about an object, or what is wrong with it.
pub(super) async fn inside(
    means: Means<'_>,
    key: &ObjectKey,
    manifest: &Manifest,
    record: &ObjectRecord,
) -> Result<Option<String>, String> {
    let open = || pipeline::unseal(means.store.clone(), key.clone(), record, means.keys, |_| ());
    let open = || open().map_err(|error| with_causes(&error));
    match record.part {
        Part::Archive | Part::Rows => {
            read(open()?, drain).await?;
            let Some(tools) = means.tools else {
                return Ok(Some("its table of contents was not listed: there is no pg_restore here".into()));
            };
            list(tools, open()?).await.map(|()| None)
        }
        Part::Base => read(open()?, members).await,
        Part::BaseLog => read(open()?, segments).await,
        Part::BaseManifest => read(open()?, base_manifest).await,
        Part::Contents => {
            let totals = manifest.totals;
            read(open()?, move |unsealed| contents(unsealed, totals.rows)).await
        }
        Part::Ddl | Part::Globals => read(open()?, text).await,
        Part::Table => read(open()?, table).await,
    }
}

/// Lists an archive. It says what is in it at its beginning, so the rest is not read.
async fn list(tools: &Toolbox, archive: Unsealed) -> Result<(), String> {
    let cannot = |error: ToolError| format!("pg_restore cannot list it: {}", with_causes(&error));
    let (input, output) = tools.through(&Tool::new("pg_restore").arg("--list")).map_err(cannot)?;
    let count = tokio::task::spawn_blocking(move || {
        let entries = BufReader::new(output).lines();
        entries
            .filter(|line| line.as_ref().map_or(true, |line| !line.starts_with(';') && !line.is_empty()))
            .try_fold(0_u64, |count, line| line.map(|_| count + 1))
    });
    tools::feed(archive, input).await.map_err(cannot)?;
    match count.await {
        Ok(Ok(0)) => Err("pg_restore finds nothing in it".into()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("pg_restore cannot list it: {error}")),
        Err(error) => Err(format!("the listing was given up: {error}")),
    }
}

/// Reads an object on a thread, to its end: whatever the look needed, the rest is checked too.
async fn read<T: Send + 'static>(
    mut unsealed: Unsealed,
    look: impl FnOnce(&mut Unsealed) -> Result<T, io::Error> + Send + 'static,
) -> Result<T, String> {
    let _stop = StopOnDrop::new(unsealed.stopper());
    let (tell, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name("look".into()).spawn(move || {
        let looked = look(&mut unsealed).and_then(|found| drain(&mut unsealed).map(|()| found));
        // Nobody listens any more when the check was given up.
        let _ = tell.send(looked);
    });
    thread.map_err(|error| format!("cannot start a thread: {error}"))?;
    match outcome.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(match error.downcast::<PipelineError>() {
            Ok(error) => with_causes(&error),
            Err(error) => error.to_string(),
        }),
        Err(_) => Err("the look inside was given up".into()),
    }
}

fn drain(unsealed: &mut Unsealed) -> io::Result<()> {
    io::copy(unsealed, &mut io::sink()).map(|_| ())
}

fn odd(because: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, because.into())
}

fn members(unsealed: &mut Unsealed) -> io::Result<Option<String>> {
    let mut missing = OF_A_BASE.to_vec();
    let mut archive = tar::Archive::new(&mut *unsealed);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?;
        missing.retain(|wanted| !path.ends_with(wanted));
    }
    if missing.is_empty() { Ok(None) } else { Err(odd(format!("the tar file lacks {}", missing.join(", ")))) }
}

/// Every file of the log is a segment, and whole.
fn segments(unsealed: &mut Unsealed) -> io::Result<Option<String>> {
    let mut archive = tar::Archive::new(&mut *unsealed);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.display().to_string();
        let is_whole = path.parse::<Segment>().is_ok() && entry.size() == SEGMENT_BYTES;
        // Histories of timelines may be among them.
        if !is_whole && !path.ends_with(".history") {
            return Err(odd(format!("{path} is no segment of the log")));
        }
    }
    Ok(None)
}

fn base_manifest(unsealed: &mut Unsealed) -> io::Result<Option<String>> {
    let document: serde_json::Value = serde_json::from_reader(BufReader::new(&mut *unsealed))?;
    match document.get("PostgreSQL-Backup-Manifest-Version") {
        Some(_) => Ok(None),
        None => Err(odd("it is no manifest of PostgreSQL's")),
    }
}

fn contents(unsealed: &mut Unsealed, rows: u64) -> io::Result<Option<String>> {
    let contents: Contents = serde_json::from_reader(BufReader::new(&mut *unsealed))?;
    let found: u64 = contents.tables.values().map(|table| table.rows).sum();
    if found == rows { Ok(None) } else { Err(odd(format!("it counts {found} rows, and the manifest {rows}"))) }
}

fn text(unsealed: &mut Unsealed) -> io::Result<Option<String>> {
    let mut lines = BufReader::new(&mut *unsealed).lines();
    match lines.try_fold(0_u64, |count, line| line.map(|_| count + 1))? {
        0 => Err(odd("it is empty")),
        _ => Ok(None),
    }
}

/// `COPY` escapes line ends, so lines are rows, after the one that names the columns.
fn table(unsealed: &mut Unsealed) -> io::Result<Option<String>> {
    let mut reader = BufReader::new(&mut *unsealed);
    let mut header = Vec::new();
    reader.read_until(b'\n', &mut header)?;
    if header.last() != Some(&b'\n') {
        return Err(odd("it has no line that names the columns"));
    }
    let mut last = b'\n';
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 if last == b'\n' => return Ok(None),
            0 => return Err(odd("its last row is cut off")),
            read => last = buffer[read - 1],
        }
    }
}
