//! The channel from a thread that writes to a store that reads. The store sees an end only when the thread said that it is one.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::{CHUNK_BYTES, CHUNKS_BETWEEN, Progress, Sealed};

enum Message {
    Chunk(Vec<u8>),
    /// Everything was written.
    End,
}

/// The thread's end: hashes, and hands over in chunks.
pub(super) struct Sink {
    chunks: mpsc::Sender<Message>,
    chunk: Vec<u8>,
    hasher: Sha256,
    stored: u64,
    raw: Arc<AtomicU64>,
}

/// The store's end.
pub(super) struct Outgoing<F> {
    chunks: mpsc::Receiver<Message>,
    chunk: Vec<u8>,
    at: usize,
    is_at_end: bool,
    raw: Arc<AtomicU64>,
    stored: u64,
    on_bytes: F,
}

/// Both ends.
pub(super) fn channel<F: Fn(Progress)>(on_bytes: F) -> (Sink, Outgoing<F>) {
    let (sender, receiver) = mpsc::channel(CHUNKS_BETWEEN);
    let raw = Arc::new(AtomicU64::new(0));
    let chunk = Vec::with_capacity(CHUNK_BYTES);
    let sink = Sink { chunks: sender, chunk, hasher: Sha256::new(), stored: 0, raw: raw.clone() };
    let outgoing = Outgoing { chunks: receiver, chunk: Vec::new(), at: 0, is_at_end: false, raw, stored: 0, on_bytes };
    (sink, outgoing)
}

impl Sink {
    /// The counter of bytes that went in on the other side of compression.
    pub(super) fn raw(&self) -> Arc<AtomicU64> {
        self.raw.clone()
    }

    /// Says that this is the end.
    pub(super) fn finish(mut self) -> io::Result<Sealed> {
        self.hand_over()?;
        self.chunks.blocking_send(Message::End).map_err(|_| closed())?;
        let (raw_bytes, stored_bytes) = (self.raw.load(Ordering::Relaxed), self.stored);
        Ok(Sealed { raw_bytes, stored_bytes, sha256: hex(&self.hasher.finalize()) })
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.chunks.blocking_send(Message::Chunk(full)).map_err(|_| closed())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        let bytes = &bytes[..taken];
        self.hasher.update(bytes);
        self.chunk.extend_from_slice(bytes);
        self.stored += taken as u64;
        if self.chunk.len() == CHUNK_BYTES {
            self.hand_over()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The callback is called and never pinned.
impl<F> Unpin for Outgoing<F> {}

impl<F: Fn(Progress)> AsyncRead for Outgoing<F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.at == this.chunk.len() && !this.is_at_end {
            match ready!(this.chunks.poll_recv(cx)) {
                Some(Message::Chunk(chunk)) => {
                    this.stored += chunk.len() as u64;
                    (this.on_bytes)(Progress {
                        raw_bytes: this.raw.load(Ordering::Relaxed),
                        stored_bytes: this.stored,
                    });
                    (this.chunk, this.at) = (chunk, 0);
                }
                Some(Message::End) => this.is_at_end = true,
                // The thread failed, and tells why elsewhere: nothing may be stored.
                None => return Poll::Ready(Err(io::Error::other("its source failed"))),
            }
        }
        let taken = buffer.remaining().min(this.chunk.len() - this.at);
        buffer.put_slice(&this.chunk[this.at..this.at + taken]);
        this.at += taken;
        Poll::Ready(Ok(()))
    }
}

/// The other end is gone.
fn closed() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Hexadecimal, in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}
