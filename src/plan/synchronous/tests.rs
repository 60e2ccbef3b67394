//! The table: who is listed, in which way, for every standing of a replica.

use super::*;
use crate::model::health::SynchronousState;
use crate::model::observed::{ContainerSeen, SenderSeen};
use crate::model::seen::Seen;
use crate::plan::simulate::finished;
use crate::plan::simulate::world::node_name;

const BOTH: &str = r#"FIRST 1 ("replica-1", "hypertide_replica_2")"#;

/// A primary, a standby and a logical replica, all well; nobody waits yet.
fn look(synchronous: Synchronous, when_lost: WhenLost) -> (Desired, Observed) {
    let mut cluster = finished(&[Mode::Physical, Mode::Logical], &["trading"]);
    cluster.desired.synchronous = synchronous;
    cluster.desired.when_lost = when_lost;
    let mut observed = cluster.observe();
    for server in observed.nodes.values_mut().filter_map(|seen| present(&mut seen.server)) {
        if let Some(database) = present(&mut server.database)
            && let Some(subscription) = &mut database.subscription
        {
            subscription.flushes = true;
        }
    }
    primary(&mut observed).synchronized_slots = "hypertide_replica_1".into();
    (cluster.desired, observed)
}

fn present<T>(seen: &mut Seen<T>) -> Option<&mut T> {
    if let Seen::Present(there) = seen { Some(there) } else { None }
}

fn primary(observed: &mut Observed) -> &mut ServerSeen {
    let seen = observed.nodes.get_mut(&node_name("primary-1")).expect("there");
    present(&mut seen.server).expect("it runs")
}

fn sender<'a>(observed: &'a mut Observed, name: &str) -> &'a mut SenderSeen {
    primary(observed).senders.get_mut(name).expect("it streams")
}

/// The steps on the names and the slots, and the labels of the holds.
fn planned(desired: &Desired, observed: &Observed) -> (Option<(String, bool)>, Option<String>, Vec<&'static str>) {
    let nodes = topology::nodes(desired, observed);
    let waits = plan(desired, &nodes, &node_name("primary-1"), observed);
    let (mut names, mut slots) = (None, None);
    for step in waits.relief.into_iter().chain(waits.steps) {
        match step {
            Step::SetStandbys { setting: StandbySetting::SynchronousNames, value, is_relief, .. } => {
                names = Some((value, is_relief));
            }
            Step::SetStandbys { value, .. } => slots = Some(value),
            other => panic!("{other}"),
        }
    }
    (names, slots, waits.holds.iter().map(|hold| hold.reason.label()).collect())
}

#[test]
fn who_has_caught_up_is_listed_and_a_standby_comes_first() {
    let names = |synchronous| planned_names(synchronous, "");
    assert_eq!(names(Synchronous::On), Some((BOTH.into(), false)));
    let any = r#"ANY 1 ("replica-1", "hypertide_replica_2")"#;
    assert_eq!(names(Synchronous::Quorum), Some((any.into(), false)));
    assert_eq!(names(Synchronous::Off), None);
    // What is there already is left, and what is not wanted any more, or somebody else's, goes.
    assert_eq!(planned_names(Synchronous::On, BOTH), None);
    assert_eq!(planned_names(Synchronous::Off, BOTH), Some((String::new(), true)));
    assert_eq!(planned_names(Synchronous::Off, "*"), Some((String::new(), true)));
    assert_eq!(planned_names(Synchronous::Quorum, BOTH), Some((any.into(), false)));
    // First who is not there, then who is new.
    let stranger = r#"FIRST 1 ("nobody", "replica-1")"#;
    assert_eq!(planned_names(Synchronous::On, stranger), Some((r#"FIRST 1 ("replica-1")"#.into(), true)));
}

fn planned_names(synchronous: Synchronous, now: &str) -> Option<(String, bool)> {
    let (desired, mut observed) = look(synchronous, WhenLost::Wait);
    primary(&mut observed).synchronous_names = now.into();
    planned(&desired, &observed).0
}

#[test]
fn nobody_is_waited_for_before_it_has_caught_up() {
    type Change = fn(&mut Observed);
    let far = |observed: &mut Observed| primary(observed).lsn = Lsn(CLOSE_BYTES + 101);
    let changes: [(&str, Change, Option<&str>); 5] = [
        ("far behind", far, None),
        (
            "not streaming",
            |it| sender(it, "replica-1").is_streaming = false,
            Some(r#"FIRST 1 ("hypertide_replica_2")"#),
        ),
        ("copying", |it| copy(it), Some(r#"FIRST 1 ("replica-1")"#)),
        ("flushes late", |it| subscription(it).flushes = false, Some(r#"FIRST 1 ("replica-1")"#)),
        (
            "its server is silent",
            |it| {
                it.nodes.get_mut(&node_name("replica-2")).expect("there").server = Seen::unknown("why");
            },
            Some(r#"FIRST 1 ("replica-1")"#),
        ),
    ];
    for (what, change, wanted) in changes {
        let (desired, mut observed) = look(Synchronous::On, WhenLost::Wait);
        change(&mut observed);
        let (names, _, holds) = planned(&desired, &observed);
        assert_eq!(names.map(|(value, _)| value).as_deref(), wanted, "{what}");
        assert_eq!(holds.contains(&"not_synchronous"), wanted.is_none(), "{what}: {holds:?}");
    }
}

fn subscription(observed: &mut Observed) -> &mut crate::model::observed::SubscriptionSeen {
    let seen = observed.nodes.get_mut(&node_name("replica-2")).expect("there");
    let database = present(&mut present(&mut seen.server).expect("it runs").database).expect("there");
    database.subscription.as_mut().expect("it subscribes")
}

fn copy(observed: &mut Observed) {
    for state in subscription(observed).tables.values_mut() {
        *state = 'd';
    }
}

#[test]
fn a_lost_replica_is_waited_for_or_not_as_it_was_asked_for() {
    type Loss = fn(&mut Observed);
    let losses: [(&str, Loss); 4] = [
        ("gone", |it| {
            primary(it).senders.clear();
        }),
        ("frozen", |it| {
            for seen in it.nodes.values_mut() {
                if let Seen::Present(ContainerSeen { state, .. }) = &mut seen.container {
                    *state = RunState::Paused;
                }
            }
        }),
        ("silent", |it| {
            primary(it).lsn = Lsn(200);
            for sender in primary(it).senders.values_mut() {
                sender.silent_millis = Some(SILENT_MILLIS);
            }
        }),
        ("catching up", |it| {
            for sender in primary(it).senders.values_mut() {
                sender.is_streaming = false;
            }
        }),
    ];
    for (what, lose) in losses {
        for when_lost in [WhenLost::Wait, WhenLost::Continue] {
            let (desired, mut observed) = look(Synchronous::On, when_lost);
            primary(&mut observed).synchronous_names = BOTH.into();
            assert_eq!(planned(&desired, &observed), (None, None, Vec::new()), "while all is well");
            lose(&mut observed);
            let (names, slots, holds) = planned(&desired, &observed);
            // Logical replicas never wait for a standby that is lost.
            assert_eq!(slots.as_deref(), Some(""), "{what}");
            assert!(holds.contains(&"not_awaited"), "{what}: {holds:?}");
            if when_lost == WhenLost::Continue {
                assert_eq!(names, Some((String::new(), true)), "{what}");
                primary(&mut observed).synchronous_names = String::new();
                let (names, _, holds) = planned(&desired, &observed);
                assert_eq!(names, None, "{what}");
                assert!(holds.contains(&"not_synchronous"), "{what}: {holds:?}");
            } else {
                assert_eq!(names, None, "{what}");
                assert!(holds.contains(&"commits_wait"), "{what}: {holds:?}");
            }
        }
    }
}

#[test]
fn while_one_of_them_is_left_commits_wait_for_that_and_nobody_is_told_otherwise() {
    let (desired, mut observed) = look(Synchronous::On, WhenLost::Wait);
    primary(&mut observed).synchronous_names = BOTH.into();
    primary(&mut observed).senders.remove("replica-1");
    let other = r#"FIRST 1 ("hypertide_replica_2")"#;
    let expected = (Some((other.into(), true)), Some(String::new()), vec!["not_awaited"]);
    assert_eq!(planned(&desired, &observed), expected);
    primary(&mut observed).synchronous_names = other.into();
    assert_eq!(planned(&desired, &observed), (None, Some(String::new()), vec!["not_awaited"]));
    // One that has nothing to say is not lost.
    let (desired, mut observed) = look(Synchronous::On, WhenLost::Continue);
    primary(&mut observed).synchronous_names = BOTH.into();
    sender(&mut observed, "replica-1").silent_millis = Some(60_000);
    assert_eq!(planned(&desired, &observed).0, None);
}

#[test]
fn what_came_with_a_copy_of_the_primary_is_taken_away_and_nobody_waits_on_one_that_recovers() {
    let (desired, mut observed) = look(Synchronous::On, WhenLost::Wait);
    primary(&mut observed).synchronous_names = BOTH.into();
    let standby = observed.nodes.get_mut(&node_name("replica-1")).expect("there");
    let standby = present(&mut standby.server).expect("it runs");
    standby.synchronous_names = BOTH.into();
    standby.synchronized_slots = "hypertide_replica_1".into();
    let nodes = topology::nodes(&desired, &observed);
    let waits = plan(&desired, &nodes, &node_name("primary-1"), &observed);
    let of_standby = |step: &&Step| matches!(step, Step::SetStandbys { node, value, .. } if node.as_str() == "replica-1" && value.is_empty());
    assert_eq!(waits.relief.iter().filter(of_standby).count(), 2);
    assert_eq!(waits.relief.len(), 2);
    primary(&mut observed).synchronous_names = String::new();
    primary(&mut observed).in_recovery = true;
    assert_eq!(plan(&desired, &nodes, &node_name("primary-1"), &observed).steps, Vec::new());
}

#[test]
fn a_replica_that_is_taken_away_leaves_the_others_listed() {
    let (_, mut observed) = look(Synchronous::On, WhenLost::Wait);
    primary(&mut observed).synchronous_names = BOTH.into();
    let values = |node: &str, observed: &Observed| -> Vec<String> {
        without(&node_name(node), &node_name("primary-1"), observed)
            .into_iter()
            .filter_map(|step| if let Step::SetStandbys { value, .. } = step { Some(value) } else { None })
            .collect()
    };
    assert_eq!(values("replica-1", &observed), [r#"FIRST 1 ("hypertide_replica_2")"#, ""]);
    assert_eq!(values("replica-2", &observed), [r#"FIRST 1 ("replica-1")"#]);
    primary(&mut observed).synchronous_names = r#"ANY 1 ("replica-1")"#.into();
    assert_eq!(values("replica-1", &observed), ["", ""]);
    assert_eq!(values("replica-3", &observed), Vec::<String>::new());
}

#[test]
fn only_what_is_settled_is_certain() {
    let (desired, mut observed) = look(Synchronous::On, WhenLost::Continue);
    let state = |observed: &Observed, name: &str| {
        let nodes = topology::nodes(&desired, observed);
        let node = nodes.iter().find(|node| node.name.as_str() == name).expect("there");
        certain::state(&desired, &nodes, &node_name("primary-1"), node, observed)
    };
    assert_eq!(state(&observed, "replica-1"), Seen::Present(SynchronousState::Async));
    primary(&mut observed).synchronous_names = BOTH.into();
    sender(&mut observed, "replica-1").synchronous = Some(SynchronousState::Sync);
    assert_eq!(state(&observed, "replica-1"), Seen::Present(SynchronousState::Sync));
    // About to be changed: the agent lifts it before the next look.
    let mut changing = observed.clone();
    primary(&mut changing).senders.remove("hypertide_replica_2");
    assert_eq!(state(&changing, "replica-1"), Seen::Present(SynchronousState::Potential));
    // Listed and not there: it may have what nobody else has.
    assert_eq!(state(&changing, "replica-2"), Seen::Present(SynchronousState::Potential));
    // A row that is not on its way yet.
    sender(&mut observed, "hypertide_replica_2").synchronous = Some(SynchronousState::Sync);
    assert_eq!(state(&observed, "replica-2"), Seen::Present(SynchronousState::Sync));
    copy(&mut observed);
    assert_eq!(state(&observed, "replica-2"), Seen::Present(SynchronousState::Potential));
    observed.nodes.get_mut(&node_name("primary-1")).expect("there").server = Seen::unknown("why");
    assert!(state(&observed, "replica-1").is_unknown());
}
