//! The ends of a running tool that threads read and write.
//!
//! Both ends never wait in the kernel for longer than the tool runs: they are polled together with a pipe that closes when it
//! has ended, or when nobody wants it any more. So whatever happens on the other side, a thread is never left behind.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use super::ToolError;
use super::running::Running;
use crate::backup::pipeline::{Source, Stopper};
use crate::docker::shared_dir::Fifo;

/// How much fits into a pipe before its writer waits; more than the usual 64 KiB saves switches between both sides.
const PIPE_BYTES: usize = 1024 * 1024;

/// How often we look whether a tool has opened its input.
const OPEN_POLL: Duration = Duration::from_millis(5);

/// Ends the tool when the last one who has to do with it is gone.
#[derive(Debug)]
struct Hold(Arc<Running>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// For those who wait in async functions. The tool is ended when this and both of its ends are dropped.
#[derive(Debug)]
pub(super) struct Watched(Arc<Hold>);

impl Watched {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self(Arc::new(Hold(running)))
    }

    /// What it printed, when it succeeded.
    pub(super) async fn ended(self) -> Result<String, ToolError> {
        let running = &self.0.0;
        running.settled().await;
        let ended = running.wait()?;
        if ended.stdout.is_cut() {
            return Err(ToolError::TooMuch { program: running.program().to_owned() });
        }
        Ok(ended.stdout.text())
    }

    pub(super) fn reader(&self, end: OwnedFd, fifo: Option<Fifo>) -> Result<ToolReader, ToolError> {
        let end = never_waiting(end)?;
        let wake = self.0.0.wake().map_err(ToolError::File)?;
        Ok(ToolReader { end, fifo, wake, has_writer: false, state: Reading::Open, hold: self.0.clone() })
    }

    pub(super) fn writer(&self, end: WriterEnd) -> Result<ToolWriter, ToolError> {
        let end = match end {
            WriterEnd::Pipe(end) => Input::Open(never_waiting(end)?),
            WriterEnd::Fifo(fifo) => Input::Waiting(fifo),
        };
        let wake = self.0.0.wake().map_err(ToolError::File)?;
        Ok(ToolWriter { end, wake, is_finished: false, hold: self.0.clone() })
    }
}

fn never_waiting(end: OwnedFd) -> Result<File, ToolError> {
    fcntl_setfl(&end, OFlags::NONBLOCK).map_err(|error| ToolError::File(error.into()))?;
    widen(&end);
    Ok(File::from(end))
}

/// Best effort: users have a limit on the sum.
fn widen(end: impl AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(end, PIPE_BYTES);
}

/// Waits until `end` is ready or the tool has ended; tells whether `end` is.
fn wait_for(end: Option<&File>, what: PollFlags, wake: &PipeReader, most: Option<Duration>) -> io::Result<bool> {
    let most = most.map(|most| Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() });
    loop {
        let mut both = vec![PollFd::new(wake, PollFlags::IN)];
        both.extend(end.map(|end| PollFd::new(end, what)));
        match poll(&mut both, most.as_ref()) {
            Ok(_) => return Ok(both.get(1).is_some_and(|end| !end.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A tool's output. Fails at its end when the tool did; ends the tool when dropped before.
///
/// Blocks: read it on a thread of its own, as [`crate::backup::pipeline::seal`] does.
#[derive(Debug)]
pub struct ToolReader {
    end: File,
    fifo: Option<Fifo>,
    wake: PipeReader,
    /// Somebody has opened the other end; before, a FIFO without a writer looks like one at its end.
    has_writer: bool,
    state: Reading,
    hold: Arc<Hold>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Open,
    Ended,
    Failed,
}

impl ToolReader {
    /// The next bytes; 0 when there are no more.
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.hold.0.stop.is_cancelled() {
                return Err(gone());
            }
            let is_settled = self.hold.0.is_settled();
            if self.has_writer || is_settled {
                match self.end.read(buffer) {
                    Ok(read) => return Ok(read),
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    // Whoever else has the other end open does not belong to the tool.
                    Err(error) if error.kind() == ErrorKind::WouldBlock && is_settled => return Ok(0),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            self.has_writer |= wait_for(Some(&self.end), PollFlags::IN, &self.wake, None)?;
        }
    }
}

impl Read for ToolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            Reading::Open if !buffer.is_empty() => {}
            Reading::Open | Reading::Ended => return Ok(0),
            Reading::Failed => return Err(self.hold.0.wait().map_or_else(ToolError::into_io, |_| gone())),
        }
        let read = self.next(buffer);
        if let Ok(1..) = read {
            return read;
        }
        let ended = match read {
            // Stopped, or failed itself: how the tool ended says more.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => self.hold.0.wait().map_err(ToolError::into_io),
        };
        self.state = if ended.is_ok() { Reading::Ended } else { Reading::Failed };
        ended.map(|_| 0)
    }
}

impl Source for ToolReader {
    fn stopper(&self) -> Stopper {
        stopper(&self.hold)
    }
}

impl Drop for ToolReader {
    fn drop(&mut self) {
        if let Some(fifo) = &self.fifo {
            fifo.unlink();
        }
    }
}

/// Does not keep the tool alive by itself.
fn stopper(hold: &Arc<Hold>) -> Stopper {
    let running = hold.0.clone();
    Stopper::new(move || running.stop())
}

pub(super) enum WriterEnd {
    Pipe(OwnedFd),
    Fifo(Fifo),
}

/// A tool's input. Dropped before [`finish`](Self::finish), the tool is ended: it must not take a part for the whole.
///
/// Blocks: write it on a thread of its own, as [`feed`](super::feed) does.
#[derive(Debug)]
pub struct ToolWriter {
    end: Input,
    wake: PipeReader,
    is_finished: bool,
    hold: Arc<Hold>,
}

#[derive(Debug)]
enum Input {
    Open(File),
    Waiting(Fifo),
    Closed,
}

impl ToolWriter {
    /// The name of the program.
    pub fn program(&self) -> &str {
        self.hold.0.program()
    }

    /// What ends the tool.
    pub fn stopper(&self) -> Stopper {
        stopper(&self.hold)
    }

    /// Waits until the tool has opened its end. An error when it ends before.
    fn open(&mut self) -> io::Result<&mut File> {
        while let Input::Waiting(fifo) = &self.end {
            match fifo.open_writer().map_err(io::Error::other)? {
                Some(end) => {
                    widen(&end);
                    fifo.unlink();
                    self.end = Input::Open(end);
                }
                None if self.hold.0.is_settled() => return Err(gone()),
                None => {
                    wait_for(None, PollFlags::empty(), &self.wake, Some(OPEN_POLL))?;
                }
            }
        }
        match &mut self.end {
            Input::Open(end) => Ok(end),
            Input::Waiting(_) | Input::Closed => Err(gone()),
        }
    }

    /// Says that this is all, waits for the tool's end, and gives what it complained about although it succeeded.
    pub fn finish(mut self) -> Result<String, ToolError> {
        // A tool that ended without looking at its input tells by its exit code whether that was right.
        let _ = self.open();
        self.is_finished = true;
        let hold = self.hold.clone();
        drop(self);
        hold.0.wait().map(|ended| ended.stderr.text())
    }
}

/// The tool does not read any more; [`ToolWriter::finish`] tells why.
fn gone() -> io::Error {
    ErrorKind::BrokenPipe.into()
}

impl Write for ToolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open()?;
        let Input::Open(end) = &mut self.end else { return Err(gone()) };
        loop {
            match end.write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !wait_for(Some(end), PollFlags::OUT, &self.wake, None)? {
                        return Err(gone());
                    }
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ToolWriter {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.end, Input::Closed) {
            Input::Open(end) if !self.is_finished => {
                self.hold.0.give_up(end);
            }
            Input::Waiting(fifo) => fifo.unlink(),
            Input::Open(_) | Input::Closed => {}
        }
        if !self.is_finished {
            self.hold.0.stop();
        }
    }
}
