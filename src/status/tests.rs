//! What status says of healthy and of broken clusters.

use super::*;
use crate::model::lsn::Lsn;
use crate::model::observed::{SenderSeen, Verified};
use crate::model::promotion::FailoverPause;
use crate::plan::simulate::world::node_name;
use crate::plan::simulate::{Cluster, Event, finished};

/// A primary, a subscriber and a standby, with a chunk each.
pub fn healthy() -> Cluster {
    let mut cluster = finished(&[Mode::Logical, Mode::Physical], &["trading"]);
    Event::CreateChunk(0).happen(&mut cluster);
    cluster.converge(crate::plan::simulate::Order::LINEAR).expect("it converges");
    cluster
}

/// A switchover that is on record.
pub fn past_promotion(epoch: u64) -> PastPromotion {
    PastPromotion {
        epoch,
        at: "2026-11-21T09:18:16Z".parse().expect("a time"),
        kind: "switchover".into(),
        from: "primary-1".into(),
        to: "replica-1".into(),
        by: "operator".into(),
        why: "asked for".into(),
        write_pause: std::time::Duration::from_millis(48),
        phases: Vec::new(),
        loss: "nothing".into(),
        lost_bytes: Some(0),
        lost_transactions: Some(0),
    }
}

/// What the primary says of its database, to be changed.
fn primary_database(observed: &mut Observed) -> &mut DatabaseSeen {
    let primary = observed.nodes.get_mut(&node_name("primary-1")).and_then(|node| node.server.present_mut());
    primary.and_then(|server| server.database.present_mut()).expect("it runs")
}

fn status_of(cluster: &Cluster, observed: &Observed) -> Status {
    Status::new(&cluster.desired, observed, cluster.plan_of(observed))
}

pub fn status(cluster: &Cluster) -> Status {
    status_of(cluster, &cluster.observe())
}

/// Health, then each node's role and state.
fn summary(status: &Status) -> String {
    let nodes = status.nodes.iter().map(|node| format!("{} {}", node.role, node.state));
    std::iter::once(status.health.to_string()).chain(nodes).collect::<Vec<_>>().join(", ")
}

fn chunks(status: &Status, node: usize) -> Option<Completeness> {
    status.nodes[node].replication.as_ref().and_then(|replication| replication.chunks)
}

#[test]
fn a_healthy_cluster_in_json() {
    insta::assert_json_snapshot!(status(&healthy()));
}

#[test]
fn health_and_roles_follow_what_is_seen() {
    type Happening = fn(&mut Cluster);
    let table: [(&str, Happening, &str); 8] = [
        ("nothing is wrong", |_| {}, "healthy, primary running, subscriber running, standby running"),
        (
            "the primary died",
            |it| Event::Kill(0).happen(it),
            "down, unknown exited, subscriber running, standby running",
        ),
        (
            "the subscriber died",
            |it| Event::Kill(1).happen(it),
            "degraded, primary running, unknown exited, standby running",
        ),
        (
            "the standby is gone",
            |it| Event::LoseReplica(1).happen(it),
            "degraded, primary running, subscriber running, unknown absent",
        ),
        (
            "a hand froze it",
            |it| Event::Pause(2).happen(it),
            "degraded, primary running, subscriber running, unknown paused",
        ),
        (
            "the standby was promoted",
            |it| Event::Promote(1, 1).happen(it),
            "down, unknown running, subscriber running, unknown running",
        ),
        (
            "something is still to be done",
            |it| Event::ChangeSetting(9).happen(it),
            "degraded, primary running, subscriber running, standby running",
        ),
        (
            "a chunk is not mirrored yet",
            |it| Event::CreateChunk(0).happen(it),
            "degraded, primary running, subscriber running, standby running",
        ),
    ];
    for (case, happen, expected) in table {
        let mut cluster = healthy();
        happen(&mut cluster);
        let status = status(&cluster);
        assert_eq!(summary(&status), expected, "{case}");
        let says_why = !status.pending.is_empty() || !status.holds.is_empty();
        assert_eq!(says_why, status.health != Health::Healthy, "{case}");
    }
}

#[test]
fn nothing_is_there_yet() {
    let mut cluster = healthy();
    cluster.world = crate::plan::simulate::world::World::empty();
    let status = status(&cluster);
    assert_eq!(summary(&status), "down, unknown absent, unknown absent, unknown absent");
    assert_eq!((status.primary, status.epoch, status.endpoint), (None, None, Endpoint::default()));
}

#[test]
fn reads_go_to_a_replica_that_answers_else_to_the_primary() {
    let mut cluster = healthy();
    let endpoint = |cluster: &Cluster| status(cluster).endpoint;
    let address = |port: u16| Some(format!("127.0.0.1:{port}"));
    assert_eq!(endpoint(&cluster), Endpoint { read_write: address(5434), read_only: address(5435) });
    Event::Kill(1).happen(&mut cluster);
    assert_eq!(endpoint(&cluster).read_only, address(5436));
    Event::Kill(2).happen(&mut cluster);
    assert_eq!(endpoint(&cluster).read_only, address(5434));
    Event::Kill(0).happen(&mut cluster);
    assert_eq!(endpoint(&cluster), Endpoint::default());
}

#[test]
fn a_subscriber_counts_the_chunks_it_lacks() {
    let mut cluster = healthy();
    // One that was written to, and those made ahead.
    let complete = Completeness { published: 7, ..Completeness::default() };
    assert_eq!(chunks(&status(&cluster), 1), Some(complete));
    assert_eq!(chunks(&status(&cluster), 2), None, "a standby has them by construction");
    Event::CreateChunk(0).happen(&mut cluster);
    assert_eq!(chunks(&status(&cluster), 1), Some(Completeness { published: 8, unsubscribed: 1, ..complete }));
    let plan = cluster.plan();
    cluster.run(&plan, crate::plan::simulate::Order::LINEAR, None, false).expect("a pass");
    assert_eq!(chunks(&status(&cluster), 1), Some(Completeness { published: 8, not_ready: 1, ..complete }));
    Event::Kill(0).happen(&mut cluster);
    assert_eq!(chunks(&status(&cluster), 1), None, "nobody can tell without the primary");
}

#[test]
fn a_replica_that_differs_is_held_until_it_compares_equal() {
    let cluster = healthy();
    let mut observed = cluster.observe();
    let verification = |observed: &Observed| {
        let nodes = status_of(&cluster, observed).nodes;
        nodes.into_iter().map(|node| node.replication.and_then(|it| it.verification)).collect::<Vec<_>>()
    };
    assert_eq!(verification(&observed), [None, Some(Verification::default()), None], "it was never compared");

    let database = primary_database(&mut observed);
    let differing = vec![crate::plan::simulate::world::table("trading.a")];
    let verified = Verified {
        finished_at: Some("2026-11-21T09:18:16Z".into()),
        compared: 7,
        mismatches: 1,
        differing: differing.clone(),
        ..Verified::default()
    };
    database.verified.insert(node_name("replica-1"), verified);
    let status = status_of(&cluster, &observed);
    assert_eq!(status.health, Health::Degraded);
    assert_eq!(status.holds, [Hold::new("replica-1", Reason::Differs(differing.clone(), 1))]);
    let last_compare = Some("2026-11-21T09:18:16Z".into());
    let expected = Verification { last_compare, last_compare_secs: None, compared: 7, mismatches: 1, differing };
    assert_eq!(verification(&observed)[1], Some(expected));

    primary_database(&mut observed)
        .verified
        .values_mut()
        .for_each(|verified| *verified = Verified { compared: 7, ..Verified::default() });
    assert_eq!(status_of(&cluster, &observed).health, Health::Healthy);
}

#[test]
fn lag_is_told_in_bytes_and_seconds_as_far_as_it_is_known() {
    let cluster = healthy();
    let mut observed = cluster.observe();
    let lags = |observed: &Observed| {
        let status = status_of(&cluster, observed);
        let lag = |node: &NodeStatus| {
            let replication = node.replication.as_ref()?;
            Some((replication.lag_bytes, replication.lag_seconds))
        };
        status.nodes.iter().map(lag).collect::<Vec<_>>()
    };
    assert_eq!(lags(&observed), [None, Some((Some(0), Some(0.0))), Some((Some(0), Some(0.0)))]);

    let primary = observed.nodes.get_mut(&node_name("primary-1")).and_then(|node| node.server.present_mut());
    let primary = primary.expect("it runs");
    primary.lsn = Lsn(350);
    for sender in primary.senders.values_mut() {
        *sender = SenderSeen { replayed: Some(Lsn(200)), ..SenderSeen::default() };
    }
    let database = primary.database.present_mut().expect("it is there");
    database.behind_millis =
        [("replica-1", 1500), ("replica-2", 2500)].map(|(name, lag)| (node_name(name).slot(), lag)).into();
    // The slot says 100 and the sender 200; a standby's own position is what it has replayed.
    assert_eq!(lags(&observed), [None, Some((Some(150), Some(1.5))), Some((Some(250), Some(2.5)))]);

    let primary = observed.nodes.get_mut(&node_name("primary-1")).and_then(|node| node.server.present_mut());
    let primary = primary.expect("it runs");
    primary.senders.clear();
    primary.slots.clear();
    primary.database.present_mut().expect("it is there").behind_millis.clear();
    assert_eq!(lags(&observed), [None, Some((None, None)), Some((Some(250), None))]);
}

#[test]
fn errors_and_slots_are_told_where_they_are_known() {
    let cluster = healthy();
    let mut observed = cluster.observe();
    let told = |observed: &Observed, node: usize| {
        let replication = status_of(&cluster, observed).nodes[node].replication.clone().expect("a replica");
        (replication.apply_errors, replication.sync_errors, replication.slot)
    };
    let slot = SlotStatus { retained_bytes: 0, wal_status: Some(WalStatus::Reserved), active: true };
    assert_eq!(told(&observed, 1), (Some(0), Some(0), Some(slot)));
    assert_eq!(told(&observed, 2), (None, None, Some(slot)), "a standby applies no changes one by one");

    let server = |observed: &mut Observed, name: &str, change: &dyn Fn(&mut ServerSeen)| {
        let node = observed.nodes.get_mut(&node_name(name));
        change(node.and_then(|node| node.server.present_mut()).expect("it runs"));
    };
    server(&mut observed, "replica-1", &|server| {
        let database = server.database.present_mut().expect("it has one");
        let subscription = database.subscription.as_mut().expect("it subscribes");
        (subscription.apply_errors, subscription.sync_errors) = (3, 4);
    });
    server(&mut observed, "primary-1", &|server| {
        let slot = server.slots.get_mut(&node_name("replica-1").slot()).expect("there is one");
        (slot.retained_bytes, slot.wal_status, slot.active) = (5_000, Some(WalStatus::Extended), false);
    });
    let slot = SlotStatus { retained_bytes: 5_000, wal_status: Some(WalStatus::Extended), active: false };
    assert_eq!(told(&observed, 1), (Some(3), Some(4), Some(slot)));

    observed.nodes.get_mut(&node_name("primary-1")).expect("there is one").server = Seen::unknown("no answer");
    assert_eq!(told(&observed, 1), (Some(3), Some(4), None));
    observed.nodes.get_mut(&node_name("replica-1")).expect("there is one").server = Seen::unknown("no answer");
    assert_eq!(told(&observed, 1), (None, None, None));
}

#[test]
fn the_primary_tells_how_it_came_to_be_that() {
    let cluster = healthy();
    let mut observed = cluster.observe();
    assert_eq!(status_of(&cluster, &observed).promotions, []);
    let history = vec![past_promotion(3), past_promotion(2)];
    primary_database(&mut observed).promotions.clone_from(&history);
    let status = status_of(&cluster, &observed);
    assert_eq!((status.health, status.promotions), (Health::Healthy, history));
    observed.nodes.get_mut(&node_name("primary-1")).expect("there is one").server = Seen::unknown("no answer");
    assert_eq!(status_of(&cluster, &observed).promotions, []);
}

#[test]
fn a_pause_is_told_and_makes_nobody_unwell() {
    let mut cluster = healthy();
    let pause = FailoverPause { since: chrono::DateTime::UNIX_EPOCH, until: None };
    let paused = |cluster: &Cluster| {
        let mut observed = cluster.observe();
        let servers = observed.nodes.values_mut().filter_map(|node| node.server.present_mut());
        for database in servers.filter_map(|server| server.database.present_mut()) {
            database.failover_paused = Some(pause);
        }
        let plan = crate::plan::remit::agent(cluster.plan_of(&observed));
        Status::new(&cluster.desired, &observed, plan)
    };
    let status = paused(&cluster);
    assert_eq!((status.health, status.failover.paused, status.holds), (Health::Healthy, Some(pause), vec![]));
    // The standby remembers it.
    Event::Kill(0).happen(&mut cluster);
    let status = paused(&cluster);
    assert_eq!((status.health, status.failover.paused), (Health::Down, Some(pause)));
    assert!(status.holds.contains(&Hold::new("primary-1", Reason::FailoverPaused)), "{:?}", status.holds);
}

#[test]
fn an_agent_that_does_not_run_is_told() {
    let mut cluster = healthy();
    assert_eq!(status(&cluster).agent, "absent");
    cluster.agent = Some("agent-0".into());
    cluster.converge(crate::plan::simulate::Order::LINEAR).expect("it converges");
    assert_eq!((status(&cluster).agent, status(&cluster).health), ("running", Health::Healthy));
    Event::KillAgent.happen(&mut cluster);
    let status = status(&cluster);
    assert_eq!((status.agent, status.health), ("exited", Health::Degraded));
    assert!(status.holds.iter().any(|hold| hold.what == "test-agent"));
}
