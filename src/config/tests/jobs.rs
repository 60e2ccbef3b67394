//! Data jobs as they are taken from a file.

use std::time::Duration;

use super::good;
use crate::model::backup::Overlap;
use crate::model::expiry::{Age, AgeUnit, Floor};
use crate::model::job::{DataJob, JobRole, Task};

fn job(rest: &str) -> DataJob {
    good(&format!("jobs: [{{name: n, sql: select 1{rest}}}]")).jobs.remove(0)
}

#[test]
fn a_job_runs_as_the_application_for_an_hour_at_most() {
    let job = job("");
    assert_eq!(job.task, Task::Sql { sql: "select 1".into(), role: JobRole::App });
    assert_eq!((job.timing, job.timeout, job.retries), (None, Duration::from_hours(1), 0));
}

#[test]
fn every_key_of_a_job_is_taken() {
    let job =
        job(", schedule: '30 17 * * 1-5', timezone: America/Bogota, catch_up: off, overlap: queue, role: postgres, \
                  timeout: 10m, retries: 2, backoff: 5s");
    let timing = job.timing.as_ref().expect("it has times");
    assert_eq!((timing.zone.as_str(), timing.catch_up, timing.overlap), ("America/Bogota", false, Overlap::Queue));
    assert_eq!((job.role(), job.timeout, job.retries), (JobRole::Postgres, Duration::from_mins(10), 2));
    assert_eq!(job.backoff, Duration::from_secs(5));
}

#[test]
fn retention_is_a_job_of_its_own_once_a_day_unless_told() {
    for (file, cron, floor) in [
        ("retention: [{hypertable: a.b, drop_after: 2y}]", "30 4 * * *", Floor::Backup),
        (
            "retention: {schedule: '0 * * * *', rules: [{hypertable: a.b, drop_after: 2y, floor: none}]}",
            "0 * * * *",
            Floor::None,
        ),
    ] {
        let job = good(file).jobs.remove(0);
        assert_eq!((job.name.as_str(), job.role()), ("retention", JobRole::Postgres));
        assert_eq!(job.timing.as_ref().map(|timing| timing.cron.as_str()), Some(cron));
        let Task::Retention(rules) = &job.task else { panic!("{job:?}") };
        assert_eq!((rules[0].drop_after, rules[0].floor), (Age { count: 2, unit: AgeUnit::Year }, floor));
    }
    assert!(good("packs: []\nretention: []").jobs.is_empty());
}

/// Name, schedule, time zone and role of every job that a pack brings.
fn brought(packs: &str) -> Vec<String> {
    let line = |job: &DataJob| {
        let timing = job.timing.as_ref().expect("a pack's job has times");
        format!("{} | {} | {} | {}", job.name, timing.cron, timing.zone, job.role())
    };
    good(&format!("packs: {packs}")).jobs.iter().map(line).collect()
}

#[test]
fn packs_bring_the_jobs_that_their_guides_ask_for() {
    let all = "[trading, l0_pipeline, dashboard, market_data, etl]";
    insta::assert_snapshot!(brought(all).join("\n"));
    assert_eq!(brought("[etl, ./mine]").len(), 3);
    assert_eq!(brought("[]"), [""; 0]);
}

#[test]
fn only_what_a_guide_states_as_its_retention_deletes_rows() {
    let jobs = good("packs: [trading, l0_pipeline, dashboard, market_data, etl]").jobs;
    let deletes = |job: &&DataJob| {
        let Task::Sql { sql, .. } = &job.task else { panic!("{job:?}") };
        ["delete", "drop", "truncate", "cleanup", "archive"].iter().any(|word| sql.contains(word))
    };
    let names: Vec<&str> = jobs.iter().filter(deletes).map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["l0_pipeline.cleanup", "market_data.archive-ohlcv"]);
}

#[test]
fn every_built_in_pack_brings_the_jobs_that_lie_beside_it() {
    use crate::config::pack_jobs;
    let known: Vec<&str> = pack_jobs::ALL.iter().map(|(pack, _)| *pack).collect();
    assert_eq!(known, crate::schema::packs::built_in());
    for (pack, text) in pack_jobs::ALL {
        let jobs = crate::config::resolve::jobs::of_pack(pack, text);
        assert!(jobs.iter().all(|job| job.pack.as_deref() == Some(pack)), "{pack}");
    }
}
