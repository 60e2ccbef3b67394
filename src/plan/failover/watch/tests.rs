use std::time::Duration;

use chrono::DateTime;

use super::*;
use crate::model::cluster::Mode;
use crate::model::observed::{RunState, ServerSeen};
use crate::model::promotion::FailoverPause;
use crate::plan::failover::reason::{Calm, PromoteWhy, Waiting};
use crate::plan::simulate::{Cluster, finished};

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
