use std::time::Duration;

use chrono::DateTime;

use super::*;
use crate::model::cluster::Mode;
use crate::model::desired::{Prefer, Synchronous, WhenLost};
use crate::model::observed::{RunState, ServerSeen};
use crate::model::promotion::FailoverPause;
use crate::plan::failover::loss::{Loss, Lossless};
use crate::plan::failover::reason::{Calm, PromoteWhy, Waiting};
use crate::plan::simulate::{Cluster, Order, finished};

const SECOND: Duration = Duration::from_secs(1);

/// A primary with a standby, both well, looked at once.
fn watched() -> (Cluster, Watch, NodeName) {
    let cluster = finished(&[Mode::Physical], &[]);
    let primary = cluster.desired.preferred_primary().name.clone();
    let mut watch = Watch::default();
    let calm = watch.take(&cluster.desired, &cluster.observe(), SECOND);
    assert_eq!(calm, Decision::Stay { why: Calm::PrimaryAnswers });
    (cluster, watch, primary)
}

fn look(cluster: &Cluster, watch: &mut Watch, secs: u64) -> Decision {
    watch.take(&cluster.desired, &cluster.observe(), SECOND * u32::try_from(secs).expect("small"))
}

#[test]
fn a_primary_that_ends_is_restarted_at_once_and_replaced_when_that_does_not_help() {
    // However long each attempt takes.
    for pace in [1, 4, 20] {
        let (mut cluster, mut watch, primary) = watched();
        cluster.world.process_ends(&primary);
        for attempt in 1..4 {
            let decision = look(&cluster, &mut watch, attempt * pace);
            assert!(matches!(&decision, Decision::RestartInPlace { node, .. } if *node == primary), "{decision:?}");
            watch.restarted(SECOND * u32::try_from(attempt * pace).expect("small"));
        }
        // What it wrote last is worth reading before anybody takes its place.
        let decision = look(&cluster, &mut watch, 4 * pace);
        assert!(matches!(decision, Decision::Wait { why: Waiting::ReadingTail, .. }), "{pace}: {decision:?}");
        let standby = watch.candidate().expect("there is a standby");
        assert_ne!(standby, primary);
        cluster.desired.failover.max_loss_bytes = u64::MAX;
        let decision = look(&cluster, &mut watch, 100);
        assert!(
            matches!(&decision, Decision::Promote { node, why: PromoteWhy::RestartsFail(3), .. } if *node == standby),
            "{decision:?}"
        );
    }
}

#[test]
fn a_logical_replica_is_asked_to_prove_itself_once_until_the_primary_comes_back() {
    let cluster = &mut finished(&[Mode::Logical], &[]);
    let primary = cluster.desired.preferred_primary().name.clone();
    let watch = &mut Watch::default();
    // An agent that has seen the primary alive, and one that begins with a dead one.
    for second in [1, 100] {
        if second == 1 {
            look(cluster, watch, second);
        } else {
            *watch = Watch::default();
        }
        cluster.world.process_ends(&primary);
        for attempt in 1..4 {
            assert!(matches!(look(cluster, watch, second + attempt), Decision::RestartInPlace { .. }));
            watch.restarted(SECOND * u32::try_from(second + attempt).expect("small"));
        }
        let decision = look(cluster, watch, second + 4);
        let Decision::PromoteIfComplete { node, why: PromoteWhy::RestartsFail(3) } = decision else {
            panic!("{decision:?}")
        };
        watch.could_not_prove(node, "its log ends early".to_owned());
        let asked = look(cluster, watch, second + 5);
        assert!(matches!(asked, Decision::AskOperator { .. }), "{asked:?}");
        assert!(asked.to_string().contains("its log ends early"), "{asked}");
        // Restarts that are long ago are tried again, and what could not be proven is not.
        assert!(matches!(look(cluster, watch, second + 180), Decision::RestartInPlace { .. }));
    }
    cluster.converge(Order::LINEAR).expect("it can be started again");
    assert_eq!(look(cluster, watch, 300), Decision::Stay { why: Calm::PrimaryAnswers });
    look(cluster, watch, 303);
    cluster.world.process_ends(&primary);
    for second in 304..307 {
        look(cluster, watch, second);
        watch.restarted(SECOND * u32::try_from(second).expect("small"));
    }
    assert!(matches!(look(cluster, watch, 307), Decision::PromoteIfComplete { .. }));
}

#[test]
fn a_restart_that_lasted_counts_no_more() {
    let (mut cluster, mut watch, primary) = watched();
    for secs in [2, 3] {
        watch.restarted(SECOND * secs);
    }
    for secs in 3..20 {
        assert_eq!(look(&cluster, &mut watch, secs), Decision::Stay { why: Calm::PrimaryAnswers });
    }
    cluster.world.process_ends(&primary);
    watch.restarted(SECOND * 20);
    let decision = look(&cluster, &mut watch, 20);
    assert!(matches!(decision, Decision::RestartInPlace { .. }), "{decision:?}");
}

#[test]
fn patience_is_counted_from_when_it_began() {
    let (mut cluster, mut watch, primary) = watched();
    let freeze = |cluster: &mut Cluster, state| {
        cluster.world.containers.get_mut(&primary).expect("it is there").seen.state = state;
    };
    for began in [2, 40] {
        freeze(&mut cluster, RunState::Paused);
        for secs in began..began + 10 {
            let decision = look(&cluster, &mut watch, secs);
            assert!(matches!(decision, Decision::Wait { .. }), "{secs}: {decision:?}");
        }
        let decision = look(&cluster, &mut watch, began + 10);
        assert!(
            matches!(&decision, Decision::RestartInPlace { node, why: Condition::Frozen } if *node == primary),
            "{decision:?}"
        );
        freeze(&mut cluster, RunState::Running);
        assert_eq!(look(&cluster, &mut watch, began + 11), Decision::Stay { why: Calm::PrimaryAnswers });
    }
}

#[test]
fn one_that_is_detached_is_told_from_one_that_hangs() {
    let (mut cluster, mut watch, primary) = watched();
    cluster.world.containers.get_mut(&primary).expect("it is there").seen.is_attached = false;
    let mut observed = cluster.observe();
    let seen = observed.nodes.get_mut(&primary).expect("it is there");
    (seen.server, seen.probe) = (Seen::unknown("no route"), Seen::Present(crate::model::health::Probe::NoRoute));
    let decision = watch.take(&cluster.desired, &observed, SECOND * 2);
    assert!(matches!(decision, Decision::Wait { why: Waiting::Lasting(Condition::Detached), .. }), "{decision:?}");
    let decision = watch.take(&cluster.desired, &observed, SECOND * 12);
    assert!(matches!(decision, Decision::RestartInPlace { why: Condition::Detached, .. }), "{decision:?}");
    for seen in observed.nodes.values_mut() {
        if let Seen::Present(ServerSeen { database: Seen::Present(database), .. }) = &mut seen.server {
            database.failover_paused = Some(FailoverPause { since: DateTime::UNIX_EPOCH, until: None });
        }
    }
    let paused = watch.take(&cluster.desired, &observed, SECOND * 13);
    assert_eq!(paused, Decision::Stay { why: Calm::Paused });
}

#[test]
fn one_that_was_marked_for_a_change_that_did_not_come_about_is_the_primary_still() {
    let (mut cluster, mut watch, primary) = watched();
    let standby = cluster.desired.nodes[1].name.clone();
    cluster.world.data_mut(&primary).expect("it runs").yields_to = Some(standby);
    cluster.world.process_ends(&primary);
    let decision = look(&cluster, &mut watch, 2);
    assert!(matches!(&decision, Decision::RestartInPlace { node, .. } if *node == primary), "{decision:?}");
    // Nor for an agent that has only just begun.
    let decision = look(&cluster, &mut Watch::default(), 3);
    assert!(matches!(&decision, Decision::RestartInPlace { node, .. } if *node == primary), "{decision:?}");
}

/// A primary whose commits wait for its standby, watched from one second to another.
fn waited_for(when_lost: WhenLost, secs: std::ops::Range<u64>) -> (Cluster, Watch, NodeName) {
    let mut cluster = finished(&[Mode::Physical], &[]);
    cluster.desired.synchronous = Synchronous::On;
    cluster.desired.when_lost = when_lost;
    cluster.desired.failover.prefer = Prefer::Promote;
    cluster.converge(Order::LINEAR).expect("it converges");
    let mut watch = Watch::default();
    for second in secs {
        assert_eq!(look(&cluster, &mut watch, second), Decision::Stay { why: Calm::PrimaryAnswers });
    }
    let primary = cluster.desired.preferred_primary().name.clone();
    (cluster, watch, primary)
}

fn is_lossless(decision: &Decision) -> bool {
    matches!(decision, Decision::Promote { loss: Loss::Nothing(Lossless::Synchronous), .. })
}

/// What it lacks has to be read from the old primary's volume first.
fn is_doubtful(decision: &Decision) -> bool {
    matches!(decision, Decision::Wait { why: Waiting::ReadingTail, .. })
}

#[test]
fn a_standby_that_commits_have_waited_for_long_enough_takes_the_place_at_once() {
    for when_lost in [WhenLost::Wait, WhenLost::Continue] {
        let (mut cluster, mut watch, primary) = waited_for(when_lost, 1..40);
        cluster.world.process_ends(&primary);
        assert!(is_lossless(&look(&cluster, &mut watch, 40)));
        assert!(is_lossless(&look(&cluster, &mut watch, 41)), "what is remembered stays");
    }
    // Whether each process of the server knows already that commits are to wait is not certain yet.
    let (mut cluster, mut watch, primary) = waited_for(WhenLost::Wait, 1..20);
    cluster.world.process_ends(&primary);
    assert!(is_doubtful(&look(&cluster, &mut watch, 20)));
    // Nobody has watched.
    assert!(is_doubtful(&look(&cluster, &mut Watch::default(), 20)));
}

#[test]
fn a_standby_that_commits_may_have_gone_on_without_is_not_taken_for_whole() {
    type Change = fn(&mut Observed);
    let (cluster, watch, primary) = waited_for(WhenLost::Continue, 1..40);
    let changes: [Change; 3] = [
        |observed| server(observed).senders.clear(),
        |observed| server(observed).synchronous_names.clear(),
        // It has not said yet that it has all from before.
        |observed| {
            for sender in server(observed).senders.values_mut() {
                sender.flushed = Some(Lsn(1));
            }
        },
    ];
    for change in changes {
        let (mut cluster, mut watch) = (cluster.clone(), watch.clone());
        let mut observed = cluster.observe();
        change(&mut observed);
        watch.take(&cluster.desired, &observed, SECOND * 40);
        cluster.world.process_ends(&primary);
        let decision = look(&cluster, &mut watch, 41);
        assert!(is_doubtful(&decision), "{decision:?}");
    }
}

fn server(observed: &mut Observed) -> &mut ServerSeen {
    let seen = observed.nodes.get_mut(&crate::plan::simulate::world::node_name("primary-1")).expect("there");
    seen.server.present_mut().expect("it runs")
}
