//! What the archive of the log does at a moment, in words for `status` and logs.

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The log comes and goes into the store.
    Archiving,
    /// There is nobody to receive from at the moment.
    Waiting(String),
    /// The store takes nothing and the spool is full: the log waits on the primary.
    Resting(String),
    /// Something fails.
    Failing(String),
}

impl Phase {
    /// The stable word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Archiving => "archiving",
            Self::Waiting(_) => "waiting",
            Self::Resting(_) => "resting",
            Self::Failing(_) => "failing",
        }
    }

    /// Why it does not simply go on.
    pub fn because(&self) -> Option<&str> {
        match self {
            Self::Archiving => None,
            Self::Waiting(because) | Self::Resting(because) | Self::Failing(because) => Some(because),
        }
    }

    /// Of both sides: what keeps the log from coming, what keeps it from going into the store, and whether the spool is full.
    pub fn of(receiving: Option<&str>, storing: Option<&str>, is_resting: bool) -> Self {
        match (storing, receiving) {
            (Some(storing), _) if is_resting => Self::Resting(format!("the spool is full: {storing}")),
            (Some(storing), _) => Self::Failing(storing.to_owned()),
            (None, _) if is_resting => Self::Resting("the spool is full and is being stored".into()),
            (None, Some(receiving)) => Self::Waiting(receiving.to_owned()),
            (None, None) => Self::Archiving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_fails_is_told_before_a_server_that_is_away() {
        let phase = |receiving, storing, is_resting| Phase::of(receiving, storing, is_resting).word();
        assert_eq!(phase(None, None, false), "archiving");
        assert_eq!(phase(Some("away"), None, false), "waiting");
        assert_eq!(phase(Some("away"), Some("full"), false), "failing");
        assert_eq!(phase(None, Some("full"), true), "resting");
        assert_eq!(Phase::of(None, Some("disk full"), true).because(), Some("the spool is full: disk full"));
    }
}
