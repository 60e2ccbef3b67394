//! Whole files: defaults, the documented example, and what no text may do.

mod backups;
mod jobs;
mod mistakes;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::model::cluster::{Mode, Seat};
use crate::model::collecting::{Statements, WatchedDatabase};
use crate::model::desired::{DesiredNode, Endpoint, Failover, ImageChoice, PackRef, Prefer, Synchronous, WhenLost};
use crate::model::endpoint::Pooling;
use crate::model::monitoring::{MonitorChoice, Monitoring, Wish};
use crate::model::names::{Ident, TableName};
use crate::model::outside::{Operation, Outside, Reclaim};

/// The example of the documentation, one top-level key per entry.
const EXAMPLE: [&str; 16] = [
    "cluster: trading\n",
    "database: trading_data\n",
    "image: auto\n",
    "preset: laptop                 # laptop | cloud | {max_connections: ..}\n",
    "endpoint: {read_write: 5432, read_only: 5433}          # what clients use\n",
    "nodes: {primary: {port: 5434}, replicas: [{name: replica-1, port: 5435, replication: logical}]}\n",
    "replication: {mode: logical, publication: {name: trading_data_pub, schemas: [trading]}, synchronous: off}\n",
    "publications:\n  - {name: orders_feed, tables: [trading.positions, {table: trading.orders, columns: [order_id, \
     timestamp, symbol], where: \"symbol = 'USDCOP'\"}], operations: [insert, update], reclaim: delete}\n",
    "subscriptions:\n  - {name: reference_data, from: {host: db.example.net, database: ref, user: hypertide, \
     password_file: secrets/ref}, publications: [ref_pub]}\n",
    "packs: [trading]\n",
    "backups:\n  - {name: nightly, schedule: \"0 2 * * *\", kind: full, store: \"file:///var/backups/hypertide\", \
     keep: {last: 7, daily: 30}, drill: weekly}\n",
    "failover: {automatic: true, prefer: auto, max_loss_bytes: 0}\n",
    "retention: [{hypertable: trading.market_data, drop_after: 2y}]\n",
    "jobs: [{name: refresh, schedule: \"0 * * * *\", sql: \"select refresh_trading_views()\"}]\n",
    "metrics: {listen: \"127.0.0.1:9187\"}\n",
    "monitoring: {prometheus: {image: \"prom/prometheus:v3.5.0\", port: 9090, retention: 30d}, grafana: {port: 3000}}\n",
];

fn read(text: &str) -> Result<Desired, Vec<Problem>> {
    parse(text, Path::new("/etc/h"))
}

fn good(text: &str) -> Desired {
    read(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn node_words(desired: &Desired) -> Vec<String> {
    let word = |node: &DesiredNode| format!("{} {} {}", node.name, node.seat, node.port);
    desired.nodes.iter().map(word).collect()
}

#[test]
fn an_empty_file_is_all_defaults() {
    let desired = good("");
    assert_eq!(desired.cluster.as_str(), "trading");
    assert_eq!(desired.database.as_str(), "trading_data");
    assert_eq!(desired.image, ImageChoice::Auto);
    assert_eq!(desired.bind.to_string(), "127.0.0.1");
    assert_eq!(node_words(&desired), ["primary-1 primary 5434", "replica-1 logical 5435"]);
    assert_eq!(desired.publication.name.as_str(), "trading_data_pub");
    assert_eq!(desired.publication.schemas, None);
    assert_eq!(desired.packs, [PackRef::BuiltIn("trading".to_owned())]);
    assert_eq!(desired.metrics.map(|listen| listen.to_string()).as_deref(), Some("127.0.0.1:9187"));
    assert_eq!(desired.collecting.statements, Statements { top: 20, text: false });
    assert_eq!(desired, good("preset: laptop\nnodes: {}\nreplication: {}\n"));
}

#[test]
fn statements_are_told_as_far_as_somebody_wants_them() {
    for (metrics, top, text) in [
        ("{statements: off}", 0, false),
        ("{statements: {}}", 20, false),
        ("{statements: {text: true}}", 20, true),
        ("{statements: {top: 200, text: false}}", 200, false),
        ("{statements: {top: 0}}", 0, false),
    ] {
        let desired = good(&format!("metrics: {metrics}\n"));
        assert_eq!(desired.collecting.statements, Statements { top, text }, "{metrics}");
        assert!(desired.metrics.is_some(), "{metrics}");
    }
}

#[test]
fn databases_elsewhere_are_named_by_url() {
    let urls = [
        ("postgres://me@db.example:5433/shop", "db.example 5433 shop me Prefer None"),
        ("postgresql://me@[::1]", "::1 5432 me me Prefer None"),
        ("postgres://m%40e@10.0.0.1/a%20b?sslmode=require", "10.0.0.1 5432 a b m@e Require None"),
        ("postgres://me@h/d?sslmode=verify-ca&sslrootcert=a+b.pem", "h 5432 d me VerifyCa Some(\"/conf/a+b.pem\")"),
        ("postgres://me@h/d?sslmode=verify-full&sslrootcert=system", "h 5432 d me VerifyFull None"),
    ];
    for (url, expected) in urls {
        let text = format!("metrics: {{databases: [{{name: shop, url: '{url}', password_file: secret}}]}}\n");
        let desired = parse(&text, Path::new("/conf")).expect("well-formed");
        let [found] = desired.collecting.databases.as_slice() else { panic!("{url}") };
        let WatchedDatabase { host, port, database, user, tls, roots, .. } = found;
        assert_eq!(format!("{host} {port} {database} {user} {tls:?} {roots:?}"), expected);
        assert_eq!((found.name.as_str(), found.password_file.as_deref()), ("shop", Some(Path::new("/conf/secret"))));
        assert_eq!(found.files().count(), 1 + usize::from(roots.is_some()));
    }
}

#[test]
fn the_documented_example_is_valid_and_mostly_the_default() {
    let mut as_by_default = good(&EXAMPLE.concat());
    assert_eq!(
        as_by_default.endpoint,
        Endpoint::Ports { read_write: 5432, read_only: 5433, pooling: Pooling::Transaction }
    );
    as_by_default.endpoint = Endpoint::Direct;
    as_by_default.publication.schemas = None;
    assert!(!as_by_default.outside.is_empty());
    as_by_default.outside = Outside::default();
    assert_eq!(std::mem::take(&mut as_by_default.backups).len(), 1);
    let by_default = good("").jobs.len();
    assert_eq!(as_by_default.jobs.drain(..2).filter(|job| job.pack.is_none()).count(), 2);
    assert_eq!(as_by_default.jobs.len(), by_default);
    assert_eq!(as_by_default.monitoring, Monitoring { wish: Wish::On, ..Monitoring::default() });
    as_by_default.monitoring.wish = Wish::AsFound;
    assert_eq!(as_by_default, good(""));
}

#[test]
fn monitoring_is_there_as_found_asked_for_or_refused() {
    let usual = Monitoring::default();
    for (value, wish) in [("on", Wish::On), ("{}", Wish::On), ("true", Wish::On), ("off", Wish::Off)] {
        let monitoring = good(&format!("monitoring: {value}\n")).monitoring;
        assert_eq!(monitoring, Monitoring { wish, ..usual.clone() }, "{value}");
    }
    let text = "monitoring: {prometheus: {image: 'mine:1', retention: 2 weeks}, grafana: off}\n";
    let monitoring = good(text).monitoring;
    let prometheus = MonitorChoice { image: "mine:1".into(), port: 9090 };
    let retention = std::time::Duration::from_hours(14 * 24);
    assert_eq!(monitoring, Monitoring { wish: Wish::On, prometheus, retention, grafana: None });
    // Ports of what nobody asked for are nobody's.
    good("nodes: {primary: {port: 9090}}");
    good("nodes: {primary: {port: 3000}}\nmonitoring: {grafana: off}");
}

#[test]
fn the_agent_answers_where_it_is_told_or_nowhere() {
    let listen = |value: &str| {
        good(&format!("metrics: {{listen: {value}, allow_anonymous: true}}")).metrics.map(|at| at.to_string())
    };
    for (value, at) in [("'0.0.0.0:9000'", "0.0.0.0:9000"), ("'[::1]:9000'", "[::1]:9000")] {
        assert_eq!(listen(value).as_deref(), Some(at));
    }
    for off in ["off", "false", "'off'"] {
        assert_eq!(listen(off), None, "{off}");
    }
    // Nobody has the default port then.
    good("metrics: {listen: off}\nnodes: {primary: {port: 9187}}");
}

#[test]
fn nodes_take_their_defaults_by_position_and_from_the_mode() {
    let desired = good(
        "replication: {mode: physical}\n\
         nodes:\n  replicas:\n    - {}\n    - {name: db2, replication: logical}\n    - {port: 6000}\n",
    );
    assert_eq!(
        node_words(&desired),
        ["primary-1 primary 5434", "replica-1 physical 5435", "db2 logical 5436", "replica-3 physical 6000"]
    );
    assert_eq!(desired.preferred_primary().seat, Seat::Primary);
    assert_eq!(desired.replicas(Mode::Physical).count(), 2);
    assert_eq!(good("nodes: {replicas: []}").nodes.len(), 1);
}

#[test]
fn values_other_than_the_defaults_are_taken() {
    let desired = good(
        "cluster: c1\ndatabase: d-1\nimage: 'repo/x:1'\nbind: '::1'\n\
         replication: {publication: {name: p, schemas: [a, B]}, synchronous: quorum}\n\
         packs: [a_1, ./mine, /abs, sub/dir]\nendpoint: direct\n",
    );
    assert_eq!(desired.cluster.as_str(), "c1");
    assert_eq!(desired.database.as_str(), "d-1");
    assert_eq!(desired.image, ImageChoice::Named("repo/x:1".to_owned()));
    assert_eq!(desired.bind.to_string(), "::1");
    let schemas = desired.publication.schemas.expect("given");
    assert_eq!(schemas.iter().map(Ident::as_str).collect::<Vec<_>>(), ["a", "B"]);
    let directory = |path: &str| PackRef::Directory(PathBuf::from(path));
    assert_eq!(
        desired.packs,
        [
            PackRef::BuiltIn("a_1".to_owned()),
            directory("/etc/h/./mine"),
            directory("/abs"),
            directory("/etc/h/sub/dir")
        ]
    );
}

#[test]
fn replicas_are_compared_every_hour_unless_the_file_says_otherwise() {
    let schedule = |text: &str| good(text).verify.map(|found| (found.every.as_secs() / 60, found.rows_per_second));
    assert_eq!(schedule(""), Some((60, 50_000)));
    assert_eq!(schedule("replication: {verify: on}"), Some((60, 50_000)));
    assert_eq!(schedule("replication: {verify: {}}"), Some((60, 50_000)));
    assert_eq!(schedule("replication: {verify: {every: 15m, rows_per_second: 1000}}"), Some((15, 1000)));
    for off in ["off", "false"] {
        assert_eq!(schedule(&format!("replication: {{verify: {off}}}")), None);
    }
}

#[test]
fn commits_that_wait_for_replicas_wait_for_lost_ones_too_unless_the_file_says_otherwise() {
    let read = |text: &str| {
        let desired = good(&format!("replication: {{synchronous: {text}}}"));
        (desired.synchronous, desired.when_lost)
    };
    for (text, mode) in [("off", Synchronous::Off), ("on", Synchronous::On), ("quorum", Synchronous::Quorum)] {
        assert_eq!(read(text), (mode, WhenLost::Wait), "{text}");
        assert_eq!(read(&format!("{{mode: {text}}}")), (mode, WhenLost::Wait), "{text}");
    }
    assert_eq!(read("{mode: on, when_lost: continue}"), (Synchronous::On, WhenLost::Continue));
    assert_eq!(read("{mode: quorum, when_lost: wait}"), (Synchronous::Quorum, WhenLost::Wait));
    assert_eq!(good("").synchronous, Synchronous::Off);
}

#[test]
fn what_may_be_done_when_the_primary_fails_is_taken_with_its_defaults() {
    let by_default = Failover { automatic: true, prefer: Prefer::Auto, max_loss_bytes: 0 };
    assert_eq!(good("").failover, by_default);
    assert_eq!(good("failover: {}").failover, by_default);
    let desired =
        good("failover: {automatic: off, prefer: promote, max_loss_bytes: 1000}\nreplication: {synchronous: on}");
    assert_eq!(desired.failover, Failover { automatic: false, prefer: Prefer::Promote, max_loss_bytes: 1_000 });
    assert_eq!(desired.synchronous, Synchronous::On);
    assert_eq!(good("endpoint: direct").endpoint, Endpoint::Direct);
    let ports = |pooling| Endpoint::Ports { read_write: 6000, read_only: 5433, pooling };
    assert_eq!(good("endpoint: {read_write: 6000}").endpoint, ports(Pooling::Transaction));
    assert_eq!(good("endpoint: {read_write: 6000, pooling: session}").endpoint, ports(Pooling::Session));
}

#[test]
fn replicas_have_a_priority_each() {
    let desired = good("nodes: {replicas: [{priority: 0}, {}, {priority: 200}]}");
    let priorities: Vec<u16> = desired.nodes.iter().map(|node| node.priority).collect();
    assert_eq!(priorities, [100, 0, 100, 200]);
}

#[test]
fn what_is_declared_towards_the_outside_is_taken_with_its_defaults() {
    let outside = good(&EXAMPLE.concat()).outside;
    let [publication] = outside.publications.as_slice() else { panic!("{outside:?}") };
    assert_eq!(publication.operations, [Operation::Insert, Operation::Update].into());
    assert_eq!(publication.reclaim, Reclaim::Delete);
    let orders = publication.table(&TableName::new("trading", "orders").expect("valid")).expect("declared");
    assert_eq!(orders.filter.as_deref(), Some("symbol = 'USDCOP'"));
    assert_eq!(orders.columns.as_ref().map(std::collections::BTreeSet::len), Some(3));
    assert_eq!(publication.tables[0].columns, None);
    let [subscription] = outside.subscriptions.as_slice() else { panic!("{outside:?}") };
    assert_eq!((subscription.from.port, subscription.copy_data, subscription.reclaim), (5432, true, Reclaim::Retain));
    assert_eq!(subscription.from.password_file, Path::new("/etc/h/secrets/ref"));
    let whole = good("publications: [{name: p, schemas: [a, b], tables: [{table: c.d, where: 'x > 1'}]}]").outside;
    assert_eq!(whole.publications[0].operations, Operation::ALL.into());
    assert_eq!(whole.publications[0].schemas.len(), 2);
}

proptest! {
    #[test]
    fn never_panics_on_any_text(text: String) {
        let _ = read(&text);
    }

    #[test]
    fn never_panics_on_text_that_looks_like_a_configuration(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "nodes", "replicas", "port", "preset", "base", "packs", "backups", "keep", "store", "schedule", "encrypt", "on_failure", "endpoint", "metrics",
                "listen", "schemas", "publication", "publications", "tables", "table", "where", "subscriptions", "from", ": ", ":", "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ", ",
                "&a ", "*a", "<<: ", "5434", "-1", "1e999", "99999999999999999999999", "off", "~", "\"", "'", "|\n  ",
                "!!binary ", "ä", "\0", "# ", "---\n",
            ]),
            0..40,
        ),
    ) {
        let _ = read(&parts.concat());
    }

    #[test]
    fn any_scalar_under_any_key_is_taken_or_named(
        key in prop::sample::select(vec!["cluster", "database", "image", "bind", "preset", "packs", "nodes", "jobs"]),
        value in "[ -~ä]{0,20}",
    ) {
        if let Err(problems) = read(&format!("{key}: {value}")) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn any_part_of_the_example_is_valid(parts in prop::sample::subsequence(EXAMPLE.to_vec(), 0..=EXAMPLE.len())) {
        let text = parts.concat();
        prop_assert!(read(&text).is_ok(), "{}", text);
    }
}
