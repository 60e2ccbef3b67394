//! The jobs that packs bring along, each run once as the agent would, in one database with a few rows of which the findings are known.

use std::collections::BTreeMap;
use std::path::Path;

use hypertide::config;
use hypertide::model::job::{DataJob, Task};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::support::{Failure, expect, run};

/// A stale bar that contradicts itself; a gap of two bars; a signal that waits; a fresh row of full quality and an anomaly; bars of
/// each of the last thirty days but the latest weekday; a bar that is too old to keep.
const ROWS: &str = "
insert into trading.market_data values (now() - interval '3 days', 'STALE', 10, 8, 9, 10, 100, 'x');
select l0_pipeline.create_data_gap_record('2024-03-22 13:00Z', '2024-03-22 13:10Z', 2, 'x', 'y');
select l0_pipeline.create_ready_signal('run', 'data_ready', now(), now(), 60, 100);
insert into dashboard.sources (source_id, name, display_name, data_type, update_interval)
  values (77, 'watched', 'W', 'price', '1 hour');
insert into dashboard.timeseries_data (source_id, timestamp, close) values (77, now(), 1);
insert into dashboard.anomalies (source_id, timestamp, kind, observed, mean, deviation, z_score)
  values (77, now(), 'anomaly', 9, 1, 1, 5);
insert into market_data.ohlcv (symbol, timestamp, open, high, low, close, volume, timeframe, source)
  select 'HOLE', d, 10, 12, 9, 11, 100, '1d', 'x'
  from generate_series(date_trunc('day', now(), 'UTC') - interval '30 days', date_trunc('day', now(), 'UTC') - interval '1 day', '1 day') d
  where d <> (select max(w) from generate_series(date_trunc('day', now(), 'UTC') - interval '4 days',
                                                  date_trunc('day', now(), 'UTC') - interval '1 day', '1 day') w
              where extract(dow from w at time zone 'UTC') not in (0, 6));
insert into market_data.ohlcv (symbol, timestamp, open, high, low, close, volume, timeframe, source)
  values ('OLD', now() - interval '3 years', 10, 12, 9, 11, 100, '1d', 'x');
insert into l0_pipeline.api_usage (api_key_name, request_datetime, success) values ('k', now() - interval '31 days', true);
";

/// What is to be found, whatever else is.
const FOUND: [(&str, &str, &str); 6] = [
    ("trading.validate-ohlc", "bars_contradict STALE", "1"),
    ("l0_pipeline.record-gaps", "missing_bars USDCOP 5min 2024-03-22", "2"),
    ("l0_pipeline.expire-signals", "pending_signals data_ready", "1"),
    ("dashboard.anomalies", "open_anomaly watched", "1"),
    ("dashboard.quality", "quality_score watched", "100.00"),
    ("market_data.find-gaps", "days_without_bars HOLE", "1"),
];

/// Runs them all.
pub async fn of_the_packs(client: &Client) -> Vec<String> {
    let text = "packs: [trading, l0_pipeline, dashboard, market_data, etl]";
    let jobs = config::parse(text, Path::new("/")).expect("it is valid").jobs;
    let mut failures = Vec::new();
    if let Err(failure) = run(client, ROWS).await {
        failures.push(format!("rows: {failure}"));
    }
    let mut found = BTreeMap::new();
    for job in &jobs {
        match one(client, job).await {
            Ok(findings) => drop(found.insert(job.name.as_str(), findings)),
            Err(failure) => failures.push(format!("{}: {failure}", job.name)),
        }
    }
    for (job, what, value) in FOUND {
        let findings = found.get(job);
        if findings.and_then(|findings| findings.get(what)).map(String::as_str) != Some(value) {
            failures.push(format!("{job}: expected {what} to be {value}, found {findings:?}"));
        }
    }
    let counts = [("trading.freshness", 1), ("l0_pipeline.completeness", 2), ("l0_pipeline.record-health", 1)];
    for (job, least) in counts {
        if found.get(job).is_none_or(|findings| findings.len() < least) {
            failures.push(format!("{job}: expected {least} findings, found {:?}", found.get(job)));
        }
    }
    let kept = "select (select count(*) from market_data.ohlcv where symbol = 'OLD') || ' ' ||
                       (select count(*) from market_data.ohlcv_archive where symbol = 'OLD') || ' ' ||
                       (select count(*) from l0_pipeline.api_usage where api_key_name = 'k') || ' ' ||
                       (select count(*) from l0_pipeline.pipeline_health where component = 'market_data')";
    if let Err(failure) = expect(client, kept, &["0 1 0 1"]).await {
        failures.push(failure.to_string());
    }
    failures
}

/// The last statement's findings by what was found of what.
async fn one(client: &Client, job: &DataJob) -> Result<BTreeMap<String, String>, Failure> {
    let Task::Sql { sql, role } = &job.task else { return Err("no statements".into()) };
    run(client, &format!("set role {role}; set timezone = 'UTC'")).await?;
    let answer = client.simple_query(sql).await;
    run(client, "reset role").await?;
    let answer = answer.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string))?;
    let mut findings = BTreeMap::new();
    for message in answer {
        match message {
            SimpleQueryMessage::RowDescription(_) => findings.clear(),
            SimpleQueryMessage::Row(row) if row.try_get("finding").is_ok() => {
                let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
                findings.insert(format!("{} {}", text("finding"), text("object")), text("value"));
            }
            _ => {}
        }
    }
    Ok(findings)
}
