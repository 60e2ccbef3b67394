//! What the pack does with rows.

use tokio_postgres::Client;

use super::{Failure, expect, run};

pub async fn loading_the_same_bar_again_is_an_upsert(client: &Client) -> Result<(), Failure> {
    for close in ["10.5", "10.75"] {
        let load = format!(
            "insert into trading.market_data values ('2026-03-02 15:00Z', 'NVDA', 10, 11, 9, {close}, 100, 'polygon')
             on conflict (symbol, timestamp) do update
             set close = excluded.close, volume = excluded.volume, source = excluded.source"
        );
        run(client, &load).await?;
    }
    expect(
        client,
        "select concat_ws(' ', symbol, close, volume, source) from trading.market_data",
        &["NVDA 10.75 100 polygon"],
    )
    .await
}

pub async fn rows_without_an_id_of_their_own_get_one(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.orders (symbol, side, quantity) values ('NVDA', 'BUY', 1), ('NVDA', 'sell', 0.5);
         insert into trading.data_quality_reports (report_date, status, checks, pass_rate)
         values ('2026-03-02', 'PASS', 12, 100), ('2026-03-02', 'FAIL', 12, 91.67);
         insert into trading.positions (symbol, quantity, avg_cost) values ('NVDA', -3, 10)",
    )
    .await?;
    expect(
        client,
        "select count(distinct order_id) || ' ' || string_agg(distinct status || filled_quantity, ' ')
         from trading.orders
         union all select count(distinct report_id)::text from trading.data_quality_reports",
        &["2 new0", "2"],
    )
    .await
}

pub async fn the_queries_of_the_guide_run_on_an_empty_database(client: &Client) -> Result<(), Failure> {
    for from in [
        "monitoring.validate_ohlc_data()",
        "monitoring.check_data_freshness()",
        "analytics.dual_ticker_summary",
        "analytics.nvda_msft_correlation",
    ] {
        expect(client, &format!("select count(*)::text from {from}"), &["0"]).await?;
    }
    Ok(())
}

pub async fn the_query_of_the_guide_sums_up_what_was_loaded(client: &Client) -> Result<(), Failure> {
    sound_bars(client).await?;
    expect(
        client,
        "select concat_ws(' ', symbol, count(*), min(timestamp) at time zone 'UTC',
                               max(timestamp) at time zone 'UTC', sum(volume))
         from trading.market_data group by symbol order by symbol",
        &["MSFT 2 2026-03-02 14:30:00 2026-03-02 14:31:00 200", "NVDA 2 2026-03-02 14:30:00 2026-03-02 14:31:00 200"],
    )
    .await
}

/// Bars as a feed sends them; one has all prices alike, which is allowed.
async fn sound_bars(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.market_data
         select t, s, 10, 12, 9, 11, 100, 'polygon'
         from (values ('2026-03-02 14:30Z'::timestamptz), ('2026-03-02 14:31Z')) as times (t),
              (values ('NVDA'), ('MSFT')) as symbols (s);
         update trading.market_data set open = 10, high = 10, low = 10, close = 10
         where symbol = 'MSFT' and timestamp = '2026-03-02 14:31Z'",
    )
    .await
}

pub async fn validation_finds_the_bad_bar_and_only_it(client: &Client) -> Result<(), Failure> {
    sound_bars(client).await?;
    run(
        client,
        "insert into trading.market_data values ('2026-03-02 14:32Z', 'NVDA', 10, 9.5, 9, 9.25, 100, 'polygon')",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', symbol, timestamp at time zone 'UTC', source, high, problems)
         from monitoring.validate_ohlc_data()",
        &["NVDA 2026-03-02 14:32:00 polygon 9.5 {\"open is above high\"}"],
    )
    .await
}

pub async fn validation_names_what_is_wrong(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.market_data (timestamp, symbol, open, high, low, close, volume)
         select '2026-03-02 14:30Z', * from (values
             ('a', 10, 9, 12, 11, 1), ('b', 8, 12, 9, 13, 1), ('c', 0, 1, 0, 1, 1),
             ('d', 10, 'nan'::numeric, 9, 10, 1), ('e', 10, 'infinity', 9, 10, 1)
         ) as bars",
    )
    .await?;
    expect(
        client,
        "select symbol || ': ' || array_to_string(problems, ', ') from monitoring.validate_ohlc_data()",
        &[
            "a: high is below low, open is above high, open is below low, close is above high, close is below low",
            "b: open is below low, close is above high",
            "c: a price is not positive",
            "d: a price is not a number",
            "e: a price is not a number",
        ],
    )
    .await
}

pub async fn validation_keeps_to_the_time_asked_for(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.market_data
         select t, 'NVDA', 10, 9, 8, 9, 1, 'polygon'
         from generate_series('2026-03-02 00:00Z'::timestamptz, '2026-03-02 03:00Z', '1 hour') as t",
    )
    .await?;
    expect(
        client,
        "select to_char(timestamp at time zone 'UTC', 'HH24:MI')
         from monitoring.validate_ohlc_data('2026-03-02 01:00Z', '2026-03-02 03:00Z')",
        &["01:00", "02:00"],
    )
    .await
}

pub async fn freshness_tells_fresh_stale_and_future(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.market_data
         select now() - age, symbol, 1, 1, 1, 1, 1, 'polygon' from (values
             ('AAPL', interval '0'), ('AAPL', interval '30 days'), ('INTC', interval '25 hours'),
             ('MSFT', interval '-1 hour'), ('NVDA', interval '24 hours')
         ) as bars (symbol, age)",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', symbol, extract(epoch from age)::int / 3600, status)
         from monitoring.check_data_freshness()",
        &["AAPL 0 fresh", "INTC 25 stale", "MSFT -1 future", "NVDA 24 fresh"],
    )
    .await?;
    expect(
        client,
        "select symbol || ' ' || status from monitoring.check_data_freshness('4 days', now() + interval '4 days')",
        &["AAPL fresh", "INTC stale", "MSFT fresh", "NVDA stale"],
    )
    .await
}

pub async fn the_daily_summary_is_that_of_the_hand(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.market_data values
             ('2026-03-02 20:59Z', 'NVDA', 14, 15, 13, 14.5, 30, 'polygon'),
             ('2026-03-02 14:30Z', 'NVDA', 10, 12, 9.5, 11, 10, 'polygon'),
             ('2026-03-02 17:00Z', 'NVDA', 11, 16, 11, 14, 20, 'polygon'),
             ('2026-03-03 14:30Z', 'NVDA', 15, 15, 15, 15, 1, 'polygon'),
             ('2026-03-02 14:30Z', 'MSFT', 5, 6, 4, 5.5, 7, 'polygon')",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', (day at time zone 'UTC')::date, symbol, open, high, low, close, volume, bars)
         from analytics.dual_ticker_summary order by day, symbol",
        &["2026-03-02 MSFT 5 6 4 5.5 7 1", "2026-03-02 NVDA 10 16 9.5 14.5 60 3", "2026-03-03 NVDA 15 15 15 15 1 1"],
    )
    .await
}

pub async fn days_are_utc_whatever_the_session_says(client: &Client) -> Result<(), Failure> {
    run(client, "set local timezone = 'America/New_York'").await?;
    run(
        client,
        "insert into trading.market_data values
             ('2026-03-02 00:00Z', 'NVDA', 1, 1, 1, 1, 1, 'polygon'),
             ('2026-03-02 23:59Z', 'NVDA', 2, 2, 2, 2, 1, 'polygon')",
    )
    .await?;
    expect(
        client,
        "select (day at time zone 'UTC') || ' ' || bars from analytics.dual_ticker_summary",
        &["2026-03-02 00:00:00 2"],
    )
    .await
}

/// One bar a day for each of the two, their closes as SQL over the day's number `n`.
async fn closes(client: &Client, nvda: &str, msft: &str, days: u32) -> Result<(), Failure> {
    let load = format!(
        "insert into trading.market_data
         select '2026-01-05 21:00Z'::timestamptz + n * interval '1 day', symbol, close, close, close, close, 1, 'polygon'
         from generate_series(0, {days} - 1) as n,
              lateral (values ('NVDA', ({nvda})::numeric), ('MSFT', ({msft})::numeric)) as bars (symbol, close)"
    );
    run(client, &load).await
}

const LAST_DAY: &str = "select concat_ws(' ', correlation, close_correlation, observations)
     from analytics.nvda_msft_correlation order by day desc limit 1";

pub async fn series_that_move_alike_correlate_fully(client: &Client) -> Result<(), Failure> {
    closes(client, "100 + (n * 7) % 11", "3 * (100 + (n * 7) % 11)", 40).await?;
    expect(client, LAST_DAY, &["1 1 30"]).await?;
    expect(
        client,
        "select observations || ' ' || coalesce(correlation::text, 'none')
         from analytics.nvda_msft_correlation order by day limit 3",
        &["0 none", "1 none", "2 1"],
    )
    .await
}

pub async fn series_that_move_against_each_other_correlate_inversely(client: &Client) -> Result<(), Failure> {
    closes(client, "100 + (n * 7) % 11", "200 - (n * 7) % 11", 40).await?;
    expect(
        client,
        "select (correlation < -0.99) || ' ' || close_correlation
         from analytics.nvda_msft_correlation order by day desc limit 1",
        &["true -1"],
    )
    .await
}

pub async fn series_that_grow_steadily_have_no_correlation_of_returns(client: &Client) -> Result<(), Failure> {
    closes(client, "100 * 1.01 ^ n", "300 * 1.02 ^ n", 10).await?;
    expect(client, "select correlation::text from analytics.nvda_msft_correlation order by day desc limit 1", &["null"])
        .await
}

pub async fn days_on_which_one_did_not_trade_are_left_out(client: &Client) -> Result<(), Failure> {
    closes(client, "100 + n", "50 + n * n", 5).await?;
    run(client, "delete from trading.market_data where symbol = 'MSFT' and timestamp = '2026-01-07 21:00Z'").await?;
    expect(
        client,
        "select concat_ws(' ', nvda_close, msft_close, round(nvda_return, 4), round(msft_return, 4))
         from analytics.nvda_msft_correlation order by day",
        &["100 50", "101 51 0.0100 0.0200", "103 59 0.0198 0.1569", "104 66 0.0097 0.1186"],
    )
    .await
}

pub async fn nothing_depends_on_the_search_path(client: &Client) -> Result<(), Failure> {
    run(client, "set local search_path = ''").await?;
    sound_bars(client).await?;
    for (from, rows) in [
        ("monitoring.validate_ohlc_data()", "0"),
        ("monitoring.check_data_freshness()", "2"),
        ("analytics.dual_ticker_summary", "2"),
        ("analytics.nvda_msft_correlation", "1"),
    ] {
        expect(client, &format!("select count(*)::text from {from}"), &[rows]).await?;
    }
    Ok(())
}

pub async fn the_monitoring_queries_of_the_guide_answer(client: &Client) -> Result<(), Failure> {
    sound_bars(client).await?;
    expect(
        client,
        "select concat_ws(' ', hypertable_name, chunk_interval, num_chunks) from monitoring.hypertables
         union all select (db_size like '% MB')::text from monitoring.database_size
         union all select string_agg(tablename, ' ' order by size_bytes desc) from monitoring.table_sizes where size_bytes > 8 * 8192
         union all select count(*)::text from monitoring.replication
         union all select (count(*) between 1 and 10)::text from monitoring.slow_queries",
        &[
            "data_quality_reports 30 days 0",
            "market_data 7 days 1",
            "orders 7 days 0",
            "positions 1 day 0",
            "true",
            "market_data",
            "0",
            "true",
        ],
    )
    .await
}
