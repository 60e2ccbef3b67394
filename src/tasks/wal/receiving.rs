//! The receiver of the log as it is kept going: started again after a pause that grows, and what was wrong with it last.

use tokio::time::Instant;

use crate::backup::wal::pace;
use crate::backup::wal::receiver::{Receiver, Upstream};
use crate::backup::wal::spool::Spool;
use crate::error::in_one_line;
use crate::model::segment::{SEGMENT_BYTES, Segment};
use crate::model::wal::LogNow;

/// The receiver, and since when the open segment is known.
#[derive(Default)]
pub(super) struct Receiving {
    running: Option<(Receiver, Upstream)>,
    failures: u32,
    not_before: Option<Instant>,
    problem: Option<String>,
    open: Option<(Segment, Instant)>,
}

impl Receiving {
    pub(super) async fn stop(&mut self) {
        if let Some((receiver, _)) = self.running.take() {
            receiver.stop().await;
        }
    }

    /// Starts it when it does not run, after a pause that grows; tells what was wrong last while it does not.
    pub(super) async fn keep(&mut self, upstream: &Upstream, spool: &Spool) -> Option<String> {
        if let Some((receiver, to)) = &mut self.running {
            match receiver.ended() {
                Ok(None) if to == upstream => {
                    // It has run for a tick at least.
                    (self.failures, self.problem) = (0, None);
                    return None;
                }
                Ok(None) => self.stop().await,
                Ok(Some(word)) => self.failed(word),
                Err(error) => self.failed(in_one_line(&error)),
            }
        }
        if self.not_before.is_none_or(|time| time <= Instant::now()) {
            match (spool.mend_partial(), Receiver::start(upstream, spool)) {
                (Ok(()), Ok(receiver)) => self.running = Some((receiver, upstream.clone())),
                (Err(error), _) => self.failed(in_one_line(&error)),
                (Ok(()), Err(error)) => self.failed(in_one_line(&error)),
            }
        }
        self.problem.clone()
    }

    fn failed(&mut self, problem: String) {
        self.running = None;
        self.failures += 1;
        self.not_before = Some(Instant::now() + pace::pause(self.failures));
        self.problem = Some(problem);
    }

    /// The same, with an age for the open segment where the heartbeat has none: since when we know it.
    pub(super) fn aged(&mut self, log: LogNow) -> LogNow {
        let open = Segment { timeline: log.timeline, number: log.insert.0 / SEGMENT_BYTES };
        let since = match self.open {
            Some((known, since)) if known == open => since,
            _ => Instant::now(),
        };
        self.open = Some((open, since));
        LogNow { open_age: log.open_age.or(Some(since.elapsed())), ..log }
    }
}
