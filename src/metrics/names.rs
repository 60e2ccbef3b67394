//! Metrics of the agent and the cluster: name, what it means, and its labels. A contract: `docs/metrics.md` lists the same, as a test makes sure.
//!
//! Base units, `_total` on counters, and labels with few values: nodes, and words of closed lists.

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// What its numbers do.
    pub kind: Kind,
    /// The labels of each sample.
    pub labels: &'static [&'static str],
}

/// What a metric's numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They go up and down.
    Gauge,
    /// They only grow, until whoever counts starts afresh.
    Counter,
    /// Counters by size.
    Histogram,
}

impl Kind {
    /// Prometheus' own word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($ident:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $ident: Metric =
                Metric { name: $name, help: $help, kind: Kind::$kind, labels: &[$($label),*] };
        )+

        /// All of them.
        pub const ALL: &[Metric] = &[$($ident),+];
    };
}

metrics! {
    BUILD_INFO: Gauge "hypertide_build_info" ["version"]
        "Always 1; the label is the agent's version.";
    UP: Gauge "hypertide_up" []
        "1 while the agent's last look at the cluster is recent; at 0 nothing is said of the cluster.";

    CLUSTER_HEALTH: Gauge "hypertide_cluster_health" ["health"]
        "1 for the cluster's health, 0 for the other words.";
    NODE_ROLE: Gauge "hypertide_node_role" ["node", "role"]
        "1 for the role the node is seen to have, 0 for the others.";
    NODE_EPOCH: Gauge "hypertide_node_epoch" ["node"]
        "Epoch at which the primary takes writes; every promotion raises it.";
    HOLDS: Gauge "hypertide_holds" ["reason"]
        "Wanted steps that are not taken now, by reason; a reason that holds nothing is absent.";

    WRITABLE_NODES: Gauge "hypertide_writable_nodes" []
        "Nodes that are seen to take the writes of a primary: 1 when all is well.";
    FAILOVER_AUTOMATIC: Gauge "hypertide_failover_automatic" []
        "1 when the agent may replace a primary by itself.";
    FAILOVER_PAUSED: Gauge "hypertide_failover_paused" []
        "1 while failover is paused for maintenance.";
    PROMOTIONS_TOTAL: Counter "hypertide_promotions_total" ["kind", "by"]
        "Changes of the primary on record: switchover or failover, by operator or agent.";
    LAST_PROMOTION_TIMESTAMP_SECONDS: Gauge "hypertide_last_promotion_timestamp_seconds" ["kind"]
        "When the last change of this kind was complete; absent when none is among the last ten changes.";
    LAST_PROMOTION_WRITE_PAUSE_SECONDS: Gauge "hypertide_last_promotion_write_pause_seconds" ["kind"]
        "For how long no node took writes then.";
    LAST_PROMOTION_PHASE_SECONDS: Gauge "hypertide_last_promotion_phase_seconds" ["kind", "phase"]
        "How long each of its phases took.";
    ENDPOINT_UP: Gauge "hypertide_endpoint_up" ["endpoint"]
        "1 while the endpoint's PgBouncer answers.";
    ENDPOINT_PAUSED: Gauge "hypertide_endpoint_paused" ["endpoint"]
        "1 while it holds its clients.";
    ENDPOINT_LEADS_TO: Gauge "hypertide_endpoint_leads_to" ["endpoint", "node"]
        "1 for each node to which it leads clients, 0 for the others.";
    DISK_SIZE_BYTES: Gauge "hypertide_disk_size_bytes" ["node"]
        "Size of the file system that holds the node's data.";
    DISK_FREE_BYTES: Gauge "hypertide_disk_free_bytes" ["node"]
        "What of it the server may still use.";

    REPLICATION_LAG_BYTES: Gauge "hypertide_replication_lag_bytes" ["node"]
        "Log of the primary that the replica has not applied.";
    REPLICATION_LAG_SECONDS: Gauge "hypertide_replication_lag_seconds" ["node"]
        "The same as time, as the primary measures it.";
    SLOT_RETAINED_BYTES: Gauge "hypertide_slot_retained_bytes" ["node"]
        "Log that the primary keeps because of the replica's slot.";
    SLOT_ACTIVE: Gauge "hypertide_slot_active" ["node"]
        "1 while the replica streams from its slot.";
    SLOT_WAL_STATUS: Gauge "hypertide_slot_wal_status" ["node", "status"]
        "1 for pg_replication_slots.wal_status of the replica's slot, 0 for the other words.";
    SYNC_STATE: Gauge "hypertide_replication_sync_state" ["node", "state"]
        "1 for pg_stat_replication.sync_state of the replica, 0 for the other words; absent while it is not connected.";
    APPLY_ERRORS_TOTAL: Counter "hypertide_apply_errors_total" ["node"]
        "Failed attempts of a logical replica to apply changes, as its server counts them.";
    SYNC_ERRORS_TOTAL: Counter "hypertide_sync_errors_total" ["node"]
        "Failed attempts of a logical replica to copy a table, as its server counts them.";

    CHUNKS_PUBLISHED: Gauge "hypertide_chunks_published" ["node"]
        "Chunks of the primary that the logical replica's publication covers.";
    CHUNKS_UNPUBLISHED: Gauge "hypertide_chunks_unpublished" ["node"]
        "Chunks of the primary that it does not cover: their rows never leave the primary.";
    CHUNKS_UNSUBSCRIBED: Gauge "hypertide_chunks_unsubscribed" ["node"]
        "Published chunks that the subscription does not know: their rows do not arrive.";
    CHUNKS_NOT_READY: Gauge "hypertide_chunks_not_ready" ["node"]
        "Chunks that are still being copied to the logical replica.";
    LAST_COMPARE_TIMESTAMP_SECONDS: Gauge "hypertide_last_compare_timestamp_seconds" ["node"]
        "When all tables of the logical replica were compared with the primary's last; absent when they never were.";
    COMPARE_MISMATCHES: Gauge "hypertide_compare_mismatches" ["node"]
        "Tables and chunks of the logical replica that differed when they were compared last.";
    PROMOTION_READY: Gauge "hypertide_promotion_ready" ["node"]
        "1 while nothing speaks against making the replica the primary.";

    BACKUP_LAST_SUCCESS_TIMESTAMP_SECONDS: Gauge "hypertide_backup_last_success_timestamp_seconds" ["job"]
        "When a run of the backup job last succeeded; absent when none did.";
    BACKUP_LAST_VERIFIED_TIMESTAMP_SECONDS: Gauge "hypertide_backup_last_verified_timestamp_seconds" ["job"]
        "When a backup of the job was last restored and found equal; absent when none was.";
    BACKUP_LAST_DURATION_SECONDS: Gauge "hypertide_backup_last_duration_seconds" ["job"]
        "How long the job's last run that succeeded took.";
    BACKUP_LAST_SIZE_BYTES: Gauge "hypertide_backup_last_size_bytes" ["job"]
        "Bytes in the store of the job's last backup.";
    BACKUP_LAST_DRILL_TIMESTAMP_SECONDS: Gauge "hypertide_backup_last_drill_timestamp_seconds" ["job"]
        "When a drill of a backup of the job last ended, whatever it found; absent when none was held.";
    BACKUP_LAST_DRILL_SUCCESS: Gauge "hypertide_backup_last_drill_success" ["job"]
        "1 when that drill restored the backup and found it equal.";
    BACKUP_LAST_DRILL_DURATION_SECONDS: Gauge "hypertide_backup_last_drill_duration_seconds" ["job"]
        "How long that drill took.";
    BACKUP_LAST_DRILL_ROWS: Gauge "hypertide_backup_last_drill_rows" ["job"]
        "Rows that it compared.";
    BACKUP_LAST_DRILL_DIFFERENCES: Gauge "hypertide_backup_last_drill_differences" ["job"]
        "Differences that it found.";
    BACKUP_RPO_BYTES: Gauge "hypertide_backup_rpo_bytes" ["job"]
        "Log of the primary that is not archived yet: what would be lost with the primary.";
    BACKUP_RPO_SECONDS: Gauge "hypertide_backup_rpo_seconds" ["job"]
        "How old the first of that log is.";
    BACKUP_RUNS_TOTAL: Counter "hypertide_backup_runs_total" ["job"]
        "Runs of the backup job that ended, failed ones included, since the agent started.";
    BACKUP_FAILURES_TOTAL: Counter "hypertide_backup_failures_total" ["job"]
        "Runs of the backup job that failed, since the agent started.";

    JOB_RUNS_TOTAL: Counter "hypertide_job_runs_total" ["job"]
        "Runs of the data job that ended, failed ones included, since the agent started.";
    JOB_FAILURES_TOTAL: Counter "hypertide_job_failures_total" ["job"]
        "Runs of the data job that failed, since the agent started.";
    JOB_LAST_SUCCESS_TIMESTAMP_SECONDS: Gauge "hypertide_job_last_success_timestamp_seconds" ["job"]
        "When a run of the data job last succeeded; absent when none did.";
    JOB_LAST_DURATION_SECONDS: Gauge "hypertide_job_last_duration_seconds" ["job"]
        "How long the data job's last run that succeeded took.";
    JOB_LAST_ROWS: Gauge "hypertide_job_last_rows" ["job"]
        "Rows that the last statement of that run gave or changed.";
    JOB_FINDING: Gauge "hypertide_job_finding" ["job", "finding", "object"]
        "What the data job's last run that succeeded found; 50 of each job at most, without those that have no value.";
    JOB_FINDINGS_LEFT_OUT: Gauge "hypertide_job_findings_left_out" ["job"]
        "How many more it found; absent for jobs that tell no findings.";

    PG_UP: Gauge "pg_up" ["node"]
        "1 while the node's server answers.";
    COLLECTOR_SUCCESS: Gauge "hypertide_collector_success" ["node", "collector"]
        "1 while the collector's last answer counts; at 0 all its metrics of the node are absent.";
    COLLECTOR_LAST_SUCCESS_TIMESTAMP_SECONDS: Gauge "hypertide_collector_last_success_timestamp_seconds" ["node", "collector"]
        "When the collector last had an answer from the node; absent when it never had.";
    COLLECTOR_DURATION_SECONDS: Gauge "hypertide_collector_duration_seconds" ["node", "collector"]
        "How long that answer took.";

    EVENTS_TOTAL: Counter "hypertide_events_total" ["event"]
        "Things that happened since the agent started, as its log and the webhook tell them.";

    AGENT_OBSERVATION_AGE_SECONDS: Gauge "hypertide_agent_observation_age_seconds" []
        "Age of the last look that succeeded.";
    AGENT_PASSES_TOTAL: Counter "hypertide_agent_passes_total" []
        "Passes that ended, failed ones included.";
    AGENT_PASS_ERRORS_TOTAL: Counter "hypertide_agent_pass_errors_total" []
        "Passes that failed.";
    AGENT_PASS_DURATION_SECONDS: Histogram "hypertide_agent_pass_duration_seconds" []
        "How long passes took, the steps they executed included.";

    PROCESS_CPU_SECONDS_TOTAL: Counter "process_cpu_seconds_total" []
        "Seconds of processor time that the agent has used.";
    PROCESS_START_TIME_SECONDS: Gauge "process_start_time_seconds" []
        "When the agent started.";
    PROCESS_RESIDENT_MEMORY_BYTES: Gauge "process_resident_memory_bytes" []
        "Memory of the agent that is in RAM.";
    PROCESS_VIRTUAL_MEMORY_BYTES: Gauge "process_virtual_memory_bytes" []
        "Address space of the agent.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" []
        "Files and connections that the agent has open.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "How many it may.";
    PROCESS_THREADS: Gauge "process_threads" []
        "Threads of the agent.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ_and_counters_end_in_total() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Metric { name, help, kind, .. } in ALL {
            // What every exporter tells of its own process has names that all of them share.
            let is_ours = name.starts_with("hypertide_") || name.starts_with("process_") || *name == PG_UP.name;
            assert!(is_ours && help.ends_with('.'), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        }
    }
}
