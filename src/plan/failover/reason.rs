//! Why a decision is what it is: closed lists, each with a stable word and a sentence.

mod json;

use std::fmt;

use super::condition::Condition;
use super::loss::Accepted;
use super::veto::Veto;
use crate::model::names::NodeName;

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calm {
    /// There is nothing to do.
    PrimaryAnswers,
    /// Somebody paused failover.
    Paused,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Whether it lasts.
    Lasting(Condition),
    /// That it becomes known what is the matter.
    Known(Condition),
    /// That replicas stop hearing the primary, or we hear it again.
    Heard(Condition),
    /// The end of the log on the primary's volume.
    ReadingTail,
}

/// Why a replica takes over rather than the primary being restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromoteWhy {
    /// There is nothing to restart on.
    Volume(Condition),
    /// So many restarts did not help.
    RestartsFail(usize),
    /// `failover.prefer` says so.
    Preferred(Condition),
    /// It loses nothing and is there before the primary would be.
    Sooner(Condition),
    /// It loses nothing, and the primary's recovery takes long.
    RecoversTooLong,
}

/// What somebody has to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// No node is known to be the primary.
    NoPrimary,
    /// Two nodes claim to be it.
    TwoPrimaries(NodeName, NodeName),
    /// `failover.automatic` is off.
    NotAutomatic(Condition),
    /// What is the matter stays unknown.
    Unknown(Condition),
    /// The server lives and does not serve.
    Alive(Condition),
    /// The engine does not finish what it does with the container.
    EngineStuck,
    /// Recovery takes very long.
    StartsTooLong,
    /// We do not reach the primary, and its replicas hear it.
    StillHeard,
    /// We reach no node at all.
    WatcherCutOff,
    /// So many restarts did not help, and this forbids promoting.
    RestartsFail(usize, Vec<Veto>),
    /// There is nothing to restart on, and this forbids promoting.
    CannotPromote(Condition, Vec<Veto>),
    /// A promotion was begun, and what was found out forbids it.
    Refused(Vec<Veto>),
}

/// What an operator could do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Find out what is there.
    LookAtNodes,
    /// Stop the node that must not write.
    Stop(NodeName),
    /// Restart the primary.
    Restart(NodeName),
    /// Promote a replica, agreeing to a loss where there is one.
    Promote(NodeName, Option<Accepted>),
    /// Make room on the disk.
    MakeRoom(NodeName),
    /// Give hypertide its login back.
    RepairLogin(NodeName),
    /// Bring the engine back.
    RepairEngine,
    /// Thaw the container.
    Unpause(NodeName),
    /// Restore a backup.
    Restore,
}

impl Calm {
    /// The stable word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PrimaryAnswers => "primary_answers",
            Self::Paused => "paused",
        }
    }
}

impl Waiting {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Lasting(_) => "does_it_last",
            Self::Known(_) => "unknown",
            Self::Heard(_) => "still_heard",
            Self::ReadingTail => "reading_tail",
        }
    }
}

impl PromoteWhy {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Volume(condition) => condition.label(),
            Self::RestartsFail(_) => "restarts_fail",
            Self::Preferred(_) => "preferred",
            Self::Sooner(_) => "sooner",
            Self::RecoversTooLong => "recovers_too_long",
        }
    }
}

impl Question {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoPrimary => "no_primary",
            Self::TwoPrimaries(..) => "two_primaries",
            Self::NotAutomatic(_) => "not_automatic",
            Self::Unknown(_) => "unknown",
            Self::Alive(condition) => condition.label(),
            Self::EngineStuck => "engine_stuck",
            Self::StartsTooLong => "starts_too_long",
            Self::StillHeard => "still_heard",
            Self::WatcherCutOff => "watcher_cut_off",
            Self::RestartsFail(..) => "restarts_fail",
            Self::CannotPromote(..) => "cannot_promote",
            Self::Refused(_) => "refused",
        }
    }

    /// What forbids promoting, where that is the question.
    pub fn vetoes(&self) -> &[Veto] {
        match self {
            Self::RestartsFail(_, vetoes) | Self::CannotPromote(_, vetoes) | Self::Refused(vetoes) => vetoes,
            _ => &[],
        }
    }
}

impl Way {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::LookAtNodes => "look_at_nodes",
            Self::Stop(_) => "stop",
            Self::Restart(_) => "restart",
            Self::Promote(..) => "promote",
            Self::MakeRoom(_) => "make_room",
            Self::RepairLogin(_) => "repair_login",
            Self::RepairEngine => "repair_engine",
            Self::Unpause(_) => "unpause",
            Self::Restore => "restore",
        }
    }
}

impl fmt::Display for Calm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrimaryAnswers => "the primary answers",
            Self::Paused => "failover is paused",
        })
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lasting(condition) => write!(f, "of the primary, {condition}; that may pass"),
            Self::Known(condition) => write!(f, "of the primary, {condition}; nothing is decided on that"),
            Self::Heard(condition) => write!(f, "of the primary, {condition}; but a replica hears it"),
            Self::ReadingTail => f.write_str("the end of the log is being read from the primary's volume"),
        }
    }
}

impl fmt::Display for PromoteWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(condition) => write!(f, "of the primary, {condition}"),
            Self::RestartsFail(count) => write!(f, "{count} restarts of the primary did not help"),
            Self::Preferred(condition) => write!(f, "of the primary, {condition}; `failover.prefer` is `promote`"),
            Self::Sooner(condition) => {
                write!(f, "of the primary, {condition}; the replica is there sooner and has it all")
            }
            Self::RecoversTooLong => f.write_str("the primary's recovery takes long, and the replica has it all"),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrimary => f.write_str("no node is known to be the primary"),
            Self::TwoPrimaries(one, other) => write!(f, "{one} and {other} both claim to be the primary"),
            Self::NotAutomatic(condition) => write!(f, "of the primary, {condition}; `failover.automatic` is off"),
            Self::Unknown(condition) => write!(f, "of the primary, {condition}, and that lasts"),
            Self::Alive(condition) => write!(f, "of the primary, {condition}; it lives, so it is not replaced"),
            Self::EngineStuck => f.write_str("the engine does not finish what it does with the primary's container"),
            Self::StartsTooLong => f.write_str("the primary's recovery takes very long"),
            Self::StillHeard => f.write_str("the primary cannot be reached from here, but its replicas hear it"),
            Self::WatcherCutOff => f.write_str("no node can be reached from here; the cut may be on this side"),
            Self::RestartsFail(count, _) => {
                write!(f, "{count} restarts of the primary did not help, and no replica may be promoted")
            }
            Self::CannotPromote(condition, _) => {
                write!(f, "of the primary, {condition}, and no replica may be promoted")
            }
            Self::Refused(_) => f.write_str("the replica may not take the primary's place"),
        }?;
        self.vetoes()
            .iter()
            .enumerate()
            .try_for_each(|(position, veto)| write!(f, "{}{veto}", if position == 0 { ": " } else { "; " }))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LookAtNodes => f.write_str("`hypertide status` and `hypertide doctor` say what is there"),
            Self::Stop(node) => write!(f, "stop {node}, if it is the one that must not write"),
            Self::Restart(node) => write!(f, "`hypertide restart {node}`"),
            Self::Promote(node, None) => write!(f, "`hypertide promote {node}`"),
            Self::Promote(node, Some(accepted)) => write!(f, "`hypertide promote {node} {accepted}`"),
            Self::MakeRoom(node) => write!(f, "make room on the disk of {node}"),
            Self::RepairLogin(node) => write!(f, "let hypertide's superuser log into {node} again"),
            Self::RepairEngine => f.write_str("bring the Docker engine back"),
            Self::Unpause(node) => write!(f, "`docker unpause` the container of {node}"),
            Self::Restore => f.write_str("`hypertide restore` a backup into a new cluster"),
        }
    }
}
