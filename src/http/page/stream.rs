//! `/events`: tells an open page what changed, by server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! `page` carries the changing part of the page and is sent at the beginning and when it changed; `beat` carries when the agent looked last,
//! each second. A stream ends by itself and the browser comes again, so that one that nobody reads is not kept for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::view::{self, Page};
use crate::http::{Deadline, Limits, Source, routes};

/// Where it is.
pub const PATH: &str = "/events";

/// How often an open page is told. The agent looks as often.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a browser waits before it comes again.
const RETRY: Duration = Duration::from_secs(2);

/// What the streams have in common.
#[derive(Clone, Debug)]
pub struct Streams {
    room: Arc<Semaphore>,
    lasts: Duration,
    stop: CancellationToken,
}

impl Streams {
    /// None is open. All end when `stop` is cancelled.
    pub fn new(limits: Limits, stop: CancellationToken) -> Self {
        Self { room: Arc::new(Semaphore::new(limits.streams)), lasts: limits.stream, stop }
    }
}

/// One open stream.
struct Open {
    source: Source,
    ends: Instant,
    ticks: tokio::time::Interval,
    sent: String,
    _room: OwnedSemaphorePermit,
}

/// `/events`
pub async fn answer(State(source): State<Source>, Extension(deadline): Extension<Deadline>) -> Response {
    let Ok(room) = source.streams.room.clone().try_acquire_owned() else {
        return routes::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "as many pages are open as are kept up to date at a time",
        );
    };
    let ends = Instant::now() + source.streams.lasts;
    // What is under way then is still sent.
    deadline.extend(ends + INTERVAL);
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open = Open { source, ends, ticks, sent: String::new(), _room: room };
    let events = stream::unfold(open, next).map(stream::iter).flatten();
    Sse::new(events).into_response()
}

/// What there is to tell after the next tick; `None` when the stream is over.
async fn next(mut open: Open) -> Option<(Vec<Result<Event, Infallible>>, Open)> {
    let stop = open.source.streams.stop.clone();
    tokio::select! {
        () = stop.cancelled() => return None,
        _ = open.ticks.tick() => {}
    }
    let now = Instant::now();
    if now >= open.ends {
        return None;
    }
    let (html, looked) = {
        let latest = open.source.latest.borrow();
        let findings = open.source.passes.findings();
        (super::main(&Page::of(&latest, &findings, now, SystemTime::now().into())), view::looked(&latest))
    };
    let mut events = Vec::new();
    if html != open.sent {
        events.push(Ok(Event::default().event("page").retry(RETRY).data(&html)));
        open.sent = html;
    }
    events.push(Ok(Event::default().event("beat").data(looked)));
    Some((events, open))
}
