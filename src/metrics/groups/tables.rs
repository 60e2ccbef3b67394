//! Metrics of tables. A hypertable is one table: its chunks are summed into it, and there is no series of a chunk.

use super::groups;

groups! {
    /// Statistics of tables.
    STAT_USER_TABLES "pg_stat_user_tables" ["node", "datname", "schemaname", "relname"] summed true {
        Counter "seq_scan" "Sequential scans.";
        Counter "seq_tup_read" "Rows read by them.";
        Counter "idx_scan" "Index scans.";
        Counter "idx_tup_fetch" "Rows fetched by them.";
        Counter "n_tup_ins" "Rows inserted.";
        Counter "n_tup_upd" "Rows updated.";
        Counter "n_tup_del" "Rows deleted.";
        Counter "n_tup_hot_upd" "Rows updated without a change to indexes.";
        Gauge "n_live_tup" "Rows, as the statistics estimate.";
        Gauge "n_dead_tup" "Dead rows, as the statistics estimate.";
        Gauge "n_mod_since_analyze" "Rows changed since the last ANALYZE.";
        Gauge "last_vacuum" "When a VACUUM by hand last ended; absent when none did.";
        Gauge "last_autovacuum" "When autovacuum last ended a VACUUM; absent when it never did.";
        Gauge "last_analyze" "When an ANALYZE by hand last ended; absent when none did.";
        Gauge "last_autoanalyze" "When autovacuum last ended an ANALYZE; absent when it never did.";
        Counter "vacuum_count" "VACUUMs by hand.";
        Counter "autovacuum_count" "VACUUMs by autovacuum.";
        Counter "analyze_count" "ANALYZEs by hand.";
        Counter "autoanalyze_count" "ANALYZEs by autovacuum.";
    }
    /// What was read from disk and what from the cache.
    STATIO_USER_TABLES "pg_statio_user_tables" ["node", "datname", "schemaname", "relname"] summed true {
        Counter "heap_blocks_read" "Blocks of the table read from outside the server's cache.";
        Counter "heap_blocks_hit" "Blocks of the table found in the server's cache.";
        Counter "idx_blocks_read" "Blocks of its indexes read.";
        Counter "idx_blocks_hit" "Blocks of its indexes found.";
        Counter "toast_blocks_read" "Blocks of its TOAST table read; absent where there is none.";
        Counter "toast_blocks_hit" "Blocks of its TOAST table found; absent where there is none.";
        Counter "tidx_blocks_read" "Blocks of the TOAST table's index read; absent where there is none.";
        Counter "tidx_blocks_hit" "Blocks of the TOAST table's index found; absent where there is none.";
    }
    /// Sizes of tables.
    TABLE_SIZES "pg_stat_user_tables" ["node", "datname", "schemaname", "relname"] {
        Gauge "size_bytes" "Bytes on disk of the table with its indexes and TOAST.";
    }
}
