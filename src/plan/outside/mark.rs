//! The comment by which hypertide knows what it made for the outside: what is to become of it, and by which declared
//! filter each row filter came about.
//!
//! PostgreSQL shows a filter in its own words, so the declared text cannot be compared with it. Instead the mark keeps a
//! digest of both; it is another one as soon as either side changes.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::digest;
use crate::model::names::TableName;
use crate::model::outside::Reclaim;

/// How every mark begins; `sql/observe` looks for it as well.
const BEGINNING: &str = "hypertide: reclaim=";
const FILTERS: &str = " filters=";

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What becomes of it when it is declared no more.
    pub reclaim: Reclaim,
    /// Digests of row filters, by table.
    pub filters: BTreeMap<String, String>,
}

impl Mark {
    /// A mark without filters.
    pub fn new(reclaim: Reclaim) -> Self {
        Self { reclaim, filters: BTreeMap::new() }
    }

    /// The mark a comment is; `None` when it is none of ours.
    pub fn of(comment: Option<&str>) -> Option<Self> {
        let rest = comment?.strip_prefix(BEGINNING)?;
        let (word, filters) = rest.split_once(FILTERS).unwrap_or((rest, "{}"));
        let reclaim = [Reclaim::Retain, Reclaim::Delete].into_iter().find(|reclaim| reclaim.word() == word)?;
        Some(Self { reclaim, filters: serde_json::from_str(filters).ok()? })
    }

    /// Writes down that the declared filter of a table is now shown as `seen`.
    pub fn remember(&mut self, table: &TableName, declared: &str, seen: &str) {
        self.filters.insert(table.to_string(), fingerprint(declared, seen));
    }

    /// The filter that is shown came about by the one that is declared.
    pub fn knows(&self, table: &TableName, declared: &str, seen: &str) -> bool {
        self.filters.get(&table.to_string()) == Some(&fingerprint(declared, seen))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINNING}{}", self.reclaim.word())?;
        if self.filters.is_empty() {
            return Ok(());
        }
        let filters = serde_json::to_string(&self.filters).expect("a map of strings");
        write!(f, "{FILTERS}{filters}")
    }
}

fn fingerprint(declared: &str, seen: &str) -> String {
    digest::short(&[declared.as_bytes(), &[0], seen.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::simulate::world::table;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is() {
        let mut mark = Mark::new(Reclaim::Delete);
        assert_eq!(mark.to_string(), "hypertide: reclaim=delete");
        assert_eq!(Mark::of(Some("hypertide: reclaim=delete")), Some(mark.clone()));
        mark.remember(&table("trading.it's filters="), "a = 'x'", "(a = 'x'::text)");
        assert_eq!(Mark::of(Some(&mark.to_string())), Some(mark));
        for other in
            ["", "hypertide: reclaim=", "hypertide: reclaim=sometimes", "ours", "hypertide: reclaim=retain filters=["]
        {
            assert_eq!(Mark::of(Some(other)), None, "{other}");
        }
        assert_eq!(Mark::of(None), None);
    }

    #[test]
    fn a_filter_is_known_until_either_side_changes() {
        let mut mark = Mark::new(Reclaim::Retain);
        let orders = table("trading.orders");
        mark.remember(&orders, "a = 1", "(a = 1)");
        assert!(mark.knows(&orders, "a = 1", "(a = 1)"));
        assert!(!mark.knows(&orders, "a = 2", "(a = 1)"), "declared anew");
        assert!(!mark.knows(&orders, "a = 1", "(a = 2)"), "changed by hand");
        assert!(!mark.knows(&table("trading.bars"), "a = 1", "(a = 1)"));
    }
}
