//! All built-in packs together on a cluster with a logical replica: what applications write on the primary is on the replica,
//! row by row, also what triggers wrote, what was deleted and what was archived.

use crate::world::World;

/// Some rows for each pack, by way of what each does with them. Where chunks are a month long, rows reach back far enough for a
/// whole one to be old on any day.
const WORK: &str = "
insert into trading.market_data
  select t, 'NVDA', 10, 12, 9, 11, 100, 'x' from generate_series(now() - interval '10 days', now(), '1 hour') t;
insert into dashboard.sources (source_id, name, display_name, data_type) values (1, 'btc', 'Bitcoin', 'price');
insert into dashboard.timeseries_data (source_id, timestamp, close, ingested_at)
  select 1, t, 100 + extract(day from t), t from generate_series(now() - interval '120 days', now(), '1 day') t;
insert into dashboard.timeseries_data (source_id, timestamp, close) values (1, now() + interval '1 hour', 9000);
update dashboard.timeseries_data set close = 101 where timestamp < now() - interval '119 days';
delete from dashboard.timeseries_data where timestamp < now() - interval '118 days';
insert into market_data.ohlcv (symbol, timestamp, open, high, low, close, volume, timeframe, source)
  select 'AAPL', t, 10, 12, 9, 11, 100, '1d', 'x' from generate_series(now() - interval '760 days', now() - interval '700 days', '1 day') t;
insert into etl.api_connectors (connector_id, name, api_url) values ('a', 'A', 'u'), ('b', 'B', 'u');
insert into etl.api_connector_data (connector_id, data) values ('a', '{}'), ('b', '{}');
delete from etl.api_connectors where connector_id = 'a';
insert into l0_pipeline.market_data (datetime, open, high, low, close)
  select t, 10, 12, 9, 11 from generate_series('2024-03-22 13:00Z'::timestamptz, '2024-03-22 15:00Z', '5 minutes') t;
select l0_pipeline.record_data_gaps('2024-03-22 00:00-05', '2024-03-23 00:00-05');
select l0_pipeline.create_ready_signal('run', 'data_ready', now(), now(), 60, 100);
select l0_pipeline.refresh_trading_views();";

/// Data jobs of every kind of ending.
const JOBS: &str = "packs: [trading, l0_pipeline, dashboard, market_data, etl]
jobs:
  - {name: often, schedule: '*/2 * * * * *', sql: \"insert into trading.positions (timestamp, symbol, quantity, avg_cost) values (clock_timestamp(), 'JOB', 1, 1)\"}
  - {name: wrong, schedule: '*/2 * * * * *', sql: select 1 / 0}
  - {name: curious, sql: \"update trading.orders set price = 0\", role: reader}
  - {name: climber, sql: \"reset session authorization; drop table trading.orders\"}
  - {name: sleepy, sql: select pg_sleep(60), timeout: 1s}
  - {name: vacuum, sql: vacuum etl.websocket_messages, role: postgres}
";

/// Retention, of which one rule wants a backup, one does not, and one is wrong. The agent's own time for it is not now.
const RETENTION: &str = "packs: [trading, l0_pipeline, dashboard, market_data, etl]
retention:
  schedule: 0 0 1 1 *
  rules:
    - {hypertable: market_data.ohlcv, drop_after: 1y}
    - {hypertable: dashboard.timeseries_data, drop_after: 30d, floor: none}
    - {hypertable: trading.order, drop_after: 1d}
";

/// Retention drops what is old and what a verified backup has, and the replica follows.
fn retention_drops(world: &World) {
    let old = "from market_data.ohlcv where timestamp < now() - interval '1 year'";
    world.sql(
        "primary",
        "insert into market_data.ohlcv (symbol, timestamp, open, high, low, close, volume, timeframe, source)
         select 'OLD', t, 10, 12, 9, 11, 100, '1d', 'x' from generate_series(now() - interval '600 days', now() - interval '590 days', '1 day') t",
    );
    let counted = world.sql("primary", &format!("select count(*) {old}"));
    assert_ne!(counted, "0");
    world.eventually_equal("market_data.ohlcv", "primary", "replica");
    let plan = || world.json(&["retention", "plan"])["hypertables"].clone();
    let first = plan();
    assert_eq!(
        (&first[0]["drops"], &first[2]["refused"]),
        (&serde_json::json!([]), &serde_json::json!("no_hypertable"))
    );
    assert_eq!(first[0]["kept"][0]["because"], "not_covered", "{first}");
    // As if a backup that is made after the rows came to rest was found equal by a drill.
    world.eventually("the rows have come to rest", || {
        plan();
        world.sql(
            "primary",
            "select now() - max(since) > interval '3 seconds' from hypertide.chunk_activity
            where schema_name = 'market_data_chunks'",
        ) == "t"
    });
    world.sql(
        "primary",
        "insert into hypertide.backup_metadata (backup_id, origin, kind, file_path, created_at, validation_status)
         values ('proof', 'hypertide', 'full', 'x', now() + interval '2 minutes', 'validated')",
    );
    let ran = world.json(&["retention", "run"])["details"].clone();
    assert_eq!(ran[0]["rows"].to_string(), counted, "{ran}");
    assert!(
        ran[0]["chunks"].as_u64() > Some(0) && ran[1]["chunks"].as_u64() > Some(0) && ran[1]["rows"].as_u64() > Some(0),
        "{ran}"
    );
    assert_eq!(world.sql("primary", &format!("select count(*) {old}")), "0");
    for table in ["market_data.ohlcv", "dashboard.timeseries_data"] {
        world.eventually_equal(table, "primary", "replica");
    }
    let again = world.json(&["retention", "run"])["details"].clone();
    assert_eq!((&again[0]["chunks"], &again[1]["chunks"]), (&serde_json::json!(0), &serde_json::json!(0)), "{again}");
    assert_eq!(world.json(&["jobs", "history", "retention"])["runs"].as_array().map(Vec::len), Some(2));
}

/// The agent runs jobs on time and once, and each as nobody more than it names; every run is on record.
fn jobs_run(world: &World) {
    let runs = |job: &str| world.json(&["jobs", "history", job])["runs"].as_array().unwrap().clone();
    world.eventually("the agent has run both jobs twice", || {
        let ended = |job: &str, outcome| runs(job).iter().filter(|run| run["outcome"] == outcome).count();
        ended("often", "succeeded") >= 2 && ended("wrong", "failed") >= 2
    });
    assert!(runs("wrong")[0]["error"].as_str().unwrap().contains("division by zero"), "{:?}", runs("wrong")[0]);
    let doubled = "select count(*) from (select from hypertide.job_run where scheduled_for is not null
        group by job, scheduled_for having count(*) > 1) d";
    assert_eq!(world.sql("primary", doubled), "0", "no time is run for twice");
    let written = "select (select count(*) from trading.positions where symbol = 'JOB') between
        (select count(*) from hypertide.job_run where job = 'often' and outcome = 'succeeded') and
        (select count(*) from hypertide.job_run where job = 'often')";
    assert_eq!(world.sql("primary", written), "t");
    assert_eq!(world.sql("replica", "select count(*) from hypertide.job_run"), "0", "nothing runs on a replica");

    for (job, because) in [
        ("curious", "permission denied for table orders"),
        ("climber", "must be owner of table orders"),
        ("sleepy", "took longer than 1 s"),
    ] {
        let run = world.run(&["jobs", "run", job]);
        assert!(run.code == 1 && run.stderr.contains(because), "{job}: {} {}", run.code, run.stderr);
        assert_eq!(runs(job)[0]["outcome"], "failed");
    }
    assert_eq!(world.json(&["jobs", "run", "vacuum"])["job"], "vacuum");
    assert_eq!(world.run(&["jobs", "run", "oftn"]).code, 2);
    packs_bring_jobs(world);
    let listed = world.json(&["jobs", "list"]);
    let often = listed["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "often").unwrap();
    assert_eq!((&often["role"], often["next_run"].is_string()), (&serde_json::json!("app"), true), "{listed}");
    assert_eq!(world.status()["health"], "healthy", "a job that fails is no fault of the cluster");
}

/// The agent has the jobs of the packs, and what they find is on the page: a session has 60 bars, and 25 of them are there.
fn packs_bring_jobs(world: &World) {
    let ran = world.json(&["jobs", "run", "l0_pipeline.record-gaps"]);
    let missing = ran["findings"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["finding"] == "missing_bars" && found["object"] == "USDCOP 5min 2024-03-22");
    assert_eq!(missing.and_then(|found| found["value"].as_f64()), Some(35.0), "{ran}");
    let rows = "select finding || ' ' || value from hypertide.job_finding where object like '%2024-03-22'";
    assert_eq!(world.sql("primary", rows), "missing_bars 35");
    world.eventually("the gap is on the page and a metric", || {
        let told = |path, words: &str| crate::http::get(world, path).is_some_and(|(_, text)| text.contains(words));
        told("/", "USDCOP 5min 2024-03-22")
            && told("/metrics", "hypertide_job_finding{finding=\"missing_bars\",job=\"l0_pipeline.record-gaps\",object=\"USDCOP 5min 2024-03-22\"} 35")
    });
    world.json(&["jobs", "run", "etl.vacuum"]);
    let known = "select count(*) from hypertide.job where job in ('l0_pipeline.cleanup', 'market_data.archive-ohlcv', 'etl.reindex')";
    assert_eq!(world.sql("primary", known), "3", "the agent knows them");
}

/// The description of the live schema is complete, the same again, and follows a change.
fn the_schema_is_described(world: &World) {
    let file = world.dir.path().join("schema.md");
    let path = file.to_str().unwrap();
    world.ok(&["schema", "docs", "--out", path]);
    let text = std::fs::read_to_string(&file).unwrap();
    for line in [
        "### Hypertable `trading.market_data`",
        "- `dimension timestamp every 7 days`",
        "- `chunks in schema trading_chunks`",
        "| `volume` | bigint | no |",
        "### Materialized view `l0_pipeline.daily_ohlc_summary`",
        "- `app: delete, insert, select, update`",
        "| `delete_old_data(keep interval DEFAULT '90 days'::interval, as_of timestamp with time zone DEFAULT now())` |",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("_timescaledb_internal") && !text.contains("## Schema `hypertide`"), "{text}");
    assert_eq!(world.run(&["schema", "docs", "--check", path]).code, 0);
    world.sql("primary", "comment on table etl.websocket_messages is 'Other words.'");
    let check = world.run(&["schema", "docs", "--check", path]);
    assert!(check.code == 1 && check.stdout.contains("\n+Other words.\n"), "{} {}", check.code, check.stdout);
}

/// A file with some bad rows goes in but for those, over whatever is there, and arrives on the replica.
fn a_file_loads(world: &World) {
    const ROWS: usize = 20_000;
    let path = world.dir.path().join("bars.csv");
    let mut text = "Symbol,timestamp,open,high,low,close,volume,timeframe,source\n".to_owned();
    let bad = [(100, "high < low"), (5_000, "volume"), (5_001, "key"), (19_999, "zone"), (20_000, "fields")];
    for row in 1..=ROWS {
        let time = format!("2026-10-{:02} {:02}:{:02}Z", 1 + row / 1440, row / 60 % 24, row % 60);
        let good = format!("LOAD,{time},10,12,9,11,{row},1m,\"a, \"\"b\"\"\"");
        let line = match bad.iter().find(|(at, _)| *at == row).map(|(_, what)| *what) {
            Some("high < low") => good.replace(",12,", ",8,"),
            Some("volume") => good.replace(&format!(",{row},"), ",-1,"),
            Some("key") => good.replace("LOAD", ""),
            Some("zone") => good.replace('Z', " Nowhere/City"),
            Some(_) => format!("{good},1"),
            None => good,
        };
        text += &line;
        text.push('\n');
    }
    std::fs::write(&path, text).unwrap();
    let file = path.to_str().unwrap();
    let run = world.run(&["--json", "load", "market_data.ohlcv", file]);
    let loaded = run.json();
    assert_eq!(run.code, 1, "{loaded} {}", run.stderr);
    let number = |key: &str| loaded[key].as_u64();
    let counted = [number("read"), number("loaded"), number("rejected"), number("skipped")];
    assert_eq!(counted, [Some(20_000), Some(19_995), Some(5), Some(0)], "{loaded}");
    let rejects = std::fs::read_to_string(format!("{file}.rejected.csv")).unwrap();
    let reason = |line: usize| {
        rejects.lines().find(|row| row.starts_with(&format!("{line},"))).unwrap_or_else(|| panic!("{line}: {rejects}"))
    };
    for (line, because) in [
        (101, "chk_high_"),
        (5_001, "ohlcv_volume_check"),
        (5_002, "null value in column \"\"symbol\"\""),
        (20_000, "(column timestamp)"),
        (20_001, "10 fields, and the header has 9"),
    ] {
        assert!(reason(line).contains(because), "{line}: {}", reason(line));
    }
    let count = "select count(*), sum(volume) from market_data.ohlcv where symbol = 'LOAD'";
    let there = world.sql("primary", count);
    assert!(there.starts_with(&format!("{}|", ROWS - 5)), "{there}");
    // Again, from standard input: each row takes its own place.
    let mut again = world.command(&["--json", "load", "market_data.ohlcv", "-", "--max-rejects", "5"]);
    let run = crate::world::Run::of(&again.stdin(std::fs::File::open(&path).unwrap()).output().unwrap());
    assert_eq!((run.code, run.json()["loaded"].as_u64()), (0, Some(19_995)), "{}{}", run.stdout, run.stderr);
    assert_eq!(world.sql("primary", count), there);
    // All or nothing.
    world.sql("primary", "delete from market_data.ohlcv where symbol = 'LOAD'");
    assert_eq!(world.run(&["load", "market_data.ohlcv", file, "--max-rejects", "4"]).code, 1);
    assert_eq!(world.sql("primary", count), "0|");
    // A file without a bad row goes straight in.
    let all = std::fs::read_to_string(&path).unwrap();
    let good: Vec<&str> = all.lines().take(100).collect();
    std::fs::write(&path, good.join("\n")).unwrap();
    assert_eq!(world.json(&["load", "market_data.ohlcv", file])["loaded"], 99);
    assert_eq!(world.run(&["load", "market_data.ohlcv", file, "--ignore", "volum"]).code, 2);
    world.eventually_equal("market_data.ohlcv", "primary", "replica");
}

#[test]
fn all_packs_share_a_cluster_and_arrive_on_a_logical_replica() {
    let world = World::new(JOBS);
    world.ok(&["up"]);
    world.sql("primary", WORK);
    world.eventually("every chunk is mirrored", || world.status()["health"] == "healthy");
    // 760 days less two years are 30, of which the last week may be in a chunk that is kept.
    let archived = world.sql("primary", "select sum(archived) between 20 and 31 from market_data.archive_old_ohlcv()");
    assert_eq!(archived, "t");
    for table in [
        "dashboard.timeseries_data",
        "dashboard.anomalies",
        "dashboard.audit_log",
        "dashboard.timeseries_archive",
        "market_data.ohlcv",
        "market_data.ohlcv_archive",
        "etl.api_connector_data",
        "l0_pipeline.market_data",
        "l0_pipeline.data_gaps",
        "l0_pipeline.ready_signals",
    ] {
        world.eventually_equal(table, "primary", "replica");
    }
    world.eventually("every chunk is mirrored", || world.status()["health"] == "healthy");
    jobs_run(&world);
    the_schema_is_described(&world);
    // What it writes would be on its way while the sides are compared.
    world.configure(RETENTION);
    world.ok(&["up"]);
    retention_drops(&world);
    a_file_loads(&world);
    world.eventually("every chunk is mirrored", || world.status()["health"] == "healthy");
    let verified = world.json(&["replication", "verify", "--full"]);
    assert_eq!(verified["replicas"][0]["outcome"], "equal", "{verified}");

    // The replica works out the same from the rows, or says that it cannot.
    for view in ["dashboard.daily_ohlcv", "market_data.ohlcv_daily", "analytics.dual_ticker_summary"] {
        world.eventually_equal(view, "primary", "replica");
    }
    let populated = "select count(*) filter (where relispopulated) from pg_class where relkind = 'm'";
    assert_eq!((world.sql("primary", populated).as_str(), world.sql("replica", populated).as_str()), ("3", "0"));
    world.is_converged();
}
