//! Do the servers run with the settings that are wanted?

use super::facts::{NodeExam, SettingSeen};
use super::units::{in_words, is_same};
use super::{Check, Finding};
use crate::model::desired::Setting;
use crate::model::names::NodeName;

/// Where a value that holds only for our own session comes from; it says nothing about the server.
const OF_OUR_SESSION: &str = "client";

/// Judged by name elsewhere, with what its absence does.
const PRELOAD: &str = "shared_preload_libraries";

/// Settings for which this value means "work it out", and `pg_settings` shows the outcome.
const AUTOMATIC: [(&str, &str); 4] = [
    ("wal_buffers", "-1"),
    ("commit_timestamp_buffers", "0"),
    ("subtransaction_buffers", "0"),
    ("transaction_buffers", "0"),
];

/// What gives a node the wanted settings.
const RESTART: &str = "`hypertide up` starts the node with the wanted settings";

/// More differences than this on one node are told in one sentence.
const MOST_APART: usize = 3;

/// Settings that differ from what is wanted, node by node; one line of praise when none does.
pub fn drift(nodes: &[NodeExam], wanted: &[Setting]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked = 0;
    for node in nodes {
        let Some(server) = node.server.present() else { continue };
        asked += 1;
        let mut slight = Vec::new();
        for setting in wanted.iter().filter(|setting| setting.name != PRELOAD) {
            let there = server.facts.settings.get(&setting.name.to_lowercase());
            match difference(setting, there) {
                Some(differs) if differs.is_grave() || differs.is_made_in_sql() => {
                    findings.push(differs.told(&node.name));
                }
                Some(differs) => slight.push(differs),
                None => {}
            }
        }
        if slight.len() > MOST_APART {
            findings.push(summed_up(&node.name, &slight));
        } else {
            findings.extend(slight.iter().map(|differs| differs.told(&node.name)));
        }
    }
    if findings.is_empty() && asked > 0 {
        let text = format!("no server differs from the {} settings that are wanted", wanted.len());
        findings.push(Finding::ok(Check::Settings, text));
    }
    findings
}

/// A setting that is not as wanted.
struct Differs<'a> {
    wanted: &'a Setting,
    /// What it is; `None` when the server does not know it.
    there: Option<&'a SettingSeen>,
}

fn difference<'a>(wanted: &'a Setting, there: Option<&'a SettingSeen>) -> Option<Differs<'a>> {
    let is_as_wanted = match there {
        // An extension's own: this build of it has no such setting, or is not loaded yet.
        None => wanted.name.contains('.'),
        Some(there) => {
            there.source == OF_OUR_SESSION
                || AUTOMATIC.contains(&(wanted.name.as_str(), wanted.value.as_str()))
                || is_same(&wanted.value, there)
        }
    };
    (!is_as_wanted).then_some(Differs { wanted, there })
}

impl Differs<'_> {
    /// Replication ends without it.
    fn is_grave(&self) -> bool {
        self.wanted.name == "wal_level"
    }

    /// By `ALTER DATABASE` or `ALTER ROLE`, which no restart takes back.
    fn is_made_in_sql(&self) -> bool {
        self.there.is_some_and(|there| there.source.contains("database") || there.source.contains("user"))
    }

    fn told(&self, node: &NodeName) -> Finding {
        let Setting { name, why, .. } = self.wanted;
        let text = format!("{node}: {}: {why}", self.in_short());
        if self.is_grave() {
            Finding::problem(Check::Settings, text, RESTART)
        } else if self.is_made_in_sql() {
            let help = format!("take it back with `ALTER DATABASE … RESET {name}` or `ALTER ROLE … RESET {name}`");
            Finding::warning(Check::Settings, text, help)
        } else if self.there.is_none() {
            Finding::warning(Check::Settings, text, "take it out of `preset`")
        } else {
            Finding::warning(Check::Settings, text, RESTART)
        }
    }

    fn in_short(&self) -> String {
        let Setting { name, value, .. } = self.wanted;
        match self.there {
            Some(there) => format!("{name} is {} (from {}), not {value}", in_words(there), there.source),
            None => format!("this server knows no setting `{name}`"),
        }
    }
}

/// Many differences have one cause, so one sentence tells all of them.
fn summed_up(node: &NodeName, slight: &[Differs<'_>]) -> Finding {
    let all: Vec<String> = slight.iter().map(Differs::in_short).collect();
    let text = format!("{node}: {} settings are not as wanted: {}", all.len(), all.join("; "));
    Finding::warning(Check::Settings, text, RESTART)
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{Ok, Problem, Warning};
    use super::super::testing::{desired, node};
    use super::*;

    fn seen(value: &str, unit: &str, kind: &str) -> SettingSeen {
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        SettingSeen { value: value.into(), unit, kind: kind.into(), source: "command line".into() }
    }

    fn judged(name: &str, wanted: &str, there: Option<SettingSeen>) -> Vec<Finding> {
        let mut node = node("n-1", &desired(""));
        let server = node.server.present_mut().expect("the fixture has one");
        server.facts.settings.extend(there.map(|there| (name.to_lowercase(), there)));
        let wanted = Setting { name: name.into(), value: wanted.into(), why: "because".into() };
        drift(&[node], &[wanted])
    }

    #[test]
    fn a_difference_names_both_values_the_source_and_the_reason() {
        let found = judged(
            "work_mem",
            "4MB",
            Some(SettingSeen { source: "database".into(), ..seen("65536", "kB", "integer") }),
        );
        assert_eq!(found[0].severity, Warning);
        assert_eq!(found[0].text, "n-1: work_mem is 64MB (from database), not 4MB: because");
        assert!(found[0].help.as_ref().expect("help").contains("ALTER DATABASE"));
        let found = judged("shared_buffers", "1GB", Some(seen("16384", "8kB", "integer")));
        assert!(found[0].text.contains("is 128MB"), "{found:?}");
        assert!(found[0].help.as_ref().expect("help").contains("hypertide up"));
    }

    #[test]
    fn many_differences_are_told_in_one_sentence() {
        let mut node = node("n-1", &desired(""));
        let server = node.server.present_mut().expect("the fixture has one");
        let wanted: Vec<Setting> = ["a", "b", "c", "d"]
            .map(|name| Setting { name: name.into(), value: "2".into(), why: "because".into() })
            .into();
        for setting in &wanted {
            server.facts.settings.insert(setting.name.clone(), seen("1", "", "integer"));
        }
        let found = drift(std::slice::from_ref(&node), &wanted);
        assert_eq!(found.len(), 1, "{found:?}");
        let text = "n-1: 4 settings are not as wanted: a is 1 (from command line), not 2; b is 1";
        assert!(found[0].text.starts_with(text), "{found:?}");
        assert_eq!(drift(&[node], &wanted[..3]).len(), 3);
    }

    #[test]
    fn another_wal_level_is_a_problem() {
        assert_eq!(judged("wal_level", "logical", Some(seen("replica", "", "enum")))[0].severity, Problem);
    }

    #[test]
    fn what_cannot_be_known_is_no_drift() {
        let ours = SettingSeen { source: "client".into(), ..seen("UTC", "", "string") };
        for (name, wanted, there) in [
            ("timescaledb.telemetry_level", "off", None),
            ("timezone", "Europe/Berlin", Some(ours)),
            ("shared_preload_libraries", "timescaledb", Some(seen("", "", "string"))),
            ("wal_buffers", "-1", Some(seen("2048", "8kB", "integer"))),
        ] {
            assert_eq!(judged(name, wanted, there)[0].severity, Ok, "{name}");
        }
    }

    #[test]
    fn a_setting_unknown_to_the_server_is_told() {
        let found = judged("wal_bufers", "16MB", None);
        assert!(found[0].text.contains("this server knows no setting `wal_bufers`"), "{found:?}");
    }

    #[test]
    fn nothing_is_said_while_no_server_answers() {
        assert_eq!(drift(&[], &[]), []);
    }
}
