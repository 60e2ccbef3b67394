//! What can be sealed: a reader that a thread waits for, and a way to end that wait.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// Ends a read that waits, from any thread: whoever reads gets an error or the end soon after. Cheap to clone, safe to
/// repeat, and without effect once the source is at its end.
#[derive(Clone, Default)]
pub struct Stopper(Option<Arc<dyn Fn() + Send + Sync>>);

impl Stopper {
    /// Stops by calling this.
    pub fn new(stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(stop)))
    }

    /// Stops.
    pub fn stop(&self) {
        if let Some(stop) = &self.0 {
            stop();
        }
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Stopper(…)" } else { "Stopper(none)" })
    }
}

/// Stops when it is dropped, unless told that all went well.
#[derive(Debug)]
pub struct StopOnDrop(Option<Stopper>);

impl StopOnDrop {
    /// Guards what this stops.
    pub fn new(stopper: Stopper) -> Self {
        Self(Some(stopper))
    }

    /// There is nothing left to stop.
    pub fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(stopper) = &self.0 {
            stopper.stop();
        }
    }
}

/// A reader for a thread of its own. One that wraps another passes its stopper on.
pub trait Source: Read + Send + 'static {
    /// What ends a read that waits. By default nothing does, which suits readers that never wait for long.
    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}

/// A reader that never waits for long: bytes in memory, a file.
#[derive(Clone, Copy, Debug)]
pub struct Plain<R>(pub R);

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read + Send + 'static> Source for Plain<R> {}

impl Source for Box<dyn Source> {
    fn stopper(&self) -> Stopper {
        (**self).stopper()
    }
}
