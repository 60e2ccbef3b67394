//! An object on its way out of a bucket: its stream, with a name for what goes wrong.
//!
//! In: the stream of an answer and the length it promised. Out: those bytes, or an error that carries a [`StoreError`]; never an
//! early end that looks like the end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::{Doing, Fault, ObjectKey, StoreError, StoreUrl, fault};

/// The bytes of an object as they arrive.
pub struct Download {
    inner: super::Bytes<'static>,
    left: Option<u64>,
    url: StoreUrl,
    key: ObjectKey,
}

impl Download {
    pub fn new(inner: impl AsyncRead + Send + 'static, length: Option<u64>, url: &StoreUrl, key: &ObjectKey) -> Self {
        Self { inner: Box::pin(inner), left: length, url: url.clone(), key: key.clone() }
    }

    fn broken(&self, kind: io::ErrorKind, because: &str) -> io::Error {
        let error = StoreError::new(Doing::Get, &self.url, Some(&self.key), Fault::Unavailable, because);
        io::Error::new(kind, error)
    }
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining();
        if let Err(error) = ready!(self.inner.as_mut().poll_read(context, buffer)) {
            return Poll::Ready(Err(self.broken(error.kind(), &fault::deepest(&error))));
        }
        let read = (buffer.filled().len() - before) as u64;
        if let Some(left) = self.left {
            if read == 0 && left > 0 && room > 0 {
                let because = format!("the answer ended {left} bytes before the end of the object");
                return Poll::Ready(Err(self.broken(io::ErrorKind::UnexpectedEof, &because)));
            }
            self.left = Some(left.saturating_sub(read));
        }
        Poll::Ready(Ok(()))
    }
}
