//! Every metric there is, and the tables of `docs/metrics.md` that list them. Pure.

use std::fmt::Write as _;

use super::collectors::{self, Answer, Collector};
use super::names::{self, Kind, Metric};
use super::settings;

/// Every metric; of settings, whose names are the server's, there is one that stands for all.
pub fn all() -> Vec<Metric> {
    names::ALL.iter().copied().chain(collectors::ALL.iter().flat_map(of)).collect()
}

/// Stands for all settings.
const SETTINGS: Metric = Metric {
    name: "pg_settings_*",
    help: "Every setting of the server that is a number or a switch, in seconds or bytes where it has a unit; not those that the collector's own session sets.",
    kind: Kind::Gauge,
    labels: &["node"],
};

/// A metric of this name is documented.
pub fn is_documented(name: &str) -> bool {
    name.starts_with(settings::PREFIX) || all().iter().any(|metric| metric.name == name)
}

/// The metrics of a collector.
fn of(collector: &Collector) -> Vec<Metric> {
    match collector.answer {
        Answer::Settings => vec![SETTINGS],
        Answer::Groups(groups) => groups.iter().flat_map(|group| group.columns).map(|(_, metric)| *metric).collect(),
    }
}

/// The tables as Markdown.
pub fn tables() -> String {
    let mut text = String::from("## The agent and the cluster\n\n");
    table(&mut text, names::ALL);
    for collector in &collectors::ALL {
        let every = collector.interval.as_secs();
        write!(text, "\n## Collector `{}`\n\nAsks every {every} s.\n\n", collector.name).expect("a string takes it");
        table(&mut text, &of(collector));
    }
    text
}

fn table(text: &mut String, metrics: &[Metric]) {
    text.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for Metric { name, help, kind, labels } in metrics {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{name}` | {} | {} | {help} |", kind.word(), labels.join(", ")).expect("a string takes it");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::metrics::ground::Ground;

    const FROM: &str = "<!-- From here on generated: HYPERTIDE_REWRITE=1 cargo test --lib documented -->\n\n";

    #[test]
    fn names_differ_and_have_a_node_first_when_they_are_collected() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), all.len());
        for metric in collectors::ALL.iter().flat_map(of) {
            assert_eq!(metric.labels[0], "node", "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{}", metric.name);
        }
    }

    #[test]
    fn each_question_asks_for_the_columns_and_labels_of_its_metrics() {
        let here = Ground { has_timescaledb: true, has_catalog: true, has_statements: true };
        for collector in &collectors::ALL {
            let sql = collector.question.on(here);
            let Answer::Groups(groups) = collector.answer else { continue };
            for group in groups {
                let labels = group.columns.iter().flat_map(|(_, metric)| &metric.labels[1..]).copied();
                for word in group.columns.iter().map(|(column, _)| *column).chain(labels).chain([group.key]) {
                    assert!(sql.contains(&format!("'{word}', ")), "{} does not ask for {word}", collector.name);
                }
            }
        }
    }

    #[test]
    fn the_page_lists_exactly_these() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let page = std::fs::read_to_string(&path).expect("the page is there");
        let (head, listed) = page.split_once(FROM).expect("it says where the tables begin");
        if std::env::var_os("HYPERTIDE_REWRITE").is_some() {
            std::fs::write(&path, format!("{head}{FROM}{}", tables())).expect("it can be written");
        } else {
            assert!(listed == tables(), "docs/metrics.md is not what `tables` says; its head says how to rewrite it");
        }
    }
}
