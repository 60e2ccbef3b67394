//! Publications for consumers outside the cluster, and subscriptions to servers outside of it.
//!
//! All of it lives on the primary. What hypertide makes carries its mark (`mark`), which also remembers what is to become
//! of it when it is declared no more. What has one of the declared names and no mark is somebody else's. Whatever
//! PostgreSQL would punish later, by failing the application's UPDATEs, is held before it is published (`objection`).
//!
//! In: declarations and what the primary shows. Out: steps, all for one lane at the end of a plan, and holds.

pub mod mark;
pub mod objection;
mod publication;
pub mod step;
mod subscription;

pub use subscription::{PASSFILE, connection, quoted};

use std::collections::BTreeSet;

use super::hold::{Hold, Reason};
use crate::model::names::{Ident, TableName};
use crate::model::outside::{DeclaredTable, Kind, Outside, OutsideSeen, Reclaim};
use mark::Mark;
use objection::Objection;
use step::OutsideStep;

/// Plans what the outside needs. `has_passwords` of subscriptions are unknown to whoever cannot look at the files.
pub fn plan(declared: &Outside, seen: &OutsideSeen, holds: &mut Vec<Hold>) -> Vec<OutsideStep> {
    let mut steps = publication::chunks(declared, seen);
    for wanted in &declared.publications {
        steps.extend(publication::plan(wanted, seen, holds));
    }
    steps.extend(subscription::passwords(declared, seen));
    for wanted in &declared.subscriptions {
        steps.extend(subscription::plan(wanted, seen, holds));
    }
    steps.extend(reclaimed(declared, seen, holds));
    steps
}

/// What carries the mark, is declared no more, and was to be dropped then.
fn reclaimed(declared: &Outside, seen: &OutsideSeen, holds: &mut Vec<Hold>) -> Vec<OutsideStep> {
    let is_declared = |kind, name: &Ident| match kind {
        Kind::Publication => declared.publications.iter().any(|it| it.name == *name),
        Kind::Subscription => declared.subscriptions.iter().any(|it| it.name == *name),
    };
    let publications = seen.publications.iter().map(|(name, it)| (Kind::Publication, name, &it.comment));
    let subscriptions = seen.subscriptions.iter().map(|(name, it)| (Kind::Subscription, name, &it.comment));
    let mut steps = Vec::new();
    for (kind, name, comment) in publications.chain(subscriptions) {
        let is_to_go = Mark::of(comment.as_deref()).is_some_and(|mark| mark.reclaim == Reclaim::Delete);
        if is_declared(kind, name) || !is_to_go {
            continue;
        }
        match (seen.refusals.get(&(kind, name.clone())), kind) {
            (None, Kind::Publication) => steps.push(OutsideStep::DropPublication { name: name.clone() }),
            (None, Kind::Subscription) => steps.push(OutsideStep::DropSubscription { name: name.clone() }),
            (Some(because), Kind::Publication) => hold(holds, name, Objection::Refused(because.clone())),
            (Some(because), Kind::Subscription) => {
                hold(holds, name, Objection::SlotStays(name.clone(), because.clone()));
            }
        }
    }
    steps
}

/// Row filters that are declared and not in force, so that it is worth knowing whether PostgreSQL takes them.
pub fn filters_to_try<'a>(declared: &'a Outside, seen: &OutsideSeen) -> Vec<(&'a Ident, &'a DeclaredTable)> {
    let mut filters = Vec::new();
    for publication in &declared.publications {
        for table in publication.tables.iter().filter(|table| table.filter.is_some()) {
            let can_be_tried = seen.relations.contains_key(&table.name);
            let is_settled =
                publication::is_in_force(publication, table, seen) && !publication::widens(publication, seen);
            if can_be_tried && !is_settled {
                filters.push((&publication.name, table));
            }
        }
    }
    filters
}

fn hold(holds: &mut Vec<Hold>, what: &Ident, objection: Objection) {
    holds.push(Hold::new(what.as_str(), Reason::Outside(Box::new(objection))));
}

/// Up to three names, then how many more.
fn some<'a>(names: impl IntoIterator<Item = &'a TableName>) -> String {
    let names: BTreeSet<&TableName> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(3).map(ToString::to_string).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
