//! A tool that runs, as everybody sees it who has to do with it: whether and how it ended, and what ends it.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::ToolError;
use crate::docker::exec::Ended;

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

    pub(super) fn stop(&self) {
        self.settle(Outcome::Stopped);
        self.stop.cancel();
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_settled.is_cancelled()
    }

    /// A pipe that closes when it has ended.
    pub(super) fn wake(&self) -> io::Result<PipeReader> {
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

    /// Returns when it has ended.
    pub(super) async fn settled(&self) {
        self.is_settled.cancelled().await;
    }

    /// Keeps an input open until the tool is gone.
    pub(super) fn give_up(&self, input: File) {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(input);
    }

    /// Waits, on a thread.
    pub(super) fn wait(&self) -> Result<Ended, ToolError> {
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
