//! What an observation found out: there, not there, or not known.
//!
//! "Could not look" must never read as "is not there": nothing is created, promoted, dropped or rebuilt on
//! [`Seen::Unknown`].

use serde::Serialize;

/// One observed fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen<T> {
    /// Looked, and it is not there.
    #[default]
    Absent,
    /// Could not look; the text says why.
    Unknown {
        /// Why the look failed, for people.
        because: String,
    },
    /// Looked, and this is what is there.
    Present(T),
}

impl<T> Seen<T> {
    /// An unknown fact and why it is unknown.
    pub fn unknown(because: impl Into<String>) -> Self {
        Self::Unknown { because: because.into() }
    }

    /// The value, when it was seen.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }

    /// The value for changing, when it was seen.
    pub fn present_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }

    /// Looked, and it is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Could not look.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Looked, and it is there.
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Present(_))
    }
}
