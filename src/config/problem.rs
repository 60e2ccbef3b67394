//! What is wrong with a configuration, and the collection that grows while all of it is read.
//!
//! A [`Problem`] names a line, a key and a mistake, and a way out where one is known. Nothing here reads values or
//! decides what is wrong.

use std::fmt;

/// Fewer letters than this say too little to complete a key from them.
const SHORTEST_BEGINNING: usize = 3;

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the key, or of the item within a list; `None` for a default.
    pub line: Option<u64>,
    /// Dotted path of the key (`nodes.replicas[0].port`); empty for the file as a whole.
    pub key: String,
    /// What is wrong, without line and key.
    pub message: String,
    /// What to do about it, when there is an obvious way.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Every problem found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// `value`, when nothing was found; else every problem in the order of the file.
    pub fn or<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|problem| problem.line.unwrap_or(u64::MAX));
        Err(self.0)
    }
}

/// The word that was probably meant: the nearest one, if it is near enough not to mislead.
pub fn probably_meant<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    let distance = |word: &str| {
        if given.len() >= SHORTEST_BEGINNING && word.starts_with(&given) {
            1
        } else {
            strsim::osa_distance(&given, &word.replace('-', "_"))
        }
    };
    known
        .iter()
        .map(|word| (distance(word), *word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_line_key_and_mistake() {
        let mut problem = Problem {
            line: Some(7),
            key: "nodes.replicas[0].port".to_owned(),
            message: "70000 is no port (1 to 65535)".to_owned(),
            help: None,
        };
        assert_eq!(problem.to_string(), "line 7: nodes.replicas[0].port: 70000 is no port (1 to 65535)");
        problem.line = None;
        problem.key.clear();
        assert_eq!(problem.to_string(), "70000 is no port (1 to 65535)");
    }

    #[test]
    fn a_typo_finds_the_word_and_a_different_word_finds_nothing() {
        let known = ["preset", "packs", "max_loss_bytes", "replication", "off", "on"];
        for (given, meant) in [
            ("presets", Some("preset")),
            ("pakcs", Some("packs")),
            ("Preset", Some("preset")),
            ("max-loss-bytes", Some("max_loss_bytes")),
            ("max_loss", Some("max_loss_bytes")),
            ("replciation", Some("replication")),
            ("of", Some("off")),
            ("sometimes", None),
            ("", None),
            ("ä", None),
        ] {
            assert_eq!(probably_meant(given, &known), meant, "{given}");
        }
    }
}
