//! What is told of clusters that are known, half known and not known.

use std::time::{Instant, SystemTime};

use chrono::DateTime;

use super::*;
use crate::model::backup_runs::{DrillSeen, JobSeen};
use crate::model::cluster::Role;
use crate::model::endpoint::Access;
use crate::model::finding::Findings;
use crate::model::promotion::Took;
use crate::plan::simulate::{Cluster, Event};
use crate::status::backups::{Figures, JobStatus};
use crate::status::gauges::{EndpointGauge, PoolerGauge};
use crate::status::latest::{FRESH_FOR, Latest, Look};
use crate::status::tests::{healthy, past_promotion, status};
use crate::status::{Status, Verification};

fn told(cluster: &Cluster) -> String {
    told_of(status(cluster))
}

/// The same once the subscriber was compared, the primary changed, and with endpoints.
fn compared(cluster: &Cluster) -> Status {
    let mut status = status(cluster);
    let replication = status.nodes[1].replication.as_mut().expect("a replica");
    replication.verification = Some(Verification {
        last_compare: Some("2026-11-21T09:18:16Z".into()),
        last_compare_secs: Some(1_795_252_696),
        mismatches: 2,
        ..Verification::default()
    });
    status.backups.jobs.push(backed_up());
    status.promotions = vec![past_promotion(3), past_promotion(2)];
    status.promotions[0].phases = vec![("fence".into(), Took(Duration::from_millis(250)))];
    status.gauges.endpoints = vec![
        EndpointGauge {
            access: Access::ReadWrite,
            pooler: Some(PoolerGauge {
                is_paused: true,
                leads_to: status.nodes.iter().map(|node| (node.name.clone(), node.role == Role::Primary)).collect(),
            }),
        },
        EndpointGauge { access: Access::ReadOnly, pooler: None },
    ];
    status
}

fn backed_up() -> JobStatus {
    JobStatus {
        name: "nightly".into(),
        kind: "full",
        store: "file:///b".into(),
        last_run: None,
        last_result: None,
        last_success: None,
        last_verified: None,
        next_run: None,
        rpo_seconds: Some(1.5),
        rpo_bytes: Some(40),
        figures: Figures {
            success_secs: Some(1_795_252_696),
            verified_secs: Some(1_795_252_700),
            duration_secs: Some(7),
            size_bytes: Some(5),
            drill: Some(DrillSeen {
                finished: DateTime::from_timestamp(1_795_252_700, 0).expect("in range"),
                is_equal: true,
                millis: Some(2500),
                rows: Some(800),
                differences: Some(0),
            }),
        },
    }
}

/// The same after a run of a backup job that failed.
fn counted_of(status: Status) -> String {
    let passes = PassMetrics::default();
    passes.count_backup("nightly", true);
    passes.count_job("refresh", true);
    let began = DateTime::from_timestamp(1_795_252_690, 0).expect("in range");
    let finished = DateTime::from_timestamp(1_795_252_696, 0).expect("in range");
    let success = SuccessSeen { began, finished, backup: None, stored_bytes: None, rows: Some(3) };
    passes.saw_job("refresh", Some(&success));
    passes.saw_findings(&found("refresh", Some("7")));
    told_by(&passes, status)
}

/// What a job found just now: seven gaps, or gaps without a number.
fn found(job: &str, value: Option<&str>) -> BackupsSeen {
    let mut findings = Findings { list: Vec::new(), left_out: 3 };
    findings.add(Some("gaps"), Some("USDCOP"), value);
    let seen = JobSeen { findings: Some(FindingsSeen { found: DateTime::UNIX_EPOCH, findings }), ..JobSeen::default() };
    BackupsSeen { jobs: [(job.to_owned(), seen)].into(), ..BackupsSeen::default() }
}

#[test]
fn findings_are_those_of_the_last_look_and_one_without_a_number_gives_no_sample() {
    let passes = PassMetrics::default();
    let told = |seen: BackupsSeen| {
        passes.saw_findings(&seen);
        let text = told_by(&passes, status(&healthy()));
        samples(&text)
            .into_iter()
            .filter(|line| line.starts_with("hypertide_job_finding"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let gaps = "hypertide_job_finding{finding=\"gaps\",job=\"a\",object=\"USDCOP\"} 7";
    assert_eq!(told(found("a", Some("7"))), [gaps, "hypertide_job_findings_left_out{job=\"a\"} 3"]);
    assert_eq!(told(found("b", None)), ["hypertide_job_findings_left_out{job=\"b\"} 3"]);
    assert_eq!(told(BackupsSeen::default()), [""; 0]);
}

fn told_of(status: Status) -> String {
    told_by(&PassMetrics::default(), status)
}

fn told_by(passes: &PassMetrics, status: Status) -> String {
    let now = Instant::now();
    let mut latest = Latest::new(now);
    latest.saw(Look { status, began: now, at: SystemTime::now() });
    passes.count(Duration::from_millis(20), false);
    passes.count(Duration::from_secs(3), true);
    scrape(passes, &latest, &Collected::default(), now)
}

/// The samples of a text, without what explains them.
fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn a_healthy_cluster_as_prometheus_reads_it() {
    let text = told(&healthy()).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(text);
}

#[test]
fn every_metric_has_its_head_once_when_all_is_known_and_something_held() {
    let mut cluster = healthy();
    Event::Pause(2).happen(&mut cluster);
    let text = counted_of(compared(&cluster));
    // What collectors bring is told of in `collecting`.
    let beginnings = ["pg_up", "hypertide_collector_", "hypertide_disk_", "process_"];
    let collected = |metric: &&names::Metric| beginnings.iter().any(|begin| metric.name.starts_with(begin));
    for metric in names::ALL.iter().filter(|metric| !collected(metric)) {
        let head = format!("# TYPE {} {}\n", metric.name, metric.kind.word());
        assert_eq!(text.matches(&head).count(), 1, "{}", metric.name);
    }
}

#[test]
fn a_comparison_is_told_once_there_was_one() {
    let cluster = healthy();
    assert!(!told(&cluster).contains("compare"));
    let text = told_of(compared(&cluster));
    let samples = samples(&text);
    assert!(samples.contains(&"hypertide_last_compare_timestamp_seconds{node=\"replica-1\"} 1795252696"), "{text}");
    assert!(samples.contains(&"hypertide_compare_mismatches{node=\"replica-1\"} 2"), "{text}");
}

#[test]
fn changes_of_the_primary_and_endpoints_are_told() {
    let cluster = healthy();
    let text = told_of(compared(&cluster));
    let samples = samples(&text);
    for wanted in [
        "hypertide_writable_nodes 1",
        "hypertide_failover_paused 0",
        "hypertide_promotions_total{by=\"agent\",kind=\"failover\"} 0",
        "hypertide_last_promotion_timestamp_seconds{kind=\"switchover\"} 1795252696",
        "hypertide_last_promotion_write_pause_seconds{kind=\"switchover\"} 0.048",
        "hypertide_last_promotion_phase_seconds{kind=\"switchover\",phase=\"fence\"} 0.25",
        "hypertide_endpoint_up{endpoint=\"endpoint-rw\"} 1",
        "hypertide_endpoint_up{endpoint=\"endpoint-ro\"} 0",
        "hypertide_endpoint_paused{endpoint=\"endpoint-rw\"} 1",
        "hypertide_endpoint_leads_to{endpoint=\"endpoint-rw\",node=\"primary-1\"} 1",
        "hypertide_endpoint_leads_to{endpoint=\"endpoint-rw\",node=\"replica-1\"} 0",
    ] {
        assert!(samples.contains(&wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("{endpoint=\"endpoint-ro\",node"), "nobody knows where it leads: {text}");
}

#[test]
fn what_is_not_known_is_absent() {
    let mut cluster = healthy();
    Event::Kill(0).happen(&mut cluster);
    let text = told(&cluster);
    let samples = samples(&text);
    assert!(samples.contains(&"hypertide_cluster_health{health=\"down\"} 1"), "{text}");
    assert!(samples.contains(&"hypertide_node_role{node=\"primary-1\",role=\"unknown\"} 1"), "{text}");
    // The subscriber tells its errors itself; the rest takes a primary.
    assert!(samples.contains(&"hypertide_apply_errors_total{node=\"replica-1\"} 0"), "{text}");
    for unknown in [
        "_epoch",
        "_promotions_",
        "_failover_paused",
        "_lag_",
        "_chunks_",
        "_slot_",
        "_apply_errors_total{node=\"replica-2\"}",
    ] {
        assert!(!samples.iter().any(|sample| sample.contains(unknown)), "{unknown}: {text}");
    }
}

#[test]
fn a_look_that_is_too_old_says_nothing_but_its_age() {
    let began = Instant::now();
    let mut latest = Latest::new(began);
    latest.saw(Look { status: status(&healthy()), began, at: SystemTime::now() });
    let text = scrape(&PassMetrics::default(), &latest, &Collected::default(), began + FRESH_FOR * 2);
    let counts = |sample: &&str| sample.contains("_agent_pass") || sample.contains("_events_total");
    let told: Vec<&str> = samples(&text).into_iter().filter(|sample| !counts(sample)).collect();
    let version = format!("hypertide_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert_eq!(told, ["hypertide_agent_observation_age_seconds 20", version.as_str(), "hypertide_up 0"]);
}

mod collecting;
