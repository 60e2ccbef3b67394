//! What is known of each node when the question is who takes the writes: container, volume, network, server, log.
//!
//! Filled in by whoever looks, read by `plan::failover`. Every fact is [`Seen`], and what patience is counted from says
//! since when it is so. Nothing here judges: what the facts add up to is `plan::failover::condition`.
//!
//! Moments are read from one monotonic clock, as the time since an arbitrary start.

mod wal;

use std::time::Duration;

use serde::Serialize;

use super::cluster::Role;
use super::lsn::Lsn;
use super::seen::Seen;

pub use wal::WalTail;

/// A fact, and since when it has been so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aged<T> {
    /// The fact.
    pub seen: Seen<T>,
    /// The moment it became so.
    pub since: Duration,
}

/// A node, as far as failover is concerned.
///
/// `role`, `epoch`, `timeline` and the positions are the last that were read: they outlive the server they were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// Its container; absent: it was removed; unknown: the engine does not answer.
    pub container: Aged<ContainerState>,
    /// What the engine does by itself when the container ends.
    pub restart_policy: Seen<RestartPolicy>,
    /// It is marked as fenced: nothing starts it as a writer.
    pub fence_mark: Seen<()>,
    /// It is attached to the cluster's network; absent: detached.
    pub network: Aged<()>,
    /// Its data volume; absent: it is gone.
    pub volume: Aged<VolumeState>,
    /// What asking its server gave; absent: no server runs.
    pub server: Aged<Probe>,
    /// Whether applications can write here.
    pub takes_writes: Seen<bool>,
    /// What it was when it was last asked.
    pub role: Seen<Role>,
    /// The epoch it believes in.
    pub epoch: Seen<u64>,
    /// The timeline of its log.
    pub timeline: Seen<u32>,
    /// The primary: its log ended here, and when that was read last.
    pub written: Aged<Lsn>,
    /// The primary: a crash recovery begins here.
    pub redo: Seen<Lsn>,
    /// A standby: log that has safely arrived, applied or not.
    pub received: Seen<Lsn>,
    /// A replica: everything up to here is applied.
    pub replayed: Seen<Lsn>,
    /// A replica: when it last had a sign of life from the primary.
    pub heard_primary: Seen<Duration>,
    /// A replica: how commits on the primary wait for it; absent: it is not connected there.
    pub synchronous: Seen<SynchronousState>,
    /// What was read from the log on the volume of a node that no longer runs; absent: there is none to read.
    pub tail: Seen<WalTail>,
}

/// Docker's state of a container, with what tells one end from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made and never started.
    Created,
    /// Its process runs.
    Running,
    /// Frozen: its processes exist and get no time.
    Paused,
    /// The engine is starting, stopping or removing it.
    Changing,
    /// Its process ended.
    Exited(Exit),
}

/// How a container's process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Its exit code; 128 and a signal's number after a signal.
    pub code: i64,
    /// By whose hand; unknown when nobody watched the engine's events.
    pub by: Seen<EndedBy>,
}

/// By whose hand a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// Its own: it crashed or gave up.
    Itself,
    /// The kernel's, because memory ran out.
    OutOfMemory,
    /// Somebody's who asked the engine to stop or kill it.
    Request,
}

/// What the engine does by itself when a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Nothing: hypertide decides who comes back.
    No,
    /// Starts it again, now or when the engine itself comes back.
    Restarts,
}

/// A data volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeState {
    /// The data directory is there.
    Intact,
    /// The volume is there, and what is on it cannot be read.
    Unreadable,
}

/// What asking a server gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// It answered.
    Answers,
    /// It takes no connections yet: it starts or recovers (SQLSTATE 57P03).
    Starting,
    /// It takes no connections any more: it shuts down (SQLSTATE 57P03).
    ShuttingDown,
    /// The connection stands, and no answer came in time.
    TimesOut,
    /// Its host answered that nobody listens.
    Refuses,
    /// No room is left on the device (SQLSTATE 53100).
    DiskFull,
    /// Its host cannot be reached.
    NoRoute,
    /// It answered that we may not log in (SQLSTATE class 28).
    AuthenticationFault,
}

/// How commits wait for a replica, in the words of `pg_stat_replication.sync_state`
/// (<https://www.postgresql.org/docs/17/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SynchronousState {
    /// They do not.
    Async,
    /// They do not, and would if a synchronous replica failed.
    Potential,
    /// Each of them does.
    Sync,
    /// Each waits for one of a group, of which it is a member.
    Quorum,
}

impl SynchronousState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Async, Self::Potential, Self::Sync, Self::Quorum];

    /// PostgreSQL's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Potential => "potential",
            Self::Sync => "sync",
            Self::Quorum => "quorum",
        }
    }

    /// Reads a word; `None` for one of a version to come.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl<T> Aged<T> {
    /// A fact that has been so since then.
    pub fn new(seen: Seen<T>, since: Duration) -> Self {
        Self { seen, since }
    }

    /// Something that is there since then.
    pub fn present(value: T, since: Duration) -> Self {
        Self::new(Seen::Present(value), since)
    }

    /// How long it has been so.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }
}

impl ContainerState {
    /// It has processes, which may write as soon as they get time.
    pub const fn has_processes(&self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Changing)
    }
}

impl NodeHealth {
    /// No process of it exists, and nothing but hypertide starts one.
    pub fn is_fenced(&self) -> bool {
        let is_ended = match &self.container.seen {
            Seen::Absent => true,
            Seen::Unknown { .. } => false,
            Seen::Present(state) => !state.has_processes() && self.restart_policy == Seen::Present(RestartPolicy::No),
        };
        is_ended && self.fence_mark.is_present()
    }

    /// It takes writes, or may: nobody has seen that it does not.
    pub fn may_write(&self) -> bool {
        match (&self.container.seen, &self.takes_writes) {
            (Seen::Absent, _) => false,
            (Seen::Present(state), _) if !state.has_processes() => false,
            (_, Seen::Present(takes)) => *takes,
            (_, Seen::Absent) => false,
            (_, Seen::Unknown { .. }) => true,
        }
    }

    /// Up to here nothing is lost when it becomes the primary. A standby applies what it has received; what a subscriber
    /// has received and not applied goes with its apply worker.
    pub fn position(&self, is_standby: bool) -> Seen<Lsn> {
        match (&self.received, &self.replayed) {
            (Seen::Present(received), Seen::Present(replayed)) if is_standby => Seen::Present(*received.max(replayed)),
            (Seen::Present(received), _) if is_standby => Seen::Present(*received),
            (_, replayed) => replayed.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(container: Seen<ContainerState>) -> NodeHealth {
        let now = Duration::ZERO;
        NodeHealth {
            container: Aged::new(container, now),
            restart_policy: Seen::Present(RestartPolicy::No),
            fence_mark: Seen::Absent,
            network: Aged::present((), now),
            volume: Aged::present(VolumeState::Intact, now),
            server: Aged::new(Seen::Absent, now),
            takes_writes: Seen::Present(true),
            role: Seen::Absent,
            epoch: Seen::Absent,
            timeline: Seen::Absent,
            written: Aged::new(Seen::Absent, now),
            redo: Seen::Absent,
            received: Seen::Absent,
            replayed: Seen::Absent,
            heard_primary: Seen::Absent,
            synchronous: Seen::Absent,
            tail: Seen::Absent,
        }
    }

    fn exited() -> Seen<ContainerState> {
        Seen::Present(ContainerState::Exited(Exit { code: 0, by: Seen::Absent }))
    }

    #[test]
    fn a_frozen_process_may_write_and_an_ended_one_may_not() {
        assert!(node(Seen::Present(ContainerState::Paused)).may_write());
        assert!(node(Seen::unknown("no engine")).may_write());
        assert!(!node(exited()).may_write());
        assert!(!node(Seen::Absent).may_write());
        let unasked = NodeHealth { takes_writes: Seen::unknown("why"), ..node(Seen::Present(ContainerState::Running)) };
        assert!(unasked.may_write());
    }

    #[test]
    fn a_node_is_fenced_when_it_ended_is_marked_and_nothing_restarts_it() {
        let marked = |container| NodeHealth { fence_mark: Seen::Present(()), ..node(container) };
        assert!(marked(exited()).is_fenced());
        assert!(!node(exited()).is_fenced());
        assert!(!marked(Seen::Present(ContainerState::Paused)).is_fenced());
        assert!(!marked(Seen::unknown("no engine")).is_fenced());
        let restarting = NodeHealth { restart_policy: Seen::Present(RestartPolicy::Restarts), ..marked(exited()) };
        assert!(!restarting.is_fenced());
    }

    #[test]
    fn only_a_standby_keeps_what_it_received_and_did_not_apply() {
        let mut replica = node(Seen::Present(ContainerState::Running));
        replica.received = Seen::Present(Lsn(20));
        replica.replayed = Seen::Present(Lsn(10));
        assert_eq!(replica.position(true), Seen::Present(Lsn(20)));
        assert_eq!(replica.position(false), Seen::Present(Lsn(10)));
        replica.received = Seen::Absent;
        assert_eq!(replica.position(true), Seen::Present(Lsn(10)));
        replica.replayed = Seen::unknown("why");
        assert!(replica.position(true).is_unknown());
    }
}
