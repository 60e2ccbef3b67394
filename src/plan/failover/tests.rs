//! Situations to decide upon, and what does not fit into the table or the properties.

mod generate;
mod properties;
mod requests;
mod table;

use super::situation::Member;
use super::*;
use crate::model::cluster::Role;
use crate::model::health::{
    Aged, ContainerState, EndedBy, Exit, NodeHealth, Probe, RestartPolicy, SynchronousState, VolumeState, WalTail,
};
use crate::model::lsn::Lsn;
use crate::model::seen::Seen;
use crate::plan::simulate::world::node_name;

/// The moment at which things go wrong.
pub const STRUCK: Duration = Duration::from_secs(1_000);

pub const POLICY: Policy =
    Policy { automatic: true, prefer: Prefer::Auto, max_loss_bytes: 0, synchronous: Synchronous::On, is_paused: false };

/// A node that runs and answers.
pub fn running(role: Role) -> Member {
    let since = Duration::ZERO;
    let health = NodeHealth {
        container: Aged::present(ContainerState::Running, since),
        restart_policy: Seen::Present(RestartPolicy::No),
        fence_mark: Seen::Absent,
        network: Aged::present((), since),
        volume: Aged::present(VolumeState::Intact, since),
        server: Aged::present(Probe::Answers, since),
        takes_writes: Seen::Present(role == Role::Primary),
        role: Seen::Present(role),
        epoch: Seen::Present(3),
        timeline: Seen::Present(1),
        written: Aged::new(Seen::Absent, since),
        redo: Seen::Absent,
        received: Seen::Absent,
        replayed: Seen::Absent,
        heard_primary: Seen::Absent,
        synchronous: Seen::Absent,
        tail: Seen::unknown("not read"),
    };
    Member { priority: 100, health, objections: Seen::Absent }
}

pub fn primary() -> Member {
    let mut member = running(Role::Primary);
    member.health.written = Aged::present(Lsn(10_000_000_000), STRUCK.saturating_sub(Duration::from_millis(400)));
    // Some seconds of recovery.
    member.health.redo = Seen::Present(Lsn(9_500_000_000));
    member
}

pub fn replica(role: Role, synchronous: SynchronousState, lag_bytes: u64) -> Member {
    let mut member = running(role);
    let position = Lsn(10_000_000_000 - lag_bytes);
    if role == Role::Standby {
        member.health.received = Seen::Present(position);
    } else {
        member.objections = Seen::Present(Vec::new());
    }
    member.health.replayed = Seen::Present(position);
    member.health.heard_primary = Seen::Present(STRUCK);
    member.health.synchronous = Seen::Present(synchronous);
    member
}

/// A cluster in which all is well, so long after everything was put down as `age` says.
pub fn situation(replicas: Vec<Member>, age: Duration) -> Situation {
    let mut members: std::collections::BTreeMap<_, _> = [(node_name("primary-1"), primary())].into();
    for (number, member) in (1..).zip(replicas) {
        members.insert(node_name(&format!("replica-{number}")), member);
    }
    Situation {
        now: STRUCK + age,
        engine: Aged::present((), Duration::ZERO),
        members,
        failed_restarts: Vec::new(),
        unproven: std::collections::BTreeMap::new(),
    }
}

/// Every condition, once.
pub fn conditions() -> Vec<Condition> {
    vec![
        Condition::Answers,
        Condition::Starting,
        Condition::ShuttingDown,
        Condition::Hung,
        Condition::NobodyListens,
        Condition::DiskFull,
        Condition::LockedOut,
        Condition::CutOff,
        Condition::Detached,
        Condition::Frozen,
        Condition::Changing,
        Condition::NeverStarted,
        Condition::Ended(Some(EndedBy::Itself)),
        Condition::Ended(Some(EndedBy::OutOfMemory)),
        Condition::Ended(Some(EndedBy::Request)),
        Condition::Ended(None),
        Condition::Removed,
        Condition::VolumeGone,
        Condition::VolumeUnreadable,
        Condition::EngineSilent,
        Condition::Unknown("a test".into()),
    ]
}

/// Lets the condition befall the primary.
pub fn strike(situation: &mut Situation, condition: &Condition) {
    let node = &mut situation.members.get_mut(&node_name("primary-1")).expect("there").health;
    let exited = |by| ContainerState::Exited(Exit { code: 137, by });
    let probe = match condition {
        Condition::Answers => Some(Probe::Answers),
        Condition::Starting => Some(Probe::Starting),
        Condition::ShuttingDown => Some(Probe::ShuttingDown),
        Condition::Hung => Some(Probe::TimesOut),
        Condition::NobodyListens => Some(Probe::Refuses),
        Condition::DiskFull => Some(Probe::DiskFull),
        Condition::LockedOut => Some(Probe::AuthenticationFault),
        Condition::CutOff | Condition::Detached => Some(Probe::NoRoute),
        _ => None,
    };
    let container = match condition {
        Condition::Frozen => Seen::Present(ContainerState::Paused),
        Condition::Changing => Seen::Present(ContainerState::Changing),
        Condition::NeverStarted => Seen::Present(ContainerState::Created),
        Condition::Ended(by) => Seen::Present(exited(by.map_or(Seen::unknown("nobody watched"), Seen::Present))),
        Condition::Removed | Condition::VolumeGone => Seen::Absent,
        Condition::VolumeUnreadable => Seen::Present(exited(Seen::Present(EndedBy::Itself))),
        Condition::EngineSilent | Condition::Unknown(_) => Seen::unknown("a test"),
        _ => Seen::Present(ContainerState::Running),
    };
    node.container = Aged::new(container, STRUCK);
    node.server = Aged::new(probe.map_or(Seen::unknown("no answer"), Seen::Present), STRUCK);
    if *condition != Condition::Answers {
        node.takes_writes = Seen::unknown("no answer");
    }
    match condition {
        Condition::Detached => node.network = Aged::new(Seen::Absent, STRUCK),
        Condition::VolumeGone => node.volume = Aged::new(Seen::Absent, STRUCK),
        Condition::VolumeUnreadable => node.volume = Aged::present(VolumeState::Unreadable, STRUCK),
        Condition::EngineSilent => situation.engine = Aged::new(Seen::unknown("refused"), STRUCK),
        _ => {}
    }
}

pub fn struck(condition: &Condition, replicas: Vec<Member>, age: Duration) -> Situation {
    let mut situation = situation(replicas, age);
    strike(&mut situation, condition);
    situation
}

/// Somebody read the log on the primary's volume: so much more than what was last seen of it.
pub fn read_tail(situation: &mut Situation, bytes: u64, commits: Option<Vec<Lsn>>) {
    let node = &mut situation.members.get_mut(&node_name("primary-1")).expect("there").health;
    let start = Lsn(9_000_000_000);
    node.tail = Seen::Present(WalTail { timeline: 1, start, end: Lsn(10_000_000_000 + bytes), commits });
}

pub fn standby(lag_bytes: u64) -> Member {
    replica(Role::Standby, SynchronousState::Async, lag_bytes)
}

pub fn subscriber(lag_bytes: u64) -> Member {
    replica(Role::Subscriber, SynchronousState::Async, lag_bytes)
}

pub fn synchronous_standby() -> Member {
    replica(Role::Standby, SynchronousState::Sync, 0)
}

const CRASHED: Condition = Condition::Ended(Some(EndedBy::Itself));
const LATER: Duration = Duration::from_secs(100);

/// Conditions of the primary are what they were made to be, and no two share a word.
#[test]
fn each_condition_is_told_from_all_others() {
    let mut labels = std::collections::BTreeSet::new();
    for condition in conditions() {
        let situation = struck(&condition, vec![standby(0)], LATER);
        let found = situation.diagnosis(&situation.members[&node_name("primary-1")]);
        assert_eq!(found.condition, condition);
        assert!(labels.insert(condition.label()), "{condition}");
        assert!(!condition.to_string().is_empty());
        let expected = if condition == Condition::Answers { Duration::ZERO } else { STRUCK };
        assert!(found.since == STRUCK || found.since == expected);
    }
}

#[test]
fn a_server_that_answers_outlives_its_engine() {
    let mut situation = situation(vec![standby(0)], LATER);
    let health = &mut situation.members.get_mut(&node_name("primary-1")).expect("there").health;
    health.container = Aged::new(Seen::unknown("no engine"), STRUCK);
    situation.engine = Aged::new(Seen::unknown("refused"), STRUCK);
    assert_eq!(decide(&POLICY, &situation), Decision::Stay { why: Calm::PrimaryAnswers });
}

#[test]
fn a_promotion_loses_what_the_log_on_the_volume_says_and_no_guess() {
    let lost = |situation: &Situation| match decide(&Policy { max_loss_bytes: 1_000_000, ..POLICY }, situation) {
        Decision::Promote { loss, salvage, .. } => format!("{loss}{}", if salvage.is_some() { " (fed)" } else { "" }),
        other => other.to_string(),
    };
    let broken = |replicas: Vec<Member>| {
        let mut situation = struck(&CRASHED, replicas, LATER);
        situation.failed_restarts = vec![STRUCK; CRASH_LOOP];
        situation
    };
    // Of a logical replica that is alone it is found out, which needs the volume.
    assert_eq!(
        lost(&struck(&Condition::VolumeGone, vec![subscriber(100)], LATER)),
        "100 bytes of log are lost, and what was written in the 400 ms before the primary failed"
    );
    let asked = "promote replica-1, if it turns out to be complete: 3 restarts of the primary did not help";
    assert_eq!(lost(&broken(vec![subscriber(100)])), asked);
    let mut fed = broken(vec![standby(100)]);
    read_tail(&mut fed, 500, None);
    assert_eq!(lost(&fed), "nothing is lost: what it lacks is read from the old primary's volume (fed)");
    let mut exact = broken(vec![subscriber(100), Member { priority: 0, ..subscriber(100) }]);
    read_tail(&mut exact, 500, Some(vec![Lsn(10_000_000_200), Lsn(10_000_000_300)]));
    assert_eq!(lost(&exact), "600 bytes of log with 2 transactions are lost");
    read_tail(&mut exact, 500, Some(Vec::new()));
    assert_eq!(lost(&exact), "nothing is lost: no commit is in the log it lacks");
    let mut ahead = broken(vec![standby(0)]);
    read_tail(&mut ahead, 0, None);
    assert_eq!(lost(&ahead), "nothing is lost: it has the whole log");
}

const CRASH_LOOP: usize = outage::CRASH_LOOP_ATTEMPTS;

/// One of a group that commits wait for has everything only if it is the furthest and all can be compared.
#[test]
fn a_member_of_a_quorum_is_lossless_only_when_all_of_the_group_are_there() {
    let member = |lag| replica(Role::Standby, SynchronousState::Quorum, lag);
    let policy = Policy { synchronous: Synchronous::Quorum, ..POLICY };
    let gone = |members| struck(&Condition::VolumeGone, members, LATER);
    let promoted = |situation: &Situation| decide(&policy, situation).node().map(ToString::to_string);
    assert_eq!(promoted(&gone(vec![member(10), member(0)])).as_deref(), Some("replica-2"));
    let mut one_missing = gone(vec![member(0), member(10)]);
    let missing = &mut one_missing.members.get_mut(&node_name("replica-2")).expect("there").health;
    missing.server = Aged::new(Seen::Absent, STRUCK);
    missing.takes_writes = Seen::Present(false);
    assert_eq!(promoted(&one_missing), None);
    let mut unknown = gone(vec![member(0), member(10)]);
    unknown.members.get_mut(&node_name("replica-2")).expect("there").health.synchronous = Seen::unknown("why");
    assert_eq!(promoted(&unknown), None);
}

#[test]
fn an_earlier_primary_that_comes_back_is_fenced_whatever_else_is_so() {
    let stragglers = |situation: &Situation| {
        let found = straggler::stragglers(situation).into_iter();
        found.map(|(name, why)| format!("{name} {}: {why}", why.label())).collect::<Vec<_>>()
    };
    let mut back = situation(vec![primary(), standby(0)], LATER);
    assert_eq!(stragglers(&back), Vec::<String>::new());
    back.members.get_mut(&node_name("replica-1")).expect("there").health.epoch = Seen::Present(2);
    let older = "replica-1 older_epoch: it was the primary of epoch 2, and now is epoch 3";
    assert_eq!(stragglers(&back), [older]);
    let node = &mut back.members.get_mut(&node_name("replica-1")).expect("there").health;
    node.container = Aged::present(ContainerState::Paused, STRUCK);
    assert_eq!(stragglers(&back), [older], "a frozen one may thaw");
    back.members.get_mut(&node_name("replica-1")).expect("there").health.fence_mark = Seen::Present(());
    assert_eq!(stragglers(&back), ["replica-1 fenced_and_runs: it is fenced, and its container has processes"]);
    let node = &mut back.members.get_mut(&node_name("replica-1")).expect("there").health;
    node.container = Aged::new(Seen::Absent, STRUCK);
    assert_eq!(stragglers(&back), Vec::<String>::new());
}

#[test]
fn a_decision_in_json_has_stable_words() {
    let mut situation = struck(&Condition::VolumeGone, vec![standby(100)], LATER);
    let json = |situation: &Situation| serde_json::to_value(decide(&POLICY, situation)).expect("it is JSON");
    insta::assert_json_snapshot!("asks", json(&situation));
    situation = struck(&Condition::VolumeGone, vec![synchronous_standby()], LATER);
    insta::assert_json_snapshot!("promotes", json(&situation));
}
