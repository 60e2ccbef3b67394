//! Metrics of a server and its databases.

use super::groups;

groups! {
    /// Which version it is.
    STATIC "pg" ["node", "version", "short_version"] {
        Gauge "static" "Always 1; the labels are the server's version.";
    }
    /// Since when it runs.
    POSTMASTER "pg_postmaster" ["node"] {
        Gauge "start_time_seconds" "When the server started.";
    }
    /// How a standby follows.
    REPLICATION "pg_replication" ["node"] {
        Gauge "is_replica" "1 while the server is in recovery, which is what a standby is.";
        Gauge "lag_seconds" "Age of what a standby replayed last, 0 while it has replayed all it received; hypertide's own lag in seconds is right when the link is cut too.";
        Gauge "last_replay_seconds" "Age of the transaction that a standby replayed last; absent elsewhere.";
    }
    /// What backends do.
    STAT_ACTIVITY "pg_stat_activity" ["node", "datname", "state"] {
        Gauge "count" "Client backends in this state.";
        Gauge "max_tx_duration" "Seconds that the longest transaction among them has lasted.";
    }
    /// Locks.
    LOCKS "pg_locks" ["node", "datname", "mode"] {
        Gauge "count" "Locks that are held or waited for.";
    }
    /// Statistics by database.
    STAT_DATABASE "pg_stat_database" ["node", "datid", "datname"] {
        Gauge "numbackends" "Backends connected to the database.";
        Counter "xact_commit" "Transactions committed.";
        Counter "xact_rollback" "Transactions rolled back.";
        Counter "blks_read" "Blocks read from outside the server's cache.";
        Counter "blks_hit" "Blocks found in the server's cache.";
        Counter "tup_returned" "Rows read by scans.";
        Counter "tup_fetched" "Rows fetched by index scans.";
        Counter "tup_inserted" "Rows inserted.";
        Counter "tup_updated" "Rows updated.";
        Counter "tup_deleted" "Rows deleted.";
        Counter "conflicts" "Queries of a standby cancelled because of a conflict with recovery.";
        Counter "temp_files" "Temporary files made.";
        Counter "temp_bytes" "Bytes written to temporary files.";
        Counter "deadlocks" "Deadlocks.";
        Counter "blk_read_time" "Milliseconds spent reading blocks; 0 unless `track_io_timing` is on.";
        Counter "blk_write_time" "Milliseconds spent writing blocks; 0 unless `track_io_timing` is on.";
        Counter "active_time_seconds_total" "Seconds that sessions spent executing statements.";
        Gauge "stats_reset" "When the statistics were reset; absent when they never were.";
    }
    /// Queries of a standby that recovery cancelled.
    STAT_DATABASE_CONFLICTS "pg_stat_database_conflicts" ["node", "datid", "datname"] {
        Counter "confl_tablespace" "Queries cancelled because of a dropped tablespace.";
        Counter "confl_lock" "Queries cancelled because of a lock.";
        Counter "confl_snapshot" "Queries cancelled because of an old snapshot.";
        Counter "confl_bufferpin" "Queries cancelled because of a pinned buffer.";
        Counter "confl_deadlock" "Queries cancelled because of a deadlock.";
    }
    /// How far databases are from a wraparound.
    DATABASE_WRAPAROUND "pg_database_wraparound" ["node", "datname"] {
        Gauge "age_datfrozenxid_seconds" "Age of the oldest transaction id that is not frozen, in transactions and not in seconds; the server stops at two thousand million.";
        Gauge "age_datminmxid_seconds" "The same of multixact ids.";
    }
    /// Checkpoints and the background writer, under the names from before PostgreSQL 17; those without `_total` are what older dashboards ask for.
    STAT_BGWRITER "pg_stat_bgwriter" ["node"] {
        Counter "checkpoints_timed_total" "Checkpoints that were due.";
        Counter "checkpoints_req_total" "Checkpoints that were asked for.";
        Counter "checkpoint_write_time_total" "Milliseconds spent writing at checkpoints.";
        Counter "checkpoint_sync_time_total" "Milliseconds spent synchronising at checkpoints.";
        Counter "buffers_checkpoint_total" "Buffers written at checkpoints.";
        Counter "buffers_clean_total" "Buffers written by the background writer.";
        Counter "maxwritten_clean_total" "Times the background writer stopped because it had written enough.";
        Counter "buffers_backend_total" "Buffers written by other processes themselves.";
        Counter "buffers_backend_fsync_total" "Times other processes had to synchronise a file themselves.";
        Counter "buffers_alloc_total" "Buffers allocated.";
        Counter "stats_reset_total" "When these statistics were reset, in seconds since 1970; no counter, whatever its name says.";
        Counter "checkpoints_timed" "The same as `pg_stat_bgwriter_checkpoints_timed_total`.";
        Counter "checkpoints_req" "The same as `pg_stat_bgwriter_checkpoints_req_total`.";
        Counter "checkpoint_write_time" "The same as `pg_stat_bgwriter_checkpoint_write_time_total`.";
        Counter "checkpoint_sync_time" "The same as `pg_stat_bgwriter_checkpoint_sync_time_total`.";
        Counter "buffers_checkpoint" "The same as `pg_stat_bgwriter_buffers_checkpoint_total`.";
        Counter "buffers_clean" "The same as `pg_stat_bgwriter_buffers_clean_total`.";
        Counter "maxwritten_clean" "The same as `pg_stat_bgwriter_maxwritten_clean_total`.";
        Counter "buffers_backend" "The same as `pg_stat_bgwriter_buffers_backend_total`.";
        Counter "buffers_backend_fsync" "The same as `pg_stat_bgwriter_buffers_backend_fsync_total`.";
        Counter "buffers_alloc" "The same as `pg_stat_bgwriter_buffers_alloc_total`.";
    }
    /// Checkpoints.
    STAT_CHECKPOINTER "pg_stat_checkpointer" ["node"] {
        Counter "num_timed_total" "Checkpoints that were due.";
        Counter "num_requested_total" "Checkpoints that were asked for.";
        Counter "restartpoints_timed_total" "Restartpoints of a standby that were due.";
        Counter "restartpoints_req_total" "Restartpoints of a standby that were asked for.";
        Counter "restartpoints_done_total" "Restartpoints of a standby that were performed.";
        Counter "write_time_total" "Milliseconds spent writing.";
        Counter "sync_time_total" "Milliseconds spent synchronising.";
        Counter "buffers_written_total" "Buffers written.";
        Counter "stats_reset_total" "When these statistics were reset, in seconds since 1970; no counter, whatever its name says.";
    }
    /// The server's own archiver; hypertide archives the log without it.
    STAT_ARCHIVER "pg_stat_archiver" ["node"] {
        Counter "archived_count" "Files of the log that `archive_command` archived; hypertide archives without it.";
        Counter "failed_count" "Failed attempts of it.";
        Gauge "last_archive_age" "Seconds since it last archived; absent when it never did.";
    }
    /// The log.
    WAL "pg_wal" ["node"] {
        Gauge "segments" "Files of the log in the server's directory.";
        Gauge "size_bytes" "Their size.";
    }
    /// Slots.
    REPLICATION_SLOTS "pg_replication_slots" ["node", "slot_name", "database"] {
        Gauge "active" "1 while somebody streams from the slot.";
        Gauge "pg_wal_lsn_diff" "Bytes of the log that the server keeps because of the slot.";
    }
    /// The same slots, under postgres_exporter's later names.
    REPLICATION_SLOT "pg_replication_slot" ["node", "slot_name", "slot_type"] {
        Gauge "slot_current_wal_lsn" "Where the server's log is, in bytes.";
        Gauge "slot_confirmed_flush_lsn" "Up to where the slot's consumer has confirmed it; logical slots only.";
        Gauge "slot_is_active" "1 while somebody streams from the slot.";
        Gauge "safe_wal_size_bytes" "Bytes that can be written before the slot may be lost; absent when it cannot be.";
    }
    /// Whether slots still have what they need.
    REPLICATION_SLOT_WAL "pg_replication_slot_wal" ["node", "slot_name", "slot_type", "wal_status"] {
        Gauge "status" "1 for pg_replication_slots.wal_status of the slot.";
    }
    /// Who streams.
    STAT_REPLICATION "pg_stat_replication" ["node", "application_name", "client_addr", "state", "slot_name"] {
        Gauge "pg_current_wal_lsn_bytes" "Where the server's log is, in bytes.";
        Gauge "pg_wal_lsn_diff" "Bytes of it that the other side has not replayed.";
    }
    /// Sizes of databases.
    DATABASE "pg_database" ["node", "datname"] {
        Gauge "size_bytes" "Bytes on disk of the database.";
    }
}
