//! YAML text as a tree that remembers its lines, before anything is known about what the keys mean.
//!
//! In goes text, out comes a [`Node`] whose every key and value knows the line it stands on, or [`NotYaml`]. Keys
//! given twice stay twice in the tree, so that [`super::read`] can report each of them. It never looks at names or
//! ranges, and never interprets `on`, `off`, `yes` and `no`: those stay text.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Spanned};

/// How often anchored values may be repeated through aliases; a configuration needs a handful, an "alias bomb" millions.
const MAX_ALIAS_EVENTS: usize = 20_000;

/// Lists and maps within one another. The deepest key of ours is at 5; reading costs stack for every level.
const MAX_DEPTH: usize = 16;

/// Characters of a wrong text that a message repeats.
const LONGEST_QUOTE: usize = 60;

/// One YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number; wide enough for every `i64` and `u64`.
    Int(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Everything else that is one word or sentence.
    Text(String),
    /// A sequence.
    List(Vec<Spanned<Node>>),
    /// A mapping in the order of the file, keys given twice included.
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

/// The text cannot be read as one YAML document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotYaml {
    /// The line the parser stopped at, when it knows.
    pub line: Option<u64>,
    /// What the parser says about it.
    pub message: String,
}

impl Node {
    /// What it is, for "expected .., found ..".
    pub fn described(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("`{value}`"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text(text) if text.chars().count() > LONGEST_QUOTE => {
                let start: String = text.chars().take(LONGEST_QUOTE).collect();
                format!("the text `{}..`", start.escape_debug())
            }
            Self::Text(text) => format!("the text `{}`", text.escape_debug()),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map of keys".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

/// Reads one YAML document; an empty one is [`Node::Null`].
pub fn read(text: &str) -> Result<Spanned<Node>, NotYaml> {
    let options = serde_yaml::options! {
        // `LastWins` is the only policy that hands every entry to the visitor; `Error` would stop at the first of them.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        // `synchronous: off` and `name: no` mean the words.
        strict_booleans: true,
        // No key takes `.nan`; as text it becomes an ordinary "wrong type" with its key, not the end of reading.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
        budget: serde_yaml::budget! { max_depth: MAX_DEPTH },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MAX_ALIAS_EVENTS },
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| NotYaml {
        line: error.location().and_then(|place| known(place.line())),
        message: in_our_words(&error),
    })
}

/// The line of a value in the file; the parser says 0 when it does not know.
pub fn line<T>(spanned: &Spanned<T>) -> Option<u64> {
    known(spanned.referenced.line())
}

fn known(line: u64) -> Option<u64> {
    (line > 0).then_some(line)
}

/// The parser's messages, without the place (it is told apart) and without its advice to Rust programmers.
fn in_our_words(error: &Error) -> String {
    match error {
        Error::MultipleDocuments { .. } => "a second document begins here; a configuration is one document".to_owned(),
        Error::Budget { .. } => {
            format!("too large, or nested more than {MAX_DEPTH} levels deep")
        }
        Error::NullIntoString { .. } | Error::Unexpected { .. } => "a key must be a word".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an anchored value contains itself".to_owned(),
        other => {
            let message = other.to_string();
            match message.split_once(" at line ") {
                Some((what, _)) => what.to_owned(),
                None => message,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in one line: `value@line`, `{key@line: ..}@line`.
    fn drawn(node: &Spanned<Node>) -> String {
        let shape = match &node.value {
            Node::List(items) => {
                let items: Vec<_> = items.iter().map(drawn).collect();
                format!("[{}]", items.join(", "))
            }
            Node::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        let at = line(key).unwrap_or_default();
                        format!("{}@{at}: {}", key.value, drawn(value))
                    })
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            Node::Text(text) => format!("{text:?}"),
            scalar => format!("{scalar:?}"),
        };
        format!("{shape}@{}", line(node).unwrap_or_default())
    }

    fn tree(text: &str) -> String {
        match read(text) {
            Ok(node) => drawn(&node),
            Err(NotYaml { line, message }) => format!("{line:?}: {message}"),
        }
    }

    #[test]
    fn every_key_and_value_knows_its_line_at_every_depth() {
        assert_eq!(
            tree("a:\n  b: [1, 2.5, {c: x}]\n  d:\n    - true\n"),
            "{a@1: {b@2: [Int(1)@2, Float(2.5)@2, {c@2: \"x\"@2}@2]@2, d@3: [Bool(true)@4]@4}@2}@1"
        );
    }

    #[test]
    fn keys_given_twice_stay_in_the_tree_twice() {
        assert_eq!(
            tree("a: 1\nb: {x: 1, x: 2}\na: 3\n"),
            "{a@1: Int(1)@1, b@2: {x@2: Int(1)@2, x@2: Int(2)@2}@2, a@3: Int(3)@3}@1"
        );
    }

    #[test]
    fn words_that_older_yaml_takes_for_booleans_are_text() {
        assert_eq!(tree("[on, Off, yes, n, ~, true]"), r#"["on"@1, "Off"@1, "yes"@1, "n"@1, Null@1, Bool(true)@1]@1"#);
    }

    #[test]
    fn anchors_and_merge_keys_work_and_point_to_where_they_are_used() {
        assert_eq!(
            tree("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  x: 3\n"),
            "{a@1: {x@1: Int(1)@1, y@1: Int(2)@1}@1, b@2: {x@2: Int(1)@2, y@2: Int(2)@2}@2, \
             c@3: {x@5: Int(3)@5, y@4: Int(2)@4}@4}@1"
        );
    }

    #[test]
    fn an_empty_text_is_null() {
        for text in ["", "# only a comment\n", "---\n", "\u{feff}"] {
            assert_eq!(read(text).expect("readable").value, Node::Null, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_single_document_is_refused_with_the_line() {
        for (text, line) in [
            ("a: [1\nb: 2", 2),
            ("a: 1\n b: 2\n", 2),
            ("a: 1\n---\nb: 2", 3),
            ("a: 1\n~: x\n", 2),
            ("a: 1\n[1, 2]: x\n", 2),
            ("a: *missing", 1),
            ("a: &a [*a]", 1),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!(error.line, Some(line), "{text:?}: {error}");
            assert!(!error.message.contains(" at line "), "{error}");
            assert!(!error.message.contains("from_str"), "{error}");
        }
    }

    #[test]
    fn neither_nesting_nor_aliases_can_exhaust_the_stack() {
        let nested_by_alias: Vec<_> = (1..400).map(|i| format!("k{i}: &a{i} [*a{}]", i - 1)).collect();
        let nested_by_alias = nested_by_alias.join("\n");
        for text in [
            "[".repeat(10_000),
            "- ".repeat(1_000),
            format!("a: {}{}", "[".repeat(40), "]".repeat(40)),
            format!("k0: &a0 {{x: 1}}\n{nested_by_alias}"),
        ] {
            assert!(read(&text).is_err());
        }
    }
}
