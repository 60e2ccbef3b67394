//! One subscription to a server outside the cluster.

use std::collections::BTreeSet;

use super::hold;
use super::mark::Mark;
use super::objection::Objection;
use super::step::{OutsideStep, SubscriptionChange};
use crate::model::names::Ident;
use crate::model::outside::{DeclaredSubscription, Kind, Origin, Outside, OutsideSeen, PasswordSeen, SubscribedSeen};
use crate::plan::hold::Hold;

/// The passwords of subscriptions on a node's volume, beside those of the cluster, in the same format and with the same
/// rights: the catalog holds this path and no password.
pub const PASSFILE: &str = "/var/lib/postgresql/data/hypertide/outside.pgpass";

/// A server that does not answer must not keep us longer, nor a worker that tries again and again.
const CONNECT_PATIENCE_SECS: u32 = 10;

/// The connection string of a subscription, without a password.
pub fn connection(from: &Origin) -> String {
    let Origin { host, port, database, user, .. } = from;
    let (host, database, user) = (quoted(host), quoted(database), quoted(user));
    format!(
        "host={host} port={port} dbname={database} user={user} passfile={PASSFILE} \
         connect_timeout={CONNECT_PATIENCE_SECS}"
    )
}

/// A value in a libpq connection string, quoted.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Passwords the node lacks.
pub fn passwords(declared: &Outside, seen: &OutsideSeen) -> Option<OutsideStep> {
    let is_outdated = |name: &Ident| seen.passwords.get(name) == Some(&PasswordSeen::Outdated);
    let names = declared.subscriptions.iter().map(|wanted| &wanted.name).filter(|name| is_outdated(name));
    let subscriptions: BTreeSet<Ident> = names.cloned().collect();
    (!subscriptions.is_empty()).then_some(OutsideStep::GivePasswords { subscriptions })
}

pub fn plan(declared: &DeclaredSubscription, seen: &OutsideSeen, holds: &mut Vec<Hold>) -> Option<OutsideStep> {
    let name = &declared.name;
    let mut held = |objection| hold(holds, name, objection);
    let there = seen.subscriptions.get(name);
    let mark = there.and_then(|there| Mark::of(there.comment.as_deref()));
    // One that was cut off between its creation and its mark names our password file, which nobody else does.
    let is_ours = |there: &SubscribedSeen| mark.is_some() || there.connection == connection(&declared.from);
    if there.is_some_and(|there| !is_ours(there)) {
        held(Objection::NotOurs(Kind::Subscription));
        return None;
    }
    if let Some(because) = seen.refusals.get(&(Kind::Subscription, name.clone())) {
        held(Objection::Refused(because.clone()));
        return None;
    }
    if let Some(PasswordSeen::Unreadable { because }) = seen.passwords.get(name) {
        held(Objection::NoPassword(because.clone()));
        // One that is there has what it needs.
        there?;
    }
    let Some(there) = there else {
        return Some(OutsideStep::CreateSubscription(Box::new(declared.clone())));
    };
    if !there.enabled {
        held(Objection::Disabled(name.clone()));
    } else if !there.is_applying || (there.copying > 0 && there.errors > 0) {
        held(Objection::Failing(there.errors));
    }
    let change = SubscriptionChange {
        declared: declared.clone(),
        connection: there.connection != connection(&declared.from),
        // One that is disabled cannot look at what others publish.
        publications: there.enabled && there.publications != declared.publications,
    };
    let is_marked = mark.is_some_and(|mark| mark.reclaim == declared.reclaim);
    let is_same = is_marked && !change.connection && !change.publications;
    (!is_same).then(|| OutsideStep::ChangeSubscription(Box::new(change)))
}
