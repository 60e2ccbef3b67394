//! What collectors bring, how long it counts, and what is told when they fail.

use std::sync::Arc;

use super::*;
use crate::metrics::collected::Gathered;
use crate::metrics::collectors::{self, Collector};
use crate::metrics::disk::{self, DISK};
use crate::model::names::NodeName;

const HELD: Duration = Duration::from_secs(10);

fn collector(name: &str) -> &'static Collector {
    collectors::ALL.iter().find(|collector| collector.name == name).expect("there is one")
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).expect("a name")
}

fn server_answer(is_replica: &str) -> String {
    format!(
        r#"{{"pg": [{{"version": "PostgreSQL 17.1 on \"x\"", "short_version": "17.1", "static": 1}}],
            "pg_postmaster": [{{"start_time_seconds": 1795328281.5}}],
            "pg_replication": [{{"is_replica": {is_replica}, "lag_seconds": null, "last_replay_seconds": 2}}]}}"#
    )
}

fn gathered(name: &str, node: &str, json: &str, began: Instant) -> Gathered {
    let samples = rows::read(collector(name), node, json).expect("as asked for");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_252_696);
    Gathered { began, at, took: Duration::from_millis(5), holds_for: HELD, samples: Arc::new(samples) }
}

fn told(collected: &Collected, now: Instant) -> Vec<String> {
    let text = scrape(&PassMetrics::default(), &Latest::new(now), collected, now);
    let of_collectors = |line: &&str| line.starts_with("pg_") || line.starts_with("hypertide_collector");
    text.lines().filter(of_collectors).map(str::to_owned).collect()
}

#[test]
fn an_answer_becomes_samples_and_what_the_server_does_not_know_is_absent() {
    let now = Instant::now();
    let mut collected = Collected::default();
    collected.gathered(&node("a"), "server", gathered("server", "a", &server_answer("false"), now));
    let told = told(&collected, now);
    let wanted = [
        "hypertide_collector_duration_seconds{collector=\"server\",node=\"a\"} 0.005",
        "hypertide_collector_last_success_timestamp_seconds{collector=\"server\",node=\"a\"} 1795252696",
        "hypertide_collector_success{collector=\"server\",node=\"a\"} 1",
        "pg_postmaster_start_time_seconds{node=\"a\"} 1795328281.5",
        "pg_replication_is_replica{node=\"a\"} 0",
        "pg_replication_last_replay_seconds{node=\"a\"} 2",
        "pg_static{node=\"a\",short_version=\"17.1\",version=\"PostgreSQL 17.1 on \\\"x\\\"\"} 1",
        "pg_up{node=\"a\"} 1",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn an_answer_counts_until_the_next_is_due_and_other_nodes_do_not_notice() {
    let began = Instant::now();
    let mut collected = Collected::default();
    let (away, there) = (node("away"), node("there"));
    let later = began + HELD + Duration::from_millis(1);
    collected.gathered(&away, "server", gathered("server", "away", &server_answer("true"), began));
    collected.gathered(&there, "server", gathered("server", "there", &server_answer("true"), later));
    assert!(told(&collected, began + HELD).contains(&"pg_replication_is_replica{node=\"away\"} 1".to_owned()));

    let told = told(&collected, later);
    assert!(told.contains(&"pg_up{node=\"away\"} 0".to_owned()), "{told:?}");
    assert!(told.contains(&"hypertide_collector_success{collector=\"server\",node=\"away\"} 0".to_owned()), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("hypertide_collector_last_success") && line.contains("away")));
    assert!(!told.iter().any(|line| line.starts_with("pg_replication") && line.contains("away")), "{told:?}");
    assert!(told.contains(&"pg_replication_is_replica{node=\"there\"} 1".to_owned()), "{told:?}");
}

#[test]
fn a_question_that_fails_takes_its_own_values_with_it_at_once() {
    let now = Instant::now();
    let mut collected = Collected::default();
    let (node, settings) =
        (node("a"), r#"{"pg_settings": [{"name": "fsync", "setting": "on", "unit": "", "is_bool": true}]}"#);
    collected.gathered(&node, "server", gathered("server", "a", &server_answer("true"), now));
    collected.gathered(&node, "settings", gathered("settings", "a", settings, now));
    assert!(told(&collected, now).contains(&"pg_settings_fsync{node=\"a\"} 1".to_owned()));
    collected.missed(&node, "settings");
    let told = told(&collected, now);
    assert!(!told.iter().any(|line| line.starts_with("pg_settings")), "{told:?}");
    assert!(told.contains(&"pg_up{node=\"a\"} 1".to_owned()), "{told:?}");
    assert!(told.contains(&"hypertide_collector_success{collector=\"settings\",node=\"a\"} 0".to_owned()), "{told:?}");
}

#[test]
fn a_server_that_does_not_answer_takes_everything_with_it() {
    let now = Instant::now();
    let mut collected = Collected::default();
    let (node, settings) =
        (node("a"), r#"{"pg_settings": [{"name": "fsync", "setting": "on", "unit": "", "is_bool": true}]}"#);
    collected.gathered(&node, "settings", gathered("settings", "a", settings, now));
    collected.missed(&node, "server");
    let told = told(&collected, now);
    assert!(told.contains(&"pg_up{node=\"a\"} 0".to_owned()), "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("pg_settings")), "{told:?}");
    assert!(told.contains(&"hypertide_collector_success{collector=\"settings\",node=\"a\"} 0".to_owned()), "{told:?}");
}

#[test]
fn how_full_the_disk_is_counts_whether_the_server_answers_or_not() {
    let now = Instant::now();
    let (mut collected, node) = (Collected::default(), node("a"));
    let samples = Arc::new(disk::read("a", "4096 1000 0").expect("three numbers"));
    let (at, took) = (SystemTime::now(), Duration::from_millis(40));
    collected.gathered(&node, DISK, Gathered { began: now, at, took, holds_for: HELD, samples });
    collected.missed(&node, "server");
    let text = |now| scrape(&PassMetrics::default(), &Latest::new(now), &collected, now);
    assert!(text(now).contains("hypertide_disk_free_bytes{node=\"a\"} 0\n"));
    assert!(text(now).contains("hypertide_collector_success{collector=\"disk\",node=\"a\"} 1\n"));
    assert!(!text(now + HELD * 2).contains("hypertide_disk_free_bytes"));
}

#[test]
fn the_own_process_is_told_until_nobody_looks_any_more() {
    let now = Instant::now();
    let mut collected = Collected::default();
    let process = crate::host::process::Process::own().expect("tests run on Linux");
    collected.own(process::samples(&process), now + HELD);
    let text = |now| scrape(&PassMetrics::default(), &Latest::new(now), &collected, now);
    assert!(text(now).contains("\nprocess_resident_memory_bytes "));
    assert!(!text(now + HELD * 2).contains("process_"));
}

#[test]
fn a_node_that_never_answered_is_down_and_one_that_is_no_longer_asked_is_not_told_of() {
    let now = Instant::now();
    let (mut collected, node) = (Collected::default(), node("a"));
    collected.ask([&node]);
    assert!(told(&collected, now).is_empty(), "nobody was asked yet");
    collected.missed(&node, "server");
    let down = ["hypertide_collector_success{collector=\"server\",node=\"a\"} 0", "pg_up{node=\"a\"} 0"];
    assert_eq!(told(&collected, now), down);
    collected.ask([]);
    assert!(told(&collected, now).is_empty());
}

#[test]
fn an_answer_that_lacks_something_is_an_error_and_no_half_of_one() {
    for (json, said) in [
        (r#"{"pg": []}"#, "server has no pg_postmaster"),
        (r#"{"pg": [{"static": 1}]}"#, "pg_static has no version"),
        (r#"{"pg": [{"version": "x"}]}"#, "pg_static has no static"),
        (
            r#"{"pg": [{"version": "x", "short_version": "y", "static": "z"}]}"#,
            "pg_static is \"z\", which is no number",
        ),
        ("[]", "the answer is not the JSON that was asked for"),
    ] {
        assert_eq!(rows::read(collector("server"), "a", json).expect_err("it lacks something").to_string(), said);
    }
}

#[test]
fn the_same_labels_twice_are_told_once() {
    let now = Instant::now();
    let mut collected = Collected::default();
    let twice =
        server_answer("true").replace("\"pg_postmaster\": [", "\"pg_postmaster\": [{\"start_time_seconds\": 7},");
    collected.gathered(&node("a"), "server", gathered("server", "a", &twice, now));
    let told = told(&collected, now);
    let starts: Vec<_> = told.iter().filter(|line| line.starts_with("pg_postmaster")).collect();
    assert_eq!(starts, ["pg_postmaster_start_time_seconds{node=\"a\"} 1795328281.5"]);
}
