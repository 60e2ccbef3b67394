//! Who is who, in plain cases.

use super::*;
use crate::model::cluster::Mode;
use crate::model::observed::{DatabaseSeen, VolumeSeen};
use crate::plan::simulate::world::node_name;

const LOGICAL: Seat = Seat::Replica(Mode::Logical);

fn wanted(name: &str, seat: Seat) -> DesiredNode {
    DesiredNode { name: node_name(name), seat, port: 5434, priority: DesiredNode::PRIORITY }
}

fn volume(ours: bool, seat: Seat) -> NodeSeen {
    let volume = VolumeSeen { ours, seat: Some(seat), port: Some(6000), postgres_major: None, timescaledb: None };
    NodeSeen { volume: Seen::Present(volume), ..NodeSeen::default() }
}

/// A node whose database says that it is the primary, at this epoch.
fn writer(epoch: u64) -> NodeSeen {
    says(Seat::Primary, epoch, false)
}

fn says(seat: Seat, epoch: u64, in_recovery: bool) -> NodeSeen {
    let row = SeatRow::new("a", seat, epoch);
    let database = DatabaseSeen { seat: Some(row), ..DatabaseSeen::default() };
    let server = ServerSeen { in_recovery, database: Seen::Present(database), ..ServerSeen::default() };
    NodeSeen { server: Seen::Present(server), ..volume(true, seat) }
}

fn unseen(mut node: NodeSeen) -> NodeSeen {
    node.volume = Seen::unknown("a test");
    node
}

fn look(nodes: &[(&str, NodeSeen)]) -> Observed {
    let nodes = nodes.iter().map(|(name, seen)| (node_name(name), seen.clone())).collect();
    Observed { nodes, ..Observed::default() }
}

/// The primary of a cluster configured as `p` with the replica `r`.
fn chosen(seen: &[(&str, NodeSeen)]) -> String {
    let observed = look(seen);
    let mut nodes = vec![wanted("p", Seat::Primary), wanted("r", LOGICAL)];
    for (name, node) in seen.iter().filter(|(name, _)| !["p", "r"].contains(name)) {
        let seat = node.volume.present().and_then(|volume| volume.seat).expect("remembered");
        nodes.push(wanted(name, seat));
    }
    match primary(&nodes, &observed) {
        Ok(name) => name.to_string(),
        Err(hold) => format!("{} {}", hold.what, hold.reason.label()),
    }
}

#[test]
fn the_primary_is_observed_before_it_is_configured() {
    let absent = NodeSeen::default;
    let table = [
        ("nothing is there", vec![], "p"),
        ("the configured one writes", vec![("p", writer(1)), ("r", says(LOGICAL, 1, false))], "p"),
        ("the other one writes", vec![("p", absent()), ("r", writer(1))], "r"),
        ("both write, one later", vec![("p", writer(1)), ("r", writer(2))], "r"),
        ("both write", vec![("p", writer(2)), ("r", writer(2))], "r two_primaries"),
        ("a standby shows its primary's row", vec![("p", writer(1)), ("r", says(Seat::Primary, 1, true))], "p"),
        ("all are stopped", vec![("p", volume(true, Seat::Primary)), ("r", volume(true, LOGICAL))], "p"),
        ("it was renamed and is stopped", vec![("old", volume(true, Seat::Primary))], "old"),
        ("it was renamed and writes", vec![("old", writer(1)), ("r", volume(true, LOGICAL))], "old"),
        (
            "two were provisioned and are stopped",
            vec![("old", volume(true, Seat::Primary)), ("p", volume(true, Seat::Primary))],
            "p two_primaries",
        ),
        ("only the replica's data is there", vec![("r", volume(true, LOGICAL))], "p primary_data_gone"),
        ("only an added replica's data is there", vec![("x", volume(true, LOGICAL))], "p primary_data_gone"),
        ("somebody else's volume is there", vec![("r", volume(false, LOGICAL))], "p"),
        ("the replica's volume cannot be seen", vec![("r", unseen(absent()))], "r unknown"),
        ("its own volume cannot be seen", vec![("p", unseen(absent())), ("r", volume(true, LOGICAL))], "p"),
        ("its own volume is somebody else's", vec![("p", volume(false, LOGICAL)), ("r", volume(true, LOGICAL))], "p"),
    ];
    for (case, seen, expected) in table {
        assert_eq!(chosen(&seen), expected, "{case}");
    }
}

#[test]
fn volumes_remember_nodes_that_are_not_configured() {
    let cluster = crate::plan::simulate::finished(&[Mode::Logical], &[]);
    let anonymous = VolumeSeen { ours: true, seat: None, port: None, postgres_major: None, timescaledb: None };
    let anonymous = NodeSeen { volume: Seen::Present(anonymous), ..NodeSeen::default() };
    let seen = [
        ("added", volume(true, LOGICAL)),
        ("anonymous", anonymous),
        ("foreign", volume(false, LOGICAL)),
        ("replica-1", volume(true, Seat::Primary)),
    ];
    let nodes = nodes(&cluster.desired, &look(&seen));
    let mut expected = cluster.desired.nodes.clone();
    expected.push(DesiredNode { port: 6000, ..wanted("added", LOGICAL) });
    assert_eq!(nodes, expected, "the configuration first, and it decides");
}

#[test]
fn a_role_is_what_a_server_shows() {
    let subscriber = {
        let mut seen = says(LOGICAL, 1, false);
        let database = seen.server.present_mut().and_then(|server| server.database.present_mut()).expect("made so");
        database.subscription = Some(crate::model::observed::SubscriptionSeen::default());
        seen
    };
    let table = [
        (writer(1), true, Role::Primary),
        (writer(1), false, Role::Unknown),
        (says(LOGICAL, 1, false), true, Role::Unknown),
        (says(LOGICAL, 1, false), false, Role::Unknown),
        (subscriber, false, Role::Subscriber),
        (says(Seat::Primary, 1, true), false, Role::Standby),
        (says(Seat::Primary, 1, true), true, Role::Standby),
        (volume(true, Seat::Primary), true, Role::Unknown),
        (NodeSeen { server: Seen::unknown("a test"), ..writer(1) }, true, Role::Unknown),
    ];
    for (row, (seen, is_primary, expected)) in table.into_iter().enumerate() {
        assert_eq!(role(&seen, is_primary), expected, "row {row}");
    }
}

#[test]
fn failover_is_paused_as_the_primary_says_else_as_the_standby_says_that_knows_most() {
    let pause = FailoverPause { since: chrono::DateTime::UNIX_EPOCH, until: None };
    let node = |in_recovery, lsn, failover_paused| {
        let database = DatabaseSeen { failover_paused, ..DatabaseSeen::default() };
        let lsn = crate::model::lsn::Lsn(lsn);
        let server = ServerSeen { in_recovery, lsn, database: Seen::Present(database), ..ServerSeen::default() };
        NodeSeen { server: Seen::Present(server), ..NodeSeen::default() }
    };
    let paused = Some(pause);
    let mut mute = node(false, 9, None);
    mute.server.present_mut().expect("it answers").database = Seen::unknown("a test");
    let table = [
        ("nobody answers", vec![], None),
        ("the primary says so", vec![("p", node(false, 9, paused))], paused),
        ("a standby has not heard of the end", vec![("p", node(false, 9, None)), ("r", node(true, 8, paused))], None),
        ("its database cannot be read", vec![("p", mute), ("r", node(true, 8, paused))], paused),
        ("only a standby answers", vec![("r", node(true, 8, paused))], paused),
        ("one has more of the log", vec![("r", node(true, 8, paused)), ("s", node(true, 9, None))], None),
        ("the other has", vec![("r", node(true, 8, None)), ("s", node(true, 9, paused))], paused),
        ("a subscriber is asked nothing", vec![("r", node(false, 8, paused))], None),
    ];
    for (case, seen, expected) in table {
        assert_eq!(failover_pause(&node_name("p"), &look(&seen)).copied(), expected, "{case}");
    }
}
