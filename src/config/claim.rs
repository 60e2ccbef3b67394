//! Values that only one key may have: ports, names, packs.
//!
//! In go claims in the order of the file, out come problems that name both keys. What counts as the same value is the
//! claimed type's own business.

use std::collections::BTreeMap;
use std::fmt;

use super::problem::{Problem, Problems};
use super::read::Entry;

/// A value that must not occur twice, and who claims it.
#[derive(Clone, Debug)]
pub struct Claim<T> {
    /// The value.
    pub value: T,
    /// The dotted key that has it.
    pub key: String,
    /// Its line; `None` when it is a default.
    pub line: Option<u64>,
}

impl<T> Claim<T> {
    /// What a value in the file claims.
    pub fn of(entry: &Entry<'_>, value: T) -> Self {
        Self { value, key: entry.key.clone(), line: entry.line }
    }

    /// What a key claims through its value in the file, or through its default.
    pub fn of_key(key: String, entry: Option<&Entry<'_>>, value: T) -> Self {
        Self { value, key, line: entry.and_then(|entry| entry.line) }
    }
}

/// Leaves a problem for every value that two keys claim, at one that was given rather than at a default.
pub fn refuse_twice<T: Ord + fmt::Display>(claims: &[Claim<T>], problems: &mut Problems) {
    let mut first: BTreeMap<&T, &Claim<T>> = BTreeMap::new();
    for later in claims {
        let earlier = *first.entry(&later.value).or_insert(later);
        if std::ptr::eq(earlier, later) {
            continue;
        }
        let (at, other) = if later.line.is_none() { (earlier, later) } else { (later, earlier) };
        let default = if other.line.is_none() { ", whose default it is" } else { "" };
        problems.add(Problem {
            line: at.line,
            key: at.key.clone(),
            message: format!("{} is used twice, also by {}{default}", at.value, other.key),
            help: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(claims: [(&str, Option<u64>, u16); 3]) -> Vec<String> {
        let claims = claims.map(|(key, line, value)| Claim { value, key: key.to_owned(), line });
        let mut problems = Problems::default();
        refuse_twice(&claims, &mut problems);
        let found = problems.or(()).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_further_use_is_a_problem_at_what_was_given() {
        assert_eq!(
            said([("a", Some(1), 5), ("b", Some(2), 5), ("c", None, 5)]),
            ["line 1: a: 5 is used twice, also by c, whose default it is", "line 2: b: 5 is used twice, also by a",]
        );
        assert_eq!(said([("a", Some(1), 5), ("b", None, 6), ("c", None, 7)]), [""; 0]);
    }
}
