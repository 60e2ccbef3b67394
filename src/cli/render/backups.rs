//! Backup jobs in the status, for people.

use crate::status::Status;

/// A line for each job; none without jobs.
pub(super) fn text(status: &Status) -> Vec<String> {
    let jobs = &status.backups.jobs;
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let head = (!jobs.is_empty()).then(|| {
        let [success, verified, next] = ["LAST SUCCESS", "LAST VERIFIED", "NEXT RUN"];
        format!("{:<14} {:<8} {:<12} {success:<21} {verified:<21} {next:<21}", "BACKUP", "KIND", "LAST RESULT")
            .trim_end()
            .to_owned()
    });
    let line = |job: &crate::status::backups::JobStatus| {
        format!(
            "{:<14} {:<8} {:<12} {:<21} {:<21} {}",
            job.name,
            job.kind,
            job.last_result.unwrap_or("-"),
            dash(&job.last_success),
            dash(&job.last_verified),
            dash(&job.next_run),
        )
    };
    head.into_iter().chain(jobs.iter().map(line)).collect()
}
