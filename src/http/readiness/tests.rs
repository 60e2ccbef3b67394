//! Who is given traffic, over what can happen to a cluster of a primary, a subscriber and a standby.

use std::time::{Duration, SystemTime};

use super::*;
use crate::plan::simulate::{Cluster, Event, Order};
use crate::status::latest::{FRESH_FOR, Look, TURNS_WITHIN};
use crate::status::tests::{healthy, status};

fn latest(cluster: &Cluster, now: Instant) -> Latest {
    let mut latest = Latest::new(now);
    latest.saw(Look { status: status(cluster), began: now, at: SystemTime::now() });
    latest
}

/// `primary` and `replica` in a line each.
fn told(cluster: &Cluster) -> [String; 2] {
    let now = Instant::now();
    let latest = latest(cluster, now);
    [primary(&latest, now, None), replica(&latest, now, None)].map(|verdict| match verdict {
        Verdict::Yes(text) => format!("yes: {}", text.replace('\n', ", ")),
        Verdict::No(text) => format!("no: {}", text.replace('\n', "; ")),
        Verdict::NoSuchNode(text) => text,
    })
}

#[test]
fn traffic_goes_where_it_can_be_served() {
    type Happening = fn(&mut Cluster);
    let table: [(&str, Happening, [&str; 2]); 7] = [
        ("nothing is wrong", |_| {}, ["yes: primary-1", "yes: replica-1, replica-2"]),
        (
            "the primary died: a standby has every chunk by construction, a subscriber cannot prove it",
            |it| Event::Kill(0).happen(it),
            ["no: no node takes writes", "yes: replica-2"],
        ),
        ("the subscriber died", |it| Event::Kill(1).happen(it), ["yes: primary-1", "yes: replica-2"]),
        ("the standby is gone", |it| Event::LoseReplica(1).happen(it), ["yes: primary-1", "yes: replica-1"]),
        ("a chunk is not there yet", |it| Event::CreateChunk(0).happen(it), ["yes: primary-1", "yes: replica-2"]),
        (
            "a chunk is being copied",
            |it| {
                Event::CreateChunk(0).happen(it);
                let plan = it.plan();
                it.run(&plan, Order::LINEAR, None, false).expect("a pass");
            },
            ["yes: primary-1", "yes: replica-2"],
        ),
        (
            "the subscription is disabled, and the standby is frozen",
            |it| {
                Event::DisableSubscription(0).happen(it);
                Event::Pause(2).happen(it);
            },
            [
                "yes: primary-1",
                "no: replica-1: the subscription is disabled; replica-2: its role is unknown, its container paused",
            ],
        ),
    ];
    for (case, happen, expected) in table {
        let mut cluster = healthy();
        happen(&mut cluster);
        assert_eq!(told(&cluster), expected, "{case}");
    }
}

#[test]
fn one_node_can_be_asked_about() {
    let now = Instant::now();
    let latest = latest(&healthy(), now);
    let yes = |name: &str| Verdict::Yes(name.into());
    assert_eq!(primary(&latest, now, Some("primary-1")), yes("primary-1"));
    assert_eq!(primary(&latest, now, Some("replica-1")), Verdict::No("the primary is primary-1".into()));
    assert_eq!(replica(&latest, now, Some("replica-2")), yes("replica-2"));
    assert_eq!(replica(&latest, now, Some("primary-1")), Verdict::No("primary-1: it is the primary".into()));
    let nobody = Verdict::NoSuchNode("there is no node `no\\nbody`".into());
    assert_eq!(primary(&latest, now, Some("no\nbody")), nobody);
    assert_eq!(replica(&latest, now, Some("no\nbody")), nobody);
}

#[test]
fn probes_follow_the_loop_and_the_look() {
    let now = Instant::now();
    let mut latest = latest(&healthy(), now);
    let second = Duration::from_secs(1);
    let is_yes = |verdict: Verdict| matches!(verdict, Verdict::Yes(_));
    assert!(is_yes(alive(&latest, now + TURNS_WITHIN)) && !is_yes(alive(&latest, now + TURNS_WITHIN + second)));
    assert!(is_yes(ready(&latest, now + FRESH_FOR)));
    assert_eq!(ready(&latest, now + FRESH_FOR + second), Verdict::No("the last look is 11 s old".into()));
    // One look that fails makes the agent unready at once, and takes no traffic from the cluster yet.
    latest.missed("no engine".into());
    assert_eq!(ready(&latest, now), Verdict::No("the last look failed: no engine".into()));
    assert!(is_yes(primary(&latest, now, None)));
    let late = primary(&latest, now + FRESH_FOR + second, None);
    assert_eq!(late, Verdict::No("the last look is 11 s old: no engine".into()));
}
