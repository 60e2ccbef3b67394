//! HTTP of the agent: health, status and metrics for whoever asks, and nothing that changes anything.
//!
//! In: connections, and the published look. Out: answers made from that look alone; a request never makes the agent look.
//! A client that is slow, silent or one of too many is cut off and keeps nobody else waiting for long.

pub mod client;
pub mod guard;
pub mod page;
pub mod readiness;
pub mod routes;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Collected, PassMetrics};
use crate::status::latest::Latest;
use guard::Guard;
use page::stream::Streams;

/// What a client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections are served at a time; the next ones wait in the system's queue.
    pub connections: usize,
    /// How long a connection may take, which carries one request.
    pub connection: Duration,
    /// Within it, how long the request's head may take.
    pub head: Duration,
    /// How many open pages are kept up to date at a time.
    pub streams: usize,
    /// How long one of them is, before it has to ask again.
    pub stream: Duration,
    /// How long answers that are on their way may take when the agent ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A handful of probes and scrapers, with room for browsers.
            connections: 64,
            // What we answer fits into a socket's buffer; only who does not read at all takes longer.
            connection: Duration::from_secs(10),
            head: Duration::from_secs(5),
            // A quarter of the connections: pages that stay open leave probes and scrapers their room.
            streams: 16,
            stream: Duration::from_mins(5),
            // The whole agent has eight.
            drain: Duration::from_secs(1),
        }
    }
}

/// A request's head is a few hundred bytes; this is hyper's smallest limit.
const MOST_HEAD_BYTES: usize = 8192;

/// What answers are made from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {
    /// What the passes published.
    pub latest: watch::Receiver<Latest>,
    /// What they counted.
    pub passes: PassMetrics,
    /// What the collectors brought.
    pub collected: watch::Receiver<Collected>,
    /// What open pages have in common.
    pub streams: Streams,
}

/// When a connection is cut off. Shared by the connection and what answers on it.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    fn new(at: Instant) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it off.
    fn extend(&self, to: Instant) {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *at = to.max(*at);
    }

    /// Ends when it has come.
    async fn reached(&self) {
        while self.at() > Instant::now() {
            tokio::time::sleep_until(self.at().into()).await;
        }
    }
}

/// Begins to listen.
pub async fn bind(at: SocketAddr, guard: &Guard) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at).await?;
    let scheme = if guard.tls.is_some() { "https" } else { "http" };
    tracing::info!("answers on {scheme}://{}", listener.local_addr()?);
    Ok(listener)
}

/// Answers until told to stop, then finishes what it is answering.
///
/// # Errors
/// The system gives us no more connections.
pub async fn serve(
    listener: &TcpListener,
    router: Router,
    tls: Option<&TlsAcceptor>,
    limits: Limits,
    stop: &CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    loop {
        let accept = async {
            let permit = room.clone().acquire_owned().await.expect("it is never closed");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => accepted,
        };
        while open.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let (router, tls) = (router.clone(), tls.cloned());
                open.spawn(async move {
                    match tls {
                        None => connection(stream, router, limits).await,
                        Some(tls) => encrypted(stream, &tls, router, limits).await,
                    }
                    drop(permit);
                });
            }
            // The client was gone before we came to it.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => return Err(error),
        }
    }
    let finished = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, finished).await.is_err() {
        tracing::debug!("cut off clients that were still reading");
    }
    Ok(())
}

/// The same after the two sides have agreed on keys, for which they have as long as for a request's head.
async fn encrypted(stream: TcpStream, tls: &TlsAcceptor, router: Router, limits: Limits) {
    match tokio::time::timeout(limits.head, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, router, limits).await,
        Ok(Err(error)) => tracing::debug!("a connection could not be encrypted: {error}"),
        Err(_) => tracing::debug!("a client was too slow"),
    }
}

/// One request and its answer.
async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, limits: Limits) {
    let deadline = Deadline::new(Instant::now() + limits.connection);
    let router = router.layer(Extension(deadline.clone()));
    let answering = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MOST_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::select! {
        answered = answering => if let Err(error) = answered {
            tracing::debug!("a connection broke off: {error}");
        },
        () = deadline.reached() => tracing::debug!("a client was too slow"),
    }
}

#[cfg(test)]
mod tests;
