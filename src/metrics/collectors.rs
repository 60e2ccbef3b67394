//! The collectors: which questions a node's server is asked, how often, and which metrics its answers are.

use std::time::Duration;

use super::ground::Needs;
use super::groups::{Group, server, statements, tables, timescaledb};

/// One question to a server. It answers with one row of JSON: an object of lists of rows, by [`Group::key`].
#[derive(Clone, Copy, Debug)]
pub struct Collector {
    /// The value of the label `collector`.
    pub name: &'static str,
    /// How often it is asked.
    pub interval: Duration,
    /// Among which others it is asked.
    pub lane: Lane,
    /// What has to be there.
    pub needs: Needs,
    /// The question.
    pub sql: &'static str,
    /// What the answer is.
    pub answer: Answer,
}

/// Collectors that share a connection and are asked one after the other. One that takes long keeps only its own lane waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Milliseconds, however many chunks there are.
    Quick,
    /// The more chunks, the longer.
    Slow,
}

/// What an answer is made of.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Rows of these groups.
    Groups(&'static [Group]),
    /// Settings, whose names are the metrics' names.
    Settings,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Slow];

    /// How long a question may take before it counts as failed. What is quick takes milliseconds; the files of thousands of chunks
    /// take seconds when nobody has asked for them for long.
    pub const fn patience(self) -> Duration {
        match self {
            Self::Quick => Duration::from_secs(5),
            Self::Slow => Duration::from_secs(20),
        }
    }
}

/// Whether a server answers is asked often, and costs it nothing.
const REACH: Duration = Duration::from_secs(5);
/// As Prometheus asks.
const USUAL: Duration = Duration::from_secs(15);
/// What takes longer the more chunks there are, or hardly ever changes.
const RARE: Duration = Duration::from_mins(1);

/// A server that is asked for long answers spends at most one part in so many on them.
const SHARE: u32 = 100;

/// The one that tells whether the server answers.
pub const SERVER: &str = "server";

/// All of them, in the order in which they are asked.
pub const ALL: [Collector; 12] = [
    Collector {
        name: SERVER,
        interval: REACH,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        sql: include_str!("../../sql/observe/metrics/server.sql"),
        answer: Answer::Groups(&[server::STATIC, server::POSTMASTER, server::REPLICATION]),
    },
    Collector {
        name: "activity",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        sql: include_str!("../../sql/observe/metrics/activity.sql"),
        answer: Answer::Groups(&[server::STAT_ACTIVITY, server::LOCKS]),
    },
    Collector {
        name: "databases",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        sql: include_str!("../../sql/observe/metrics/databases.sql"),
        answer: Answer::Groups(&[server::STAT_DATABASE, server::STAT_DATABASE_CONFLICTS, server::DATABASE_WRAPAROUND]),
    },
    Collector {
        name: "replication",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        sql: include_str!("../../sql/observe/metrics/replication.sql"),
        answer: Answer::Groups(&[
            server::REPLICATION_SLOTS,
            server::REPLICATION_SLOT,
            server::REPLICATION_SLOT_WAL,
            server::STAT_REPLICATION,
        ]),
    },
    Collector {
        name: "writing",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        sql: include_str!("../../sql/observe/metrics/writing.sql"),
        answer: Answer::Groups(&[server::STAT_BGWRITER, server::STAT_CHECKPOINTER, server::STAT_ARCHIVER, server::WAL]),
    },
    Collector {
        name: "settings",
        interval: RARE,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        sql: include_str!("../../sql/observe/metrics/settings.sql"),
        answer: Answer::Settings,
    },
    Collector {
        name: "timescaledb",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Catalog,
        sql: include_str!("../../sql/observe/metrics/timescaledb.sql"),
        answer: Answer::Groups(&[timescaledb::HYPERTABLE, timescaledb::JOB, timescaledb::BACKGROUND_WORKERS]),
    },
    Collector {
        name: "tables",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Catalog,
        sql: concat!(
            include_str!("../../sql/observe/metrics/parts.sql"),
            include_str!("../../sql/observe/metrics/tables.sql")
        ),
        answer: Answer::Groups(&[tables::STAT_USER_TABLES, tables::STATIO_USER_TABLES]),
    },
    Collector {
        name: "sizes",
        interval: RARE,
        lane: Lane::Slow,
        needs: Needs::Catalog,
        sql: concat!(
            include_str!("../../sql/observe/metrics/parts.sql"),
            include_str!("../../sql/observe/metrics/sizes.sql")
        ),
        answer: Answer::Groups(&[server::DATABASE, tables::TABLE_SIZES, timescaledb::HYPERTABLE_SIZES]),
    },
    Collector {
        name: "aggregates",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Timescaledb,
        sql: include_str!("../../sql/observe/metrics/aggregates.sql"),
        answer: Answer::Groups(&[timescaledb::AGGREGATE]),
    },
    Collector {
        name: "statements",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Statements,
        sql: include_str!("../../sql/observe/metrics/statements.sql"),
        answer: Answer::Groups(&[statements::STATEMENTS]),
    },
    Collector {
        name: "statement_texts",
        interval: RARE,
        lane: Lane::Slow,
        needs: Needs::StatementTexts,
        sql: include_str!("../../sql/observe/metrics/statement_texts.sql"),
        answer: Answer::Groups(&[statements::STATEMENT_TEXTS]),
    },
];

impl Collector {
    /// Its counters are sums over chunks ([`Group::is_summed`]).
    pub fn is_summed(&self) -> bool {
        matches!(self.answer, Answer::Groups(groups) if groups.iter().any(|group| group.is_summed))
    }

    /// When it is asked again, counted from when it was asked: later where the answer took long. Whether a server answers is asked
    /// at any time: a busy one would otherwise be taken to answer for long after it froze.
    pub fn pause(&self, took: Duration) -> Duration {
        if self.name == SERVER {
            return self.interval;
        }
        self.interval.max(took.saturating_mul(SHARE))
    }

    /// How long an answer counts, from when it was asked for: until the next one has to be there.
    pub fn holds_for(&self, took: Duration) -> Duration {
        self.pause(took) + self.lane.patience()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_takes_long_is_asked_for_less_often_and_holds_for_longer() {
        let sizes = ALL.iter().find(|collector| collector.name == "sizes").expect("it is there");
        assert_eq!(sizes.pause(Duration::from_millis(50)), Duration::from_mins(1));
        assert_eq!(sizes.pause(Duration::from_secs(2)), Duration::from_secs(200));
        assert_eq!(sizes.holds_for(Duration::from_secs(2)), Duration::from_secs(220));
        let server = ALL.iter().find(|collector| collector.name == SERVER).expect("it is there");
        assert_eq!(
            server.holds_for(Duration::from_secs(2)),
            Duration::from_secs(10),
            "a frozen server is soon noticed"
        );
    }

    #[test]
    fn questions_change_nothing_and_ask_for_no_text_of_statements() {
        for collector in ALL {
            let sql = collector.sql.to_lowercase();
            for word in ["insert ", "update ", "delete ", "create ", "drop ", "alter ", "conninfo"] {
                assert!(!sql.contains(word), "{} contains {word}", collector.name);
            }
            // Nobody's text but where it was asked for; `queryid` is a number.
            let tells_text = sql.replace("queryid", "").contains("query") || sql.contains("pg_stat_statements(true)");
            assert_eq!(tells_text, collector.needs == Needs::StatementTexts, "{}", collector.name);
        }
    }
}
