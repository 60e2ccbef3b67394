//! What has to be equal after the restore of each kind of backup.
//!
//! In: what was on record and what was found. Out: the differences. Pure.

use std::collections::BTreeMap;

use crate::backup::contents::{Contents, Difference, NEEDED_ROLE, TableFacts, differences};
use crate::model::backup::Kind;

/// Objects that hold rows, or tell of them: a backup without rows brings none of them back.
const OF_ROWS: [&str; 2] = ["chunk ", "sequence value "];

/// Differences for a kind. Everything counts, except what that kind is not meant to bring back.
pub fn compare(kind: Kind, wanted: &Contents, found: &Contents) -> Vec<Difference> {
    let (wanted, found) = (&without(&[NEEDED_ROLE], wanted), &without(&[NEEDED_ROLE], found));
    match kind {
        Kind::Full | Kind::Base | Kind::Globals => differences(wanted, found),
        Kind::Schema => {
            let mut all = differences(&without_rows(wanted), &without_rows(found));
            all.extend(found.tables.iter().filter(|(_, facts)| facts.rows > 0 || facts.hypertable.is_some()).map(
                |(name, facts)| Difference {
                    what: name.clone(),
                    wanted: None,
                    found: Some(format!("{} rows, and a backup of kind schema holds none", facts.rows)),
                },
            ));
            all
        }
        Kind::Tables => {
            let objects = without_rows(wanted).objects;
            let found_objects = without_rows(found).objects.into_iter().filter(|(name, _)| objects.contains_key(name));
            let wanted_tables = by_table(wanted);
            let found_tables =
                by_table(found).into_iter().filter(|(name, facts)| wanted_tables.contains_key(name) || facts.rows > 0);
            let found = Contents { tables: found_tables.collect(), objects: found_objects.collect() };
            differences(&Contents { tables: wanted_tables, objects }, &found)
        }
    }
}

fn without_rows(contents: &Contents) -> Contents {
    Contents { tables: BTreeMap::new(), ..without(&OF_ROWS, contents) }
}

/// Contents without the objects whose names begin so.
fn without(prefixes: &[&str], contents: &Contents) -> Contents {
    let mut kept = contents.clone();
    kept.objects.retain(|name, _| !prefixes.iter().any(|prefix| name.starts_with(prefix)));
    kept
}

/// Chunks summed up: the same rows land in other chunks when they are copied anew. Empty tables count as much as others.
fn by_table(contents: &Contents) -> BTreeMap<String, TableFacts> {
    let mut sums: BTreeMap<String, TableFacts> = BTreeMap::new();
    for (name, facts) in &contents.tables {
        let table = facts.hypertable.as_ref().unwrap_or(name).clone();
        match sums.get_mut(&table) {
            None => {
                sums.insert(table, TableFacts { hypertable: None, ..facts.clone() });
            }
            Some(sum) => {
                sum.rows += facts.rows;
                sum.hash = added(&sum.hash, &facts.hash);
            }
        }
    }
    sums
}

/// Sums of hashes add up when they were made in the same way.
fn added(one: &str, other: &str) -> String {
    let parts = |hash: &str| {
        let (method, sum) = hash.split_once(':')?;
        Some((method.to_owned(), sum.parse::<i128>().ok()?))
    };
    match (parts(one), parts(other)) {
        (Some((method, one)), Some((same, other))) if method == same => format!("{method}:{}", one + other),
        _ => format!("{one}+{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(hypertable: Option<&str>, rows: u64, hash: &str) -> TableFacts {
        TableFacts { hypertable: hypertable.map(str::to_owned), rows, hash: hash.to_owned() }
    }

    fn contents(tables: &[(&str, TableFacts)], objects: &[(&str, &str)]) -> Contents {
        Contents {
            tables: tables.iter().map(|(name, facts)| ((*name).to_owned(), facts.clone())).collect(),
            objects: objects.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        }
    }

    #[test]
    fn a_full_backup_is_equal_down_to_its_chunks() {
        let wanted = contents(&[("c1", facts(Some("t"), 1, "text:5"))], &[("chunk c1", "x")]);
        assert!(compare(Kind::Full, &wanted, &wanted).is_empty());
        let found = contents(&[("c2", facts(Some("t"), 1, "text:5"))], &[("chunk c2", "x")]);
        assert_eq!(compare(Kind::Full, &wanted, &found).len(), 4);
    }

    #[test]
    fn roles_that_a_dump_needs_are_not_compared() {
        let needed = contents(&[], &[("needed role reader", ""), ("table t", "y")]);
        let none = contents(&[], &[("table t", "y")]);
        for kind in Kind::ALL {
            assert!(compare(kind, &needed, &none).is_empty(), "{kind}");
        }
    }

    #[test]
    fn a_schema_brings_objects_and_not_a_row() {
        let wanted = contents(
            &[("c1", facts(Some("t"), 1, "text:5"))],
            &[("chunk c1", "x"), ("table t", "y"), ("sequence value s", "7")],
        );
        let empty = contents(&[("u", facts(None, 0, "text:0"))], &[("table t", "y"), ("sequence value s", "not used")]);
        assert!(compare(Kind::Schema, &wanted, &empty).is_empty());
        assert_eq!(compare(Kind::Schema, &wanted, &contents(&[], &[])).len(), 1);
        assert_eq!(compare(Kind::Schema, &wanted, &wanted).len(), 1);
    }

    #[test]
    fn rows_of_a_table_are_equal_whatever_chunks_they_land_in() {
        let wanted = contents(
            &[("c1", facts(Some("t"), 1, "text:5")), ("c2", facts(Some("t"), 2, "text:-7"))],
            &[("table t", "y")],
        );
        let found =
            contents(&[("c9", facts(Some("t"), 3, "text:-2")), ("u", facts(None, 0, "text:0"))], &[("table t", "y")]);
        assert!(compare(Kind::Tables, &wanted, &found).is_empty());
        let lacking = contents(&[("c9", facts(Some("t"), 2, "text:5"))], &[("table t", "y")]);
        assert_eq!(compare(Kind::Tables, &wanted, &lacking).len(), 1);
    }
}
