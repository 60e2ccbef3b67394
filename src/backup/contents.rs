//! What was in the database when a backup was taken: every table and chunk with its rows and fingerprint, and everything of
//! TimescaleDB's that a restore has to bring back. Written beside the rows, compared after a drill.
//!
//! Pure values; [`differences`] compares two of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Begins the name of a role that a dump of the database names. A restore makes it, and nobody compares it: what it may do is on
/// record with each object.
pub const NEEDED_ROLE: &str = "needed role ";

/// A database's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Every table and chunk with rows of a user's, by `schema.table`; chunks under their own names.
    pub tables: BTreeMap<String, TableFacts>,
    /// Everything else that has to be equal after a restore: a stable name (`hypertable trading.orders`, `index …`,
    /// `policy …`) and its definition as text.
    pub objects: BTreeMap<String, String>,
}

/// The rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// The hypertable a chunk belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hypertable: Option<String>,
    /// Its rows.
    pub rows: u64,
    /// Order-independent hash over them, and how it was made: `text:…` or `record:…`.
    pub hash: String,
}

/// Something is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table or object.
    pub what: String,
    /// How it was when the backup was taken; `None`: it was not there.
    pub wanted: Option<String>,
    /// How it is after the restore; `None`: it is not there.
    pub found: Option<String>,
}

impl TableFacts {
    fn shown(&self) -> String {
        format!("{} rows, {}", self.rows, self.hash)
    }
}

/// What differs between the contents a backup was made of and those found after its restore; nothing: they are equal.
pub fn differences(wanted: &Contents, found: &Contents) -> Vec<Difference> {
    fn maps<T: PartialEq>(
        wanted: &BTreeMap<String, T>,
        found: &BTreeMap<String, T>,
        shown: impl Fn(&T) -> String,
        into: &mut Vec<Difference>,
    ) {
        let names: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
        for name in names {
            let (before, after) = (wanted.get(name), found.get(name));
            if before != after {
                into.push(Difference { what: name.clone(), wanted: before.map(&shown), found: after.map(&shown) });
            }
        }
    }
    let mut all = Vec::new();
    maps(&wanted.tables, &found.tables, TableFacts::shown, &mut all);
    maps(&wanted.objects, &found.objects, String::clone, &mut all);
    all
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn contents() -> impl Strategy<Value = Contents> {
        let facts = (0_u64..3, 0_u8..2).prop_map(|(rows, hash)| TableFacts {
            hypertable: None,
            rows,
            hash: format!("text:{hash}"),
        });
        (btree_map("[a-d]", facts, 0..4), btree_map("[a-d]", "[xy]", 0..4))
            .prop_map(|(tables, objects)| Contents { tables, objects })
    }

    proptest! {
        #[test]
        fn no_difference_is_told_exactly_when_both_are_equal(one in contents(), other in contents()) {
            prop_assert_eq!(differences(&one, &other).is_empty(), one == other);
            prop_assert!(differences(&one, &one).is_empty());
        }

        #[test]
        fn each_difference_names_what_is_on_one_side_only(one in contents(), other in contents()) {
            for difference in differences(&one, &other) {
                prop_assert_ne!(&difference.wanted, &difference.found);
                prop_assert!(difference.wanted.is_some() || difference.found.is_some());
            }
        }
    }
}
