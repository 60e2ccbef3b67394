//! Typed access to the tree: each reader returns the value or leaves a problem behind and returns nothing.
//!
//! In goes an [`Entry`] (a value, its dotted key and its line), out comes text, a number, a choice, a list or named
//! [`Fields`]. Readers never stop at a mistake and never supply defaults; the caller does.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde_yaml::Spanned;

use super::problem::{Problem, Problems, probably_meant};
use super::raw::{self, Node};

/// One value of the file: what, where, and under which key.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Dotted path; empty for the whole file.
    pub key: String,
    /// Where its key stands, or the value itself when it is an item of a list.
    pub line: Option<u64>,
    /// The value.
    pub node: &'a Node,
}

/// A map whose keys are all known.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    key: String,
    line: Option<u64>,
    entries: BTreeMap<&'a str, Entry<'a>>,
}

impl<'a> Entry<'a> {
    /// The whole file.
    pub fn root(node: &'a Spanned<Node>) -> Self {
        Self { key: String::new(), line: raw::line(node), node: &node.value }
    }

    /// A value below this one, found at the line of its key: that of a block value begins further down.
    fn child(&self, key: &'a Spanned<String>, value: &'a Spanned<Node>) -> Self {
        Self { key: joined(&self.key, &key.value), line: raw::line(key), node: &value.value }
    }

    /// Leaves a problem with this value behind.
    pub fn refuse(&self, problems: &mut Problems, message: impl fmt::Display) {
        self.refuse_and_help(problems, message, None);
    }

    /// The same, with advice.
    pub fn refuse_and_help(&self, problems: &mut Problems, message: impl fmt::Display, help: Option<String>) {
        problems.add(Problem { line: self.line, key: self.key.clone(), message: message.to_string(), help });
    }

    /// Says that a value of another type belongs here.
    pub fn expected(&self, problems: &mut Problems, what: &str) {
        let help = match self.node {
            Node::Null => Some("leave the key out to get its default".to_owned()),
            Node::Bool(_) | Node::Int(_) | Node::Float(_) if what.contains("text") => {
                Some("quotes make it text".to_owned())
            }
            Node::Text(text) if what.contains("number") && text.parse::<i128>().is_ok() => {
                Some("leave the quotes out".to_owned())
            }
            _ => None,
        };
        let found = self.node.described();
        self.refuse_and_help(problems, format!("expected {what}, found {found}"), help);
    }

    /// Text, which `what` describes.
    pub fn text(&self, what: &str, problems: &mut Problems) -> Option<&'a str> {
        if let Node::Text(text) = self.node {
            Some(text)
        } else {
            self.expected(problems, &format!("{what} (text)"));
            None
        }
    }

    /// Text that a constructor accepts; its error becomes the problem.
    pub fn checked<T, E: fmt::Display>(
        &self,
        what: &str,
        check: impl FnOnce(&str) -> Result<T, E>,
        problems: &mut Problems,
    ) -> Option<T> {
        match check(self.text(what, problems)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(problems, error);
                None
            }
        }
    }

    /// A whole number within a range.
    pub fn number(&self, range: &RangeInclusive<i128>, problems: &mut Problems) -> Option<i128> {
        let (least, most) = (range.start(), range.end());
        match self.node {
            Node::Int(number) if range.contains(number) => Some(*number),
            Node::Int(number) => {
                self.refuse(problems, format!("{number} is out of range ({least} to {most})"));
                None
            }
            _ => {
                self.expected(problems, &format!("a whole number ({least} to {most})"));
                None
            }
        }
    }

    /// A port number.
    pub fn port(&self, problems: &mut Problems) -> Option<u16> {
        let Node::Int(number) = self.node else {
            self.expected(problems, "a port number (1 to 65535)");
            return None;
        };
        let port = u16::try_from(*number).ok().filter(|port| *port > 0);
        if port.is_none() {
            self.refuse(problems, format!("{number} is no port (1 to 65535)"));
        }
        port
    }

    /// Yes or no, in any of YAML's spellings.
    pub fn flag(&self, problems: &mut Problems) -> Option<bool> {
        let said = match self.node {
            Node::Bool(value) => Some(*value),
            Node::Text(text) => match text.to_lowercase().as_str() {
                "on" | "yes" => Some(true),
                "off" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if said.is_none() {
            self.expected(problems, "true or false");
        }
        said
    }

    /// One of a few words; where `on` and `off` are among them, `true` and `false` mean the same.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let word = match self.node {
            Node::Text(text) => text.as_str(),
            Node::Bool(true) => "on",
            Node::Bool(false) => "off",
            _ => "",
        };
        let found = choices.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let help = probably_meant(word, &names).map(|word| format!("did you mean `{word}`?"));
            let given = self.node.described();
            let wanted = match names.as_slice() {
                [only] => format!("`{only}`"),
                several => format!("one of {}", several.join(", ")),
            };
            self.refuse_and_help(problems, format!("expected {wanted}, found {given}"), help);
        }
        found.map(|(_, value)| *value)
    }

    /// The items of a list.
    pub fn list(&self, what: &str, problems: &mut Problems) -> Option<Vec<Entry<'a>>> {
        let Node::List(items) = self.node else {
            self.expected(problems, &format!("a list of {what}"));
            return None;
        };
        let item = |(position, item): (usize, &'a Spanned<Node>)| Entry {
            key: format!("{}[{position}]", self.key),
            line: raw::line(item),
            node: &item.value,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The keys and values of a map, each key once; the first of several is taken and the others are problems.
    pub fn pairs(&self, problems: &mut Problems) -> Option<Vec<(&'a str, Entry<'a>)>> {
        let Node::Map(pairs) = self.node else {
            self.expected(problems, "a map of keys");
            return None;
        };
        let mut seen: BTreeMap<&str, Option<u64>> = BTreeMap::new();
        let mut kept = Vec::new();
        for (key, value) in pairs {
            let name = key.value.as_str();
            let line = raw::line(key);
            if let Some(first) = seen.get(name) {
                let place = first.map_or(String::new(), |line| format!(" (first in line {line})"));
                problems.add(Problem {
                    line,
                    key: joined(&self.key, name),
                    message: format!("given twice{place}"),
                    help: None,
                });
            } else {
                seen.insert(name, line);
                kept.push((name, self.child(key, value)));
            }
        }
        Some(kept)
    }

    /// A map with only these keys.
    pub fn fields(&self, known: &[&str], problems: &mut Problems) -> Option<Fields<'a>> {
        let mut entries = BTreeMap::new();
        for (name, entry) in self.pairs(problems)? {
            if known.contains(&name) {
                entries.insert(name, entry);
                continue;
            }
            let help = probably_meant(name, known).map_or_else(
                || format!("known keys here: {}", known.join(", ")),
                |word| format!("did you mean `{word}`?"),
            );
            entry.refuse_and_help(problems, "unknown key", Some(help));
        }
        Some(Fields { key: self.key.clone(), line: self.line, entries })
    }
}

impl<'a> Fields<'a> {
    /// A map that was not given at all.
    pub fn none(key: &str) -> Self {
        Self { key: key.to_owned(), line: None, entries: BTreeMap::new() }
    }

    /// The value of a key, when it was given.
    pub fn get(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.get(name)
    }

    /// The value of a key that has no default.
    pub fn need(&self, name: &str, problems: &mut Problems) -> Option<&Entry<'a>> {
        let entry = self.entries.get(name);
        if entry.is_none() {
            problems.add(Problem {
                line: self.line,
                key: joined(&self.key, name),
                message: "is missing".to_owned(),
                help: None,
            });
        }
        entry
    }

    /// The map behind a key, with only these keys; empty when it was not given or is no map.
    #[must_use]
    pub fn within(&self, name: &str, known: &[&str], problems: &mut Problems) -> Fields<'a> {
        self.get(name)
            .and_then(|entry| entry.fields(known, problems))
            .unwrap_or_else(|| Fields::none(&joined(&self.key, name)))
    }

    /// Where it stands.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// The dotted path of one of its keys, given or not.
    pub fn path(&self, name: &str) -> String {
        joined(&self.key, name)
    }
}

fn joined(path: &str, key: &str) -> String {
    let key = key.escape_debug();
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}
