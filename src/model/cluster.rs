//! What a cluster is made of: modes, roles, editions and health.

use std::fmt;

use serde::Serialize;

/// How a replica gets its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Publication, subscription and chunk mirror; the replica is a database of its own.
    Logical,
    /// Streaming of the write-ahead log; the replica is a block-for-block copy.
    Physical,
}

/// What a node was provisioned to be. What it *is* gets observed ([`Role`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// Initialised empty, takes the writes first.
    Primary,
    /// A replica of this mode.
    Replica(Mode),
}

/// What a node is observed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes writes at the highest epoch.
    Primary,
    /// In recovery: a physical replica.
    Standby,
    /// Subscribes to the primary: a logical replica.
    Subscriber,
    /// Was cut off on purpose and must not take a write.
    Fenced,
    /// Could not be looked at, or is nothing of the above yet.
    Unknown,
}

/// The licence TimescaleDB runs under (`timescaledb.license`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// Apache-2.0 features only.
    Apache,
    /// Compression, continuous aggregates and policies too.
    Community,
}

/// The one-word answer to "is it well?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Everything wanted is there and complete.
    Healthy,
    /// Writes work; something else is missing, and `holds` names it.
    Degraded,
    /// No node takes writes.
    Down,
}

impl Mode {
    /// The word used in configuration, labels, metrics and output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Logical => "logical",
            Self::Physical => "physical",
        }
    }

    /// The mode a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Logical, Self::Physical].into_iter().find(|mode| mode.word() == word)
    }
}

impl Seat {
    /// The word used in labels and specs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica(mode) => mode.word(),
        }
    }

    /// The mode it replicates by, when it is a replica's.
    pub const fn mode(self) -> Option<Mode> {
        match self {
            Self::Primary => None,
            Self::Replica(mode) => Some(mode),
        }
    }

    /// The seat a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        if word == "primary" { Some(Self::Primary) } else { Mode::from_word(word).map(Self::Replica) }
    }
}

impl Role {
    /// The word used in output and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Subscriber => "subscriber",
            Self::Fenced => "fenced",
            Self::Unknown => "unknown",
        }
    }
}

impl Edition {
    /// The word used in packs and output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Apache => "apache",
            Self::Community => "community",
        }
    }
}

impl Health {
    /// The word used in output and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

macro_rules! display_word {
    ($($name:ident),+) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        })+
    };
}

display_word!(Mode, Seat, Role, Edition, Health);
