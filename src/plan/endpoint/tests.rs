//! Where clients are led, in clusters that are well and in clusters that are not.

use super::*;
use crate::model::endpoint::Pooling;
use crate::plan::simulate::endpoint::{EndpointEvent, IMAGE, kind_of};
use crate::plan::simulate::world::node_name;
use crate::plan::simulate::{Cluster, Event, Order, finished};

/// A primary, a subscriber and a standby, with endpoints.
fn whole() -> Cluster {
    let mut cluster = finished(&[Mode::Logical, Mode::Physical], &["trading"]);
    cluster.desired.endpoint = kind_of(3);
    assert_eq!(cluster.converge(Order::LINEAR), Ok(Vec::new()));
    cluster
}

fn steps(cluster: &Cluster) -> Vec<String> {
    let plan = cluster.plan();
    plan.steps().filter(|step| matches!(step, Step::Endpoint { .. })).map(ToString::to_string).collect()
}

fn targets(cluster: &Cluster, observed: &Observed, now: &[&str]) -> Vec<Option<Vec<String>>> {
    let nodes = topology::nodes(&cluster.desired, observed);
    let now = now.iter().map(|node| cluster.desired.cluster.container(&node_name(node))).collect();
    let target = |access| target(access, &cluster.desired, &nodes, &node_name("primary-1"), observed, &now);
    Access::ALL.map(|access| target(access).map(|to| to.iter().map(ToString::to_string).collect())).into()
}

fn named(nodes: &[&str]) -> Vec<String> {
    nodes.iter().map(|&node| node.to_owned()).collect()
}

#[test]
fn writes_go_to_the_primary_and_reads_to_every_replica_in_turn() {
    let cluster = whole();
    assert_eq!(
        targets(&cluster, &cluster.observe(), &[]),
        [Some(named(&["primary-1"])), Some(named(&["replica-1", "replica-2"]))]
    );
    assert!(cluster.plan().is_empty());
}

#[test]
fn reads_leave_a_replica_that_died_or_does_not_follow_and_the_last_one_for_the_primary() {
    let mut cluster = whole();
    Event::Kill(1).happen(&mut cluster);
    assert!(steps(&cluster).contains(&"lead the read-only endpoint to replica-2".to_owned()));
    Event::Kill(2).happen(&mut cluster);
    assert_eq!(steps(&cluster), ["lead the read-only endpoint to primary-1"]);
    let mut cluster = whole();
    Event::DisableSubscription(0).happen(&mut cluster);
    assert_eq!(steps(&cluster), ["lead the read-only endpoint to replica-2"]);
}

#[test]
fn while_the_primary_is_down_writes_stay_where_they_are_and_reads_with_whoever_answers() {
    let mut cluster = whole();
    Event::Kill(0).happen(&mut cluster);
    let observed = cluster.observe();
    assert_eq!(targets(&cluster, &observed, &[]), [None, Some(named(&["replica-1", "replica-2"]))]);
    assert_eq!(steps(&cluster), Vec::<String>::new());
}

#[test]
fn nobody_is_led_anywhere_on_a_guess() {
    let cluster = whole();
    let mut observed = cluster.observe();
    let mut blind = |node: &str| {
        observed.nodes.get_mut(&node_name(node)).expect("it is there").server = Seen::unknown("a test");
        observed.clone()
    };
    let unseen = blind("replica-1");
    assert_eq!(targets(&cluster, &unseen, &[])[1], Some(named(&["replica-2"])), "it gets no part");
    let both = ["replica-1", "replica-2"];
    assert_eq!(targets(&cluster, &unseen, &both)[1], Some(named(&both)), "it keeps the one it has");
    assert_eq!(targets(&cluster, &blind("primary-1"), &both), [None, None]);
}

#[test]
fn an_endpoint_is_made_again_when_another_is_wanted_and_removed_when_none_is() {
    let mut cluster = whole();
    cluster.desired.endpoint = kind_of(1);
    assert_eq!(
        steps(&cluster)[..3],
        [
            "remove the read-write endpoint",
            "create the read-write endpoint (port 5432, session pooling)",
            "start the read-write endpoint, leading to primary-1"
        ]
    );
    cluster.desired.endpoint = Endpoint::Direct;
    assert_eq!(steps(&cluster), ["remove the read-write endpoint", "remove the read-only endpoint"]);
}

#[test]
fn another_certificate_is_another_endpoint_and_one_that_cannot_be_read_removes_none() {
    let mut cluster = whole();
    let anew = [
        "remove the read-write endpoint",
        "create the read-write endpoint (port 5432, transaction pooling)",
        "start the read-write endpoint, leading to primary-1",
    ];
    for certificate in ["one", "two"] {
        cluster.world.endpoint_certificate = Seen::Present(certificate.into());
        assert_eq!(steps(&cluster)[..3], anew);
        assert_eq!(cluster.converge(Order::LINEAR), Ok(Vec::new()));
    }
    cluster.world.endpoint_certificate = Seen::unknown("a test");
    assert_eq!(steps(&cluster), Vec::<String>::new());
    let told = Hold::new("test-endpoint-rw", Reason::NoCertificate("a test".into()));
    assert!(cluster.plan().holds.contains(&told));
    // It is led where it belongs, and started when it dies.
    Event::Kill(1).happen(&mut cluster);
    assert!(steps(&cluster).contains(&"lead the read-only endpoint to replica-2".to_owned()));
    EndpointEvent::Kill(Access::ReadWrite).happen(&mut cluster);
    assert!(steps(&cluster).contains(&"start the read-write endpoint, leading to primary-1".to_owned()));
    EndpointEvent::Remove(Access::ReadWrite).happen(&mut cluster);
    assert!(!steps(&cluster).iter().any(|step| step.contains("read-write")), "none is made without");
}

#[test]
fn one_that_died_is_started_also_without_a_primary() {
    let mut cluster = whole();
    for access in Access::ALL {
        EndpointEvent::Kill(access).happen(&mut cluster);
    }
    assert_eq!(
        steps(&cluster),
        [
            "start the read-write endpoint, leading to primary-1",
            "start the read-only endpoint, leading to replica-1, replica-2"
        ]
    );
    Event::Pause(0).happen(&mut cluster);
    assert_eq!(steps(&cluster)[0], "start the read-write endpoint, leading where it did");
}

#[test]
fn a_first_run_makes_them_and_the_next_pass_leads_them() {
    let mut cluster = crate::plan::simulate::generate::cluster(&[Mode::Physical], Vec::new());
    cluster.desired.endpoint = kind_of(3);
    assert_eq!(
        steps(&cluster),
        [
            "create the read-write endpoint (port 5432, transaction pooling)",
            "create the read-only endpoint (port 5433, transaction pooling)"
        ]
    );
    assert!(cluster.plan().holds.is_empty());
}

#[test]
fn one_that_cannot_be_asked_or_holds_its_clients_is_named() {
    let cluster = whole();
    let mut observed = cluster.observe();
    let seen = observed.endpoints.get_mut(&Access::ReadWrite).expect("looked for");
    seen.pooler.present_mut().expect("asked").is_paused = true;
    let seen = observed.endpoints.get_mut(&Access::ReadOnly).expect("looked for");
    seen.pooler = Seen::unknown("a test");
    let plan = cluster.plan_of(&observed);
    assert!(plan.stages.is_empty());
    let holds = [
        Hold::new("test-endpoint-rw", Reason::EndpointPaused),
        Hold::new("test-endpoint-ro", Reason::Unknown("a test".into())),
    ];
    assert_eq!(plan.holds, holds);
}

#[test]
fn every_part_of_a_specification_counts_in_its_digest() {
    let mut desired = whole().desired;
    let spec = |desired: &Desired| spec(desired, Access::ReadWrite, IMAGE, None).expect("wanted");
    let first = spec(&desired);
    desired.settings[0] =
        crate::model::desired::Setting { name: "max_connections".into(), ..desired.settings[0].clone() };
    desired.settings[0].value = "200".into();
    assert_eq!((first.connections, spec(&desired).connections), (40, 80));
    let others = [
        EndpointSpec { port: 1, ..first.clone() },
        EndpointSpec { access: Access::ReadOnly, ..first.clone() },
        EndpointSpec { pooling: Pooling::Session, ..first.clone() },
        EndpointSpec { connections: 80, ..first.clone() },
        EndpointSpec { image: "another".into(), ..first.clone() },
        EndpointSpec { certificate: Some("digest".into()), ..first.clone() },
        EndpointSpec { bind: std::net::Ipv4Addr::UNSPECIFIED.into(), ..first.clone() },
    ];
    for other in others {
        assert_ne!(other.digest(), first.digest(), "{other:?}");
    }
}
