//! The file of rows that were refused: line, reason, and the fields as they were. It is made with the first of them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::csv::csv_field;

/// See the file's head.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    header: Vec<String>,
    delimiter: u8,
    file: Option<BufWriter<File>>,
    /// How many there are.
    pub count: u64,
}

impl Rejects {
    /// Nothing is refused yet.
    pub fn new(path: PathBuf, header: Vec<String>, delimiter: u8) -> Self {
        Self { path, header, delimiter, file: None, count: 0 }
    }

    /// Adds a row.
    pub fn add<'a>(
        &mut self,
        line: u64,
        reason: &str,
        fields: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = BufWriter::new(File::create(&self.path)?);
            let header = self.header.iter().map(|name| Some(name.as_bytes()));
            file.write_all(&row(
                [Some(b"line".as_slice()), Some(b"reason")].into_iter().chain(header),
                self.delimiter,
            ))?;
            self.file = Some(file);
        }
        self.count += 1;
        let line = line.to_string();
        let mut text = Vec::new();
        csv_field(&mut text, Some(line.as_bytes()), self.delimiter);
        text.push(self.delimiter);
        csv_field(&mut text, Some(reason.as_bytes()), self.delimiter);
        text.push(self.delimiter);
        text.extend(row(fields, self.delimiter));
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(&text))
    }

    /// Forgets all of them; the file goes.
    pub fn restart(&mut self) -> io::Result<()> {
        self.count = 0;
        match self.file.take() {
            Some(_) => std::fs::remove_file(&self.path),
            None => Ok(()),
        }
    }

    /// Everything is in the file, when there is one.
    pub fn finish(&mut self) -> io::Result<Option<PathBuf>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        file.flush()?;
        file.get_ref().sync_all()?;
        Ok(Some(self.path.clone()))
    }
}

fn row<'a>(fields: impl Iterator<Item = Option<&'a [u8]>>, delimiter: u8) -> Vec<u8> {
    let mut text = Vec::new();
    for (place, field) in fields.enumerate() {
        if place > 0 {
            text.push(delimiter);
        }
        csv_field(&mut text, field, delimiter);
    }
    text.push(b'\n');
    text
}
