//! What is on the page of clusters that are well, in trouble, and not looked at.

use std::time::Duration;

use chrono::DateTime;

use super::view::Tone;
use super::*;
use crate::metrics::JobFindings;
use crate::model::backup_runs::DrillSeen;
use crate::model::names::Ident;
use crate::plan::hold::{Hold, Reason};
use crate::plan::simulate::Event;
use crate::status::Status;
use crate::status::backups::{Backups, Figures, JobStatus};
use crate::status::latest::{FRESH_FOR, Latest, Look};
use crate::status::outside::SubscriptionStatus;
use crate::status::tests::{healthy, past_promotion, status};

const CLOCK: &str = "2026-11-22T09:30:00Z";

fn clock() -> DateTime<chrono::Utc> {
    CLOCK.parse().expect("a time")
}

fn latest(status: Status, now: Instant) -> Latest {
    let mut latest = Latest::new(now);
    latest.saw(Look { status, began: now, at: clock().into() });
    latest
}

fn job(name: &str, kind: &'static str) -> JobStatus {
    let some = |text: &str| Some(text.to_owned());
    JobStatus {
        name: name.to_owned(),
        kind,
        store: "s3://backups/trading".to_owned(),
        last_run: some("2026-11-22T02:00:00Z"),
        last_result: Some("succeeded"),
        last_success: some("2026-11-22T02:00:07Z"),
        last_verified: some("2026-11-15T02:01:30Z"),
        next_run: some("2026-11-23T02:00:00Z"),
        rpo_seconds: None,
        rpo_bytes: None,
        figures: Figures { duration_secs: Some(7), size_bytes: Some(5 << 30), ..Figures::default() },
    }
}

fn drill(at: &str, is_equal: bool) -> DrillSeen {
    let finished = at.parse().expect("a time");
    let differences = Some(if is_equal { 0 } else { 3 });
    DrillSeen { finished, is_equal, millis: Some(12_000), rows: Some(1_250_000), differences }
}

/// With jobs, and a switchover on record.
fn well() -> Status {
    let mut nightly = job("nightly", "full");
    nightly.figures.drill = Some(drill("2026-11-15T02:01:30Z", true));
    let mut wal = job("log", "wal");
    (wal.last_run, wal.last_result, wal.last_verified, wal.next_run) = (None, None, None, None);
    wal.last_success = Some("2026-11-22T09:29:50Z".to_owned());
    (wal.rpo_seconds, wal.rpo_bytes, wal.figures) = (Some(9.5), Some(48_000), Figures::default());
    let (last_success, last_verified) = (nightly.last_success.clone(), nightly.last_verified.clone());
    let backups = Backups { last_success, last_verified, jobs: vec![nightly, wal] };
    Status { promotions: vec![past_promotion(2)], backups, ..status(&healthy()) }
}

/// A chunk is missing, the standby died, a drill found differences, a run failed, and rows were lost the last time.
fn troubled() -> Status {
    let mut cluster = healthy();
    Event::Kill(2).happen(&mut cluster);
    Event::CreateChunk(0).happen(&mut cluster);
    let mut status = Status { promotions: Vec::new(), ..status(&cluster) };
    let mut weekly = job("weekly", "base");
    weekly.figures.drill = Some(drill("2026-11-21T03:00:00Z", false));
    let mut nightly = job("nightly", "full");
    (nightly.last_result, nightly.last_verified) = (Some("failed"), None);
    nightly.last_success = Some("2026-08-01T02:00:07Z".to_owned());
    status.backups.jobs = vec![weekly, nightly];
    let mut failover = past_promotion(7);
    (failover.kind, failover.by, failover.loss) = ("failover".into(), "agent".into(), "at_least".into());
    (failover.lost_bytes, failover.lost_transactions) = (Some(4096), None);
    status.promotions = vec![failover];
    status.holds.push(Hold::new("trading", Reason::Unknown("no answer".into())));
    status.holds.push(Hold::new("primary-1", Reason::PortTaken(5434, "process postgres (pid 7)".into())));
    status.subscriptions = vec![SubscriptionStatus {
        name: Ident::new("reference_data").expect("valid"),
        state: "failing",
        managed: true,
        lag_bytes: Some(2048),
        errors: Some(3),
        tables: Some(4),
        reclaim: None,
    }];
    status
}

fn html(latest: &Latest, now: Instant) -> String {
    let page = Page::of(latest, &JobFindings::new(), now, clock());
    Document { page: &page, looked: &view::looked(latest), style: "", script: "", version: "0", links: &["/livez"] }
        .render()
        .expect("to memory")
}

#[test]
fn a_cluster_that_is_well() {
    let now = Instant::now();
    insta::assert_debug_snapshot!(Page::of(&latest(well(), now), &JobFindings::new(), now, clock()));
}

#[test]
fn a_cluster_in_trouble() {
    let now = Instant::now();
    insta::assert_debug_snapshot!(Page::of(&latest(troubled(), now), &JobFindings::new(), now, clock()));
}

#[test]
fn what_was_seen_long_ago_is_nowhere_shown_as_what_is() {
    let now = Instant::now();
    let latest = latest(well(), now);
    let later = now + FRESH_FOR + Duration::from_secs(15);
    let page = Page::of(&latest, &JobFindings::new(), later, clock());
    assert_eq!((page.health.tone, page.health.word.as_str()), (Tone::Unknown, "not known"));
    assert_eq!(
        page.sentence,
        "How the cluster is is not known. When it was last seen, at 09:30:00 UTC, it was healthy."
    );
    let warning = page.warning.as_ref().map(|warning| warning.what.as_str());
    assert_eq!(
        warning,
        Some("What is shown is 25 seconds old and may no longer be so. Nobody has seen the cluster since.")
    );
    let html = html(&latest, later);
    for tone in ["good", "passing", "warn", "bad"] {
        for shown in [format!("badge {tone}"), format!("tone {tone}"), format!("node {tone}"), format!("head {tone}")] {
            assert!(!html.contains(&shown), "{shown}\n{html}");
        }
    }
    assert!(html.contains("was primary") && html.contains("Nodes, as last seen"), "{html}");
    // What is read aloud does not count the seconds.
    assert_eq!(Page::of(&latest, &JobFindings::new(), later + Duration::from_secs(1), clock()).sentence, page.sentence);
}

#[test]
fn before_the_first_look_and_after_one_that_failed_the_page_says_so() {
    let now = Instant::now();
    let mut nothing = Latest::new(now);
    let shown = html(&nothing, now);
    assert!(shown.contains("The agent has seen nothing of the cluster yet.") && !shown.contains("<section"), "{shown}");
    nothing.missed("the engine does not answer".to_owned());
    assert!(html(&nothing, now).contains("the engine does not answer"));

    let mut failed = latest(well(), now);
    failed.missed("the engine does not answer".to_owned());
    let shown = html(&failed, now);
    assert!(shown.contains("The last look failed.") && shown.contains("the engine does not answer"), "{shown}");
    assert!(shown.contains("head good"), "one look that fails does not make the last one old\n{shown}");
}

#[test]
fn whatever_comes_from_outside_is_text_and_never_markup() {
    let now = Instant::now();
    let evil = "</title></script><script>alert(1)</script><b x='\"&";
    let mut status = troubled();
    status.cluster = evil.to_owned();
    status.endpoint.read_write = Some(evil.to_owned());
    status.holds.push(Hold::new(evil, Reason::Unknown(evil.to_owned())));
    status.promotions[0].why = evil.to_owned();
    status.promotions[0].from = evil.to_owned();
    status.backups.jobs[0].name = evil.to_owned();
    status.backups.jobs[0].store = evil.to_owned();
    let mut latest = latest(status, now);
    latest.missed(evil.to_owned());
    let html = html(&latest, now);
    assert!(html.matches("&#60;script&#62;alert(1)").count() >= 8, "{html}");
    for markup in ["<script>alert", "<b ", "</title></script>", "x='\""] {
        assert!(!html.contains(markup), "{markup}\n{html}");
    }
}

#[test]
fn what_is_to_be_typed_stands_out() {
    let now = Instant::now();
    let mut status = well();
    status.holds.push(Hold::new("a", Reason::Unknown("no `psql` here".into())));
    status.holds.push(Hold::new("b", Reason::Unknown("only one ` here".into())));
    let html = html(&latest(status, now), now);
    assert!(html.contains("no <code>psql</code> here") && html.contains("only one ` here"), "{html}");
}

#[test]
fn a_page_is_marked_up_for_those_who_do_not_see_it() {
    let now = Instant::now();
    for status in [well(), troubled()] {
        let html = html(&latest(status, now), now);
        for wanted in [
            "<html lang=\"en\">",
            "<header",
            "<main",
            "<footer",
            "<nav aria-label",
            "role=\"status\"",
            "name=\"viewport\"",
        ] {
            assert_eq!(html.matches(wanted).count(), 1, "{wanted}\n{html}");
        }
        let head = html.split("</head>").next().unwrap_or_default();
        assert_eq!(head.matches("<title>").count(), 1, "{head}");
        let count = |text: &str| html.matches(text).count();
        assert_eq!(count("<h1"), 1);
        assert_eq!(count("<th "), count("scope=\""), "a header of a table says of what");
        assert_eq!(count("<section "), count("<section id=\""), "each part can be found again");
        assert_eq!(count("<svg class=\"line\" role=\"img\" aria-label=\""), count("<svg class=\"line\""));
        assert_eq!(count("<progress max"), count("aria-label=\"Chunks of the primary"));
        assert_eq!(count("style=\""), 0, "the policy forbids it");
        let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
    }
}
