//! What happens by itself while nobody plans: first copies finish, changes are applied, standbys stream.

use super::world::{Database, Server, Slot, World};
use crate::model::names::{NodeName, TableName};

/// Lets enough time pass for everything that moves by itself to come to rest.
pub fn settle(world: &mut World) {
    let nodes: Vec<NodeName> = world.volumes.keys().cloned().collect();
    for node in &nodes {
        apply(world, node);
    }
    for node in &nodes {
        stream(world, node);
    }
}

/// A publisher that answers and keeps a usable slot for this consumer.
fn source<'a>(world: &'a World, of: &NodeName, consumer: &NodeName, is_logical: bool) -> Option<&'a Server> {
    world.running(of).filter(|server| server.slots.get(&consumer.slot()) == Some(&Slot { is_logical, lost: false }))
}

/// A subscriber's workers: copy what is new, then apply what came since.
fn apply(world: &mut World, node: &NodeName) {
    let Some(subscription) =
        world.running(node).and_then(|server| server.database.as_ref()?.subscription.as_ref()).cloned()
    else {
        return;
    };
    let theirs = source(world, &subscription.publisher, node, true).and_then(|server| server.database.clone());
    let ours = world.database_mut(node).expect("it has a subscription");
    let theirs =
        theirs.filter(|theirs| subscription.enabled && theirs.publications.contains_key(&subscription.publication));
    if let Some(theirs) = &theirs {
        let members = theirs.members(&subscription.publication);
        let known: Vec<TableName> =
            subscription.tables.keys().filter(|table| members.contains(*table)).cloned().collect();
        for table in &known {
            catch_up(ours, theirs, table);
        }
    }
    if let Some(subscription) = &mut ours.subscription {
        subscription.is_applying = theirs.is_some();
    }
}

/// Rows that arrive are added to what is there: a copy onto rows that were there already shows as too many.
fn catch_up(ours: &mut Database, theirs: &Database, table: &TableName) {
    let Some((state, seen)) = ours.subscription.as_mut().and_then(|sub| sub.tables.get_mut(table)) else { return };
    let new = theirs.rows(table) - *seen;
    *seen = theirs.rows(table);
    *state = 'r';
    if new > 0 {
        *ours.rows.entry(table.clone()).or_default() += new;
    }
}

/// A standby: equal to its primary, block for block, except for what is not replicated.
fn stream(world: &mut World, node: &NodeName) {
    let Some(primary) = world.running(node).and_then(|server| server.standby_of.clone()) else { return };
    let theirs = source(world, &primary, node, false).cloned();
    let ours = world.data_mut(node).expect("it runs");
    ours.is_streaming = theirs.is_some();
    if let Some(theirs) = theirs {
        ours.roles = theirs.roles;
        ours.database = theirs.database;
    }
}
