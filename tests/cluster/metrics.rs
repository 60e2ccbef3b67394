//! What the collectors tell of a cluster: all that is documented and nothing else, however many chunks there are, and nothing of a
//! server that does not answer.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hypertide::metrics::{documented, settings};

use crate::dashboards;
use crate::http::metrics;
use crate::prometheus::Prometheus;
use crate::world::{World, freeze, thaw};

/// What a cluster that is well does not tell, and why.
const NOT_TOLD: [(&str, &str); 15] = [
    ("hypertide_holds", "nothing is held"),
    ("pg_stat_database_stats_reset", "nobody reset the statistics"),
    ("pg_stat_archiver_last_archive_age", "hypertide archives the log without archive_command"),
    ("pg_stat_user_tables_last_autovacuum", "autovacuum has not come yet"),
    ("pg_stat_user_tables_last_autoanalyze", "autovacuum has not come yet"),
    ("timescaledb_job_last_success_timestamp_seconds", "the only job of the Apache edition never succeeds"),
    // Whether these are there depends on what the job just does.
    ("timescaledb_job_next_start_timestamp_seconds", "a job that runs is not to start"),
    ("hypertide_backup_last_drill_differences", "the drill of a backup that was cut off has none"),
    ("hypertide_last_promotion_timestamp_seconds", "the primary was never changed"),
    ("hypertide_last_promotion_write_pause_seconds", "the primary was never changed"),
    ("hypertide_last_promotion_phase_seconds", "the primary was never changed"),
    ("timescaledb_continuous_aggregate_lag_seconds", "the Apache edition has no continuous aggregates"),
    ("timescaledb_continuous_aggregate_invalidations", "the Apache edition has no continuous aggregates"),
    ("pg_stat_statements_query_id", "nobody asked for the text of statements"),
    ("pg_settings_*", "stands for every setting"),
];

/// What gives nothing on a cluster that is well, and why.
const EMPTY: [(&str, &str); 3] = [
    ("hypertide-cluster / Alerts that fire", "all is well"),
    ("hypertide-cluster / What is held", "nothing is held"),
    ("hypertide-timescaledb / Since the last success", "the only job of the Apache edition never succeeds"),
];

/// A scrape may take this long on a machine that is busy with other tests; a frozen server would make it seconds.
const PROMPT: Duration = Duration::from_secs(1);

/// What promtool objects to, except to names that are postgres_exporter's and cannot be others: their counters have no `_total`,
/// and they end in words that promtool keeps for histograms.
pub fn promtool_objects_to(text: &str) -> Vec<String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test needs promtool, which is in Debian's package prometheus; .ci/run installs it");
    let mut stdin = promtool.stdin.take().unwrap();
    let text = text.to_owned();
    // It may complain before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let said = promtool.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let is_compatible = |line: &&str| {
        line.starts_with("pg_")
            && [
                "counter metrics should have \"_total\" suffix",
                "non-histogram and non-summary metrics should not have \"_count\" suffix",
                "metric name should not include type 'summary'",
            ]
            .iter()
            .any(|complaint| line.ends_with(complaint))
    };
    let said = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    said.lines().filter(|line| !is_compatible(line)).map(str::to_owned).collect()
}

/// Samples without their values.
fn series(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

fn names(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect()
}

#[tokio::test]
async fn all_that_is_documented_is_told_and_nothing_of_who_does_not_answer() {
    let world = World::new("");
    let store = world.dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    // Who is frozen here stays so.
    world.configure(&format!(
        "nodes:\n  primary: {{port: {}}}\n  replicas:\n    - {{name: replica-1, port: {}}}\n    - {{name: standby-1, port: {}, \
         replication: physical}}\nfailover: {{automatic: false}}\nendpoint: {{read_write: {}, read_only: {}}}\nbackups:\n  - {{name: often, schedule: '*/20 * * * * *', store: \
         'file://{store}', drill: always, keep: {{last: 1}}}}\n  - {{name: log, kind: wal, store: 'file://{store}'}}\njobs:\n  - {{name: count, schedule: '*/10 * * * * *', \
         sql: \"select 'rows' as finding, 'trading.orders' as object, count(*) as value from trading.orders\"}}\n",
        world.ports[0],
        world.ports[1],
        world.ports[2],
        world.ports[4],
        world.ports[5],
        store = store.display()
    ));
    world.ok(&["up"]);
    let prometheus = Prometheus::scraping(world.agent_port, world.ports[3]);
    world.sql(
        "primary",
        "create table public.many (at timestamptz not null, note text);
         select create_hypertable('public.many', 'at', chunk_time_interval => interval '1 day');
         insert into public.many values (now(), 'a')",
    );
    world.sql("primary", "vacuum analyze public.many");
    what_is_documented_is_told(&world);
    texts_of_statements_have_no_constants(&world);
    world.eventually("Prometheus reads OpenMetrics", || {
        prometheus.unit("hypertide_slot_retained_bytes").as_deref() == Some("bytes")
    });
    chunks_add_no_series(&world);
    every_panel_has_something_to_show(&world, &prometheus);
    a_server_that_hangs_delays_nobody(&world).await;
}

fn what_is_documented_is_told(world: &World) {
    let wanted: BTreeSet<String> = documented::all().iter().map(|metric| metric.name.to_owned()).collect();
    let excused: BTreeSet<String> = NOT_TOLD.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(excused.is_subset(&wanted), "a name is misspelt: {excused:?}");
    let missing = || -> Vec<String> {
        let missing = &(&wanted - &excused) - &names(&metrics(world));
        missing.into_iter().collect()
    };
    let began = Instant::now();
    while !missing().is_empty() && began.elapsed() < Duration::from_secs(90) {
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(missing(), [""; 0], "documented, not told\n{}", world.run(&["logs", "agent", "--tail", "40"]).stdout);

    let text = metrics(world);
    let undocumented: Vec<String> = names(&text).into_iter().filter(|name| !documented::is_documented(name)).collect();
    assert_eq!(undocumented, [""; 0]);
    assert_eq!(promtool_objects_to(&text), [""; 0], "{text}");
    let settings = names(&text).iter().filter(|name| name.starts_with(settings::PREFIX)).count();
    assert!(settings > 200, "{settings} settings");
    for sample in [
        "hypertide_endpoint_leads_to{endpoint=\"endpoint-rw\",node=\"primary-1\"} 1",
        "hypertide_endpoint_leads_to{endpoint=\"endpoint-rw\",node=\"standby-1\"} 0",
        "hypertide_writable_nodes 1",
        "pg_up{node=\"primary-1\"} 1",
        "pg_up{node=\"replica-1\"} 1",
        "pg_up{node=\"standby-1\"} 1",
        "pg_replication_is_replica{node=\"primary-1\"} 0",
        "pg_replication_is_replica{node=\"standby-1\"} 1",
        "pg_settings_wal_segment_size_bytes{node=\"primary-1\"} 16777216",
        "pg_replication_slots_active{database=\"\",node=\"primary-1\",slot_name=\"hypertide_standby_1\"} 1",
        "timescaledb_hypertable_chunks{node=\"standby-1\",relname=\"many\",schemaname=\"public\"} 1",
        "timescaledb_hypertable_approximate_rows{node=\"primary-1\",relname=\"many\",schemaname=\"public\"} 1",
        "pg_stat_user_tables_n_tup_ins{datname=\"trading_data\",node=\"primary-1\",relname=\"many\",schemaname=\"public\"} 1",
    ] {
        world.eventually(sample, || metrics(world).lines().any(|line| line == sample));
    }
    assert!(!text.contains("job_id=\"3\",node=\"standby-1\""), "no job runs on a standby");
    // What another connection asks is no secret of ours to tell.
    for word in ["select ", "vacuum ", "password"] {
        assert!(!series(&text).iter().any(|series| series.contains(&format!("\"{word}"))), "{word}");
    }
}

/// Told only where somebody asks for them, so the question is asked here.
fn texts_of_statements_have_no_constants(world: &World) {
    world.sql("primary", "select count(*) from public.many where note = 'nobody''s business'");
    world.sql("primary", "create role clerk password 'hidden'; drop role clerk");
    let question = include_str!("../../sql/observe/metrics/statement_texts.sql").replace("$1", "10000");
    let texts = world.sql("primary", &question);
    assert!(texts.contains("from public.many where note = $1"), "{texts}");
    for secret in ["nobody's business", "hidden", "create role"] {
        assert!(!texts.contains(secret), "{secret}: {texts}");
    }
}

fn chunks_add_no_series(world: &World) {
    // Sizes are asked for once a minute.
    for node in ["primary-1", "standby-1"] {
        let size = format!("timescaledb_hypertable_size_bytes{{node=\"{node}\",relname=\"many\"");
        world.eventually("its size is told", || metrics(world).lines().any(|line| line.starts_with(&size)));
    }
    let before = series(&metrics(world));
    world.sql(
        "primary",
        "insert into public.many select now() - make_interval(days => day), 'b' from generate_series(1, 50) day",
    );
    let chunks = "timescaledb_hypertable_chunks{node=\"standby-1\",relname=\"many\",schemaname=\"public\"} 51";
    let rows = "pg_stat_user_tables_n_tup_ins{datname=\"trading_data\",node=\"primary-1\",relname=\"many\",schemaname=\"public\"} 51";
    world.eventually("51 chunks are one table", || {
        let text = metrics(world);
        [chunks, rows].iter().all(|wanted| text.lines().any(|line| line == *wanted))
    });
    // What comes and goes by itself.
    let is_passing = |series: &&String| {
        ["hypertide_holds", "_last_auto", "pg_stat_statements_", "pg_stat_replication_", "pg_replication_slot", "_rpo_"]
            .iter()
            .any(|passing| series.contains(passing))
    };
    let after = series(&metrics(world));
    let more: Vec<&String> = after.difference(&before).filter(|series| !is_passing(series)).collect();
    assert!(more.is_empty(), "{more:?}");
}

fn every_panel_has_something_to_show(world: &World, prometheus: &Prometheus) {
    let (empty, full): (Vec<_>, Vec<_>) =
        dashboards::queries().into_iter().partition(|query| EMPTY.iter().any(|(panel, _)| query.panel == *panel));
    assert!(empty.len() >= EMPTY.len() && full.len() > 100, "{} and {}", empty.len(), full.len());
    for query in full.into_iter().chain(dashboards::others_queries()) {
        world.eventually(&format!("{}: {}", query.panel, query.expr), || !prometheus.query(&query.expr).is_empty());
    }
    for query in empty {
        assert!(prometheus.query(&query.expr).is_empty(), "{} is no exception any more", query.panel);
    }
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}");
    assert!(firing.is_empty(), "{firing:?}");
    let unhealthy = prometheus.query("up{job=\"hypertide\"} != 1");
    assert!(unhealthy.is_empty(), "{unhealthy:?}");
}

async fn a_server_that_hangs_delays_nobody(world: &World) {
    let replica = world.container("replica-1");
    freeze(&replica).await;
    let of_replica = |text: &str| -> Vec<String> {
        let told = text.lines().filter(|line| line.starts_with("pg_") || line.starts_with("timescaledb_"));
        told.filter(|line| line.contains("node=\"replica-1\"")).map(str::to_owned).collect()
    };
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let text = loop {
        let asked = Instant::now();
        let text = metrics(world);
        slowest = slowest.max(asked.elapsed());
        // Nobody else has a gap while one hangs.
        for other in ["primary-1", "standby-1"] {
            assert!(text.contains(&format!("pg_up{{node=\"{other}\"}} 1\n")), "{text}");
            let fails = format!("node=\"{other}\"}} 0");
            let failing =
                text.lines().find(|line| line.starts_with("hypertide_collector_success") && line.ends_with(&fails));
            assert_eq!(failing, None);
        }
        if of_replica(&text) == ["pg_up{node=\"replica-1\"} 0"] {
            break text;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", of_replica(&text));
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(slowest < PROMPT, "a scrape took {slowest:?}");
    assert!(text.contains("hypertide_collector_success{collector=\"tables\",node=\"replica-1\"} 0\n"), "{text}");
    assert!(text.contains("hypertide_collector_success{collector=\"tables\",node=\"primary-1\"} 1\n"), "{text}");
    thaw(&replica).await;
    world.eventually("its server is asked again", || metrics(world).contains("pg_up{node=\"replica-1\"} 1\n"));
}

/// Other databases of the same server stand for some elsewhere: nothing of hypertide's is in them, and the role is no superuser.
#[test]
fn databases_elsewhere_are_told_of_by_url() {
    let world = World::new("");
    let nodes = format!("nodes: {{primary: {{port: {}}}, replicas: []}}\npacks: []\n", world.ports[0]);
    world.configure(&nodes);
    world.ok(&["up"]);
    world.sql("primary", "create role watcher login password 's3cret' in role pg_monitor");
    let in_database = |database: &str, sql: &str| {
        world.sql("primary", &format!("create database {database}"));
        world.ok(&["psql", "primary", "--", "-d", database, "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    };
    in_database(
        "shop",
        "create extension if not exists timescaledb; create table sales (at timestamptz not null, amount int);
         select create_hypertable('sales', 'at', chunk_time_interval => interval '1 day');
         insert into sales select now() - make_interval(days => day), 1 from generate_series(0, 2) day; analyze sales",
    );
    in_database(
        "plain",
        "drop extension if exists timescaledb; create table notes (id int); insert into notes values (1)",
    );

    std::fs::write(world.dir.path().join("watcher.password"), "s3cret\n").unwrap();
    let entry = |name: &str, host: &str| {
        let url = format!("postgres://watcher@{host}:5432/{name}?sslmode=disable");
        format!("    - {{name: {name}, url: '{url}', password_file: watcher.password}}\n")
    };
    let primary = world.container("primary-1");
    world.configure(&format!(
        "{nodes}metrics:\n  listen: 127.0.0.1:{}\n  databases:\n{}{}{}",
        world.agent_port,
        entry("shop", &primary),
        entry("plain", &primary),
        entry("gone", "nowhere.invalid"),
    ));
    world.ok(&["up"]);
    assert_eq!(world.status()["health"], "healthy", "what is watched is no part of the cluster");
    let says = |sample: &str| metrics(&world).lines().any(|line| line == sample);
    for sample in [
        "pg_up{node=\"gone\"} 0",
        "pg_up{node=\"shop\"} 1",
        "pg_up{node=\"plain\"} 1",
        "pg_replication_is_replica{node=\"shop\"} 0",
        "timescaledb_hypertable_chunks{node=\"shop\",relname=\"sales\",schemaname=\"public\"} 3",
        "timescaledb_hypertable_approximate_rows{node=\"shop\",relname=\"sales\",schemaname=\"public\"} 3",
        "pg_stat_user_tables_n_tup_ins{datname=\"shop\",node=\"shop\",relname=\"sales\",schemaname=\"public\"} 3",
        "pg_stat_user_tables_n_tup_ins{datname=\"plain\",node=\"plain\",relname=\"notes\",schemaname=\"public\"} 1",
        "hypertide_collector_success{collector=\"sizes\",node=\"shop\"} 1",
        "hypertide_collector_success{collector=\"sizes\",node=\"plain\"} 1",
    ] {
        world.eventually(sample, || says(sample));
    }
    let text = metrics(&world);
    let boundary = "timescaledb_hypertable_next_chunk_boundary_timestamp_seconds{node=\"shop\"";
    assert!(text.contains(boundary), "today's chunk ends today");
    assert!(!text.contains("timescaledb_hypertable_chunks{node=\"plain\""), "{text}");
    for line in text.lines().filter(|line| line.contains("node=\"shop\"") || line.contains("node=\"plain\"")) {
        assert!(!line.starts_with("hypertide_collector_success") || line.ends_with(" 1"), "{line}");
        assert!(!line.starts_with("hypertide_disk"), "{line}");
    }
    let log = world.ok(&["logs", "agent"]).stdout;
    assert!(log.contains("cannot connect to gone at nowhere.invalid:5432"), "{log}");
    assert!(!text.contains("s3cret") && !log.contains("s3cret"));
}
