//! Data jobs as they are taken from a file.

use std::time::Duration;

use super::good;
use crate::model::backup::Overlap;
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
