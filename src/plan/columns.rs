//! Whether a table of a subscriber can take the rows of the publisher's, column by column.
//!
//! Replication matches columns by name and sends values as text: <https://www.postgresql.org/docs/17/logical-replication-subscription.html>.
//! A mismatch stops the whole subscription at the first row that meets it, so it is told before.

use std::collections::BTreeMap;

use crate::model::names::Ident;
use crate::model::observed::ColumnSeen;

/// What keeps rows with `theirs` columns from being stored in a table with `ours`; `None` when nothing does.
pub fn mismatch(theirs: &BTreeMap<Ident, ColumnSeen>, ours: &BTreeMap<Ident, ColumnSeen>) -> Option<String> {
    let of_theirs =
        theirs.iter().filter(|(_, there)| !there.is_generated).find_map(|(name, there)| match ours.get(name) {
            None => Some(format!("column {name} is missing here")),
            Some(here) if here.is_generated => Some(format!("column {name} is computed here and stored there")),
            Some(here) if here.column_type != there.column_type => {
                Some(format!("column {name} is {} here and {} there", here.column_type, there.column_type))
            }
            Some(_) => None,
        });
    let is_sent = |name: &Ident| theirs.get(name).is_some_and(|there| !there.is_generated);
    of_theirs.or_else(|| {
        let (name, _) = ours.iter().find(|(name, here)| here.is_required && !here.is_generated && !is_sent(name))?;
        Some(format!("column {name} is required here and not sent"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::simulate::world::ident;

    fn any_columns() -> impl Strategy<Value = BTreeMap<Ident, ColumnSeen>> {
        let column = (prop::sample::select(vec!["text", "bigint"]), any::<bool>(), any::<bool>());
        let column = column.prop_map(|(column_type, is_required, is_generated)| ColumnSeen {
            column_type: column_type.into(),
            is_required: is_required && !is_generated,
            is_generated,
        });
        let name = prop::sample::select(vec!["a", "b", "c"]).prop_map(ident);
        prop::collection::btree_map(name, column, 0..4)
    }

    proptest! {
        #[test]
        fn a_row_fits_exactly_when_nothing_is_told(theirs in any_columns(), ours in any_columns()) {
            // What the apply worker does with a row: each value that is sent needs its column, and what is required a value.
            let sent = || theirs.iter().filter(|(_, there)| !there.is_generated);
            let takes_all = sent().all(|(name, there)| {
                ours.get(name).is_some_and(|here| !here.is_generated && here.column_type == there.column_type)
            });
            let has_all = ours.iter().filter(|(_, here)| here.is_required).all(|(name, _)| sent().any(|(sent, _)| sent == name));
            prop_assert_eq!(mismatch(&theirs, &ours).is_none(), takes_all && has_all);
        }
    }

    #[test]
    fn the_first_column_that_does_not_fit_is_named() {
        let column = |column_type: &str, is_required, is_generated| ColumnSeen {
            column_type: column_type.into(),
            is_required,
            is_generated,
        };
        let columns = |name: &str, seen: ColumnSeen| BTreeMap::from([(ident(name), seen)]);
        let plain = || columns("price", column("numeric", true, false));
        let told = |theirs, ours| mismatch(&theirs, &ours).unwrap_or_default();
        assert_eq!(told(plain(), plain()), "");
        assert_eq!(told(plain(), BTreeMap::new()), "column price is missing here");
        assert_eq!(
            told(plain(), columns("price", column("text", true, false))),
            "column price is text here and numeric there"
        );
        assert_eq!(
            told(plain(), columns("price", column("numeric", false, true))),
            "column price is computed here and stored there"
        );
        assert_eq!(told(BTreeMap::new(), plain()), "column price is required here and not sent");
        assert_eq!(told(BTreeMap::new(), columns("note", column("text", false, false))), "");
    }
}
