//! Backup jobs as they are taken from a file.

use std::path::Path;
use std::time::Duration;

use super::good;
use crate::model::backup::{BackupJob, DrillEvery, Hook, Keep, Kind, Source, StoreUrl, Work};

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn job(rest: &str) -> BackupJob {
    let mut jobs = good(&format!("backups: [{{name: n, store: 'file:///var/b', {rest}}}]")).backups;
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

#[test]
fn a_job_needs_a_name_and_a_store_and_has_a_default_for_the_rest() {
    let job = job("");
    assert_eq!(job.work, Work::Backup(Kind::Full));
    assert_eq!(job.store.url, StoreUrl::Disk("/var/b".into()));
    assert_eq!((job.timing, job.keep), (None, None));
    assert_eq!((job.source, job.drill), (Source::Auto, DrillEvery::Days(7)));
    assert_eq!((job.parallel, job.incrementals, job.retries), (1, 0, 2));
    assert_eq!((job.timeout, job.backoff), (Duration::from_hours(12), Duration::from_mins(1)));
    assert_eq!((job.sealing.level, job.sealing.is_long, job.sealing.recipients.len()), (3, false, 0));
    assert!(job.identity.is_none() && job.on_success.is_empty() && job.on_failure.is_empty());
}

#[test]
fn every_key_of_a_job_is_taken() {
    let timing = job("schedule: '30 0 2 * * *', timezone: America/Bogota, jitter: 5m, catch_up: off").timing;
    let timing = timing.expect("given");
    assert_eq!((timing.cron.as_str(), timing.zone.as_str()), ("30 0 2 * * *", "America/Bogota"));
    assert_eq!((timing.jitter, timing.catch_up), (Duration::from_mins(5), false));

    let keep = job("keep: {last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6, min_age: 2w}").keep;
    let min_age = Duration::from_hours(14 * 24);
    assert_eq!(keep, Some(Keep { last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6, min_age }));

    let base =
        job("kind: base, incrementals: 6, from: replica-1, timeout: 2h, retries: 0, backoff: 10s, drill: always");
    assert_eq!(base.work, Work::Backup(Kind::Base));
    assert_eq!((base.incrementals, base.retries, base.drill), (6, 0, DrillEvery::Backup));
    assert!(matches!(base.source, Source::Node(node) if node.as_str() == "replica-1"));
    assert_eq!((base.timeout, base.backoff), (Duration::from_hours(2), Duration::from_secs(10)));

    let full = job(&format!(
        "parallel: 4, compression: {{level: 9, long: on}}, encrypt: [{RECIPIENT}], identity: keys/id.txt, from: primary"
    ));
    assert_eq!((full.parallel, full.source), (4, Source::Primary));
    assert_eq!((full.sealing.level, full.sealing.is_long), (9, true));
    assert_eq!(full.sealing.recipients, [RECIPIENT]);
    assert_eq!(full.identity.as_deref(), Some(Path::new("/etc/h/keys/id.txt")));

    let told = job("on_success: [{webhook: 'https://h/x'}], on_failure: [{command: [/bin/mail, -s, failed]}]");
    assert_eq!(told.on_success, [Hook::Webhook("https://h/x".into())]);
    assert_eq!(told.on_failure, [Hook::Command(vec!["/bin/mail".into(), "-s".into(), "failed".into()])]);
}

#[test]
fn a_bucket_says_how_it_is_reached() {
    let store = "{url: 's3://b12/p', endpoint: 'http://127.0.0.1:9000', region: eu-west-1, path_style: true, \
                 encryption: 'aws:kms', kms_key: alias/x}";
    let job = good(&format!("backups: [{{name: n, store: {store}}}]")).backups.remove(0);
    assert_eq!(job.store.url, StoreUrl::S3 { bucket: "b12".into(), prefix: "p".into() });
    assert_eq!(job.store.s3.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
    assert_eq!(job.store.s3.region.as_deref(), Some("eu-west-1"));
    assert!(job.store.s3.path_style);
    assert_eq!(job.store.s3.encryption.as_deref(), Some("aws:kms"));
    assert_eq!(job.store.s3.kms_key.as_deref(), Some("alias/x"));
}

#[test]
fn the_log_is_archived_all_the_time_and_what_nobody_can_read_is_not_drilled() {
    let wal = job("kind: wal, max_age: 30s");
    assert_eq!(wal.work, Work::Wal { max_age: Duration::from_secs(30) });
    assert_eq!((wal.timing, wal.drill), (None, DrillEvery::Never));
    assert_eq!(job(&format!("encrypt: [{RECIPIENT}]")).drill, DrillEvery::Never);
    assert_eq!(job("kind: tables, tables: [a.b, c.d]").tables.len(), 2);
}
