//! What a server has that collectors need, and which of them are asked there. Pure.

use serde::Deserialize;

use crate::model::collecting::Statements;

/// `sql/observe/metrics/ground.sql`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Ground {
    /// The extension is installed.
    pub has_timescaledb: bool,
    /// hypertide's own schema is there, as it is on the nodes of a cluster.
    pub has_catalog: bool,
    /// Statistics of statements can be asked for.
    pub has_statements: bool,
}

/// The question that tells.
pub const QUESTION: &str = include_str!("../../sql/observe/metrics/ground.sql");

/// What a collector needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A server.
    Nothing,
    /// TimescaleDB.
    Timescaledb,
    /// Statistics of statements.
    Statements,
    /// The same, and that somebody wants to read them.
    StatementTexts,
}

impl Needs {
    /// Nothing is missing. A collector of which something is missing is not asked, and not told of.
    pub const fn are_met(self, ground: Ground, wanted: Statements) -> bool {
        let has_statements = ground.has_statements;
        match self {
            Self::Nothing => true,
            Self::Timescaledb => ground.has_timescaledb,
            Self::Statements => has_statements && wanted.top > 0,
            Self::StatementTexts => has_statements && wanted.top > 0 && wanted.text,
        }
    }

    /// Its question is told how many statements are wanted.
    pub const fn takes_top(self) -> bool {
        matches!(self, Self::Statements | Self::StatementTexts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_for_that_is_not_there_or_not_wanted() {
        use Needs::{Nothing, StatementTexts, Statements as Needed, Timescaledb};
        let all = Ground { has_timescaledb: true, has_catalog: true, has_statements: true };
        let (usual, text, off) = (
            Statements { top: 20, text: false },
            Statements { top: 20, text: true },
            Statements { top: 0, text: true },
        );
        let plain = Ground::default();
        for (ground, wanted, asked) in [
            (all, usual, &[Nothing, Timescaledb, Needed][..]),
            (all, text, &[Nothing, Timescaledb, Needed, StatementTexts]),
            (all, off, &[Nothing, Timescaledb]),
            (plain, text, &[Nothing]),
            (Ground { has_timescaledb: true, ..plain }, text, &[Nothing, Timescaledb]),
            (Ground { has_statements: true, ..plain }, usual, &[Nothing, Needed]),
        ] {
            let needs = [Nothing, Timescaledb, Needed, StatementTexts];
            let met: Vec<Needs> = needs.into_iter().filter(|needs| needs.are_met(ground, wanted)).collect();
            assert_eq!(met, asked, "{ground:?} {wanted:?}");
        }
    }
}
