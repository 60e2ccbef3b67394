//! Tasks side by side on one thread: each is kept running until all are told to stop.
//!
//! In: a task as a function that begins it. It may borrow. One that fails or ends by itself is logged and begins again
//! after a pause; the others do not notice.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::error::in_one_line;

/// Before a task that failed begins again: what made it fail rarely passes at once, and the log should stay readable.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// How long tasks may take to end; Docker kills a container 10 s after it told it to stop.
const DRAIN_PATIENCE: Duration = Duration::from_secs(8);

/// Tasks that run side by side.
pub struct Crew<'a> {
    stop: CancellationToken,
    tasks: FuturesUnordered<LocalBoxFuture<'a, ()>>,
    restart_pause: Duration,
    drain_patience: Duration,
}

impl<'a> Crew<'a> {
    /// Nobody yet; `stop` is what tells them to end.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, tasks: FuturesUnordered::new(), restart_pause: RESTART_PAUSE, drain_patience: DRAIN_PATIENCE }
    }

    /// Adds a task that `begin` begins.
    pub fn keep<B, F, E>(&mut self, name: &'static str, begin: B)
    where
        B: Fn() -> F + 'a,
        F: Future<Output = Result<(), E>> + 'a,
        E: std::error::Error + 'a,
    {
        let (stop, pause) = (self.stop.clone(), self.restart_pause);
        let kept = async move {
            while !stop.is_cancelled() {
                let why = match begin().await {
                    _ if stop.is_cancelled() => break,
                    Ok(()) => "it ended".to_owned(),
                    Err(error) => in_one_line(&error),
                };
                tracing::error!(task = name, "{why}; it begins again in {} s", pause.as_secs());
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        };
        self.tasks.push(kept.boxed_local());
    }

    /// Runs all until `end` ends, then tells them to stop and gives them time to.
    pub async fn work_until(mut self, end: impl Future<Output = ()>) {
        let mut all = async { while self.tasks.next().await.is_some() {} }.boxed_local();
        tokio::select! {
            () = end => {}
            () = &mut all => {}
        }
        self.stop.cancel();
        if tokio::time::timeout(self.drain_patience, all).await.is_err() {
            tracing::warn!("ended in the middle of something that takes long; the next start looks afresh");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn impatient<'a>(stop: &CancellationToken) -> Crew<'a> {
        Crew { restart_pause: Duration::ZERO, drain_patience: Duration::ZERO, ..Crew::new(stop.clone()) }
    }

    #[tokio::test]
    async fn a_task_that_fails_or_ends_begins_again_and_the_others_do_not_notice() {
        let (failing, ending, steady) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let begun = |times: &Cell<u32>| times.set(times.get() + 1);
        let stop = CancellationToken::new();
        let enough = async {
            while failing.get() < 3 || ending.get() < 3 {
                tokio::task::yield_now().await;
            }
        };
        let mut crew = impatient(&stop);
        crew.keep("failing", async || {
            begun(&failing);
            Err(std::fmt::Error)
        });
        crew.keep("ending", async || {
            begun(&ending);
            Ok::<(), std::fmt::Error>(())
        });
        crew.keep("steady", async || {
            begun(&steady);
            stop.cancelled().await;
            Ok::<(), std::fmt::Error>(())
        });
        crew.work_until(enough).await;
        assert_eq!(steady.get(), 1);
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_does_not_keep_the_agent() {
        let stop = CancellationToken::new();
        let mut crew = impatient(&stop);
        crew.keep("stubborn", std::future::pending::<Result<(), std::fmt::Error>>);
        crew.work_until(std::future::ready(())).await;
        assert!(stop.is_cancelled());
    }
}
