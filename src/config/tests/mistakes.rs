//! Every kind of mistake: what is said about it, and where.

mod backups;

use std::path::PathBuf;

use super::{good, read};
use crate::config::ConfigError;

/// Problems and their help, one per line.
fn bad(text: &str) -> String {
    let problems = read(text).expect_err(text);
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| match &problem.help {
            Some(help) => format!("{problem} ({help})"),
            None => problem.to_string(),
        })
        .collect();
    lines.join("\n")
}

#[test]
fn ports_are_compared_across_everything_that_was_given() {
    for (text, said) in [
        (
            "nodes: {primary: {port: 5435}}",
            "line 1: nodes.primary.port: 5435 is used twice, also by nodes.replicas[0].port, whose default it is",
        ),
        (
            "nodes: {replicas: [{port: 7000}, {port: 7000}]}",
            "line 1: nodes.replicas[1].port: 7000 is used twice, also by nodes.replicas[0].port",
        ),
        (
            "nodes: {primary: {port: 5433}}\nendpoint: {read_write: 1}",
            "line 1: nodes.primary.port: 5433 is used twice, also by endpoint.read_only, whose default it is",
        ),
        (
            "endpoint: {read_write: 9187}\nmetrics: {listen: '0.0.0.0:9187', allow_anonymous: true}",
            "line 2: metrics.listen: 9187 is used twice, also by endpoint.read_write",
        ),
        (
            "nodes: {primary: {port: 9187}}",
            "line 1: nodes.primary.port: 9187 is used twice, also by metrics.listen, whose default it is",
        ),
        (
            "nodes: {primary: {port: 9090}}\nmonitoring: on",
            "line 1: nodes.primary.port: 9090 is used twice, also by monitoring.prometheus.port, whose default it is",
        ),
    ] {
        assert_eq!(bad(text), said);
    }
    good("nodes: {primary: {port: 5432}}");
    good("nodes: {primary: {port: 5432}}\nendpoint: direct");
}

#[test]
fn each_mistake_is_named_where_it_stands() {
    for (text, said) in [
        ("- a", "expected a map of keys, found a list"),
        ("presets: laptop", "presets: unknown key (did you mean `preset`?)"),
        ("zzz: 1", "zzz: unknown key (known keys here: cluster, database, image, "),
        ("1: 1", "1: unknown key"),
        ("cluster: 5", "cluster: expected a name (text), found the number 5 (quotes make it text)"),
        ("cluster:", "cluster: expected a name (text), found nothing (leave the key out"),
        ("cluster: A_b", "cluster: `A_b` is no cluster name: "),
        ("cluster: a\n\ncluster: b", "line 3: cluster: given twice (first in line 1)"),
        ("database: postgres", "database: `postgres` is PostgreSQL's own database"),
        ("image: 'a b'", "image: `a b` is no image: "),
        ("image: ''", "image: `` is no image: "),
        ("bind: localhost", "bind: `localhost` is no IP address"),
        ("preset: labtop", "preset: expected one of laptop, cloud, found the text `labtop` (did you mean `laptop`?)"),
        ("preset: {base: clod}", "preset.base: expected one of laptop, cloud, found the text `clod` (did you mean"),
        ("preset: [laptop]", "preset: expected laptop, cloud or a map of settings, found a list"),
        ("preset: {work_mem: [1]}", "preset.work_mem: expected a value (text, a number, true or false), found a list"),
        ("nodes: {primary: {url: 'postgres://x'}}", "nodes.primary.url: a database outside Docker is not supported"),
        ("nodes: {primary: {name: replica}}", "nodes.primary.name: `replica` is reserved"),
        ("nodes: {replicas: [{port: 70000}]}", "nodes.replicas[0].port: 70000 is no port (1 to 65535)"),
        ("nodes: {replicas: [{port: '5'}]}", "found the text `5` (leave the quotes out)"),
        (
            "nodes: {replicas: [{name: primary-1}]}",
            "nodes.replicas[0].name: primary-1 is used twice, also by nodes.primary.name",
        ),
        (
            "nodes: {replicas: [{}, {name: replica-1}]}",
            "nodes.replicas[1].name: replica-1 is used twice, also by nodes.replicas[0].name",
        ),
        (
            "nodes: {replicas: [{replication: fysical}]}",
            "nodes.replicas[0].replication: expected one of logical, physical",
        ),
        ("nodes: {replicas: {}}", "nodes.replicas: expected a list of replicas, found a map of keys"),
        ("nodes: {replicas: [{prot: 1}]}", "nodes.replicas[0].prot: unknown key (did you mean `port`?)"),
        (
            "replication: {mode: logicl}",
            "replication.mode: expected one of logical, physical, found the text `logicl` (did you",
        ),
        ("replication: {synchronous: offf}", "(did you mean `off`?)"),
        ("replication: {synchronous: {when_lost: wait}}", "replication.synchronous"),
        (
            "replication: {synchronous: {mode: on, when_lost: go}}",
            "replication.synchronous.when_lost: expected one of wait, continue",
        ),
        (
            "replication: {verify: of}",
            "replication.verify: expected one of off, on, found the text `of` (did you mean `off`?)",
        ),
        ("replication: {verify: 5}", "replication.verify: expected `off` or a map of every and rows_per_second, found"),
        ("replication: {verify: {evry: 1h}}", "replication.verify.evry: unknown key (did you mean `every`?)"),
        (
            "replication: {verify: {every: 10s}}",
            "replication.verify.every: `10s` is no time: a whole number and a unit",
        ),
        (
            "replication: {verify: {every: 90d}}",
            "replication.verify.every: `90d` is out of range (1 minute to 30 days)",
        ),
        ("replication: {verify: {rows_per_second: 0}}", "rows_per_second: 0 is out of range (100 to 1000000000)"),
        ("replication: {publication: {schemas: []}}", "replication.publication.schemas: an empty publication"),
        (
            "replication: {publication: {schemas: [a, a]}}",
            "schemas[1]: a is used twice, also by replication.publication.schemas[0]",
        ),
        (
            "replication: {publication: {schemas: [_timescaledb_catalog]}}",
            "holds catalog rows, which must never replicate",
        ),
        ("replication: {publication: {schemas: [pg_catalog]}}", "holds catalog rows, which must never replicate"),
        ("replication: {publication: {schemas: [hypertide]}}", "which must never replicate"),
        ("packs: [a, b, a]", "packs[2]: `a` is used twice, also by packs[0]"),
        ("packs: [./a, ././a/]", "packs[1]: `/etc/h/a` is used twice, also by packs[0]"),
        ("packs: [A-b]", "packs[0]: `A-b` is no pack: "),
        ("packs: trading", "packs: expected a list of packs, found the text `trading`"),
        ("endpoint: drect", "endpoint: expected `direct`, found the text `drect` (did you mean `direct`?)"),
        ("database: a b\nendpoint: {read_write: 1}", "endpoint: cannot serve the database `a b`"),
        ("database: pgbouncer\nendpoint: {}", "endpoint: cannot serve the database `pgbouncer`"),
        ("endpoint: {read_write: 0}", "endpoint.read_write: 0 is no port"),
        (
            "endpoint: {pooling: statement}",
            "endpoint.pooling: expected one of transaction, session, found the text `statement`",
        ),
        ("monitoring: maybe", "monitoring: expected one of on, off, found the text `maybe`"),
        ("monitoring: {grafna: off}", "monitoring.grafna: unknown key (did you mean `grafana`?)"),
        ("monitoring: {grafana: 3000}", "monitoring.grafana: expected one of on, off, found the number 3000"),
        ("monitoring: {grafana: {port: 0}}", "monitoring.grafana.port: 0 is no port"),
        (
            "monitoring: {prometheus: {image: 'prom prometheus'}}",
            "monitoring.prometheus.image: `prom prometheus` is no image: a reference such as `prom/prometheus:v3.5.0`",
        ),
        ("monitoring: {prometheus: {retention: 30m}}", "monitoring.prometheus.retention: `30m` is out of range"),
        ("monitoring: on\nmetrics: {listen: off}", "monitoring: there is nothing to scrape with `metrics.listen: off`"),
        ("nodes: {replicas: [{name: grafana}]}", "`grafana` is reserved"),
        ("failover: {automatic: maybe}", "failover.automatic: expected true or false, found the text `maybe`"),
        ("failover: {prefer: promte}", "(did you mean `promote`?)"),
        ("nodes: {replicas: [{priority: 1001}]}", "nodes.replicas[0].priority: 1001 is out of range (0 to 1000)"),
        ("nodes: {primary: {priority: 1}}", "unknown key"),
        ("failover: {max_loss_bytes: -1}", "failover.max_loss_bytes: -1 is out of range (0 to 9223372036854775807)"),
        ("retention: [{hypertable: a.b, drop_after: 0d}]", "retention[0].drop_after: `0d` is no age"),
        ("retention: [{hypertable: a, drop_after: 1d}]", "retention[0].hypertable: `a` lacks its schema"),
        ("retention: [{hypertable: a.b}]", "retention[0].drop_after: is missing"),
        (
            "retention: [{hypertable: a.b, drop_after: 1d, floor: off}]",
            "retention[0].floor: expected one of backup, none",
        ),
        ("retention: {rules: [{hypertable: a.b, drop_after: 1d}], schedul: x}", "retention.schedul: unknown key"),
        ("retention: {schedule: '0 1 * * *'}", "retention.rules: is missing"),
        ("jobs: [{name: retention, sql: select}]", "jobs[0].name: is what the job of the key `retention` is called"),
        ("jobs: [{name: a, schedule: '* *', sql: select}]", "jobs[0].schedule: `* *` is no schedule"),
        ("jobs: [{name: a, schedule: '0 0 30 2 *', sql: select}]", "jobs[0].schedule: `0 0 30 2 *` never fires"),
        ("jobs: [{name: a, sql: select, overlap: skip}]", "jobs[0].overlap: only means something with `schedule`"),
        ("jobs: [{name: a, sql: select, role: root}]", "jobs[0].role: expected one of app, reader, postgres"),
        ("jobs: [{name: a, sql: select, timeout: 0s}]", "jobs[0].timeout: `0s` is out of range"),
        ("jobs: [{name: a, schedule: '* * * * *', sql: ' '}]", "jobs[0].sql: there is no statement in it"),
        (
            "metrics: {listen: 9187}",
            "metrics.listen: expected an address and port, or `off` (text), found the number 9187",
        ),
        ("metrics: {listen: 'localhost:0'}", "metrics.listen: `localhost:0` is no address and port"),
        ("metrics: {listen: on}", "metrics.listen: `on` is no address and port such as `127.0.0.1:9187`, nor `off`"),
        ("metrics: off", "metrics: expected a map of keys, found "),
        (
            "metrics: {listen: '0.0.0.0:9187'}",
            "metrics.listen: whoever reaches 0.0.0.0:9187 could read names, addresses and sizes without a password",
        ),
        (
            "metrics: {listen: '[::]:9187', tls: {certificate: a, key: b}}",
            "metrics.listen: whoever reaches [::]:9187 could",
        ),
        (
            "metrics: {listen: '10.0.0.1:9187', allow_anonymous: false}",
            "metrics.listen: whoever reaches 10.0.0.1:9187 could",
        ),
        ("metrics: {tls: {certificate: a}}", "metrics.tls.key: is missing"),
        ("metrics: {basic_auth: {username: a}}", "metrics.basic_auth.password_file: is missing"),
        ("metrics: {basic_auth: {username: 'a:b', password_file: c}}", "metrics.basic_auth.username: `a:b` is no name"),
        ("metrics: {bearer_token_file: ''}", "metrics.bearer_token_file: `` is no path"),
        ("endpoint: {tls: {certificate: a}}", "endpoint.tls.key: is missing"),
        ("metrics: {databases: [{name: shop}]}", "metrics.databases[0].url: is missing"),
        ("metrics: {databases: [{url: 'postgres://u@h/d'}]}", "metrics.databases[0].name: is missing"),
        (
            "metrics: {databases: [{name: replica-1, url: 'postgres://u@h/d'}]}",
            "metrics.databases[0].name: `replica-1` is a node of the cluster",
        ),
        (
            "metrics: {databases: [{name: a, url: 'postgres://u@h/d'}, {name: a, url: 'postgres://u@h/e'}]}",
            "metrics.databases[1].name: a is used twice",
        ),
        (
            "metrics: {databases: [{name: a, url: 'postgres://u:secret@h/d'}]}",
            "metrics.databases[0].url: a password does not belong in this file (put it into a file of its own",
        ),
        (
            "metrics: {databases: [{name: a, url: 'postgres://u@h/d', password: x}]}",
            "metrics.databases[0].password: a password does not belong",
        ),
        (
            "metrics: {databases: [{name: a, url: 'mysql://u@h/d'}]}",
            "metrics.databases[0].url: is no URL of a database: it begins with neither",
        ),
        ("metrics: {databases: [{name: a, url: 'h/d'}]}", "metrics.databases[0].url: is no URL of a database: "),
        ("metrics: {databases: [{name: a, url: 'postgres://h/d'}]}", "a database: it names no user"),
        ("metrics: {databases: [{name: a, url: 'postgres:///d?user=u'}]}", "a database: it names no host"),
        ("metrics: {databases: [{name: a, url: 'postgres://u@h:0x/d'}]}", "a database: invalid port number"),
        (
            "metrics: {databases: [{name: a, url: 'postgres://u@h/d?sslmode=on'}]}",
            "a database: `sslmode` is one of disable, prefer, require, verify-ca, verify-full",
        ),
        (
            "metrics: {databases: [{name: a, url: 'postgres://u@h/d?sslrootcert=system'}]}",
            "a database: `sslrootcert=system` needs `sslmode=verify-full`",
        ),
        (
            "metrics: {databases: [{name: a, url: 'postgres://u@h/d?password=x'}]}",
            "a database: `password` has no meaning here",
        ),
        ("events: {webhook: 'example.com/x'}", "events.webhook: `example.com/x` is no address"),
        ("events: {log_format: yaml}", "events.log_format: expected one of text, json, found the text `yaml`"),
        ("a: [", "not YAML: "),
    ] {
        let found = bad(text);
        assert!(found.contains(said), "{text}\n  expected: {said}\n     found: {found}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
    }
}

#[test]
fn a_block_value_is_reported_at_its_key() {
    for (text, place) in [
        ("\nnode:\n  primary: {}", "line 2: node: "),
        ("\npacks:\n  a: 1", "line 2: packs: "),
        ("\njobs:\n  - a", "line 3: jobs[0]: "),
    ] {
        assert!(bad(text).starts_with(place), "{text}: {}", bad(text));
    }
}

#[test]
fn a_replica_beyond_the_last_port_needs_one_of_its_own() {
    let replicas = vec!["{}"; 60_102].join(", ");
    assert_eq!(
        bad(&format!("nodes: {{replicas: [{replicas}]}}\nmetrics: {{listen: off}}")),
        "line 1: nodes.replicas[60101].port: is missing"
    );
}

#[test]
fn publications_are_checked_key_by_key() {
    for (text, said) in [
        ("{tables: [a.b]}", "publications[0].name: is missing"),
        ("{name: p}", "publications[0].tables: is missing: without tables and schemas a publication publishes nothing"),
        (
            "{name: trading_data_pub, tables: [a.b]}",
            "`trading_data_pub` is what the cluster's own replicas subscribe to",
        ),
        ("{name: p, tables: []}", "publications[0].tables: an empty list publishes nothing"),
        ("{name: p, tables: a.b}", "publications[0].tables: expected a list of tables, found the text `a.b`"),
        ("{name: p, tables: [b]}", "publications[0].tables[0]: `b` lacks its schema: `schema.table`"),
        ("{name: p, tables: [a.b, {table: a.b}]}", "publications[0].tables[1].table: a.b is used twice, also by"),
        ("{name: p, tables: [{tabel: a.b, table: a.b}]}", "tables[0].tabel: unknown key (did you mean `table`?)"),
        ("{name: p, tables: [{columns: [c]}]}", "publications[0].tables[0].table: is missing"),
        ("{name: p, tables: [{table: a.b, columns: []}]}", "publications[0].tables[0].columns: is empty"),
        ("{name: p, tables: [{table: a.b, columns: [c, c]}]}", "columns[1]: c is used twice"),
        ("{name: p, tables: [{table: a.b, where: ' '}]}", "tables[0].where: there is no condition in it"),
        (
            "{name: p, tables: [{table: a.b, where: true}]}",
            "tables[0].where: expected a condition (text), found `true`",
        ),
        (
            "{name: p, tables: [_timescaledb_internal._hyper_1_1_chunk]}",
            "tables[0]: `_timescaledb_internal` holds catalog",
        ),
        ("{name: p, tables: [hypertide.node]}", "tables[0]: `hypertide` holds what each node knows of itself"),
        ("{name: p, schemas: [pg_catalog]}", "schemas[0]: `pg_catalog` holds catalog rows"),
        (
            "{name: p, schemas: [a], tables: [a.b]}",
            "tables[0]: a.b comes with all rows and columns of schema a already",
        ),
        (
            "{name: p, schemas: [a], tables: [{table: b.c, columns: [d]}]}",
            "PostgreSQL takes no list of columns in a publication that has whole schemas (make two publications of it",
        ),
        ("{name: p, tables: [a.b], operations: []}", "publications[0].operations: without an operation nothing"),
        ("{name: p, tables: [a.b], operations: [insrt]}", "operations[0]: expected one of insert, update, delete"),
        ("{name: p, tables: [a.b], operations: [insert, insert]}", "operations[1]: insert is used twice"),
        ("{name: p, tables: [a.b], reclaim: drop}", "reclaim: expected one of retain, delete, found the text `drop`"),
        ("{name: p, tables: [a.b]}, {name: p, tables: [a.b]}", "publications[1].name: p is used twice"),
    ] {
        let found = bad(&format!("publications: [{text}]"));
        assert!(found.contains(said), "{text}\n  expected: {said}\n     found: {found}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
    }
    assert!(bad("publications: [{name: p, tables: [a.b]}]\nreplication: {publication: {name: p}}").contains("line 1"));
}

#[test]
fn subscriptions_are_checked_key_by_key() {
    let from = "host: h, database: d, user: u, password_file: f";
    let with = |rest: &str| format!("subscriptions: [{{name: s, publications: [p], from: {{{from}}}, {rest}}}]");
    good(&with("copy_data: off, reclaim: delete"));
    for (text, said) in [
        (with("copy_data: maybe"), "subscriptions[0].copy_data: expected true or false"),
        (with("reclaim: keep"), "subscriptions[0].reclaim: expected one of retain, delete"),
        (with("slot: x"), "subscriptions[0].slot: unknown key"),
        (
            format!("subscriptions: [{{name: S-1, publications: [p], from: {{{from}}}}}]"),
            "cannot name a replication slot",
        ),
        (format!("subscriptions: [{{name: hypertide_x, publications: [p], from: {{{from}}}}}]"), "own replicas"),
        (format!("subscriptions: [{{name: s, publications: [], from: {{{from}}}}}]"), "publications: is empty"),
        (format!("subscriptions: [{{name: s, from: {{{from}}}}}]"), "subscriptions[0].publications: is missing"),
        ("subscriptions: [{name: s, publications: [p]}]".into(), "subscriptions[0].from: is missing"),
        ("subscriptions: [{name: s, publications: [p], from: 'postgres://h'}]".into(), "from: expected a map of keys"),
        (
            format!("subscriptions: [{{name: s, publications: [p], from: {{{from}, password: x}}}}]"),
            "from.password: a password does not belong in this file (put it into a file of its own",
        ),
        (
            format!("subscriptions: [{{name: s, publications: [p], from: {{{from}, port: 0}}}}]"),
            "subscriptions[0].from.port: 0 is no port",
        ),
        (
            format!(
                "subscriptions: [{{name: s, publications: [p], from: {{{}}}}}]",
                from.replace("host: h", "host: 'a b'")
            ),
            "subscriptions[0].from.host: `a b` is no host",
        ),
        (
            format!(
                "subscriptions: [{{name: s, publications: [p], from: {{{}}}}}]",
                from.replace(", password_file: f", "")
            ),
            "subscriptions[0].from.password_file: is missing",
        ),
    ] {
        let found = bad(&text);
        assert!(found.contains(said), "{text}\n  expected: {said}\n     found: {found}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
    }
}

#[test]
fn one_run_reports_every_mistake_of_a_file() {
    let text = include_str!("mistakes.yaml");
    let origin = PathBuf::from("hypertide.yaml");
    let problems = read(text).expect_err("full of mistakes");
    insta::assert_snapshot!(ConfigError::Invalid { origin, problems }.to_string());
}
