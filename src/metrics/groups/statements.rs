//! Metrics of statements, by `pg_stat_statements`.

use super::groups;

groups! {
    /// What they cost.
    STATEMENTS "pg_stat_statements" ["node", "user", "datname", "queryid"] {
        Counter "calls_total" "How often the statement was executed.";
        Counter "seconds_total" "Seconds that it took in all.";
        Counter "rows_total" "Rows that it returned or changed.";
        Counter "block_read_seconds_total" "Seconds of it spent reading blocks; 0 unless `track_io_timing` is on.";
        Counter "block_write_seconds_total" "Seconds of it spent writing blocks; 0 unless `track_io_timing` is on.";
    }
    /// What they are.
    STATEMENT_TEXTS "pg_stat_statements" ["node", "queryid", "query"] {
        Gauge "query_id" "Always 1; the label is the beginning of the statement, without its constants. Only with `metrics.statements.text`.";
    }
}
