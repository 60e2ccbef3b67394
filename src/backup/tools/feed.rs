//! A tool that is fed: everything a source gives goes into its input, on a thread.

use std::io::{ErrorKind, Write};

use tokio::sync::oneshot;

use super::ToolError;
use super::stream::ToolWriter;
use crate::backup::pipeline::{Source, StopOnDrop};

/// What is copied at a time.
const COPY_BYTES: usize = 256 * 1024;

/// What became of a tool that was fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Bytes it took.
    pub bytes: u64,
    /// It took everything. A tool that succeeds without (`pg_restore --list`) is right, too.
    pub is_all: bool,
    /// What it complained about although it succeeded.
    pub said: String,
}

/// Writes everything a source gives into a tool, on a thread, and waits for the tool's end.
///
/// A source that fails ends the tool and is the cause of the error; so does dropping the future.
pub async fn feed(mut source: impl Source, mut tool: ToolWriter) -> Result<Fed, ToolError> {
    let program = tool.program().to_owned();
    let _stop_source = StopOnDrop::new(source.stopper());
    let mut stop_tool = StopOnDrop::new(tool.stopper());
    let (tell, outcome) = oneshot::channel();
    let lost = ToolError::Lost { program: program.clone(), because: "its thread ended".into() };
    let thread = std::thread::Builder::new().name("feed".into());
    let work = move || -> Result<Fed, ToolError> {
        let mut buffer = vec![0; COPY_BYTES];
        let mut bytes = 0;
        loop {
            let read = match source.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(ToolError::Source { program, source }),
            };
            let is_all = read == 0;
            if is_all || tool.write_all(&buffer[..read]).is_err() {
                drop(source);
                return tool.finish().map(|said| Fed { bytes, is_all, said });
            }
            bytes += read as u64;
        }
    };
    // Nobody listens any more when the future was dropped.
    thread.spawn(move || tell.send(work())).map_err(ToolError::File)?;
    let fed = outcome.await.unwrap_or(Err(lost));
    stop_tool.disarm();
    fed
}
