//! The agent's own process, under the names that every exporter of Prometheus uses. Pure.

use super::families::Sample;
use super::names;
use crate::host::process::Process;

/// What is told of it.
#[allow(clippy::cast_precision_loss)] // memory and files stay far below 2^52; "no limit" may be rounded
pub fn samples(process: &Process) -> Vec<Sample> {
    let told = [
        (names::PROCESS_CPU_SECONDS_TOTAL, process.cpu_seconds),
        (names::PROCESS_START_TIME_SECONDS, process.start_time_seconds),
        (names::PROCESS_RESIDENT_MEMORY_BYTES, process.resident_bytes as f64),
        (names::PROCESS_VIRTUAL_MEMORY_BYTES, process.virtual_bytes as f64),
        (names::PROCESS_OPEN_FDS, process.open_fds as f64),
        (names::PROCESS_MAX_FDS, process.max_fds as f64),
        (names::PROCESS_THREADS, process.threads as f64),
    ];
    told.map(|(metric, value)| Sample::new(metric, [], value)).into()
}
