//! How a server recovers a base backup: where it stops, where it gets the log from, and what it must not do meanwhile.
//!
//! Pure: from a target and the facts of the data directory to settings and a script. The server that runs with them archives
//! nothing, follows nobody, applies no subscription and runs no job.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::model::lsn::Lsn;

/// Where a recovery stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As soon as the backup is consistent.
    Consistent,
    /// At a restore point.
    Name(String),
    /// At a position, what is written there included.
    Lsn(Lsn),
    /// After the last transaction that had committed by then.
    Time(DateTime<Utc>),
    /// Where the log ends.
    End,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consistent => f.write_str("where it is consistent"),
            Self::Name(name) => write!(f, "the restore point `{name}`"),
            Self::Lsn(lsn) => write!(f, "{lsn}"),
            Self::Time(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ")),
            Self::End => f.write_str("the end of the log"),
        }
    }
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The server stays as it is, and can be read.
    Pause,
    /// It becomes a server of its own, on a timeline of its own.
    Promote,
}

/// Settings of the server a backup was taken from, which one that replays its log must not be below; by name.
///
/// They are read from `pg_controldata`: what was given on a command line is in no file of the backup.
pub fn inherited(controldata: &str) -> BTreeMap<&'static str, u64> {
    const NAMES: [(&str, &str); 5] = [
        ("max_connections setting", "max_connections"),
        ("max_worker_processes setting", "max_worker_processes"),
        ("max_wal_senders setting", "max_wal_senders"),
        ("max_prepared_xacts setting", "max_prepared_transactions"),
        ("max_locks_per_xact setting", "max_locks_per_transaction"),
    ];
    let value = |label: &str| {
        let line = controldata.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'))?;
        line.trim().parse().ok()
    };
    NAMES.into_iter().filter_map(|(label, name)| Some((name, value(label)?))).collect()
}

/// Settings of a server that holds restored data and is nobody's yet.
pub fn isolated(has_timescaledb: bool) -> Vec<String> {
    let of_timescaledb = [
        "shared_preload_libraries=timescaledb",
        // No policy runs, not even for a second after the promotion.
        "timescaledb.max_background_workers=0",
        "timescaledb.telemetry_level=off",
    ];
    let of_all = ["max_logical_replication_workers=0", "primary_conninfo=", "primary_slot_name=", "autovacuum=off"];
    of_timescaledb.into_iter().filter(|_| has_timescaledb).chain(of_all).map(str::to_owned).collect()
}

/// Settings of a recovery. `log` is the directory that holds what was fetched of the log.
pub fn settings(stop: &Stop, then: Then, timeline: u32, log: &str) -> Vec<String> {
    let mut settings = vec![
        "hot_standby=on".to_owned(),
        format!("restore_command=cp \"{log}/%f\" \"%p\""),
        "recovery_target_inclusive=on".to_owned(),
        format!("recovery_target_timeline={timeline}"),
        format!("recovery_target_action={}", if then == Then::Pause { "pause" } else { "promote" }),
    ];
    settings.extend(match stop {
        Stop::Consistent => Some("recovery_target=immediate".to_owned()),
        Stop::Name(name) => Some(format!("recovery_target_name={name}")),
        Stop::Lsn(lsn) => Some(format!("recovery_target_lsn={lsn}")),
        Stop::Time(time) => Some(format!("recovery_target_time={}", time.format("%Y-%m-%d %H:%M:%S%.6f+00"))),
        Stop::End => None,
    });
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_needs_is_read_from_the_control_file() {
        let text = "pg_control version number:            1300\n\
                    max_connections setting:              250\n\
                    max_worker_processes setting:         31\n\
                    max_wal_senders setting:              10\n\
                    max_prepared_xacts setting:           0\n\
                    max_locks_per_xact setting:           512\n";
        let wanted = [
            ("max_connections", 250),
            ("max_locks_per_transaction", 512),
            ("max_prepared_transactions", 0),
            ("max_wal_senders", 10),
            ("max_worker_processes", 31),
        ];
        assert_eq!(inherited(text), BTreeMap::from(wanted));
    }

    #[test]
    fn each_stop_is_a_target_of_postgresql() {
        let target = |stop: &Stop| {
            let settings = settings(stop, Then::Pause, 1, "x");
            settings.into_iter().find(|setting| {
                setting.starts_with("recovery_target")
                    && !["_inclusive", "_timeline", "_action"].iter().any(|part| setting.contains(part))
            })
        };
        let time = DateTime::from_timestamp(1_795_227_300, 250_000_000).expect("in range");
        assert_eq!(target(&Stop::Consistent).as_deref(), Some("recovery_target=immediate"));
        assert_eq!(target(&Stop::Name("a'b".into())).as_deref(), Some("recovery_target_name=a'b"));
        assert_eq!(target(&Stop::Lsn(Lsn(0x10))).as_deref(), Some("recovery_target_lsn=0/10"));
        assert_eq!(target(&Stop::Time(time)).as_deref(), Some("recovery_target_time=2026-11-21 02:15:00.250000+00"));
        assert_eq!(target(&Stop::End), None);
    }
}
