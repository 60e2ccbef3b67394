//! What the configuration changes about a job that a pack brings: the keys that are given, and no others.

use super::{BACKOFFS, MOST_RETRIES, TIMEOUTS, refuse_timed, sql, timing};
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::backup::Timing;
use crate::model::job::{DataJob, JobRole, Task};

/// Changes it.
pub fn apply(job: &mut DataJob, keys: &Fields<'_>, problems: &mut Problems) {
    if keys.get("schedule").is_some_and(is_off) {
        refuse_timed(keys, problems);
        job.timing = None;
    } else {
        job.timing = timing(job.timing.take(), keys, problems);
    }
    if let Task::Sql { sql: statements, role } = &mut job.task {
        if let Some(given) = keys.get("sql").and_then(|entry| sql(entry, problems)) {
            *statements = given;
        }
        if let Some(given) = keys.get("role").and_then(|entry| entry.choice(&JobRole::ALL, problems)) {
            *role = given;
        }
    }
    job.timeout = timing::within(keys, "timeout", &TIMEOUTS, job.timeout, problems);
    job.retries = timing::count(keys, "retries", &(0..=MOST_RETRIES), job.retries, problems);
    job.backoff = timing::within(keys, "backoff", &BACKOFFS, job.backoff, problems);
}

/// The job has no times; it can still be run by hand.
fn is_off(entry: &Entry<'_>) -> bool {
    match entry.node {
        Node::Bool(is_on) => !is_on,
        Node::Text(text) => text == "off",
        _ => false,
    }
}

fn timing(old: Option<Timing>, keys: &Fields<'_>, problems: &mut Problems) -> Option<Timing> {
    let given = timing::timing(keys, old.as_ref().map(|old| old.cron.as_str()), problems);
    let (Some(old), Some(given)) = (old, given) else { return None };
    let is_given = |key| keys.get(key).is_some();
    Some(Timing {
        cron: given.cron,
        zone: if is_given("timezone") { given.zone } else { old.zone },
        jitter: if is_given("jitter") { given.jitter } else { old.jitter },
        catch_up: if is_given("catch_up") { given.catch_up } else { old.catch_up },
        overlap: if is_given("overlap") { given.overlap } else { old.overlap },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn job(rest: &str) -> DataJob {
        let text = format!("packs: [l0_pipeline]\njobs: [{{name: l0_pipeline.cleanup{rest}}}]");
        let desired = parse(&text, Path::new("/")).expect("valid");
        desired.jobs.into_iter().find(|job| job.name == "l0_pipeline.cleanup").expect("the pack brings it")
    }

    fn problem(rest: &str) -> String {
        let text = format!("packs: [l0_pipeline]\njobs: [{{name: {rest}}}]");
        let problems = parse(&text, Path::new("/")).expect_err("a mistake");
        problems
            .iter()
            .map(|it| format!("{it}; {}", it.help.clone().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_key_that_is_not_given_stays_the_packs() {
        let as_brought = job("");
        let timing = as_brought.timing.clone().expect("it has times");
        assert_eq!((timing.cron.as_str(), timing.zone.as_str()), ("0 2 * * *", "America/Bogota"));
        let later = job(", schedule: '0 5 * * *', timeout: 5m");
        let timing = Timing { cron: "0 5 * * *".to_owned(), ..timing };
        let timeout = std::time::Duration::from_mins(5);
        assert_eq!(later, DataJob { timing: Some(timing), timeout, ..as_brought });
    }

    #[test]
    fn a_job_that_is_off_can_still_be_asked_for() {
        for word in ["off", "false"] {
            assert_eq!(job(&format!(", schedule: {word}")), DataJob { timing: None, ..job("") });
        }
    }

    #[test]
    fn statements_and_role_can_be_others() {
        let changed = job(", sql: select 1, role: reader, retries: 2");
        assert_eq!((changed.task, changed.retries), (Task::Sql { sql: "select 1".into(), role: JobRole::Reader }, 2));
    }

    #[test]
    fn what_cannot_be_changed_so_is_refused_with_a_way_out() {
        let misspelt = problem("l0_pipeline.clean-up, schedule: off");
        assert!(misspelt.contains("jobs[0].name: no pack of this configuration has a job `l0_pipeline.clean-up`"));
        assert!(misspelt.contains("did you mean `l0_pipeline.cleanup`?"), "{misspelt}");
        let without = problem("etl.vacuum, schedule: off");
        assert!(without.contains("jobs of the packs: l0_pipeline.record-gaps, "), "{without}");
        let timed = problem("l0_pipeline.cleanup, schedule: off, jitter: 1m");
        assert!(timed.contains("jobs[0].jitter: only means something with `schedule`"), "{timed}");
        let no_schedule = problem("mine, sql: select 1, schedule: off");
        assert!(no_schedule.contains("jobs[0].schedule: `off` is no schedule"), "{no_schedule}");
    }
}
