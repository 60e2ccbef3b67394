//! CSV into records, as COPY reads it: a quote within a field switches quoting, an empty field without quotes is null.
//!
//! In: bytes as they come. Out: records with their line numbers. Keeps one record in memory and no more.

/// More than this is no record but a quote that nobody closed.
const LONGEST: usize = 16 << 20;

/// The text is no CSV from some line on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// A quote is open at the end.
    #[error("the quote that line {0} opens is not closed")]
    Unclosed(u64),
    /// A record takes too much memory.
    #[error("the record of line {0} is longer than 16 MiB: probably a quote is not closed")]
    TooLong(u64),
}

/// A record, for as long as it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The line on which it begins, from 1.
    pub line: u64,
    bytes: &'a [u8],
    fields: &'a [Span],
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    is_quoted: bool,
}

impl<'a> Record<'a> {
    /// Its fields; `None` is null.
    pub fn fields(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        self.fields.iter().map(move |span| {
            let is_null = span.start == span.end && !span.is_quoted;
            (!is_null).then(|| &self.bytes[span.start..span.end])
        })
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.fields.len()
    }

    /// It is an empty line.
    pub fn is_empty(self) -> bool {
        matches!(self.fields, [only] if only.start == only.end && !only.is_quoted)
    }

    /// All of its fields, one after the other.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// Cuts bytes into records.
#[derive(Debug)]
pub struct Splitter {
    delimiter: u8,
    bytes: Vec<u8>,
    fields: Vec<Span>,
    start: usize,
    is_quoted: bool,
    in_quotes: bool,
    /// The last byte closed a quote: another one right behind it stands for a quote.
    after_quote: bool,
    line: u64,
    began: u64,
}

impl Splitter {
    /// At the beginning of a text.
    pub fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            bytes: Vec::new(),
            fields: Vec::new(),
            start: 0,
            is_quoted: false,
            in_quotes: false,
            after_quote: false,
            line: 1,
            began: 1,
        }
    }

    /// Takes more of the text, and tells each record that ends in it.
    pub fn feed(&mut self, text: &[u8], mut tell: impl FnMut(Record<'_>)) -> Result<(), CsvError> {
        for byte in text.iter().copied() {
            if self.in_quotes {
                if byte == b'"' {
                    (self.in_quotes, self.after_quote) = (false, true);
                    continue;
                }
                self.line += u64::from(byte == b'\n');
                self.bytes.push(byte);
                continue;
            }
            let after_quote = std::mem::take(&mut self.after_quote);
            match byte {
                b'"' => {
                    if after_quote {
                        self.bytes.push(b'"');
                    }
                    (self.in_quotes, self.is_quoted) = (true, true);
                }
                b'\n' => {
                    self.line += 1;
                    self.end_record(after_quote, &mut tell);
                }
                _ if byte == self.delimiter => self.end_field(),
                _ => self.bytes.push(byte),
            }
        }
        if self.bytes.len() > LONGEST { Err(CsvError::TooLong(self.began)) } else { Ok(()) }
    }

    /// The text has ended; its last line need not.
    pub fn finish(&mut self, mut tell: impl FnMut(Record<'_>)) -> Result<(), CsvError> {
        if self.in_quotes {
            return Err(CsvError::Unclosed(self.began));
        }
        if self.is_quoted || !self.bytes.is_empty() || !self.fields.is_empty() {
            let after_quote = self.after_quote;
            self.end_record(after_quote, &mut tell);
        }
        Ok(())
    }

    fn end_field(&mut self) {
        self.fields.push(Span { start: self.start, end: self.bytes.len(), is_quoted: self.is_quoted });
        self.start = self.bytes.len();
        self.is_quoted = false;
    }

    fn end_record(&mut self, after_quote: bool, tell: &mut impl FnMut(Record<'_>)) {
        if !after_quote && self.bytes.len() > self.start && self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        self.end_field();
        tell(Record { line: self.began, bytes: &self.bytes, fields: &self.fields });
        self.bytes.clear();
        self.fields.clear();
        self.start = 0;
        self.after_quote = false;
        self.began = self.line;
    }
}

/// Adds a field in COPY's text format.
pub fn copy_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    let Some(field) = field else { return out.extend_from_slice(b"\\N") };
    for byte in field {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.push(*byte),
        }
    }
}

/// Adds a field as CSV, so that reading it gives the same.
pub fn csv_field(out: &mut Vec<u8>, field: Option<&[u8]>, delimiter: u8) {
    let Some(field) = field else { return };
    let is_plain = |byte: &u8| *byte != delimiter && !matches!(byte, b'"' | b'\n' | b'\r');
    if !field.is_empty() && field.iter().all(is_plain) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for byte in field {
        out.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Rows = Vec<(u64, Vec<Option<Vec<u8>>>)>;

    fn read(text: &[u8], piece: usize) -> Result<Rows, CsvError> {
        let mut rows = Rows::new();
        let mut keep = |record: Record<'_>| {
            if !record.is_empty() {
                rows.push((record.line, record.fields().map(|field| field.map(<[u8]>::to_vec)).collect()));
            }
        };
        let mut splitter = Splitter::new(b',');
        for piece in text.chunks(piece) {
            splitter.feed(piece, &mut keep)?;
        }
        splitter.finish(&mut keep)?;
        Ok(rows)
    }

    fn texts(text: &str) -> Vec<(u64, Vec<Option<String>>)> {
        let text_of = |field: Vec<u8>| String::from_utf8(field).expect("it was text");
        let rows = read(text.as_bytes(), 3).expect("it is CSV");
        rows.into_iter().map(|(line, row)| (line, row.into_iter().map(|field| field.map(text_of)).collect())).collect()
    }

    #[test]
    fn fields_lines_nulls_and_quotes_are_read_as_copy_reads_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts("a,,\"\"\r\n\n\"x\"\"y,\nz\",b\"c\"d\n1,2"),
            [
                (1, vec![some("a"), None, some("")]),
                (3, vec![some("x\"y,\nz"), some("bcd")]),
                (5, vec![some("1"), some("2")]),
            ]
        );
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_its_line() {
        assert_eq!(read(b"a\n\"b\nc", 2), Err(CsvError::Unclosed(2)));
        let long = [b"\"".as_slice(), &vec![b'x'; LONGEST + 1]].concat();
        assert_eq!(read(&long, 1 << 20), Err(CsvError::TooLong(1)));
    }

    #[test]
    fn what_copy_would_take_for_something_else_is_escaped() {
        let mut out = Vec::new();
        for field in [Some(b"a\\b\tc\r\n".as_slice()), None, Some(b"")] {
            copy_field(&mut out, field);
            out.push(b'|');
        }
        assert_eq!(out, b"a\\\\b\\tc\\r\\n|\\N||");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_in_pieces_of_any_size(
            rows in prop::collection::vec(prop::collection::vec(prop::option::of("[a\",\n\r é]{0,6}"), 2..4), 0..6),
            piece in 1_usize..9,
        ) {
            let mut text = Vec::new();
            for row in &rows {
                for (place, field) in row.iter().enumerate() {
                    if place > 0 {
                        text.push(b',');
                    }
                    csv_field(&mut text, field.as_ref().map(String::as_bytes), b',');
                }
                text.push(b'\n');
            }
            let read = read(&text, piece).expect("it is CSV");
            let expected: Vec<Vec<Option<Vec<u8>>>> = rows.iter()
                .map(|row| row.iter().map(|field| field.as_ref().map(|text| text.as_bytes().to_vec())).collect())
                .collect();
            prop_assert_eq!(read.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), expected);
        }
    }
}
