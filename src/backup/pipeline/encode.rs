//! The work of the thread that seals: read, compress, encrypt, hand over.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::Ordering;

use age::stream::StreamWriter;
use age::x25519::Recipient;
use zstd::zstd_safe::CParameter;

use super::error::PipelineError;
use super::outgoing::Sink;
use super::{CHUNK_BYTES, Sealed, keys};
use crate::model::backup::{ObjectKey, Sealing};

/// The window of long mode: as far as zstd's own programs read without being asked to.
const LONG_WINDOW_LOG: u32 = 27;

/// What one worker of zstd gets at a time. Small, since each of them holds several.
const JOB_BYTES: u32 = 2 * 1024 * 1024;

/// How objects are made; [`Sealing`] with its recipients checked.
#[derive(Clone, Debug)]
pub struct Seal {
    /// zstd's level, 1 to 19.
    pub level: i32,
    /// See [`Sealing::is_long`].
    pub is_long: bool,
    /// Threads of zstd's own beside the one that reads; 0: none.
    pub threads: u32,
    /// Compress at all.
    pub is_compressed: bool,
    recipients: Vec<Recipient>,
}

impl Seal {
    /// Checks the recipients; compresses, on the thread that reads.
    pub fn new(sealing: &Sealing) -> Result<Self, PipelineError> {
        let recipients = sealing.recipients.iter().map(|text| keys::recipient(text)).collect::<Result<_, _>>()?;
        Ok(Self { level: sealing.level, is_long: sealing.is_long, threads: 0, is_compressed: true, recipients })
    }

    /// The objects are encrypted.
    pub fn is_encrypted(&self) -> bool {
        !self.recipients.is_empty()
    }

    /// What an object's name ends with: `.zst`, `.zst.age`, `.age` or nothing.
    pub fn suffix(&self) -> &'static str {
        match (self.is_compressed, self.is_encrypted()) {
            (true, false) => ".zst",
            (true, true) => ".zst.age",
            (false, true) => ".age",
            (false, false) => "",
        }
    }
}

/// Copies a source into a sink, sealed. Ends the sink only when all went well.
pub(super) fn encode(mut source: impl Read, how: &Seal, sink: Sink, key: &ObjectKey) -> Result<Sealed, PipelineError> {
    let raw = sink.raw();
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::BrokenPipe => PipelineError::Lost { key: key.clone() },
        _ => PipelineError::Encode { key: key.clone(), source: error },
    };
    let mut packer = Packer::new(how, Crypter::new(how, sink).map_err(refused)?).map_err(refused)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(source) => return Err(PipelineError::Source { key: key.clone(), source }),
        };
        raw.fetch_add(read as u64, Ordering::Relaxed);
        packer.write_all(&buffer[..read]).map_err(refused)?;
    }
    // Whatever holds the source is let go before the object appears.
    drop(source);
    packer.finish().and_then(Crypter::finish).and_then(Sink::finish).map_err(refused)
}

/// Encrypts, or does not.
enum Crypter {
    Plain(Sink),
    Age(Box<StreamWriter<Sink>>),
}

impl Crypter {
    fn new(how: &Seal, sink: Sink) -> io::Result<Self> {
        if !how.is_encrypted() {
            return Ok(Self::Plain(sink));
        }
        let recipients = how.recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Self::Age(Box::new(encryptor.wrap_output(sink)?)))
    }

    fn finish(self) -> io::Result<Sink> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Age(writer) => writer.finish(),
        }
    }
}

impl Write for Crypter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Age(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses, or does not.
enum Packer {
    Plain(Crypter),
    Zstd(zstd::Encoder<'static, Crypter>),
}

impl Packer {
    fn new(how: &Seal, crypter: Crypter) -> io::Result<Self> {
        if !how.is_compressed {
            return Ok(Self::Plain(crypter));
        }
        let mut encoder = zstd::Encoder::new(crypter, how.level)?;
        if how.is_long {
            encoder.long_distance_matching(true)?;
            encoder.window_log(LONG_WINDOW_LOG)?;
        }
        if how.threads > 0 {
            encoder.multithread(how.threads)?;
            encoder.set_parameter(CParameter::JobSize(JOB_BYTES))?;
        }
        Ok(Self::Zstd(encoder))
    }

    fn finish(self) -> io::Result<Crypter> {
        match self {
            Self::Plain(crypter) => Ok(crypter),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(crypter) => crypter.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
