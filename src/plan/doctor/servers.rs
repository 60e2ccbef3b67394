//! Do the servers run as they must, and do their clocks agree?

use super::facts::{Ended, NodeExam, ServerFacts};
use super::{Check, Finding};
use crate::model::names::NodeName;
use crate::model::seen::Seen;

/// The library that has to be preloaded.
const TIMESCALEDB: &str = "timescaledb";

/// Clocks that differ by more make schedules and times in logs misleading.
const CLOCK_TOLERANCE_SECS: f64 = 2.0;

/// Every server that runs.
pub fn servers(nodes: &[NodeExam]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for NodeExam { name, container, server, help } in nodes {
        match server {
            Seen::Absent => findings.extend(container.present().and_then(|it| crash(name, it.ended?))),
            Seen::Unknown { because } => findings.push(Finding::problem(
                Check::Server,
                format!("{name} does not answer: {because}"),
                help.clone().unwrap_or_else(|| format!("`hypertide logs {name}` shows what the server says")),
            )),
            Seen::Present(server) => findings.extend(facts(name, &server.facts)),
        }
    }
    findings
}

/// A server that was asked to stop ends with 0.
fn crash(name: &NodeName, ended: Ended) -> Option<Finding> {
    let Ended { code, is_out_of_memory } = ended;
    let logs = format!("`hypertide logs {name}` shows its last words; `hypertide up` starts it again");
    match (is_out_of_memory, code) {
        (true, _) => Some(Finding::problem(
            Check::Server,
            format!("{name} was ended by the kernel for want of memory"),
            "lower `preset.shared_buffers` or `work_mem`, or give the host more memory; then `hypertide up`",
        )),
        (false, 0) => None,
        (false, code) => Some(Finding::problem(Check::Server, format!("{name} ended with exit code {code}"), logs)),
    }
}

/// What a server says about itself. One line of praise, or every fault.
fn facts(name: &NodeName, server: &ServerFacts) -> Vec<Finding> {
    let faults: Vec<Finding> = [preload(name, server), extension(name, server), durability(name, server)]
        .into_iter()
        .flatten()
        .chain(checksums(name, server))
        .chain(encoding(name, server))
        .collect();
    if !faults.is_empty() {
        return faults;
    }
    let version = server.timescaledb_installed.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let text = format!("{name} answers; TimescaleDB{version} is preloaded; data checksums and fsync are on");
    vec![Finding::ok(Check::Server, text)]
}

/// Whether a list of libraries, as `shared_preload_libraries` has it, loads TimescaleDB.
fn is_preloaded(libraries: &str) -> bool {
    libraries.split(',').any(|library| {
        let library = library.trim().trim_matches('"');
        library.rsplit('/').next().is_some_and(|file| file.trim_end_matches(".so") == TIMESCALEDB)
    })
}

fn preload(name: &NodeName, server: &ServerFacts) -> Option<Finding> {
    (!is_preloaded(&server.preload)).then(|| {
        Finding::problem(
            Check::Preload,
            format!(
                "{name} runs without TimescaleDB preloaded (shared_preload_libraries = '{}'): compressed hypertables \
                 read as 0 rows, and rows inserted now land outside of their chunks",
                server.preload
            ),
            "stop every writer, then `hypertide up`, which starts the node with its own settings",
        )
    })
}

fn extension(name: &NodeName, server: &ServerFacts) -> Option<Finding> {
    match (&server.timescaledb_installed, &server.timescaledb_available) {
        (None, None) => Some(Finding::problem(
            Check::Extension,
            format!("{name}'s files hold no TimescaleDB to install"),
            "name an image that contains TimescaleDB, or use `image: auto`",
        )),
        (Some(installed), None) => Some(Finding::problem(
            Check::Extension,
            format!("{name} has TimescaleDB {installed} in its database and no TimescaleDB among its files"),
            "use the image the volume was made with",
        )),
        (Some(installed), Some(available)) if installed != available => Some(Finding::warning(
            Check::Extension,
            format!("{name} has TimescaleDB {installed} installed, and its files offer {available}"),
            "`ALTER EXTENSION timescaledb UPDATE` as the first statement of a psql session started with -X",
        )),
        _ => None,
    }
}

fn durability(name: &NodeName, server: &ServerFacts) -> Option<Finding> {
    let off: Vec<&str> = [("fsync", server.fsync), ("full_page_writes", server.full_page_writes)]
        .into_iter()
        .filter(|(_, on)| !on)
        .map(|(setting, _)| setting)
        .collect();
    (!off.is_empty()).then(|| {
        Finding::problem(
            Check::Durability,
            format!("{name} runs with {} off: a crash can destroy the whole database", off.join(" and ")),
            format!("turn {} on again and restart the node; check the data afterwards", off.join(" and ")),
        )
    })
}

fn checksums(name: &NodeName, server: &ServerFacts) -> Option<Finding> {
    (!server.checksums).then(|| {
        Finding::warning(
            Check::Durability,
            format!("{name} has no data checksums: a disk that returns wrong bytes is not noticed"),
            "stop the node cleanly, then run `pg_checksums --enable` on its data directory",
        )
    })
}

fn encoding(name: &NodeName, server: &ServerFacts) -> Option<Finding> {
    server.encoding.as_deref().filter(|encoding| *encoding != "UTF8").map(|encoding| {
        Finding::problem(
            Check::Encoding,
            format!("{name}'s database is encoded as {encoding}, not UTF8"),
            "dump it and restore into a database made with `encoding 'UTF8'`; an encoding cannot be changed in place",
        )
    })
}

/// Clocks of the servers against this host's and against each other.
pub fn clocks(nodes: &[NodeExam]) -> Vec<Finding> {
    let ahead: Vec<(&NodeName, f64)> =
        nodes.iter().filter_map(|node| Some((&node.name, node.server.present()?.clock_ahead_secs))).collect();
    let help = "set the clocks by NTP (`timedatectl`); in a virtual machine, after it slept, restart Docker";
    let mut findings: Vec<Finding> = ahead
        .iter()
        .filter(|(_, secs)| secs.abs() > CLOCK_TOLERANCE_SECS)
        .map(|(name, secs)| {
            let way = if *secs > 0.0 { "ahead of" } else { "behind" };
            let text = format!("{name}'s clock is {:.1} s {way} this host's", secs.abs());
            Finding::warning(Check::Clock, text, help)
        })
        .collect();
    let by_clock = |a: &&(&NodeName, f64), b: &&(&NodeName, f64)| a.1.total_cmp(&b.1);
    if let (Some((last, least)), Some((first, most))) = (ahead.iter().min_by(by_clock), ahead.iter().max_by(by_clock)) {
        let apart = most - least;
        if apart > CLOCK_TOLERANCE_SECS {
            let text = format!("{first}'s clock is {apart:.1} s ahead of {last}'s");
            findings.push(Finding::warning(Check::Clock, text, help));
        } else if findings.is_empty() {
            findings.push(Finding::ok(Check::Clock, "this host's clock and every server's agree"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{self, Ok, Problem, Warning};
    use super::super::facts::ServerExam;
    use super::super::testing::{desired, node, server};
    use super::*;

    fn with(change: impl FnOnce(&mut ServerFacts)) -> Vec<Finding> {
        let mut facts = server();
        change(&mut facts);
        let server = Seen::Present(ServerExam { facts, clock_ahead_secs: 0.0 });
        servers(&[NodeExam { server, ..node("n-1", &desired("")) }])
    }

    #[test]
    fn every_fault_of_a_server_is_its_own_finding() {
        type Change = fn(&mut ServerFacts);
        let table: [(Change, Check, Severity, &str); 12] = [
            (|_| (), Check::Server, Ok, "n-1 answers; TimescaleDB 2.29.2 is preloaded"),
            (|it| it.timescaledb_installed = None, Check::Server, Ok, "TimescaleDB is preloaded"),
            (|it| it.preload = String::new(), Check::Preload, Problem, "compressed hypertables read as 0 rows"),
            (|it| it.preload = "pg_stat_statements".into(), Check::Preload, Problem, "'pg_stat_statements'"),
            (
                |it| (it.timescaledb_installed, it.timescaledb_available) = (None, None),
                Check::Extension,
                Problem,
                "hold no TimescaleDB",
            ),
            (|it| it.timescaledb_available = None, Check::Extension, Problem, "no TimescaleDB among its files"),
            (
                |it| it.timescaledb_installed = Some("2.19.3".into()),
                Check::Extension,
                Warning,
                "2.19.3 installed, and its files offer 2.29.2",
            ),
            (|it| it.fsync = false, Check::Durability, Problem, "runs with fsync off"),
            (
                |it| (it.fsync, it.full_page_writes) = (false, false),
                Check::Durability,
                Problem,
                "fsync and full_page_writes off",
            ),
            (|it| it.checksums = false, Check::Durability, Warning, "no data checksums"),
            (|it| it.encoding = Some("SQL_ASCII".into()), Check::Encoding, Problem, "encoded as SQL_ASCII"),
            (|it| it.encoding = None, Check::Server, Ok, "n-1 answers"),
        ];
        for (change, check, severity, text) in table {
            let found = with(change);
            assert_eq!(found.len(), 1, "{found:?}");
            let finding = &found[0];
            assert_eq!((finding.check, finding.severity), (check, severity), "{finding:?}");
            assert!(finding.text.contains(text), "{finding:?}");
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_a_problem_and_one_that_does_not_run_is_not_asked() {
        let silent = NodeExam { server: Seen::unknown("timeout"), ..node("n-1", &desired("")) };
        let found = servers(&[silent, NodeExam { server: Seen::Absent, ..node("n-2", &desired("")) }]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].text.as_str()), (Problem, "n-1 does not answer: timeout"));
        assert!(found[0].help.as_ref().expect("help").contains("`hypertide logs n-1`"));
        let help = Some("put back the password".to_owned());
        let locked = NodeExam { server: Seen::unknown("wrong password"), help, ..node("n-1", &desired("")) };
        assert_eq!(servers(&[locked])[0].help.as_deref(), Some("put back the password"));
    }

    #[test]
    fn a_server_that_ended_by_itself_is_a_problem_and_one_that_was_stopped_is_not() {
        for (code, is_out_of_memory, wanted) in [
            (0, false, None),
            (1, false, Some("n-1 ended with exit code 1")),
            (137, true, Some("n-1 was ended by the kernel for want of memory")),
        ] {
            let mut node = NodeExam { server: Seen::Absent, ..node("n-1", &desired("")) };
            node.container.present_mut().expect("the fixture has one").ended = Some(Ended { code, is_out_of_memory });
            let found = servers(&[node]);
            assert_eq!(found.first().map(|finding| finding.text.as_str()), wanted);
        }
    }

    #[test]
    fn a_library_may_be_named_in_several_ways() {
        for (libraries, wanted) in [
            ("timescaledb", true),
            ("pg_stat_statements, timescaledb", true),
            ("\"$libdir/timescaledb\"", true),
            ("/usr/lib/timescaledb.so", true),
            ("timescaledb_toolkit", false),
            ("", false),
        ] {
            assert_eq!(is_preloaded(libraries), wanted, "{libraries}");
        }
    }

    #[test]
    fn clocks_are_compared_with_the_host_and_with_each_other() {
        let table: [(&[f64], Severity, &[&str]); 6] = [
            (&[], Ok, &[]),
            (&[0.0, 1.9], Ok, &["agree"]),
            (&[2.5, 2.5], Warning, &["n-0's clock is 2.5 s ahead of this host's", "n-1's clock is 2.5 s ahead of"]),
            (&[-3.0], Warning, &["n-0's clock is 3.0 s behind this host's"]),
            (&[1.5, -1.5], Warning, &["n-0's clock is 3.0 s ahead of n-1's"]),
            (&[2.0], Ok, &["agree"]),
        ];
        for (ahead, severity, texts) in table {
            let nodes: Vec<NodeExam> = ahead
                .iter()
                .enumerate()
                .map(|(index, secs)| NodeExam {
                    server: Seen::Present(ServerExam { facts: server(), clock_ahead_secs: *secs }),
                    ..node(&format!("n-{index}"), &desired(""))
                })
                .collect();
            let found = clocks(&nodes);
            assert_eq!(found.len(), texts.len(), "{found:?}");
            for (finding, text) in found.iter().zip(texts) {
                assert_eq!((finding.severity, finding.text.contains(text)), (severity, true), "{finding:?}");
            }
        }
    }
}
