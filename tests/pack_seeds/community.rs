//! What only the community edition has: continuous aggregates, compression and their jobs. No transaction may be around
//! any of it, so these leave rows behind.

use tokio_postgres::Client;

use super::support::{Failure, ask, expect, run};

/// Daily bars from 1 February 2024 on, some older than two years, and one a day of a dashboard's source.
const ROWS: &str =
    "insert into market_data.ohlcv (symbol, timestamp, open, high, low, close, volume, timeframe, source)
     select 'AAPL', day, 10, 12, 9, 11, 100, '1d', 'test'
     from generate_series(date_trunc('day', now() - interval '800 days'), now(), interval '1 day') as day;
     insert into dashboard.sources (source_id, name, display_name, data_type) values (1, 'btc', 'Bitcoin', 'price');
     insert into dashboard.timeseries_data (source_id, timestamp, close, ingested_at)
     select 1, day, 100, day
     from generate_series(date_trunc('day', now() - interval '200 days'), now(), interval '1 day') as day";

const DAYS: &str = "select count(*) || ' ' || sum(volume) from market_data.ohlcv_daily";

pub async fn everything(client: &Client) -> Result<(), Failure> {
    the_policies_are_those_of_the_guides(client).await?;
    run(client, ROWS).await?;
    the_daily_aggregate_outlives_its_bars(client).await?;
    aggregates_and_compression_of_the_dashboard(client).await
}

async fn the_policies_are_those_of_the_guides(client: &Client) -> Result<(), Failure> {
    expect(
        client,
        "select concat_ws(' ', hypertable_schema, hypertable_name, proc_name, config ->> 'start_offset', config ->> 'end_offset',
             config ->> 'compress_after', config ->> 'drop_after', schedule_interval)
         from timescaledb_information.jobs where job_id >= 1000 and hypertable_schema is distinct from 'trading' order by 1",
        &[
            "archive_and_drop 2 years 1 day",
            "dashboard daily_ohlcv policy_refresh_continuous_aggregate 7 days 01:00:00 01:00:00",
            "dashboard features policy_compression 90 days 12:00:00",
            "dashboard hourly_values policy_refresh_continuous_aggregate 1 day 01:00:00 01:00:00",
            "dashboard timeseries_data policy_compression 90 days 12:00:00",
            "market_data ohlcv policy_compression 30 days 12:00:00",
            "market_data ohlcv_archive policy_compression 30 days 12:00:00",
            "market_data ohlcv_daily policy_refresh_continuous_aggregate 3 days 01:00:00 01:00:00",
            "refresh_history 1 day",
            "refresh_history 1 day",
        ],
    )
    .await
}

async fn the_daily_aggregate_outlives_its_bars(client: &Client) -> Result<(), Failure> {
    expect(client, DAYS, &["801 80100"]).await?;
    run(client, "call market_data.refresh_history(0, null)").await?;
    run_jobs(client, "policy_compression").await?;
    expect(client, "select (count(*) > 90)::text from market_data.compression_stats", &["true"]).await?;
    run(client, "call market_data.archive_and_drop(0, '{\"drop_after\": \"2 years\"}')").await?;
    expect(
        client,
        "select (count(*) between 60 and 75)::text from market_data.ohlcv_archive
         union all select (min(timestamp) < now() - interval '729 days')::text from market_data.ohlcv",
        &["true", "true"],
    )
    .await?;
    // A late bar, into a chunk that is compressed and behind what the policy looks at.
    run(
        client,
        "insert into market_data.ohlcv (symbol, timestamp, open, high, low, close, volume, timeframe, source)
         values ('AAPL', date_trunc('day', now() - interval '300 days') + interval '1 hour', 10, 12, 9, 11, 7, '1d', 'test')",
    )
    .await?;
    run(client, "call market_data.refresh_history(0, null)").await?;
    expect(client, DAYS, &["801 80107"]).await
}

async fn aggregates_and_compression_of_the_dashboard(client: &Client) -> Result<(), Failure> {
    run(client, "call dashboard.refresh_history(0, null)").await?;
    expect(
        client,
        "select count(*)::text from dashboard.daily_ohlcv union all select count(*)::text from dashboard.hourly_values
         union all select string_agg(aggregate || ' ' || state, ', ') from dashboard.refresh_all_aggregates()
         union all select (count(*) filter (where compression_status = 'Compressed') >= 3)::text
         from dashboard.chunk_compression_stats()",
        &["201", "201", "daily_ohlcv refresh begun, hourly_values refresh begun", "true"],
    )
    .await
}

async fn run_jobs(client: &Client, procedure: &str) -> Result<(), Failure> {
    let jobs = format!("select job_id::text from timescaledb_information.jobs where proc_name = '{procedure}'");
    for job in ask(client, &jobs).await? {
        run(client, &format!("call run_job({job})")).await?;
    }
    Ok(())
}
