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
    assert!(good("retention: []").jobs.is_empty());
}
