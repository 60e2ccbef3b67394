//! Why something in a store stays or goes: closed lists, each with a stable word and a sentence.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::model::backup::BackupId;

/// Why a backup stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptBecause {
    /// Among the last so many.
    Last,
    /// The newest of an hour.
    Hourly,
    /// The newest of a day.
    Daily,
    /// The newest of a week.
    Weekly,
    /// The newest of a month.
    Monthly,
    /// The newest of a year.
    Yearly,
    /// Too young to go.
    MinAge,
    /// The newest that was restored and compared.
    NewestVerified,
    /// The newest of its job and kind.
    Newest,
    /// An incremental backup that stays builds upon it.
    NeededBy(BackupId),
    /// The archived log of the minimum age begins with it.
    NeededByLog,
    /// It is being made now.
    InProgress,
    /// It may be being made now.
    Grace,
    /// Nothing says what is to go.
    NoPolicy,
    /// Made by hand, which no job's policy is about.
    ByHand,
    /// Its manifest cannot be read, so nobody knows what would be lost.
    Unreadable,
}

/// Why something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedBecause {
    /// The policy has no place for it.
    BeyondPolicy,
    /// It has no manifest, so it is no backup, and nobody has written to it for a while.
    NoManifest,
    /// It was begun and never completed.
    Unfinished,
}

/// Why something stays or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// It stays, for all of these.
    Kept(Vec<KeptBecause>),
    /// It goes.
    Removed(RemovedBecause),
}

impl KeptBecause {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::MinAge => "min_age",
            Self::NewestVerified => "newest_verified",
            Self::Newest => "newest",
            Self::NeededBy(_) => "needed_by_incremental",
            Self::NeededByLog => "needed_by_log",
            Self::InProgress => "in_progress",
            Self::Grace => "grace",
            Self::NoPolicy => "no_policy",
            Self::ByHand => "by_hand",
            Self::Unreadable => "unreadable",
        }
    }
}

impl RemovedBecause {
    /// The stable word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BeyondPolicy => "beyond_policy",
            Self::NoManifest => "no_manifest",
            Self::Unfinished => "unfinished",
        }
    }
}

impl fmt::Display for KeptBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("among the last"),
            Self::Hourly => f.write_str("newest of its hour"),
            Self::Daily => f.write_str("newest of its day"),
            Self::Weekly => f.write_str("newest of its week"),
            Self::Monthly => f.write_str("newest of its month"),
            Self::Yearly => f.write_str("newest of its year"),
            Self::MinAge => f.write_str("too young"),
            Self::NewestVerified => f.write_str("newest verified one"),
            Self::Newest => f.write_str("newest one"),
            Self::NeededBy(child) => write!(f, "{child} builds upon it"),
            Self::NeededByLog => f.write_str("the archived log begins with it"),
            Self::InProgress => f.write_str("being made now"),
            Self::Grace => f.write_str("written to lately"),
            Self::NoPolicy => f.write_str("no `keep` is given for its job"),
            Self::ByHand => f.write_str("made by hand"),
            Self::Unreadable => f.write_str("its manifest cannot be read"),
        }
    }
}

impl fmt::Display for RemovedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeyondPolicy => "beyond what `keep` keeps",
            Self::NoManifest => "no manifest: a run that was cut off, or a removal",
            Self::Unfinished => "begun and never completed",
        })
    }
}

impl Because {
    /// The stable words.
    pub fn labels(&self) -> Vec<&'static str> {
        match self {
            Self::Kept(reasons) => reasons.iter().map(KeptBecause::label).collect(),
            Self::Removed(reason) => vec![reason.label()],
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(reasons) => {
                let said: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                f.write_str(&said.join(", "))
            }
            Self::Removed(reason) => reason.fmt(f),
        }
    }
}

impl Serialize for super::Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Decision", 5)?;
        json.serialize_field("id", &self.id)?;
        json.serialize_field("keep", &self.is_kept())?;
        json.serialize_field("bytes", &self.bytes)?;
        json.serialize_field("reasons", &self.because.labels())?;
        json.serialize_field("text", &self.because.to_string())?;
        json.end()
    }
}
