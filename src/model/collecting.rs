//! What the agent's collectors ask servers for beside the usual.

/// As configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collecting {
    /// Statistics of statements (`pg_stat_statements`).
    pub statements: Statements,
}

/// Which statements are told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// So many, those that took the most time in all; 0: none.
    pub top: u16,
    /// Their text is a label.
    pub text: bool,
}
