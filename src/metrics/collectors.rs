//! The collectors: which questions a node's server is asked, how often, and which metrics its answers are.

use std::time::Duration;

use super::ground::{Ground, Needs};
use super::groups::{Group, server, statements, tables, timescaledb};
use crate::model::collecting::Statements;

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
    pub question: Question,
    /// What the answer is.
    pub answer: Answer,
}

/// A question, as it can be asked where it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    /// The same everywhere.
    Same(&'static str),
    /// By what tells of hypertables and chunks.
    Chunks {
        /// hypertide's own schema, which is quick with thousands of them.
        catalog: &'static str,
        /// TimescaleDB.
        timescaledb: &'static str,
        /// Nothing: there are none.
        plain: &'static str,
    },
}

/// A question about tables, by the file that asks it.
macro_rules! about_tables {
    ($file:literal) => {
        Question::Chunks {
            catalog: concat!(
                include_str!("../../sql/observe/metrics/parts/hypertables.sql"),
                include_str!("../../sql/observe/metrics/parts/retired.sql"),
                include_str!("../../sql/observe/metrics/parts/plain.sql"),
                include_str!($file)
            ),
            timescaledb: concat!(
                include_str!("../../sql/observe/metrics/parts/hypertables.sql"),
                include_str!("../../sql/observe/metrics/parts/no_retired.sql"),
                include_str!("../../sql/observe/metrics/parts/plain.sql"),
                include_str!($file)
            ),
            plain: concat!(
                include_str!("../../sql/observe/metrics/parts/no_hypertables.sql"),
                include_str!("../../sql/observe/metrics/parts/no_retired.sql"),
                include_str!("../../sql/observe/metrics/parts/plain.sql"),
                include_str!($file)
            ),
        }
    };
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
        question: Question::Same(include_str!("../../sql/observe/metrics/server.sql")),
        answer: Answer::Groups(&[server::STATIC, server::POSTMASTER, server::REPLICATION]),
    },
    Collector {
        name: "activity",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        question: Question::Same(include_str!("../../sql/observe/metrics/activity.sql")),
        answer: Answer::Groups(&[server::STAT_ACTIVITY, server::LOCKS]),
    },
    Collector {
        name: "databases",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        question: Question::Same(include_str!("../../sql/observe/metrics/databases.sql")),
        answer: Answer::Groups(&[server::STAT_DATABASE, server::STAT_DATABASE_CONFLICTS, server::DATABASE_WRAPAROUND]),
    },
    Collector {
        name: "replication",
        interval: USUAL,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        question: Question::Same(include_str!("../../sql/observe/metrics/replication.sql")),
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
        question: Question::Same(include_str!("../../sql/observe/metrics/writing.sql")),
        answer: Answer::Groups(&[server::STAT_BGWRITER, server::STAT_CHECKPOINTER, server::STAT_ARCHIVER, server::WAL]),
    },
    Collector {
        name: "settings",
        interval: RARE,
        lane: Lane::Quick,
        needs: Needs::Nothing,
        question: Question::Same(include_str!("../../sql/observe/metrics/settings.sql")),
        answer: Answer::Settings,
    },
    Collector {
        name: "timescaledb",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Timescaledb,
        question: Question::Chunks {
            catalog: concat!(
                include_str!("../../sql/observe/metrics/timescaledb/hypertables.sql"),
                include_str!("../../sql/observe/metrics/timescaledb/chunks.sql"),
                include_str!("../../sql/observe/metrics/timescaledb.sql")
            ),
            timescaledb: concat!(
                include_str!("../../sql/observe/metrics/timescaledb/hypertables.sql"),
                include_str!("../../sql/observe/metrics/timescaledb/chunks_by_view.sql"),
                include_str!("../../sql/observe/metrics/timescaledb.sql")
            ),
            plain: "",
        },
        answer: Answer::Groups(&[timescaledb::HYPERTABLE, timescaledb::JOB, timescaledb::BACKGROUND_WORKERS]),
    },
    Collector {
        name: "tables",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Nothing,
        question: about_tables!("../../sql/observe/metrics/tables.sql"),
        answer: Answer::Groups(&[tables::STAT_USER_TABLES, tables::STATIO_USER_TABLES]),
    },
    Collector {
        name: "sizes",
        interval: RARE,
        lane: Lane::Slow,
        needs: Needs::Nothing,
        question: about_tables!("../../sql/observe/metrics/sizes.sql"),
        answer: Answer::Groups(&[server::DATABASE, tables::TABLE_SIZES, timescaledb::HYPERTABLE_SIZES]),
    },
    Collector {
        name: "aggregates",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Timescaledb,
        question: Question::Same(include_str!("../../sql/observe/metrics/aggregates.sql")),
        answer: Answer::Groups(&[timescaledb::AGGREGATE]),
    },
    Collector {
        name: "statements",
        interval: USUAL,
        lane: Lane::Slow,
        needs: Needs::Statements,
        question: Question::Same(include_str!("../../sql/observe/metrics/statements.sql")),
        answer: Answer::Groups(&[statements::STATEMENTS]),
    },
    Collector {
        name: "statement_texts",
        interval: RARE,
        lane: Lane::Slow,
        needs: Needs::StatementTexts,
        question: Question::Same(include_str!("../../sql/observe/metrics/statement_texts.sql")),
        answer: Answer::Groups(&[statements::STATEMENT_TEXTS]),
    },
];

impl Question {
    /// As it is asked where this is there.
    pub const fn on(self, ground: Ground) -> &'static str {
        match self {
            Self::Same(sql) => sql,
            Self::Chunks { catalog, .. } if ground.has_catalog => catalog,
            Self::Chunks { timescaledb, .. } if ground.has_timescaledb => timescaledb,
            Self::Chunks { plain, .. } => plain,
        }
    }
}

impl Collector {
    /// What is there has to be known before it is asked.
    pub fn needs_ground(&self) -> bool {
        self.needs != Needs::Nothing || matches!(self.question, Question::Chunks { .. })
    }

    /// The question as it is asked where this is there; `None` where there is nothing to ask for.
    pub fn asked_on(&self, ground: Ground, wanted: Statements) -> Option<&'static str> {
        self.needs.are_met(ground, wanted).then(|| self.question.on(ground))
    }

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
        let grounds = [(false, false), (true, false), (true, true)].map(|(has_timescaledb, has_catalog)| Ground {
            has_timescaledb,
            has_catalog,
            has_statements: true,
        });
        for (collector, ground) in ALL.iter().flat_map(|collector| grounds.map(|ground| (collector, ground))) {
            let sql = collector.question.on(ground).to_lowercase();
            for word in ["insert ", "update ", "delete ", "create ", "drop ", "alter ", "conninfo"] {
                assert!(!sql.contains(word), "{} contains {word}", collector.name);
            }
            // Nobody's text but where it was asked for; `queryid` is a number.
            let tells_text = sql.replace("queryid", "").contains("query") || sql.contains("pg_stat_statements(true)");
            assert_eq!(tells_text, collector.needs == Needs::StatementTexts, "{}", collector.name);
        }
    }

    #[test]
    fn only_what_is_there_is_asked() {
        let wanted = Statements { top: 20, text: true };
        let asked = |ground: Ground| ALL.iter().filter_map(move |collector| collector.asked_on(ground, wanted));
        let plain = Ground::default();
        let is_timescaledbs =
            |sql: &str| sql.contains("_timescaledb_catalog.") || sql.contains("timescaledb_information.");
        assert!(asked(plain).all(|sql| !is_timescaledbs(sql) && !sql.contains(" hypertide.")));
        let timescaledb = Ground { has_timescaledb: true, ..plain };
        assert!(asked(timescaledb).all(|sql| !sql.contains(" hypertide.")));
        assert_eq!(asked(timescaledb).count(), asked(plain).count() + 2, "hypertables and aggregates");
        let catalog = Ground { has_catalog: true, ..timescaledb };
        assert_eq!(asked(catalog).count(), asked(timescaledb).count());
        assert!(asked(catalog).any(|sql| sql.contains(" hypertide.chunks(")));
    }
}
