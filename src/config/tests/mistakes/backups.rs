//! Mistakes under `backups`.

use super::super::good;
use super::bad;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn with(rest: &str) -> String {
    format!("backups: [{{name: n, schedule: '0 2 * * *', store: 's3://b12/p', {rest}}}]")
}

#[test]
fn each_mistake_of_a_backup_is_named_where_it_stands() {
    for (rest, said) in [
        ("kind: fulll", "backups[0].kind: expected one of full, schema, tables, globals, base, wal"),
        ("kind: tables", "backups[0].tables: is missing"),
        ("tables: [a.b]", "backups[0].tables: only means something with `kind: tables`"),
        ("kind: tables, tables: []", "backups[0].tables: is empty"),
        ("kind: tables, tables: [b]", "backups[0].tables[0]: `b` lacks its schema"),
        ("kind: tables, tables: [a.b, a.b]", "backups[0].tables[1]: a.b is used twice"),
        ("keep: {}", "backups[0].keep: keeps no backup at all"),
        ("keep: {last: 0, daily: 0}", "backups[0].keep: keeps no backup at all"),
        ("keep: {last: -1}", "backups[0].keep.last: -1 is out of range"),
        ("keep: {lats: 1, daily: 1}", "backups[0].keep.lats: unknown key (did you mean `last`?)"),
        ("keep: {last: 1, min_age: 1 fortnight}", "backups[0].keep.min_age: `1 fortnight` is no time"),
        ("drill: weakly", "(did you mean `weekly`?)"),
        (
            "timezone: Europe/Berln",
            "`Europe/Berln` is no time zone such as `Europe/Berlin` or `UTC` (did you mean `Europe/Berlin`?)",
        ),
        ("timezone: 5", "backups[0].timezone: expected a time zone (text)"),
        ("jitter: 2d", "backups[0].jitter: `2d` is out of range (0 seconds to 1 day)"),
        ("catch_up: perhaps", "backups[0].catch_up: expected true or false"),
        ("encrypt: no", "backups[0].encrypt: expected a list of recipients"),
        ("encrypt: []", "backups[0].encrypt: is empty"),
        ("encrypt: [age1nobody]", "backups[0].encrypt[0]: `age1nobody` is no age recipient (`age1…`): "),
        ("encrypt: [AGE-SECRET-KEY-1XYZ]", "backups[0].encrypt[0]: a private key does not belong in this file"),
        ("identity: ''", "backups[0].identity: `` is no path"),
        ("from: replica", "backups[0].from: `replica` is reserved"),
        ("parallel: 0", "backups[0].parallel: 0 is out of range (1 to 32)"),
        ("kind: schema, parallel: 2", "backups[0].parallel: only means something with `kind: full`"),
        ("incrementals: 2", "backups[0].incrementals: only means something with `kind: base`"),
        ("max_age: 1m", "backups[0].max_age: only means something with `kind: wal`"),
        ("compression: {level: 20}", "backups[0].compression.level: 20 is out of range (1 to 19)"),
        ("compression: {levle: 3}", "backups[0].compression.levle: unknown key (did you mean `level`?)"),
        ("timeout: 5s", "backups[0].timeout: `5s` is out of range (1 minute to 7 days)"),
        ("retries: 21", "backups[0].retries: 21 is out of range"),
        ("backoff: 0s", "backups[0].backoff: `0s` is out of range (1 second to 1 day)"),
        ("on_success: [{}]", "on_success[0]: is either `command: [program, argument, …]` or `webhook: https://…`"),
        ("on_failure: [{command: []}]", "backups[0].on_failure[0].command: names no program"),
        ("on_failure: [{webhook: 'ftp://x'}]", "on_failure[0].webhook: `ftp://x` is no address"),
        ("on_failure: [{webhook: 'https://me:secret@x'}]", "webhook: credentials do not belong in this file"),
    ] {
        let found = bad(&with(rest));
        assert!(found.contains(said), "{rest}: {found}");
        assert_eq!(found.lines().count(), 1, "{rest}: {found}");
        assert!(!found.contains("secret@") && !found.contains("1XYZ"), "{found}");
    }
}

#[test]
fn a_schedule_has_to_fire() {
    for (rest, said) in [
        ("", "backups[0].schedule: `0 0 30 2 *` never fires: there is no such day"),
        ("timezone: Europe/Berlin", "backups[0].schedule: `0 0 30 2 *` never fires"),
    ] {
        let found = bad(&with(rest).replace("0 2 * * *", "0 0 30 2 *"));
        assert!(found.contains(said), "{found}");
    }
    let found = bad(&with("").replace("0 2 * * *", "0 2 * * 9"));
    assert!(found.contains("`0 2 * * 9` is no schedule: weekday `9` is not understood"), "{found}");
}

#[test]
fn a_store_is_an_address_or_a_map_of_what_s3_needs() {
    let with = |store: &str| format!("backups: [{{name: n, store: {store}}}]");
    for (store, said) in [
        ("/var/backups", "backups[0].store: `/var/backups` is no store: `file:///an/absolute/directory` or"),
        ("5", "backups[0].store: expected a store (text)"),
        ("{}", "backups[0].store.url: is missing"),
        ("{url: 's3://b12', endpont: x}", "backups[0].store.endpont: unknown key (did you mean `endpoint`?)"),
        ("{url: 's3://b12', endpoint: 'minio:9000'}", "backups[0].store.endpoint: `minio:9000` is no address"),
        (
            "{url: 's3://b12', endpoint: 'http://key:secret@minio'}",
            "store.endpoint: credentials do not belong in this file",
        ),
        ("{url: 's3://b12', region: 'eu west'}", "backups[0].store.region: `eu west` is not usable"),
        ("{url: 's3://b12', encryption: aes}", "backups[0].store.encryption: expected one of AES256, aws:kms"),
        ("{url: 's3://b12', kms_key: k}", "backups[0].store.kms_key: only means something with `encryption: aws:kms`"),
        ("{url: 'file:///a', path_style: yes}", "store.path_style: only means something with a bucket"),
    ] {
        let found = bad(&with(store));
        assert!(found.contains(said), "{store}: {found}");
        assert_eq!(found.lines().count(), 1, "{store}: {found}");
    }
}

#[test]
fn what_is_missing_or_used_twice_is_told_with_everything_else() {
    assert_eq!(
        bad("backups: [{timeout: 1}]"),
        "line 1: backups[0].name: is missing\n\
         line 1: backups[0].store: is missing\n\
         line 1: backups[0].timeout: expected a time (text), found the number 1 (quotes make it text)"
    );
    let two = "backups: [{name: n, store: 's3://b12'}, {name: n, store: 's3://b12/x'}]";
    assert_eq!(bad(two), "line 1: backups[1].name: n is used twice, also by backups[0].name");
    assert_eq!(
        bad("backups: [{name: n, store: 's3://b12', timezone: UTC}]"),
        "line 1: backups[0].timezone: only means something with `schedule`"
    );
}

#[test]
fn archiving_the_log_has_no_times_of_its_own() {
    let with = |rest: &str| format!("backups: [{{name: n, store: 's3://b12', kind: wal, {rest}}}]");
    good(&with("max_age: 30s"));
    for rest in ["schedule: '* * * * *'", "keep: {last: 1}", "drill: weekly", "retries: 1", "from: primary"] {
        let key = rest.split(':').next().expect("a key");
        let found = bad(&with(rest));
        assert!(found.contains(&format!("backups[0].{key}: means nothing with `kind: wal`")), "{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
    assert!(bad(&with("max_age: 1s")).contains("`1s` is out of range (5 seconds to 1 hour)"));
}

#[test]
fn a_drill_of_what_is_encrypted_needs_the_key() {
    let sealed = |rest: &str| with(&format!("encrypt: [{RECIPIENT}], {rest}"));
    let found = bad(&sealed("drill: weekly"));
    assert!(
        found.contains("backups[0].drill: nobody can restore what is encrypted without a key (name the file"),
        "{found}"
    );
    good(&sealed("drill: weekly, identity: keys/backup.txt"));
    good(&sealed("drill: never"));
}
