//! How publications for the outside and subscriptions to other servers are. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::names::Ident;
use crate::model::outside::{Outside, OutsideSeen, PublishedSeen, Reclaim, SubscribedSeen};
use crate::model::seen::Seen;
use crate::plan::hold::{Hold, Reason};
use crate::plan::outside::mark::Mark;

/// A publication for consumers outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicationStatus {
    /// Its name.
    pub name: Ident,
    /// `published`, `incomplete`, `missing`, `not_ours` or `unknown`.
    pub state: &'static str,
    /// The configuration declares it.
    pub managed: bool,
    /// Tables it covers, chunks left out.
    pub tables: Option<usize>,
    /// Chunks it covers.
    pub chunks: Option<usize>,
    /// What becomes of it when it is declared no more.
    pub reclaim: Option<Reclaim>,
}

/// A subscription to a server outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: Ident,
    /// `streaming`, `copying`, `failing`, `disabled`, `missing`, `not_ours` or `unknown`.
    pub state: &'static str,
    /// The configuration declares it.
    pub managed: bool,
    /// Received and not yet reported as applied, in bytes.
    pub lag_bytes: Option<u64>,
    /// Failed attempts to apply or to copy, since statistics were reset.
    pub errors: Option<u64>,
    /// Tables it knows.
    pub tables: Option<usize>,
    /// What becomes of it when it is declared no more.
    pub reclaim: Option<Reclaim>,
}

/// Both lists: what is declared in the order of the file, then what only a mark remembers.
pub fn lists(
    declared: &Outside,
    seen: &Seen<OutsideSeen>,
    holds: &[Hold],
) -> (Vec<PublicationStatus>, Vec<SubscriptionStatus>) {
    let nothing = OutsideSeen::default();
    // Not asked although something is declared: the primary cannot be asked.
    let is_known = seen.is_present();
    let seen = seen.present().unwrap_or(&nothing);
    let is_held = |name: &Ident| {
        holds
            .iter()
            .any(|hold| hold.what == name.as_str() && matches!(hold.reason, Reason::Outside(_) | Reason::NeedsUp))
    };

    let wanted = declared.publications.iter().map(|it| (&it.name, Some(it.reclaim)));
    let publications = with_marked(wanted, &seen.publications, |it| it.comment.as_deref());
    let publications = publications.into_iter().map(|(name, wanted)| {
        let there = seen.publications.get(name);
        let mark = there.and_then(|there| Mark::of(there.comment.as_deref()));
        let counted = |count: fn(&PublishedSeen) -> usize| there.filter(|_| mark.is_some()).map(count);
        PublicationStatus {
            name: name.clone(),
            state: match there {
                None if is_known => "missing",
                None => "unknown",
                Some(_) if mark.is_none() => "not_ours",
                Some(_) if is_held(name) => "incomplete",
                Some(_) => "published",
            },
            managed: wanted.is_some(),
            tables: counted(|there| there.table_count),
            chunks: counted(|there| there.chunk_count),
            reclaim: wanted.or(mark.map(|mark| mark.reclaim)),
        }
    });

    let wanted = declared.subscriptions.iter().map(|it| (&it.name, Some(it.reclaim)));
    let subscriptions = with_marked(wanted, &seen.subscriptions, |it| it.comment.as_deref());
    let subscriptions = subscriptions.into_iter().map(|(name, wanted)| {
        let there = seen.subscriptions.get(name);
        let mark = there.and_then(|there| Mark::of(there.comment.as_deref()));
        let ours = there.filter(|_| mark.is_some());
        SubscriptionStatus {
            name: name.clone(),
            state: match there {
                None if is_known => "missing",
                None => "unknown",
                Some(_) if mark.is_none() => "not_ours",
                Some(there) => subscription_state(there),
            },
            managed: wanted.is_some(),
            lag_bytes: ours.and_then(|there| there.lag_bytes),
            errors: ours.map(|there| there.errors),
            tables: ours.map(|there| there.tables),
            reclaim: wanted.or(mark.map(|mark| mark.reclaim)),
        }
    });
    (publications.collect(), subscriptions.collect())
}

/// Declared names, each with what is declared, then names that carry a mark and are declared no more.
fn with_marked<'a, T>(
    declared: impl Iterator<Item = (&'a Ident, Option<Reclaim>)>,
    seen: &'a BTreeMap<Ident, T>,
    comment: impl Fn(&T) -> Option<&str>,
) -> Vec<(&'a Ident, Option<Reclaim>)> {
    let mut names: Vec<_> = declared.collect();
    let known: BTreeSet<&Ident> = names.iter().map(|(name, _)| *name).collect();
    let marked = seen.iter().filter(|(_, it)| Mark::of(comment(it)).is_some()).map(|(name, _)| name);
    let more: Vec<_> = marked.filter(|name| !known.contains(name)).map(|name| (name, None)).collect();
    names.extend(more);
    names
}

fn subscription_state(there: &SubscribedSeen) -> &'static str {
    if !there.enabled {
        "disabled"
    } else if !there.is_applying || (there.copying > 0 && there.errors > 0) {
        "failing"
    } else if there.copying > 0 {
        "copying"
    } else {
        "streaming"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outside::{DeclaredPublication, Operation};
    use crate::plan::outside::objection::Objection;
    use crate::plan::simulate::world::ident;

    fn publication(name: &str, comment: Option<&str>) -> (Ident, PublishedSeen) {
        let comment = comment.map(str::to_owned);
        (ident(name), PublishedSeen { comment, table_count: 2, chunk_count: 7, ..PublishedSeen::default() })
    }

    fn subscription(name: &str, change: impl FnOnce(&mut SubscribedSeen)) -> (Ident, SubscribedSeen) {
        let mut seen = SubscribedSeen {
            comment: Some("hypertide: reclaim=retain".into()),
            enabled: true,
            is_applying: true,
            tables: 3,
            ..SubscribedSeen::default()
        };
        change(&mut seen);
        (ident(name), seen)
    }

    fn declared(names: &[&str]) -> Outside {
        let publication = |name: &&str| DeclaredPublication {
            name: ident(name),
            tables: Vec::new(),
            schemas: BTreeSet::new(),
            operations: Operation::ALL.into(),
            reclaim: Reclaim::Delete,
        };
        Outside { publications: names.iter().map(publication).collect(), ..Outside::default() }
    }

    #[test]
    fn publications_are_told_with_their_state_and_who_looks_after_them() {
        let there = [
            publication("good", Some("hypertide: reclaim=retain")),
            publication("held", Some("hypertide: reclaim=delete")),
            publication("left", Some("hypertide: reclaim=retain")),
            publication("other", None),
        ];
        let seen = OutsideSeen { publications: there.into(), ..OutsideSeen::default() };
        let outside = declared(&["other", "good", "held", "none"]);
        let objection = Objection::NoSchema(ident("x"));
        let holds = [Hold::new("held", Reason::Outside(Box::new(objection)))];
        let told = |seen: &Seen<OutsideSeen>| {
            let (publications, _) = lists(&outside, seen, &holds);
            let words =
                publications.iter().map(|it| format!("{} {} {} {:?}", it.name, it.state, it.managed, it.chunks));
            words.collect::<Vec<_>>()
        };
        assert_eq!(
            told(&Seen::Present(seen)),
            [
                "other not_ours true None",
                "good published true Some(7)",
                "held incomplete true Some(7)",
                "none missing true None",
                "left published false Some(7)",
            ]
        );
        assert!(told(&Seen::Absent).iter().all(|word| word.contains("unknown")));
    }

    #[test]
    fn subscriptions_are_told_with_their_state() {
        let there = [
            subscription("a", |_| {}),
            subscription("b", |it| it.copying = 1),
            subscription("c", |it| (it.copying, it.errors) = (1, 1)),
            subscription("d", |it| it.is_applying = false),
            subscription("e", |it| it.enabled = false),
        ];
        let seen = Seen::Present(OutsideSeen { subscriptions: there.into(), ..OutsideSeen::default() });
        let (_, subscriptions) = lists(&Outside::default(), &seen, &[]);
        let states: Vec<&str> = subscriptions.iter().map(|it| it.state).collect();
        assert_eq!(states, ["streaming", "copying", "failing", "failing", "disabled"]);
        assert!(subscriptions.iter().all(|it| !it.managed && it.reclaim == Some(Reclaim::Retain)));
    }
}
