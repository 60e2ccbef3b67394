//! Arbitrary situations: every fact present, absent or unknown.

use proptest::prelude::*;

use super::*;
use crate::plan::readiness::Ineligible;

pub fn any_policy() -> impl Strategy<Value = Policy> {
    let prefer = prop::sample::select(vec![Prefer::Auto, Prefer::Restart, Prefer::Promote]);
    let synchronous = prop::sample::select(vec![Synchronous::Off, Synchronous::On, Synchronous::Quorum]);
    let bytes = prop::sample::select(vec![0, 1, 500, 100_000, u64::MAX]);
    (prop::bool::weighted(0.8), prefer, bytes, synchronous, prop::bool::weighted(0.1)).prop_map(
        |(automatic, prefer, max_loss_bytes, synchronous, is_paused)| Policy {
            automatic,
            prefer,
            max_loss_bytes,
            synchronous,
            is_paused,
        },
    )
}

fn seen<T: Clone + std::fmt::Debug + 'static>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Seen<T>> {
    prop_oneof![60 => value.prop_map(Seen::Present), 1 => Just(Seen::Absent), 1 => Just(Seen::unknown("a test"))]
}

fn moment() -> impl Strategy<Value = Duration> {
    (0..200_u64).prop_map(|seconds| Duration::from_secs(900 + seconds))
}

/// A replica that is mostly as it should be.
fn any_replica() -> impl Strategy<Value = Member> {
    let role = prop_oneof![5 => Just(Role::Standby), 5 => Just(Role::Subscriber), 1 => Just(Role::Unknown)];
    let state = prop::sample::select(vec![
        SynchronousState::Async,
        SynchronousState::Potential,
        SynchronousState::Sync,
        SynchronousState::Quorum,
    ]);
    let objections = prop_oneof![
        5 => Just(Vec::new()),
        3 => Just(vec![Ineligible::PrimaryUnknown]),
        1 => Just(vec![Ineligible::NotCopied(1)]),
    ];
    let probe = prop_oneof![30 => Just(Probe::Answers), 1 => Just(Probe::TimesOut), 1 => Just(Probe::NoRoute)];
    let writes = prop_oneof![
        20 => Just(Seen::Present(false)),
        1 => Just(Seen::Present(true)),
        1 => Just(Seen::unknown("a test")),
    ];
    let positions = (seen(0..1_000_u64), seen(0..1_000_u64));
    (
        role,
        seen(state),
        positions,
        seen(objections),
        (seen(probe), writes, moment()),
        (seen(prop_oneof![60 => Just(3_u64), 1 => 2..5_u64]), seen(prop_oneof![60 => Just(1_u32), 1 => Just(2)])),
        (
            prop_oneof![40 => Just(Seen::Absent), 1 => Just(Seen::Present(())), 1 => Just(Seen::unknown("a test"))],
            0..3_u16,
        ),
    )
        .prop_map(
            |(
                role,
                state,
                (received, replayed),
                objections,
                (probe, writes, heard),
                (epoch, timeline),
                (mark, priority),
            )| {
                let at = |lag: Seen<u64>| match lag {
                    Seen::Present(lag) => Seen::Present(Lsn(10_000_000_000 - lag)),
                    Seen::Absent => Seen::Absent,
                    Seen::Unknown { because } => Seen::Unknown { because },
                };
                let mut member = replica(role, SynchronousState::Async, 0);
                member.priority = priority;
                member.objections = objections;
                let health = &mut member.health;
                health.synchronous = state;
                health.received = at(received);
                health.replayed = at(replayed);
                health.server = Aged::new(probe, Duration::ZERO);
                health.takes_writes = writes;
                health.heard_primary = Seen::Present(heard);
                health.epoch = epoch;
                health.timeline = timeline;
                health.fence_mark = mark;
                member
            },
        )
}

fn any_tail() -> impl Strategy<Value = Seen<WalTail>> {
    let tail =
        (0..2_000_u64, prop::option::of(prop::collection::vec(0..3_000_u64, 0..4))).prop_map(|(more, commits)| {
            let commits = commits.map(|mut commits| {
                commits.sort_unstable();
                commits.into_iter().map(|commit| Lsn(9_999_999_000 + commit)).collect()
            });
            WalTail { timeline: 1, start: Lsn(9_999_999_500), end: Lsn(10_000_000_000 + more), commits }
        });
    prop_oneof![2 => tail.prop_map(Seen::Present), 1 => Just(Seen::Absent), 2 => Just(Seen::unknown("a test"))]
}

/// Anything that can befall a primary, with any replicas.
pub fn any_situation() -> impl Strategy<Value = Situation> {
    let condition = prop::sample::select(conditions());
    let replicas = prop::collection::vec(any_replica(), 0..4);
    let restarts = prop_oneof![Just(Vec::new()), prop::collection::vec(moment(), 3..6)];
    let primary = (seen(Just(Lsn(10_000_000_000))), seen(Just(3_u64)), seen(Just(1_u32)), any_tail());
    (condition, replicas, 0..120_u64, restarts, primary, seen(Just(()))).prop_map(
        |(condition, replicas, age, restarts, (written, epoch, timeline, tail), engine)| {
            let mut situation = struck(&condition, replicas, Duration::from_secs(age));
            situation.failed_restarts = restarts;
            if !engine.is_present() {
                situation.engine = Aged::new(engine, STRUCK);
            }
            let health = &mut situation.members.get_mut(&node_name("primary-1")).expect("there").health;
            health.written.seen = written;
            health.epoch = epoch;
            health.timeline = timeline;
            health.tail = tail;
            situation
        },
    )
}
