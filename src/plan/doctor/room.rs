//! Is there room: on disk and in memory?

use super::facts::{Answer, DiskSeen, Examined, Room};
use super::units::bytes;
use super::{Check, Finding};
use crate::model::desired::Desired;
use crate::model::seen::Seen;

/// Below this PostgreSQL is about to stop: a few segments of WAL and one backup fill it.
const SCARCE_BYTES: u64 = GIB;
/// Below this somebody should look, while there is still time.
const LITTLE_BYTES: u64 = 5 * GIB;
/// The same as a share of the file system, in percent.
const LITTLE_PERCENT: u128 = 10;

/// PostgreSQL's own default, which applies when nothing is configured.
const DEFAULT_SHARED_BUFFERS: &str = "128MB";

const GIB: u64 = 1 << 30;

/// One file system.
pub fn disk(disk: &DiskSeen) -> Finding {
    let DiskSeen { holds, path, room } = disk;
    let path = path.display();
    let Room { free_bytes, total_bytes } = match room {
        Seen::Present(room) => *room,
        Seen::Absent => {
            return Finding::ok(Check::Disk, format!("{path} ({holds}) is not on this host; its room is not measured"));
        }
        Seen::Unknown { because } => {
            let text = format!("the room left for {path} ({holds}) cannot be told: {because}");
            return Finding::warning(Check::Disk, text, format!("look with `df -h {path}`"));
        }
    };
    let percent = u128::from(free_bytes) * 100 / u128::from(total_bytes.max(1));
    let text = format!("{} of {} free ({percent} %) for {path} ({holds})", size(free_bytes), size(total_bytes));
    let help = "make room: `docker system df` and `docker image prune` show and free what Docker keeps";
    if free_bytes < SCARCE_BYTES {
        Finding::problem(Check::Disk, format!("only {text}"), help)
    } else if free_bytes < LITTLE_BYTES || percent < LITTLE_PERCENT {
        Finding::warning(Check::Disk, format!("only {text}"), help)
    } else {
        Finding::ok(Check::Disk, text)
    }
}

/// Shared buffers of all nodes against the memory of the engine's host.
pub fn memory(examined: &Examined, desired: &Desired) -> Option<Finding> {
    let Answer::Engine(engine) = &examined.engine.answer else { return None };
    let memory = engine.memory_bytes.filter(|memory| *memory > 0)?;
    let nodes = if examined.nodes.is_empty() { desired.nodes.len() } else { examined.nodes.len() };
    let setting = desired.settings.iter().find(|setting| setting.name == "shared_buffers");
    let value = setting.map_or(DEFAULT_SHARED_BUFFERS, |setting| &setting.value);
    let Some(each) = bytes(value, "8kB") else {
        let text = format!("shared_buffers = {value} is no amount of memory");
        return Some(Finding::problem(Check::Memory, text, "write it like `256MB`, in kB, MB or GB"));
    };
    let sum = each.saturating_mul(nodes as u64);
    let text = format!("{nodes} x {} of shared_buffers on a host with {} of memory", size(each), size(memory));
    Some(if sum > memory / 2 {
        let help = "lower `preset.shared_buffers`: about a quarter of the memory for all nodes together is usual";
        Finding::warning(Check::Memory, format!("{text}: more than half"), help)
    } else {
        Finding::ok(Check::Memory, text)
    })
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // one digit after the point is shown
    let in_units_of = |unit: u64| bytes as f64 / unit as f64;
    if bytes >= GIB { format!("{:.1} GiB", in_units_of(GIB)) } else { format!("{:.0} MiB", in_units_of(1 << 20)) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Severity::{self, Ok, Problem, Warning};
    use super::super::testing::{desired, examined};
    use super::*;

    fn judged(room: Seen<Room>) -> Finding {
        disk(&DiskSeen { holds: "Docker's data", path: PathBuf::from("/var/lib/docker"), room })
    }

    #[test]
    fn disks_are_judged_by_bytes_and_by_share() {
        let room = |free_bytes, total_bytes| Seen::Present(Room { free_bytes, total_bytes });
        let table: [(Seen<Room>, Severity, &str); 8] = [
            (room(GIB - 1, 8 * GIB), Problem, "only 1024 MiB of 8.0 GiB free (12 %)"),
            (room(GIB, 2 * GIB), Warning, "only 1.0 GiB of 2.0 GiB free (50 %)"),
            (room(5 * GIB - 1, 6 * GIB), Warning, "only 5.0 GiB"),
            (room(5 * GIB, 50 * GIB), Ok, "5.0 GiB of 50.0 GiB free (10 %) for /var/lib/docker (Docker's data)"),
            (room(99 * GIB, 1000 * GIB), Warning, "(9 %)"),
            (room(0, 0), Problem, "only 0 MiB"),
            (Seen::Absent, Ok, "is not on this host"),
            (Seen::unknown("odd"), Warning, "cannot be told: odd"),
        ];
        for (room, severity, text) in table {
            let finding = judged(room);
            assert_eq!((finding.severity, finding.text.contains(text)), (severity, true), "{finding:?}");
            assert_eq!(finding.help.is_none(), severity == Ok, "{finding:?}");
        }
    }

    #[test]
    fn shared_buffers_of_all_nodes_are_held_against_the_hosts_memory() {
        let table: [(&str, u64, Severity, &str); 5] = [
            ("{preset: {shared_buffers: 1GB}}", 4 * GIB, Ok, "2 x 1.0 GiB of shared_buffers on a host with 4.0 GiB"),
            ("{preset: {shared_buffers: 1GB}}", 4 * GIB - 1, Warning, "more than half"),
            ("{preset: {shared_buffers: 1GB}, nodes: {replicas: []}}", 2 * GIB, Ok, "1 x 1.0 GiB"),
            // Without a unit it counts pages of 8 kB.
            ("{preset: {shared_buffers: 32768}}", 4 * GIB, Ok, "2 x 256 MiB"),
            ("{preset: {shared_buffers: much}}", 4 * GIB, Problem, "shared_buffers = much is no amount"),
        ];
        for (config, memory, severity, text) in table {
            let mut examined = examined();
            let Answer::Engine(engine) = &mut examined.engine.answer else { panic!("the fixture has an engine") };
            engine.memory_bytes = Some(memory);
            let finding = super::memory(&examined, &desired(config)).expect("memory is known");
            assert_eq!((finding.severity, finding.text.contains(text)), (severity, true), "{finding:?}");
        }
    }

    #[test]
    fn memory_is_left_alone_without_an_engine_that_tells_it() {
        let mut examined = examined();
        examined.engine.answer = Answer::NobodyListens;
        assert_eq!(memory(&examined, &desired("")), None);
    }
}
