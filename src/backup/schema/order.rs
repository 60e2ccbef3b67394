//! The output of `pg_dump --schema-only` in an order of our own.
//!
//! `pg_dump` sorts by name and then moves objects until each comes after what it needs, and chunks that are left out of its
//! output take part in that: the same schema comes out in another order as soon as there is a chunk more. Here objects come by
//! kind and name, each after those that it names. What differs from run to run is dropped.

use std::collections::{BTreeMap, BTreeSet};

/// Kinds in the order in which they come when nothing else is known. Constraints come before what may need a primary key.
const KINDS: [&str; 30] = [
    "SCHEMA",
    "EXTENSION",
    "COLLATION",
    "TYPE",
    "DOMAIN",
    "FUNCTION",
    "PROCEDURE",
    "AGGREGATE",
    "OPERATOR",
    "CAST",
    "TABLE",
    "FOREIGN TABLE",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "TABLE ATTACH",
    "VIEW",
    "DEFAULT",
    "CONSTRAINT",
    "MATERIALIZED VIEW",
    "INDEX",
    "INDEX ATTACH",
    "STATISTICS",
    "RULE",
    "TRIGGER",
    "FK CONSTRAINT",
    "ROW SECURITY",
    "POLICY",
    "COMMENT",
    "ACL",
    "DEFAULT ACL",
];

/// Kinds that others name, by schema and name.
const NAMED: [&str; 13] = [
    "COLLATION",
    "TYPE",
    "DOMAIN",
    "FUNCTION",
    "PROCEDURE",
    "AGGREGATE",
    "TABLE",
    "FOREIGN TABLE",
    "SEQUENCE",
    "VIEW",
    "MATERIALIZED VIEW",
    "INDEX",
    "STATISTICS",
];

/// Kinds that are made where these settings say.
const PLACED: [&str; 5] = ["TABLE", "MATERIALIZED VIEW", "INDEX", "CONSTRAINT", "TABLE ATTACH"];
const PLACES: [&str; 2] = ["SET default_tablespace = ", "SET default_table_access_method = "];

/// A type that refers to itself through its functions: rare, and only `pg_dump` knows the order.
const UNSORTABLE: &str = "SHELL TYPE";

#[derive(Debug, Default)]
struct Entry<'a> {
    header: &'a str,
    name: &'a str,
    kind: &'a str,
    schema: &'a str,
    lines: Vec<&'a str>,
    /// The lines that set [`PLACES`], as they were before it.
    places: [Option<&'a str>; 2],
}

impl<'a> Entry<'a> {
    /// `-- Name: bars; Type: TABLE; Schema: market; Owner: postgres`
    fn new(header: &'a str) -> Self {
        let after =
            |text: &'a str, word: &str| text.split_once(word).map_or((text, ""), |(before, rest)| (before, rest));
        let (name, rest) = after(header.trim_start_matches("-- Name: "), "; Type: ");
        let (kind, rest) = after(rest, "; Schema: ");
        let (schema, _) = after(rest, "; Owner: ");
        Self { header, name, kind, schema, ..Self::default() }
    }

    fn rank(&self) -> (usize, &str, &str, &str) {
        let place = KINDS.iter().position(|kind| *kind == self.kind);
        // What nobody thought of comes before comments and grants, which are about it.
        (place.unwrap_or(KINDS.len() - 4), self.schema, self.name, self.header)
    }

    /// `create_hypertable()` makes these triggers.
    fn is_own(&self) -> bool {
        self.kind == "TRIGGER"
            && [" ts_insert_blocker", " ts_cagg_invalidation_trigger"].iter().any(|name| self.name.ends_with(name))
    }

    /// What it names, up to a function's body, which is not looked at before it runs.
    fn mentions(&self) -> BTreeSet<(String, String)> {
        let is_code = matches!(self.kind, "FUNCTION" | "PROCEDURE");
        let mut found = BTreeSet::new();
        for line in &self.lines {
            let body = if is_code { line.find("AS $").or_else(|| line.find("AS '")) } else { None };
            mentioned(&line[..body.unwrap_or(line.len())], &mut found);
            if body.is_some() {
                break;
            }
        }
        found
    }
}

/// The dump in its stable order.
pub(super) fn stable(dump: &str) -> String {
    let (head, mut entries) = parse(dump);
    entries.retain(|entry| !entry.is_own());
    let order: Vec<usize> = if entries.iter().any(|entry| entry.kind == UNSORTABLE) {
        (0..entries.len()).collect()
    } else {
        entries.sort_by(|one, other| one.rank().cmp(&other.rank()).then_with(|| one.lines.cmp(&other.lines)));
        after_needs(&entries)
    };
    let mut text = String::new();
    paragraphs(&head, &mut text);
    let mut places = [None; 2];
    for entry in order.into_iter().filter_map(|at| entries.get(at)) {
        for (now, wanted) in places.iter_mut().zip(entry.places) {
            if wanted.is_some() && *now != wanted {
                *now = wanted;
                paragraphs(&[wanted.unwrap_or_default()], &mut text);
            }
        }
        paragraphs(&["--", entry.header, "--", ""], &mut text);
        paragraphs(&entry.lines, &mut text);
    }
    text
}

/// Appends lines without empty ones at their ends, and an empty one after what was there.
fn paragraphs(lines: &[&str], into: &mut String) {
    let is_filled = |line: &&str| !line.is_empty();
    let (Some(first), Some(last)) = (lines.iter().position(is_filled), lines.iter().rposition(is_filled)) else {
        return;
    };
    if !into.is_empty() {
        into.push('\n');
    }
    for line in &lines[first..=last] {
        into.push_str(line);
        into.push('\n');
    }
}

fn parse(dump: &str) -> (Vec<&str>, Vec<Entry<'_>>) {
    let is_noise = |line: &str| {
        line.starts_with("-- Dumped ")
            || line.starts_with("-- PostgreSQL database dump")
            || line.starts_with("\\restrict ")
            || line.starts_with("\\unrestrict ")
    };
    let (mut head, mut entries): (Vec<&str>, Vec<Entry<'_>>) = (Vec::new(), Vec::new());
    let mut places = [None; 2];
    let lines: Vec<&str> = dump.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at).copied() {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        if line == "--" && next.starts_with("-- Name: ") {
            let mut entry = Entry::new(next);
            if PLACED.contains(&entry.kind) {
                entry.places = places;
            }
            entries.push(entry);
            // The comment's end.
            at += 3;
            continue;
        }
        // The frame of the whole dump is a comment too.
        if line == "--" && is_noise(next) {
            at += 3;
            continue;
        }
        at += 1;
        if let Some(place) = PLACES.iter().position(|place| line.starts_with(place)) {
            places[place] = Some(line);
        } else if !is_noise(line) {
            entries.last_mut().map_or(&mut head, |entry| &mut entry.lines).push(line);
        }
    }
    (head, entries)
}

/// Places of sorted entries such that each comes after those it names, and else stays where it is.
fn after_needs(entries: &[Entry<'_>]) -> Vec<usize> {
    let mut named: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| NAMED.contains(&entry.kind)) {
        let name = entry.name.split('(').next().unwrap_or_default();
        named.entry((entry.schema.to_owned(), name.to_owned())).or_default().push(at);
    }
    let needs = |(at, entry): (usize, &Entry<'_>)| -> BTreeSet<usize> {
        let needed = entry.mentions().into_iter().filter_map(|name| named.get(&name)).flatten().copied();
        needed.filter(|other| *other != at).collect()
    };
    let mut needs: Vec<BTreeSet<usize>> = entries.iter().enumerate().map(needs).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
    for (at, needs) in needs.iter().enumerate() {
        for other in needs {
            needed_by[*other].push(at);
        }
    }
    let mut waiting: BTreeSet<usize> = (0..entries.len()).collect();
    let mut ready: BTreeSet<usize> = waiting.iter().copied().filter(|at| needs[*at].is_empty()).collect();
    let mut order = Vec::with_capacity(entries.len());
    // Names in a circle are no needs in a circle, so the first of them will do.
    while let Some(at) = ready.pop_first().or_else(|| waiting.first().copied()) {
        waiting.remove(&at);
        order.push(at);
        for other in &needed_by[at] {
            needs[*other].remove(&at);
            if needs[*other].is_empty() && waiting.contains(other) {
                ready.insert(*other);
            }
        }
    }
    order
}

/// Every `schema.name` in a text, unquoted.
fn mentioned(text: &str, into: &mut BTreeSet<(String, String)>) {
    let letters: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut before: Option<String> = None;
    while at < letters.len() {
        let Some((name, end)) = identifier(&letters, at) else {
            before = None;
            at += 1;
            continue;
        };
        if let Some(schema) = before.take() {
            into.insert((schema, name.clone()));
        }
        at = end;
        if letters.get(at) == Some(&'.') {
            before = Some(name);
            at += 1;
        }
    }
}

fn identifier(letters: &[char], start: usize) -> Option<(String, usize)> {
    let first = *letters.get(start)?;
    if first == '"' {
        let mut name = String::new();
        let mut at = start + 1;
        while let Some(letter) = letters.get(at) {
            match (letter, letters.get(at + 1)) {
                ('"', Some('"')) => at += 1,
                ('"', _) => return Some((name, at + 1)),
                _ => {}
            }
            name.push(*letter);
            at += 1;
        }
        return None;
    }
    if !first.is_alphabetic() && first != '_' {
        return None;
    }
    let is_inner = |letter: &&char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    let name: String = letters[start..].iter().take_while(is_inner).collect();
    let end = start + name.chars().count();
    Some((name, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, kind: &str, body: &str) -> String {
        format!("--\n-- Name: {name}; Type: {kind}; Schema: s; Owner: o\n--\n\n{body}\n\n\n")
    }

    const HEAD: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 17.6\n\
                        -- Dumped by pg_dump version 17.6\n\nSET x = 0;\n\nSET default_tablespace = '';\n\n";
    const TAIL: &str = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        let dump = [
            HEAD,
            &entry("a", "TABLE", "CREATE TABLE s.a (\n    id int\n);"),
            &entry("a ts_insert_blocker", "TRIGGER", "CREATE TRIGGER ts;"),
            "SET default_tablespace = fast;\n\n",
            &entry("b", "TABLE", "CREATE TABLE s.b ();"),
            TAIL,
        ];
        assert_eq!(
            stable(&dump.concat()),
            "SET x = 0;\n\nSET default_tablespace = '';\n\n--\n-- Name: a; Type: TABLE; Schema: s; Owner: o\n--\n\n\
             CREATE TABLE s.a (\n    id int\n);\n\nSET default_tablespace = fast;\n\n\
             --\n-- Name: b; Type: TABLE; Schema: s; Owner: o\n--\n\nCREATE TABLE s.b ();\n"
        );
    }

    #[test]
    fn names_are_found_quoted_or_not() {
        let mut found = BTreeSet::new();
        mentioned("nextval('s.a'::regclass) \"S\".\"b \"\"c\" x . y 1.5 s.f(s.t)", &mut found);
        let found: Vec<(&str, &str)> = found.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).collect();
        assert_eq!(found, [("S", "b \"c"), ("s", "a"), ("s", "f"), ("s", "t")]);
    }

    proptest! {
        #[test]
        fn the_order_is_the_same_whatever_it_was_and_needs_come_first(
            needs in proptest::collection::vec(proptest::collection::btree_set(0_usize..12, 0..3), 12),
            seed in proptest::collection::vec(any::<u32>(), 12),
        ) {
            // Each view needs some of those before it.
            let entries: Vec<String> = needs.iter().enumerate().map(|(at, needs)| {
                let from: Vec<String> = needs.iter().filter(|other| **other < at).map(|other| format!("s.v{}", 50 - other)).collect();
                entry(&format!("v{}", 50 - at), "VIEW", &format!("CREATE VIEW s.v{} AS SELECT FROM {};", 50 - at, from.join(", ")))
            }).collect();
            let mut mixed: Vec<usize> = (0..12).collect();
            mixed.sort_by_key(|at| seed[*at]);
            let text = stable(&[HEAD, &entries.concat(), TAIL].concat());
            let mixed: String = mixed.into_iter().map(|at| entries[at].as_str()).collect();
            prop_assert_eq!(&stable(&[HEAD, &mixed, TAIL].concat()), &text);
            for (at, needs) in needs.iter().enumerate() {
                let place = |at: usize| text.find(&format!("CREATE VIEW s.v{} ", 50 - at));
                for other in needs.iter().filter(|other| **other < at) {
                    prop_assert!(place(*other) < place(at));
                }
            }
        }

        #[test]
        fn no_text_panics(text in "(--\n|-- Name: |; Type: |VIEW|s\\.v|\"|\n| |AS \\$|ä){0,40}") {
            let _ = stable(&text);
        }
    }
}
