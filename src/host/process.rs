//! What the kernel says of this process: memory, processor time, open files. Nothing else is read.

use std::fs;
use std::io;

/// What a process is at one moment. The names are those every exporter of Prometheus uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Processor time, in user and kernel mode.
    pub cpu_seconds: f64,
    /// Since 1970.
    pub start_time_seconds: f64,
    /// Memory in RAM.
    pub resident_bytes: u64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Open files and connections.
    pub open_fds: u64,
    /// How many there may be.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
}

impl Process {
    /// Of this process, now.
    ///
    /// # Errors
    /// There is no `/proc`, or it says something else than Linux does.
    pub fn own() -> io::Result<Self> {
        let read = |path: &str| fs::read_to_string(path);
        let open_fds = fs::read_dir("/proc/self/fd")?.count() as u64;
        let (stat, status, system) = (read("/proc/self/stat")?, read("/proc/self/status")?, read("/proc/stat")?);
        let texts = Texts { stat: &stat, status: &status, system: &system };
        let max_fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "/proc/self does not say what Linux says");
        // The directory was open itself while it was read.
        let open_fds = open_fds.saturating_sub(1);
        texts.process(rustix::param::clock_ticks_per_second(), open_fds, max_fds).ok_or_else(odd)
    }
}

/// `stat` and `status` of the process, and `stat` of the system (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
struct Texts<'a> {
    stat: &'a str,
    status: &'a str,
    system: &'a str,
}

impl Texts<'_> {
    #[allow(clippy::cast_precision_loss)] // ticks stay far below 2^52
    fn process(&self, ticks_per_second: u64, open_fds: u64, max_fds: u64) -> Option<Process> {
        // The name of the program may hold blanks and parentheses; what follows the last one are numbers.
        let (_, numbers) = self.stat.rsplit_once(')')?;
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        // The third field of the page is the first here.
        let ticks = |field: usize| numbers.get(field - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
        let booted = value(self.system, "btime")?;
        Some(Process {
            cpu_seconds: seconds(ticks(14)? + ticks(15)?),
            start_time_seconds: booted as f64 + seconds(ticks(22)?),
            resident_bytes: value(self.status, "VmRSS:")?.checked_mul(1024)?,
            virtual_bytes: value(self.status, "VmSize:")?.checked_mul(1024)?,
            open_fds,
            max_fds,
            threads: value(self.status, "Threads:")?,
        })
    }
}

/// The first number of the line that begins with this word.
fn value(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(word))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 1000 8192 2 18446744073709551615";

    #[test]
    fn what_linux_says_is_read() {
        let status = "Name:\tx\nVmSize:\t    9000 kB\nVmRSS:\t    8000 kB\nThreads:\t3\n";
        let texts = Texts { stat: STAT, status, system: "cpu 1 2\nbtime 1795252696\n" };
        let wanted = Process {
            cpu_seconds: 3.0,
            start_time_seconds: 1_795_252_706.0,
            resident_bytes: 8000 * 1024,
            virtual_bytes: 9000 * 1024,
            open_fds: 5,
            max_fds: 1024,
            threads: 3,
        };
        assert_eq!(texts.process(100, 5, 1024), Some(wanted));
    }

    #[test]
    fn what_is_not_understood_is_not_told() {
        let texts = Texts { stat: "7 (x) S 1", status: "VmRSS: many kB\n", system: "btime 1\n" };
        assert_eq!(texts.process(100, 5, 1024), None);
    }

    #[test]
    fn this_very_process_is_told_of() {
        let process = Process::own().expect("tests run on Linux");
        assert!(process.resident_bytes > 1_000_000 && process.virtual_bytes > process.resident_bytes, "{process:?}");
        assert!(process.open_fds > 2 && process.open_fds < process.max_fds && process.threads > 1, "{process:?}");
        assert!(process.start_time_seconds > 1.6e9, "{process:?}");
    }
}
