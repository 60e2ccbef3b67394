//! A channel from whoever has bytes to a thread that reads them. The reader sees an end only when the writer said that it is one;
//! a writer that is gone without that is an error.

use std::io::{self, Read};

use tokio::sync::mpsc;

use crate::backup::pipeline::Source;

/// Pieces that wait between both sides.
const BETWEEN: usize = 4;

enum Message {
    Bytes(Vec<u8>),
    End,
}

/// The side that has bytes. Cheap to drop: what was not ended fails.
#[derive(Debug)]
pub struct Feeder(mpsc::Sender<Message>);

/// The side that reads, on a thread.
#[derive(Debug)]
pub struct Fed {
    messages: mpsc::Receiver<Message>,
    held: io::Cursor<Vec<u8>>,
    is_at_end: bool,
}

/// Nobody reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads any more")]
pub struct Closed;

/// Both sides.
pub fn channel() -> (Feeder, Fed) {
    let (sender, messages) = mpsc::channel(BETWEEN);
    (Feeder(sender), Fed { messages, held: io::Cursor::default(), is_at_end: false })
}

impl Feeder {
    /// Hands over bytes.
    pub async fn give(&self, bytes: Vec<u8>) -> Result<(), Closed> {
        self.0.send(Message::Bytes(bytes)).await.map_err(|_| Closed)
    }

    /// The same on a thread.
    pub fn give_blocking(&self, bytes: Vec<u8>) -> Result<(), Closed> {
        self.0.blocking_send(Message::Bytes(bytes)).map_err(|_| Closed)
    }

    /// Says that this is the end.
    pub async fn end(self) -> Result<(), Closed> {
        self.0.send(Message::End).await.map_err(|_| Closed)
    }

    /// The same on a thread.
    pub fn end_blocking(self) -> Result<(), Closed> {
        self.0.blocking_send(Message::End).map_err(|_| Closed)
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.held.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.is_at_end {
                return Ok(read);
            }
            match self.messages.blocking_recv() {
                Some(Message::Bytes(bytes)) => self.held = io::Cursor::new(bytes),
                Some(Message::End) => self.is_at_end = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before its end")),
            }
        }
    }
}

impl Source for Fed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_was_ended_has_an_end() {
        for is_ended in [true, false] {
            let (feeder, mut fed) = channel();
            let reader = tokio::task::spawn_blocking(move || {
                let mut all = Vec::new();
                fed.read_to_end(&mut all).map(|_| all)
            });
            for piece in [&b"a"[..], b"", b"bc"] {
                feeder.give(piece.to_vec()).await.unwrap();
            }
            if is_ended {
                feeder.end().await.unwrap();
            } else {
                drop(feeder);
            }
            let read = reader.await.unwrap();
            assert_eq!(read.ok().as_deref(), is_ended.then_some(&b"abc"[..]));
        }
    }

    #[tokio::test]
    async fn a_writer_learns_that_nobody_reads() {
        let (feeder, fed) = channel();
        drop(fed);
        assert_eq!(feeder.give(b"a".to_vec()).await, Err(Closed));
    }
}
