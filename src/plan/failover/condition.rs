//! What a node's facts add up to: one named condition, and since when it has been so.
//!
//! In: what is known of one node. Out: a [`Diagnosis`]. What to do about it is not said here.

use std::fmt;
use std::time::Duration;

use crate::model::health::{Aged, ContainerState, EndedBy, NodeHealth, Probe, VolumeState};
use crate::model::seen::Seen;

/// What is the matter with a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Its server answers.
    Answers,
    /// Its server starts or recovers.
    Starting,
    /// Its server shuts down.
    ShuttingDown,
    /// Its container runs and its server gives no answer.
    Hung,
    /// Its container runs and nobody listens in it.
    NobodyListens,
    /// Its disk is full.
    DiskFull,
    /// Its server does not let us log in.
    LockedOut,
    /// Its container runs, is attached, and cannot be reached.
    CutOff,
    /// Its container runs and is not attached to the cluster's network.
    Detached,
    /// Its container is frozen.
    Frozen,
    /// The engine is doing something with its container.
    Changing,
    /// Its container was made and never started.
    NeverStarted,
    /// Its container ended; `None`: nobody saw by whose hand.
    Ended(Option<EndedBy>),
    /// Its container is gone, its volume is there.
    Removed,
    /// Its volume is gone.
    VolumeGone,
    /// It does not run, and its volume cannot be read.
    VolumeUnreadable,
    /// The engine does not answer, and neither does its server.
    EngineSilent,
    /// A fact that the rest depends on is unknown; says which.
    Unknown(String),
}

/// A condition and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What is the matter.
    pub condition: Condition,
    /// Since when.
    pub since: Duration,
}

impl Condition {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Starting => "starting",
            Self::ShuttingDown => "shutting_down",
            Self::Hung => "hung",
            Self::NobodyListens => "nobody_listens",
            Self::DiskFull => "disk_full",
            Self::LockedOut => "locked_out",
            Self::CutOff => "cut_off",
            Self::Detached => "detached",
            Self::Frozen => "frozen",
            Self::Changing => "changing",
            Self::NeverStarted => "never_started",
            Self::Ended(Some(EndedBy::Itself)) => "crashed",
            Self::Ended(Some(EndedBy::OutOfMemory)) => "out_of_memory",
            Self::Ended(Some(EndedBy::Request)) => "stopped",
            Self::Ended(None) => "ended",
            Self::Removed => "removed",
            Self::VolumeGone => "volume_gone",
            Self::VolumeUnreadable => "volume_unreadable",
            Self::EngineSilent => "engine_silent",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Too little is known to act upon.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::EngineSilent | Self::Unknown(_))
    }

    /// Its server lives, whatever it says.
    pub const fn is_alive(&self) -> bool {
        matches!(self, Self::Answers | Self::Starting | Self::ShuttingDown | Self::DiskFull | Self::LockedOut)
    }

    /// It rests on our not reaching the server, so it may be us who are cut off.
    pub const fn is_hearsay(&self) -> bool {
        matches!(self, Self::Hung | Self::CutOff)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "its server answers",
            Self::Starting => "its server starts or recovers",
            Self::ShuttingDown => "its server shuts down",
            Self::Hung => "its server gives no answer",
            Self::NobodyListens => "nobody listens in its container",
            Self::DiskFull => "its disk is full",
            Self::LockedOut => "its server does not let hypertide log in",
            Self::CutOff => "it cannot be reached over the network",
            Self::Detached => "it is not attached to the cluster's network",
            Self::Frozen => "its container is paused",
            Self::Changing => "the engine is starting, stopping or removing its container",
            Self::NeverStarted => "its container was never started",
            Self::Ended(Some(EndedBy::Itself)) => "its server crashed",
            Self::Ended(Some(EndedBy::OutOfMemory)) => "its server was killed because memory ran out",
            Self::Ended(Some(EndedBy::Request)) => "its container was stopped or killed by request",
            Self::Ended(None) => "its container ended",
            Self::Removed => "its container is gone",
            Self::VolumeGone => "its volume is gone",
            Self::VolumeUnreadable => "its volume cannot be read",
            Self::EngineSilent => "the Docker engine does not answer",
            Self::Unknown(because) => return write!(f, "its state is not known: {because}"),
        })
    }
}

/// What is the matter with a node. The engine's word on a container counts for more than an older answer of its server.
pub fn of(node: &NodeHealth, engine: &Aged<()>) -> Diagnosis {
    let container = &node.container;
    match &container.seen {
        Seen::Present(ContainerState::Running) => of_running(node),
        Seen::Present(ContainerState::Paused) => found(Condition::Frozen, container.since),
        Seen::Present(ContainerState::Changing) => found(Condition::Changing, container.since),
        Seen::Present(ContainerState::Created) => on_volume(node, Condition::NeverStarted),
        Seen::Present(ContainerState::Exited(exit)) => on_volume(node, Condition::Ended(exit.by.present().copied())),
        Seen::Absent => on_volume(node, Condition::Removed),
        // Servers outlive their engine, so an answer counts.
        Seen::Unknown { because } => match &node.server.seen {
            Seen::Present(probe) => match of_probe(*probe) {
                condition if condition.is_alive() => found(condition, node.server.since),
                _ => blind(node, engine, because),
            },
            Seen::Absent | Seen::Unknown { .. } => blind(node, engine, because),
        },
    }
}

fn blind(node: &NodeHealth, engine: &Aged<()>, because: &str) -> Diagnosis {
    if engine.seen.is_present() {
        found(Condition::Unknown(because.to_owned()), node.container.since)
    } else {
        found(Condition::EngineSilent, engine.since)
    }
}

fn of_running(node: &NodeHealth) -> Diagnosis {
    let server = &node.server;
    match &server.seen {
        Seen::Present(Probe::NoRoute | Probe::TimesOut) if node.network.seen.is_absent() => {
            found(Condition::Detached, node.network.since)
        }
        Seen::Present(probe) => found(of_probe(*probe), server.since),
        Seen::Absent => found(Condition::Unknown("its server was not asked yet".to_owned()), server.since),
        Seen::Unknown { because } => found(Condition::Unknown(because.clone()), server.since),
    }
}

const fn of_probe(probe: Probe) -> Condition {
    match probe {
        Probe::Answers => Condition::Answers,
        Probe::Starting => Condition::Starting,
        Probe::ShuttingDown => Condition::ShuttingDown,
        Probe::TimesOut => Condition::Hung,
        Probe::Refuses => Condition::NobodyListens,
        Probe::DiskFull => Condition::DiskFull,
        Probe::NoRoute => Condition::CutOff,
        Probe::AuthenticationFault => Condition::LockedOut,
    }
}

/// A node that does not run: what is left of it is its volume.
fn on_volume(node: &NodeHealth, if_intact: Condition) -> Diagnosis {
    let volume = &node.volume;
    match &volume.seen {
        Seen::Present(VolumeState::Intact) => found(if_intact, node.container.since),
        Seen::Present(VolumeState::Unreadable) => found(Condition::VolumeUnreadable, volume.since),
        Seen::Absent => found(Condition::VolumeGone, volume.since),
        Seen::Unknown { because } => found(Condition::Unknown(because.clone()), volume.since),
    }
}

const fn found(condition: Condition, since: Duration) -> Diagnosis {
    Diagnosis { condition, since }
}
