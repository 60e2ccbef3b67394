//! What PostgreSQL itself writes about a base backup: `backup_label`, the first member of the tar, and `backup_manifest`, the last.
//!
//! In: their text; of the manifest, which grows with the number of files, only its beginning and its end. Out: where in the log
//! the backup begins and ends, and whose it is. Pure.
//!
//! The formats: `src/backend/access/transam/xlogbackup.c` and
//! <https://www.postgresql.org/docs/17/backup-manifest-format.html>.

use serde::Deserialize;

use crate::model::lsn::Lsn;

/// `backup_label`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Recovery begins here.
    pub start: Lsn,
    /// On this timeline.
    pub timeline: u32,
    /// The checkpoint that recovery begins with.
    pub checkpoint: Lsn,
    /// Taken from a standby.
    pub is_from_standby: bool,
    /// Where the backup begins that this one builds upon.
    pub incremental_from: Option<Lsn>,
}

/// What matters of `backup_manifest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The server's own number; servers before 17 do not write it.
    pub system_identifier: Option<u64>,
    /// The log that has to be replayed, oldest first; more than one when the timeline changed meanwhile.
    pub ranges: Vec<WalRange>,
}

/// A stretch of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct WalRange {
    /// Its timeline.
    #[serde(rename = "Timeline")]
    pub timeline: u32,
    /// From here.
    #[serde(rename = "Start-LSN", deserialize_with = "lsn")]
    pub start: Lsn,
    /// Up to here.
    #[serde(rename = "End-LSN", deserialize_with = "lsn")]
    pub end: Lsn,
}

/// A text of PostgreSQL's is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A line is missing or odd.
    #[error("backup_label has no readable `{0}`")]
    Label(&'static str),
    /// The manifest does not say which log it needs.
    #[error("backup_manifest has no readable `{0}`")]
    Manifest(&'static str),
}

impl Label {
    /// Reads `backup_label`.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let first = |key: &'static str| {
            line(key).and_then(|value| value.split_whitespace().next()).ok_or(LabelError::Label(key))
        };
        let lsn = |key| first(key)?.parse::<Lsn>().map_err(|_| LabelError::Label(key));
        Ok(Self {
            start: lsn("START WAL LOCATION")?,
            timeline: first("START TIMELINE")?.parse().map_err(|_| LabelError::Label("START TIMELINE"))?,
            checkpoint: lsn("CHECKPOINT LOCATION")?,
            is_from_standby: first("BACKUP FROM")? == "standby",
            incremental_from: line("INCREMENTAL FROM LSN").map(|_| lsn("INCREMENTAL FROM LSN")).transpose()?,
        })
    }
}

/// Keeps the beginning and the end of a text that passes by.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Edges {
    /// Enough for the first three keys of a manifest.
    const HEAD: usize = 1024;
    /// Enough for the last two keys; a range takes 80 bytes, and there is one for each timeline that a backup saw.
    const TAIL: usize = 8192;

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = Self::HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::TAIL)..]);
        if self.tail.len() > 2 * Self::TAIL {
            self.tail.drain(..self.tail.len() - Self::TAIL);
        }
    }

    /// What the text says, as far as it is needed.
    pub fn summary(&self) -> Result<Summary, LabelError> {
        #[derive(Deserialize)]
        struct Ranges {
            #[serde(rename = "WAL-Ranges")]
            ranges: Vec<WalRange>,
        }
        const RANGES: &str = "WAL-Ranges";
        let head = String::from_utf8_lossy(&self.head);
        let system_identifier = match head.split_once("\"System-Identifier\"") {
            None => None,
            Some((_, rest)) => {
                let digits: String =
                    rest.trim_start_matches([':', ' ']).chars().take_while(char::is_ascii_digit).collect();
                Some(digits.parse().map_err(|_| LabelError::Manifest("System-Identifier"))?)
            }
        };
        let tail = String::from_utf8_lossy(&self.tail);
        let from = tail.rfind("\"WAL-Ranges\"").ok_or(LabelError::Manifest(RANGES))?;
        let object = format!("{{{}", &tail[from..]);
        let Ranges { ranges } = serde_json::from_str(object.trim()).map_err(|_| LabelError::Manifest(RANGES))?;
        if ranges.is_empty() {
            return Err(LabelError::Manifest(RANGES));
        }
        Ok(Summary { system_identifier, ranges })
    }
}

impl Summary {
    /// Where recovery is consistent: on this timeline, from here on.
    pub fn end(&self) -> (u32, Lsn) {
        self.ranges.iter().map(|range| (range.timeline, range.end)).max_by_key(|(_, end)| *end).expect("never empty")
    }
}

fn lsn<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Lsn, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LABEL: &str = "START WAL LOCATION: 0/9000028 (file 000000010000000000000009)\n\
        CHECKPOINT LOCATION: 0/9000080\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
        START TIME: 2026-11-21 12:00:00 UTC\nLABEL: pg_basebackup base backup\nSTART TIMELINE: 1\n";

    #[test]
    fn reads_where_recovery_begins() {
        let whole = Label {
            start: Lsn(0x0900_0028),
            timeline: 1,
            checkpoint: Lsn(0x0900_0080),
            is_from_standby: false,
            incremental_from: None,
        };
        assert_eq!(Label::parse(LABEL), Ok(whole.clone()));
        let upon = format!("{LABEL}INCREMENTAL FROM LSN: 0/7000028\nINCREMENTAL FROM TLI: 1\n");
        assert_eq!(Label::parse(&upon), Ok(Label { incremental_from: Some(Lsn(0x0700_0028)), ..whole }));
        for key in ["START WAL LOCATION", "CHECKPOINT LOCATION", "BACKUP FROM", "START TIMELINE"] {
            assert_eq!(Label::parse(&LABEL.replace(key, "X")), Err(LabelError::Label(key)));
        }
    }

    fn manifest(files: usize) -> String {
        let files: Vec<String> = (0..files)
            .map(|file| format!("{{ \"Path\": \"base/5/{file}\", \"Size\": 8192, \"Checksum\": \"8e9d4a8b\" }}"))
            .collect();
        format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7398413200512331011,\n\"Files\": [\n{}\n],\n\
             \"WAL-Ranges\": [\n{{ \"Timeline\": 1, \"Start-LSN\": \"0/9000028\", \"End-LSN\": \"0/9000120\" }},\n\
             {{ \"Timeline\": 2, \"Start-LSN\": \"0/9000120\", \"End-LSN\": \"0/A000000\" }}\n],\n\
             \"Manifest-Checksum\": \"{}\"}}\n",
            files.join(",\n"),
            "a".repeat(64)
        )
    }

    proptest! {
        #[test]
        fn reads_the_edges_of_a_manifest_of_any_length(files in 1_usize..2000, cut in 1_usize..70_000) {
            let mut edges = Edges::default();
            for piece in manifest(files).as_bytes().chunks(cut) {
                edges.push(piece);
            }
            let summary = edges.summary().unwrap();
            prop_assert_eq!(summary.system_identifier, Some(7_398_413_200_512_331_011));
            prop_assert_eq!(summary.end(), (2, Lsn(0x0A00_0000)));
            prop_assert_eq!(summary.ranges.len(), 2);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let mut edges = Edges::default();
            edges.push(text.as_bytes());
            let _ = edges.summary();
            let _ = Label::parse(&text);
        }
    }

    #[test]
    fn a_manifest_that_ends_early_is_refused() {
        let whole = manifest(3);
        let mut edges = Edges::default();
        edges.push(&whole.as_bytes()[..whole.len() - 30]);
        assert_eq!(edges.summary(), Err(LabelError::Manifest("WAL-Ranges")));
    }
}
