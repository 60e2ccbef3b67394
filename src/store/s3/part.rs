//! The parts of a large object: how large each is, and one of them on its way.
//!
//! S3 takes 10,000 parts whose sizes have to be known before they are sent, while the length of a stream is not known before its
//! end. Parts therefore grow. The first ones are kept in memory, which bounds that at three of them. Beyond 31 GiB a part is kept
//! in a temporary file without a name, which is gone with the process, so that memory stays flat up to 5 TiB.

use std::io;
use std::os::fd::AsRawFd;

use aws_sdk_s3::primitives::{ByteStream, Length};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::bytes::{BufMut, BytesMut};

use crate::store::Bytes;

/// The number of the last part that S3 takes.
pub const LAST: i32 = 10_000;

/// How large parts are up to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The last part that is as large.
    pub up_to: i32,
    /// Bytes of each; at least 5 MiB, which S3 asks for.
    pub bytes: u64,
    /// Whether each waits in a file and not in memory.
    pub is_spooled: bool,
}

/// What parts are like: 31 GiB in memory, then 125 GiB, 1 TiB and 4 TiB through files. Three exist at most at a time.
pub const STEPS: &[Step] = &[
    Step { up_to: 4_000, bytes: 8 << 20, is_spooled: false },
    Step { up_to: 6_000, bytes: 64 << 20, is_spooled: true },
    Step { up_to: 8_000, bytes: 512 << 20, is_spooled: true },
    Step { up_to: LAST, bytes: 2 << 30, is_spooled: true },
];

/// The step of a part.
pub fn step_of(steps: &[Step], number: i32) -> Step {
    *steps.iter().find(|step| number <= step.up_to).or(steps.last()).unwrap_or(&STEPS[0])
}

/// What goes into a temporary file at once.
const SPOOL_CHUNK: u64 = 1 << 20;

/// A piece of the stream.
#[derive(Debug)]
pub struct Part {
    bytes: u64,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Memory(tokio_util::bytes::Bytes),
    File(File),
}

/// A part could not be made.
#[derive(Debug)]
pub enum PartError {
    /// The stream failed.
    Producer(io::Error),
    /// The temporary file did.
    Spool(io::Error),
}

impl Part {
    /// Reads so much of the stream, or less when that is its end.
    pub async fn read(stream: &mut Bytes<'_>, step: Step) -> Result<Self, PartError> {
        if step.is_spooled { Self::spool(stream, step.bytes).await } else { Self::keep(stream, step.bytes).await }
    }

    async fn keep(stream: &mut Bytes<'_>, most: u64) -> Result<Self, PartError> {
        let buffer = chunk(stream, most).await?;
        Ok(Self { bytes: buffer.len() as u64, held: Held::Memory(buffer.freeze()) })
    }

    async fn spool(stream: &mut Bytes<'_>, most: u64) -> Result<Self, PartError> {
        let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
        let mut file = File::from_std(made.map_err(io::Error::other).flatten().map_err(PartError::Spool)?);
        let mut bytes = 0;
        loop {
            let chunk = chunk(stream, (most - bytes).min(SPOOL_CHUNK)).await?;
            if chunk.is_empty() {
                file.flush().await.map_err(PartError::Spool)?;
                return Ok(Self { bytes, held: Held::File(file) });
            }
            file.write_all(&chunk).await.map_err(PartError::Spool)?;
            bytes += chunk.len() as u64;
        }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A body that can be sent again as long as the part lives.
    pub async fn body(&self) -> io::Result<ByteStream> {
        match &self.held {
            Held::Memory(bytes) => Ok(ByteStream::from(bytes.clone())),
            // The file has no name but this one. Each attempt opens it anew and so reads from its beginning.
            Held::File(file) => ByteStream::read_from()
                .path(format!("/proc/self/fd/{}", file.as_raw_fd()))
                .length(Length::Exact(self.bytes))
                .buffer_size(256 << 10)
                .build()
                .await
                .map_err(io::Error::other),
        }
    }
}

/// So many bytes of a stream, or what is left of it.
async fn chunk(stream: &mut Bytes<'_>, most: u64) -> Result<BytesMut, PartError> {
    let most = usize::try_from(most).map_err(|error| PartError::Spool(io::Error::other(error)))?;
    let mut buffer = BytesMut::with_capacity(most);
    while buffer.len() < most {
        let room = most - buffer.len();
        if stream.read_buf(&mut (&mut buffer).limit(room)).await.map_err(PartError::Producer)? == 0 {
            break;
        }
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_five_tebibytes_and_memory_never_more_than_24_mebibytes() {
        let all: u64 = (1..=LAST).map(|number| step_of(STEPS, number).bytes).sum();
        assert!(all >= 5 << 40, "{all}");
        for step in STEPS {
            assert!((5 << 20..=5 << 30).contains(&step.bytes), "{step:?}");
            assert!(step.is_spooled || 3 * step.bytes <= 24 << 20, "{step:?}");
        }
    }
}
