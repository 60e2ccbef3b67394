//! Watches a tar stream that passes by, and gives out the members that somebody wants without holding the rest.
//!
//! In: the stream in pieces of any size. Out: the wanted members' bytes, piece by piece, as they come. Knows ustar with GNU's and
//! pax's long names, which is what PostgreSQL and everybody else writes. Never changes the stream, and holds no more than a header
//! and a name of it.
//!
//! The format: <https://www.gnu.org/software/tar/manual/html_node/Standard.html>.

/// Everything in a tar file comes in blocks of so many bytes.
const BLOCK: usize = 512;

/// The longest name or list of pax records that is taken; what is longer is no tar file.
const LONGEST_NAME: u64 = 64 * 1024;

/// What passes by is no tar stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// A header's checksum is wrong.
    #[error("byte {at} of the tar stream should be a header and is none")]
    NoHeader {
        /// Where the header should be.
        at: u64,
    },
    /// A number in a header is none.
    #[error("the header at byte {at} of the tar stream has no size")]
    NoSize {
        /// Where the header is.
        at: u64,
    },
    /// A long name is longer than any.
    #[error("the header at byte {at} of the tar stream announces a name of {bytes} bytes")]
    LongName {
        /// Where the header is.
        at: u64,
        /// What it announces.
        bytes: u64,
    },
    /// The stream ended where it may not.
    #[error("the tar stream ends at byte {at}, in the middle")]
    Truncated {
        /// Where it ends.
        at: u64,
    },
}

/// A piece of a wanted member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// It begins.
    Begin {
        /// Its name, without `./` at its beginning.
        name: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// The next of its bytes.
    Bytes(&'a [u8]),
    /// It was complete.
    End,
}

/// Follows one stream.
#[derive(Debug)]
pub struct Watcher {
    wanted: &'static [&'static str],
    state: State,
    /// Bytes that passed.
    at: u64,
    /// The name that the next header has, from an extension before it.
    name: Option<String>,
    /// The size that the next header has, from a pax extension before it.
    size: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// A header, of which so many bytes are there.
    Header { block: Box<[u8; BLOCK]>, filled: usize },
    /// An extension: what it says about the next header.
    Extension { kind: Extension, bytes: Vec<u8>, rest: u64, padding: u64 },
    /// A member.
    Body { is_wanted: bool, rest: u64, padding: u64 },
    /// The block of zeros at the end was seen.
    End,
}

#[derive(Clone, Copy, Debug)]
enum Extension {
    /// The whole of it is the name.
    Gnu,
    /// Lines of `length key=value`.
    Pax,
    /// Says nothing that matters here.
    Other,
}

impl Watcher {
    /// Gives out the members of these names.
    pub fn new(wanted: &'static [&'static str]) -> Self {
        Self { wanted, state: State::header(), at: 0, name: None, size: None }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Piece<'_>)) -> Result<(), TarError> {
        while !bytes.is_empty() {
            let taken = self.step(bytes, give);
            bytes = &bytes[taken..];
            self.at += taken as u64;
            self.turn(give)?;
        }
        Ok(())
    }

    /// The stream ended. That it did so where it may is checked here; the second block of zeros is not insisted on.
    pub fn finish(self) -> Result<(), TarError> {
        match self.state {
            State::End => Ok(()),
            _ => Err(TarError::Truncated { at: self.at }),
        }
    }

    /// Takes as many bytes as the present state can use; at least one.
    fn step(&mut self, bytes: &[u8], give: &mut impl FnMut(Piece<'_>)) -> usize {
        let at_most = |rest: u64| usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        match &mut self.state {
            State::Header { block, filled } => {
                let taken = bytes.len().min(BLOCK - *filled);
                block[*filled..*filled + taken].copy_from_slice(&bytes[..taken]);
                *filled += taken;
                taken
            }
            State::Extension { bytes: held, rest, padding, .. } => {
                let taken = at_most(if *rest > 0 { *rest } else { *padding });
                if *rest > 0 {
                    held.extend_from_slice(&bytes[..taken]);
                    *rest -= taken as u64;
                } else {
                    *padding -= taken as u64;
                }
                taken
            }
            State::Body { is_wanted, rest, padding } => {
                let taken = at_most(if *rest > 0 { *rest } else { *padding });
                if *rest > 0 {
                    *rest -= taken as u64;
                    if *is_wanted {
                        give(Piece::Bytes(&bytes[..taken]));
                    }
                } else {
                    *padding -= taken as u64;
                }
                taken
            }
            State::End => bytes.len(),
        }
    }

    /// Goes on to the next state where the present one is complete; a member without bytes ends as it begins.
    fn turn(&mut self, give: &mut impl FnMut(Piece<'_>)) -> Result<(), TarError> {
        if let State::Header { block, filled: BLOCK } = &self.state {
            let block = block.clone();
            self.state = self.read(&block, give)?;
        }
        match &mut self.state {
            State::Extension { kind, bytes, rest: 0, padding: 0 } => {
                let (kind, bytes) = (*kind, std::mem::take(bytes));
                self.extend(kind, &bytes);
                self.state = State::header();
            }
            State::Body { is_wanted, rest: 0, padding } => {
                if std::mem::take(is_wanted) {
                    give(Piece::End);
                }
                if *padding == 0 {
                    self.state = State::header();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a complete header announces.
    fn read(&mut self, block: &[u8; BLOCK], give: &mut impl FnMut(Piece<'_>)) -> Result<State, TarError> {
        let at = self.at - BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(State::End);
        }
        if number(&block[148..156]) != Some(checksum(block)) {
            return Err(TarError::NoHeader { at });
        }
        let written = number(&block[124..136]).ok_or(TarError::NoSize { at })?;
        let extension = match block[156] {
            b'L' => Some(Extension::Gnu),
            b'x' => Some(Extension::Pax),
            b'g' | b'K' => Some(Extension::Other),
            _ => None,
        };
        if let Some(kind) = extension {
            if written > LONGEST_NAME {
                return Err(TarError::LongName { at, bytes: written });
            }
            return Ok(State::Extension { kind, bytes: Vec::new(), rest: written, padding: padding(written) });
        }
        let name = self.name.take().unwrap_or_else(|| own_name(block));
        let announced = self.size.take().unwrap_or(written);
        // Links, devices and directories have no bytes, whatever their size says.
        let is_file = matches!(block[156], b'0' | 0 | b'7');
        let rest = if is_file { announced } else { 0 };
        let name = name.strip_prefix("./").unwrap_or(&name);
        let is_wanted = is_file && self.wanted.contains(&name);
        if is_wanted {
            give(Piece::Begin { name, bytes: rest });
        }
        Ok(State::Body { is_wanted, rest, padding: padding(rest) })
    }

    fn extend(&mut self, kind: Extension, bytes: &[u8]) {
        match kind {
            Extension::Gnu => self.name = Some(text(bytes)),
            Extension::Pax => {
                for (key, value) in pax_records(bytes) {
                    match key {
                        b"path" => self.name = Some(text(value)),
                        b"size" => self.size = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()),
                        _ => {}
                    }
                }
            }
            Extension::Other => {}
        }
    }
}

impl State {
    fn header() -> Self {
        Self::Header { block: Box::new([0; BLOCK]), filled: 0 }
    }
}

/// Zeros that fill the last block.
const fn padding(bytes: u64) -> u64 {
    (BLOCK as u64 - bytes % BLOCK as u64) % BLOCK as u64
}

/// The sum of all bytes of a header, its own field taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let field = 148..156;
    let value = |(place, byte): (usize, &u8)| u64::from(if field.contains(&place) { b' ' } else { *byte });
    block.iter().enumerate().map(value).sum()
}

/// A number in octal digits, or in binary where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        return rest.iter().try_fold(u64::from(first & 0x7f), |sum, byte| {
            sum.checked_mul(256).and_then(|sum| sum.checked_add(u64::from(*byte)))
        });
    }
    let digits = text(field);
    u64::from_str_radix(digits.trim_matches(' '), 8).ok()
}

/// Prefix and name of a header.
fn own_name(block: &[u8; BLOCK]) -> String {
    let name = text(&block[..100]);
    let prefix = if &block[257..263] == b"ustar\0" { text(&block[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// Text up to the first NUL.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The records of a pax extension; what is malformed ends them.
fn pax_records(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length.checked_sub(1)?)?;
        bytes = bytes.get(length..)?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        Some((&record[..equals], &record[equals + 1..]))
    })
}

#[cfg(test)]
mod tests;
