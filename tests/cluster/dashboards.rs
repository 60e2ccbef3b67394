//! Dashboards and rules, as files: they ask for metrics that exist, and each alert is explained and tested.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hypertide::metrics::documented::is_documented;
use serde::Deserialize;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a directory with this ending, sorted.
fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(dir)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == ending));
    files.sort();
    files
}

/// One query of one panel.
pub struct Query {
    /// Dashboard and panel.
    pub panel: String,
    /// As Grafana would send it, for all jobs and nodes.
    pub expr: String,
}

fn dashboards() -> Vec<Value> {
    let read = |path: &PathBuf| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    files("dashboards", "json").iter().map(read).collect()
}

/// Every query of every dashboard.
pub fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap();
                queries.push(Query {
                    panel: format!("{} / {}", dashboard["uid"].as_str().unwrap(), panel["title"].as_str().unwrap()),
                    expr: expr.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$node", ".*"),
                });
            }
        }
    }
    queries
}

/// What dashboards of others ask for: the table of `docs/metrics.md`.
pub fn others_queries() -> Vec<Query> {
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let (_, table) = page.split_once("| panel of 9628 | asks for |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split_once('|').unwrap());
    let queries: Vec<Query> = cells
        .map(|(panel, asks)| Query {
            panel: format!("9628 / {}", panel.trim()),
            expr: asks.trim().trim_matches('`').to_owned(),
        })
        .collect();
    assert!(queries.len() > 20, "{}", queries.len());
    queries
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
struct RuleGroup {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let read = |path: &PathBuf| -> RuleFile { serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    files("dashboards/rules", "yml").iter().flat_map(|path| read(path).groups).flat_map(|group| group.rules).collect()
}

#[derive(Deserialize)]
struct TestFile {
    tests: Vec<RuleTest>,
}

#[derive(Deserialize)]
struct RuleTest {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<Value>,
}

/// The words of a query that could be names of metrics of ours, or of rules.
fn names(expr: &str) -> BTreeSet<&str> {
    let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words
        .filter(|word| {
            word.contains(':') || ["hypertide_", "pg_", "timescaledb_"].iter().any(|begin| word.starts_with(begin))
        })
        .filter(|word| word.chars().any(char::is_alphabetic))
        .collect()
}

#[test]
fn dashboards_and_rules_ask_for_metrics_that_are_documented() {
    let recorded: BTreeSet<String> = rules().into_iter().filter_map(|rule| rule.record).collect();
    // Whatever comes with a histogram.
    let base = |name: &str| name.strip_suffix("_bucket").unwrap_or(name).to_owned();
    // A value of a label, and no metric.
    let is_known = |name: &str| recorded.contains(name) || is_documented(&base(name));
    let rules = rules();
    let exprs = queries().into_iter().map(|query| (query.panel, query.expr));
    let exprs = exprs.chain(rules.into_iter().map(|rule| (rule.alert.or(rule.record).unwrap(), rule.expr)));
    for (place, expr) in exprs {
        let unknown: Vec<&str> = names(&expr).into_iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?}");
    }
}

#[test]
fn dashboards_can_be_provisioned() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 5);
    let mut uids = BTreeSet::new();
    for dashboard in &dashboards {
        let uid = dashboard["uid"].as_str().unwrap();
        assert!(uid.starts_with("hypertide-") && uids.insert(uid), "{uid}");
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39 && dashboard.get("id").is_none(), "{uid}");
        assert_eq!(dashboard["templating"]["list"][0]["name"], "datasource", "{uid}");
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{uid}");
            if panel["type"] == "row" {
                continue;
            }
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{uid}: {}", panel["title"]);
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{uid}: {}", panel["title"]);
        }
    }
}

#[test]
fn each_alert_is_explained_in_the_runbook_and_tested_both_ways() {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let headings: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let read = |path: &PathBuf| -> TestFile { serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let tests: Vec<AlertTest> = files("dashboards/rules/tests", "yml")
        .iter()
        .flat_map(|path| read(path).tests)
        .flat_map(|test| test.alert_rule_test)
        .collect();
    let mut explained = BTreeSet::new();
    for rule in rules() {
        let Some(alert) = rule.alert else { continue };
        assert_eq!(rule.annotations["runbook_url"], format!("docs/runbook.md#{}", alert.to_lowercase()));
        assert!(headings.contains(alert.as_str()), "{alert} is not in the runbook");
        for fires in [true, false] {
            let is_tested = tests.iter().any(|test| test.alertname == alert && test.exp_alerts.is_empty() != fires);
            assert!(is_tested, "no test of {alert} where it fires: {fires}");
        }
        explained.insert(alert);
    }
    let explained: BTreeSet<&str> = explained.iter().map(String::as_str).collect();
    assert_eq!(headings, explained, "the runbook explains alerts that there are");
}

#[test]
fn promtool_finds_the_rules_good_and_their_tests_pass() {
    for (verb, dir) in [("check", "dashboards/rules"), ("test", "dashboards/rules/tests")] {
        let said = Command::new("promtool")
            .args([verb, "rules"])
            .args(files(dir, "yml"))
            .output()
            .expect("this test needs promtool, which is in Debian's package prometheus; .ci/run installs it");
        let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && !text.contains("FAILED"), "{text}");
    }
}
