//! The ends of a running tool that threads read and write, and how it ended.
//!
//! Both ends never wait in the kernel for longer than the tool runs: they are polled together with a pipe that closes when it
//! has ended, or when nobody wants it any more. So whatever happens on the other side, a thread is never left behind.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ToolError;
use crate::backup::pipeline::{Source, StopOnDrop, Stopper};
use crate::docker::exec::Ended;
use crate::docker::shared_dir::Fifo;

/// How much fits into a pipe before its writer waits; more than the usual 64 KiB saves switches between both sides.
const PIPE_BYTES: usize = 1024 * 1024;

/// What [`feed`] copies at a time.
const COPY_BYTES: usize = 256 * 1024;

/// How often we look whether a tool has opened its input.
const OPEN_POLL: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
enum Outcome {
    Ended(Ended),
    Stopped,
    Lost(String),
}

/// A tool that runs, or did.
#[derive(Debug)]
pub(super) struct Running {
    program: String,
    outcome: Mutex<Option<Outcome>>,
    settled: Condvar,
    is_settled: CancellationToken,
    /// Cancelled when the tool is to be ended.
    pub(super) stop: CancellationToken,
    wakers: Mutex<Vec<PipeWriter>>,
    /// Inputs that were given up: open until the tool is gone, so that it takes none of them for complete.
    given_up: Mutex<Vec<File>>,
}

impl Running {
    pub(super) fn new(program: &str) -> Arc<Self> {
        Arc::new(Self {
            program: program.to_owned(),
            outcome: Mutex::new(None),
            settled: Condvar::new(),
            is_settled: CancellationToken::new(),
            stop: CancellationToken::new(),
            wakers: Mutex::default(),
            given_up: Mutex::default(),
        })
    }

    /// Its name.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first to say how it ended is right.
    fn settle(&self, outcome: Outcome) {
        self.lock().get_or_insert(outcome);
        self.settled.notify_all();
        self.is_settled.cancel();
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn stop(&self) {
        self.settle(Outcome::Stopped);
        self.stop.cancel();
    }

    fn is_settled(&self) -> bool {
        self.is_settled.is_cancelled()
    }

    /// A pipe that closes when it has ended.
    fn wake(&self) -> io::Result<PipeReader> {
        let (reader, writer) = io::pipe()?;
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_settled() {
            wakers.push(writer);
        }
        Ok(reader)
    }

    fn verdict(&self, outcome: &Outcome) -> Result<Ended, ToolError> {
        let program = self.program.clone();
        match outcome {
            Outcome::Ended(ended) if ended.code == 0 => Ok(ended.clone()),
            Outcome::Ended(ended) => {
                let said = [ended.stderr.text(), ended.stdout.text()].into_iter().find(|text| !text.is_empty());
                Err(ToolError::Failed { program, code: ended.code, said: said.unwrap_or_else(|| "no word".into()) })
            }
            Outcome::Stopped => Err(ToolError::Stopped { program }),
            Outcome::Lost(because) => Err(ToolError::Lost { program, because: because.clone() }),
        }
    }

    /// Waits, on a thread.
    fn wait(&self) -> Result<Ended, ToolError> {
        let mut outcome = self.lock();
        loop {
            if let Some(outcome) = outcome.as_ref() {
                return self.verdict(outcome);
            }
            outcome = self.settled.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Follows a tool in the background. `work` does what it takes to run it to its end, and ends it when its `stop` is
/// cancelled.
pub(super) fn follow(running: &Arc<Running>, work: impl Future<Output = Result<Ended, String>> + Send + 'static) {
    /// A runtime that shuts down drops the task; nobody may wait for it then.
    struct Settler(Arc<Running>);
    impl Drop for Settler {
        fn drop(&mut self) {
            self.0.settle(Outcome::Lost("the program that started it is about to end".into()));
        }
    }
    let settler = Settler(running.clone());
    tokio::spawn(async move {
        let outcome = work.await.map_or_else(Outcome::Lost, Outcome::Ended);
        settler.0.settle(outcome);
        settler.0.given_up.lock().unwrap_or_else(PoisonError::into_inner).clear();
    });
}

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
        running.is_settled.cancelled().await;
        let ended = running.wait()?;
        if ended.stdout.is_cut() {
            return Err(ToolError::TooMuch { program: running.program.clone() });
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
/// Blocks: write it on a thread of its own, as [`feed`] does.
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
                self.hold.0.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(end);
            }
            Input::Waiting(fifo) => fifo.unlink(),
            Input::Open(_) | Input::Closed => {}
        }
        if !self.is_finished {
            self.hold.0.stop();
        }
    }
}

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
