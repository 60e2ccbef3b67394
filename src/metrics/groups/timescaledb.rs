//! Metrics of TimescaleDB. A continuous aggregate is told under the name of its view.

use super::groups;

groups! {
    /// Hypertables.
    HYPERTABLE "timescaledb_hypertable" ["node", "schemaname", "relname"] {
        Gauge "chunks" "Chunks of the hypertable.";
        Gauge "compressed_chunks" "Chunks of it that are compressed, wholly or in part.";
        Gauge "approximate_rows" "Rows, as the last ANALYZE of each chunk counted; absent while no chunk was counted.";
        Gauge "next_chunk_boundary_timestamp_seconds" "When the chunk ends that holds the present time; absent when none does, or when the first dimension is no time.";
    }
    /// Their sizes.
    HYPERTABLE_SIZES "timescaledb_hypertable" ["node", "schemaname", "relname"] {
        Gauge "size_bytes" "Bytes on disk of the hypertable with indexes, TOAST and compressed rows.";
    }
    /// Jobs, where they run: not on a standby. Numbers below 1000 are TimescaleDB's own.
    JOB "timescaledb_job" ["node", "job_id", "proc_name"] {
        Gauge "scheduled" "1 unless the job is switched off.";
        Counter "runs_total" "Runs of the job.";
        Counter "failures_total" "Runs of it that failed.";
        Gauge "last_run_success" "1 when its last run succeeded; absent before the first.";
        Gauge "last_success_timestamp_seconds" "When a run of it last succeeded; absent when none did.";
        Gauge "next_start_timestamp_seconds" "When it is to run next; absent when it is not.";
    }
    /// Continuous aggregates.
    AGGREGATE "timescaledb_continuous_aggregate" ["node", "schemaname", "relname"] {
        Gauge "lag_seconds" "From the end of what is materialised to now; absent when it was never refreshed, or when its time is no time.";
        Gauge "invalidations" "Ranges of its hypertable that were changed and that no refresh has seen.";
    }
    /// Background workers.
    BACKGROUND_WORKERS "timescaledb_background_workers" ["node"] {
        Gauge "used" "Schedulers and jobs of TimescaleDB that run now.";
        Gauge "limit" "How many may: `timescaledb.max_background_workers`.";
    }
}
