//! Tells what happened: each event is a line in the log, a count, and a message to the webhook when there is one.
//!
//! In: the published looks; other tasks tell what no look shows. Out: the same events to all three. It looks at nothing itself and keeps nobody waiting: a webhook that is slow or
//! away costs the messages that do not fit into its queue, and nothing else.

use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::agent::Handles;
use crate::clock::rfc3339;
use crate::error::in_one_line;
use crate::metrics::PassMetrics;
use crate::status::events::{Event, Story};
use crate::webhook;

/// Messages that wait for the webhook.
const QUEUE: usize = 100;

/// How long the webhook may take for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// After an attempt that failed, how long until the next. After the last one the message is given up.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

/// An event as the webhook gets it.
#[derive(Debug, Serialize)]
struct Message<'a> {
    cluster: &'a str,
    at: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Messages on their way to the webhook.
#[derive(Debug)]
pub struct Outbox {
    send: mpsc::Sender<String>,
    wait: tokio::sync::Mutex<mpsc::Receiver<String>>,
}

impl Default for Outbox {
    fn default() -> Self {
        let (send, wait) = mpsc::channel(QUEUE);
        Self { send, wait: tokio::sync::Mutex::new(wait) }
    }
}

/// Who is told: the log, the counter, and the webhook where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Listeners<'a> {
    /// Counts.
    pub metrics: &'a PassMetrics,
    /// What waits for the webhook.
    pub outbox: Option<&'a Outbox>,
}

/// Follows the looks until told to stop.
pub async fn run(handles: &Handles, listeners: Listeners<'_>) -> Result<(), Infallible> {
    let mut latest = handles.latest.clone();
    let mut story = Story::default();
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = handles.stop.cancelled() => return Ok(()),
            // Who publishes lives as long as the agent.
            changed = latest.changed() => if changed.is_err() { handles.stop.cancelled().await; },
        }
        let news = latest.borrow_and_update();
        let Some(look) = news.look.as_ref().filter(|look| told != Some(look.began)) else { continue };
        told = Some(look.began);
        for event in story.goes_on(&look.status, look.began) {
            listeners.tell(&look.status.cluster, &event);
        }
    }
}

impl Listeners<'_> {
    /// Tells one event.
    pub fn tell(&self, cluster: &str, event: &Event) {
        let (word, subject, reason, text) = (event.event.word(), &event.subject, event.reason, &event.text);
        if event.is_warning {
            tracing::warn!(event = word, subject, reason, "{subject}: {text}");
        } else {
            tracing::info!(event = word, subject, reason, "{subject}: {text}");
        }
        self.metrics.count_event(event.event);
        let Some(outbox) = self.outbox else { return };
        let message = Message { cluster, at: rfc3339(SystemTime::now()), event };
        let body = serde_json::to_string(&message).expect("keys are text");
        if outbox.send.try_send(body).is_err() {
            tracing::warn!("the webhook is behind: it will not be told of {word} {subject}");
        }
    }
}

/// Posts what waits, one message after the other, until told to stop.
pub async fn deliver(outbox: &Outbox, url: &str, stop: &CancellationToken) -> Result<(), Infallible> {
    let mut wait = outbox.wait.lock().await;
    loop {
        let body = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            body = wait.recv() => body,
        };
        let Some(body) = body else { return Ok(()) };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = attempts(url, &body, &PAUSES) => {}
        }
    }
}

async fn attempts(url: &str, body: &str, pauses: &[Duration]) {
    let mut pauses = pauses.iter();
    loop {
        let why = match tokio::time::timeout(PATIENCE, webhook::post(url, body)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => in_one_line(&error),
            Err(_) => format!("{} took longer than {} s", webhook::host(url), PATIENCE.as_secs()),
        };
        let Some(pause) = pauses.next() else {
            tracing::warn!("an event was not told to the webhook: {why}");
            return;
        };
        tracing::debug!("{why}; tries again in {} s", pause.as_secs());
        tokio::time::sleep(*pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use axum::Router;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio::sync::watch;

    use super::*;
    use crate::plan::simulate::Event as Mishap;
    use crate::status::latest::{Latest, Look};
    use crate::status::tests::{healthy, status};

    type Bodies = Arc<Mutex<Vec<serde_json::Value>>>;

    /// Refuses the first message once.
    async fn take(State((bodies, asked)): State<(Bodies, Arc<AtomicUsize>)>, body: String) -> StatusCode {
        if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let body = serde_json::from_str(&body).expect("JSON");
        bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        StatusCode::NO_CONTENT
    }

    #[tokio::test]
    async fn what_happens_is_counted_and_told_to_the_webhook_also_when_it_refuses_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook/secret", listener.local_addr().expect("bound"));
        let (bodies, asked) = (Bodies::default(), Arc::new(AtomicUsize::new(0)));
        let router = Router::new().route("/hook/secret", post(take)).with_state((bodies.clone(), asked.clone()));
        let (publish, latest) = watch::channel(Latest::new(Instant::now()));
        let handles = Handles { wake: Arc::default(), latest, stop: CancellationToken::new() };
        let (metrics, outbox, stop) = (PassMetrics::default(), Outbox::default(), handles.stop.clone());
        let mut cluster = healthy();
        let see = |cluster: &_| {
            let look = Look { status: status(cluster), began: Instant::now(), at: SystemTime::now() };
            publish.send_modify(|latest| latest.saw(look));
        };
        let happening = async {
            see(&cluster);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Mishap::Pause(2).happen(&mut cluster);
            see(&cluster);
            let all_told = async {
                while bodies.lock().unwrap_or_else(PoisonError::into_inner).len() < 4 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), all_told).await.expect("it is told");
            stop.cancel();
        };
        let limits = crate::http::Limits::default();
        let (ran, delivered, served, ()) = tokio::join!(
            run(&handles, Listeners { metrics: &metrics, outbox: Some(&outbox) }),
            deliver(&outbox, &url, &handles.stop),
            crate::http::serve(&listener, router, None, limits, &handles.stop),
            happening
        );
        assert!(ran.is_ok() && delivered.is_ok() && served.is_ok());
        let told = bodies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let words: Vec<&str> = told.iter().filter_map(|it| it["event"].as_str()).collect();
        assert_eq!(words, ["role_changed", "hold_appeared", "hold_appeared", "health_changed"], "in order, each once");
        let paused = &told[2];
        assert_eq!((&paused["cluster"], &paused["subject"]), (&"test".into(), &"replica-2".into()));
        assert_eq!((&paused["reason"], &paused["text"]), (&"paused".into(), &"the container is paused".into()));
        assert!(paused["at"].as_str().is_some_and(|at| at.ends_with('Z')));
        let scrape = crate::metrics::scrape(
            &metrics,
            &handles.latest.borrow(),
            &crate::metrics::Collected::default(),
            Instant::now(),
        );
        for line in [
            "hypertide_events_total{event=\"hold_appeared\"} 2\n",
            "hypertide_events_total{event=\"backup_failed\"} 0\n",
        ] {
            assert!(scrape.contains(line), "{line}\n{scrape}");
        }
    }

    #[tokio::test]
    async fn a_webhook_that_is_away_costs_messages_and_no_time() {
        let outbox = Outbox::default();
        let event = Event {
            event: crate::status::events::Happening::NodeFenced,
            subject: "primary-1".into(),
            reason: None,
            text: "it is fenced".into(),
            is_warning: true,
        };
        let metrics = PassMetrics::default();
        for _ in 0..QUEUE + 5 {
            Listeners { metrics: &metrics, outbox: Some(&outbox) }.tell("test", &event);
        }
        assert_eq!(outbox.wait.lock().await.len(), QUEUE);
        let began = Instant::now();
        attempts("http://127.0.0.1:1/hook", "{}", &[Duration::from_millis(1)]).await;
        assert!(began.elapsed() < PATIENCE, "it gives up");
    }
}
