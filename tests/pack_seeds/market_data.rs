//! What the market_data pack does with rows, and what its roles may do.

use hypertide::model::cluster::Edition;
use tokio_postgres::Client;

use super::support::{Failure, edition, expect, refused, run};

/// One bar a day, from 1 February to 20 March 2024: 49 of them.
const DAYS: &str = "insert into market_data.ohlcv
         (symbol, timestamp, open, high, low, close, volume, vwap, timeframe, source)
     select 'AAPL', day, 10, 12, 9, 11, 100, 10.5, '1d', 'test'
     from generate_series('2024-02-01 15:00Z'::timestamptz, '2024-03-20 15:00Z', '1 day') as day";

fn bar(columns: &str, values: &str) -> String {
    format!(
        "insert into market_data.ohlcv (timeframe, source, symbol, timestamp, {columns}) values ('1d', 'test', {values})"
    )
}

const PRICES: &str = "open, high, low, close, volume";

pub async fn bad_bars_are_refused_by_name(client: &Client) -> Result<(), Failure> {
    for (name, values) in [
        ("chk_high_low", "'A', '2026-03-02', 10, 9, 12, 11, 1"),
        ("chk_high_prices", "'A', '2026-03-02', 10, 11, 9, 11.5, 1"),
        ("chk_low_prices", "'A', '2026-03-02', 10, 12, 10.5, 11, 1"),
        ("ohlcv_volume_check", "'A', '2026-03-02', 10, 12, 9, 11, -1"),
        ("ohlcv_low_check", "'A', '2026-03-02', 10, 12, 0, 11, 1"),
        ("symbol", "null, '2026-03-02', 10, 12, 9, 11, 1"),
        ("timestamp", "'A', null, 10, 12, 9, 11, 1"),
        ("open", "'A', '2026-03-02', null, 12, 9, 11, 1"),
    ] {
        refused(client, name, &bar(PRICES, values)).await?;
    }
    run(client, DAYS).await?;
    refused(client, "uq_ohlcv_symbol_time", DAYS).await?;
    refused(client, "source", &DAYS.replace("'test'", "null")).await?;
    refused(client, "value too long", &DAYS.replace("'AAPL'", "repeat('A', 21)")).await
}

pub async fn other_bad_rows_are_refused_by_name(client: &Client) -> Result<(), Failure> {
    let event = "insert into events.event_data (event_type, event_datetime, event_name, source, impact_level) values";
    let article = "insert into news.news_articles (title, url, published_at) values";
    run(client, &format!("{article} ('t', 'https://a', now())")).await?;
    for (name, sql) in [
        ("news_articles_url_key", format!("{article} ('t', 'https://a', now())")),
        ("url", format!("{article} ('t', null, now())")),
        ("event_data_impact_level_check", format!("{event} ('cpi', now(), 'CPI', 'x', 5)")),
        ("event_datetime", format!("{event} ('cpi', null, 'CPI', 'x', 1)")),
        ("value", "insert into economic_data.economic_data (symbol, date) values ('GDPC1', now())".to_owned()),
        ("date", "insert into economic_data.economic_data (symbol, date, value) values ('X', null, 1)".to_owned()),
    ] {
        refused(client, name, &sql).await?;
    }
    run(client, "insert into economic_data.economic_data (symbol, date, value) values ('GDPC1', '2026-01-01', 1)")
        .await?;
    expect(client, "select source || ' ' || is_preliminary from economic_data.economic_data", &["FRED false"]).await
}

pub async fn a_day_is_summed_up_by_hand(client: &Client) -> Result<(), Failure> {
    run(client, "set local timezone = 'America/New_York'").await?;
    run(
        client,
        &bar(
            "open, high, low, close, volume, vwap",
            "'AAPL', '2026-03-02 20:59Z', 14, 15, 13, 14.5, 30, 14),
             ('1d', 'test', 'AAPL', '2026-03-02 00:00Z', 10, 12, 9.5, 11, 10, 11),
             ('1d', 'test', 'AAPL', '2026-03-02 17:00Z', 11, 16, 11, 14, 20, null),
             ('1d', 'test', 'AAPL', '2026-03-03 00:00Z', 15, 15, 15, 15, 1, 15),
             ('1d', 'test', 'MSFT', '2026-03-02 14:30Z', 5, 6, 4, 5.5, 7, 5",
        ),
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', symbol, (day at time zone 'UTC')::date, open::float8, high::float8, low::float8,
                               close::float8, volume, vwap::float8)
         from market_data.ohlcv_daily order by symbol, day",
        &[
            "AAPL 2026-03-02 10 16 9.5 14.5 60 12.5",
            "AAPL 2026-03-03 15 15 15 15 1 15",
            "MSFT 2026-03-02 5 6 4 5.5 7 5",
        ],
    )
    .await
}

pub async fn gaps_are_weekdays_without_a_bar(client: &Client) -> Result<(), Failure> {
    // In New York the last bar is still Sunday's.
    run(client, "set local timezone = 'America/New_York'").await?;
    run(
        client,
        &bar(
            PRICES,
            "'AAPL', '2024-01-02 15:00Z', 10, 12, 9, 11, 1),
             ('1d', 'test', 'AAPL', '2024-01-03 23:59Z', 10, 12, 9, 11, 1),
             ('1d', 'test', 'AAPL', '2024-01-05 15:00Z', 10, 12, 9, 11, 1),
             ('1d', 'test', 'MSFT', '2024-01-04 15:00Z', 10, 12, 9, 11, 1),
             ('1d', 'test', 'AAPL', '2024-01-08 00:30Z', 10, 12, 9, 11, 1",
        ),
    )
    .await?;
    // 1 January 2024 was a Monday.
    expect(
        client,
        "select trading_date::text from market_data.find_gaps('AAPL', last_day => '2024-01-10')",
        &["2024-01-01", "2024-01-04", "2024-01-09", "2024-01-10"],
    )
    .await?;
    expect(
        client,
        "select (timestamp at time zone 'UTC')::text from market_data.latest_price('AAPL')",
        &["2024-01-08 00:30:00"],
    )
    .await
}

pub async fn old_bars_are_archived_before_they_are_dropped(client: &Client) -> Result<(), Failure> {
    run(client, DAYS).await?;
    // Chunks begin on Thursdays. Two years before 2 March 2026 lies within the fifth, so four are archived.
    expect(
        client,
        "select (range_start at time zone 'UTC')::date || ' ' || archived
         from market_data.archive_old_ohlcv(as_of => '2026-03-02')",
        &["2024-02-01 7", "2024-02-08 7", "2024-02-15 7", "2024-02-22 7"],
    )
    .await?;
    expect(
        client,
        "select (select count(*) from market_data.ohlcv) || ' ' || (select count(*) from market_data.ohlcv_archive)
             || ' ' || (select count(*) from market_data.chunk_information)",
        &["21 28 3"],
    )
    .await?;
    if edition(client).await == Edition::Apache {
        // A continuous aggregate keeps them only once it has been refreshed, which no transaction can do.
        expect(client, "select count(*) || ' ' || sum(volume) from market_data.ohlcv_daily", &["49 4900"]).await?;
    }
    expect(client, "select chunk from market_data.archive_old_ohlcv(as_of => '2026-03-02')", &[]).await?;
    // A late correction replaces what is in the archive.
    run(client, &bar(PRICES, "'AAPL', '2024-02-01 15:00Z', 1, 2, 1, 2, 7")).await?;
    run(client, "select * from market_data.archive_old_ohlcv(as_of => '2026-03-02')").await?;
    expect(
        client,
        "select count(*) || ' ' || min(volume) || ' ' || min(close)::float8 from market_data.ohlcv_archive",
        &["28 7 2"],
    )
    .await?;
    refused(client, "at least 30 days", "select * from market_data.archive_old_ohlcv('1 day')").await
}

pub async fn the_roles_have_exactly_the_grants_of_the_guide(client: &Client) -> Result<(), Failure> {
    expect(
        client,
        "select grantee || ': ' || table_schema || ' '
             || string_agg(distinct privilege_type, ' ' order by privilege_type)
         from information_schema.role_table_grants
         -- A continuous aggregate hands its own on to the tables behind it.
         where grantee like 'tetra%' and table_schema !~ '^_timescaledb'
         group by grantee, table_schema order by 1",
        &[
            "tetra_app: economic_data INSERT SELECT UPDATE",
            "tetra_app: events INSERT SELECT UPDATE",
            "tetra_app: market_data INSERT SELECT UPDATE",
            "tetra_app: news INSERT SELECT UPDATE",
            "tetra_reader: economic_data SELECT",
            "tetra_reader: market_data SELECT",
        ],
    )
    .await?;
    expect(
        client,
        "select r || ': ' || string_agg(n.nspname, ' ' order by n.nspname)
         from unnest(array['tetra_app', 'tetra_reader']) as r, pg_namespace as n
         where n.nspname in ('market_data', 'economic_data', 'news', 'events', 'derived', 'strategies', 'execution')
           and has_schema_privilege(r, n.oid, 'usage')
         group by r order by 1",
        &[
            "tetra_app: derived economic_data events execution market_data news strategies",
            "tetra_reader: economic_data market_data",
        ],
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole)
         from pg_roles where rolname like 'tetra%' order by 1",
        &["tetra_app t f f f", "tetra_reader t f f f"],
    )
    .await
}

pub async fn a_reader_cannot_write_and_an_application_cannot_delete(client: &Client) -> Result<(), Failure> {
    run(client, DAYS).await?;
    run(client, "create table derived.later (id int primary key)").await?;
    run(client, "set local role tetra_reader; select * from market_data.ohlcv_daily; select * from market_data.ohlcv")
        .await?;
    refused(client, "permission denied", "insert into economic_data.economic_data default values").await?;
    refused(client, "permission denied", "update market_data.ohlcv set volume = 1").await?;
    refused(client, "permission denied for schema news", "select * from news.news_articles").await?;
    run(client, "set local role tetra_app; update market_data.ohlcv set volume = 1").await?;
    run(client, "insert into derived.later values (1); select * from derived.later").await?;
    refused(client, "permission denied", "delete from market_data.ohlcv").await?;
    refused(client, "permission denied", "truncate market_data.ohlcv").await?;
    refused(client, "permission denied", "delete from derived.later").await?;
    refused(client, "permission denied", "select * from market_data.archive_old_ohlcv(as_of => '2026-03-02')").await
}

pub async fn the_monitoring_queries_answer(client: &Client) -> Result<(), Failure> {
    run(client, DAYS).await?;
    expect(
        client,
        "select (size_mb >= 5)::text from market_data.database_size
         union all select (count(*) = 1)::text from market_data.table_sizes
           where schemaname = 'market_data' and tablename = 'ohlcv' and size_bytes > 8 * 8192
         union all select count(*) || ' ' || min(range_start at time zone 'UTC') from market_data.chunk_information
           where hypertable_name = 'ohlcv' and total_bytes > 0
         union all select count(*)::text from market_data.compression_stats
         union all select (count(*) between 1 and 10)::text from market_data.slow_queries",
        &["true", "true", "7 2024-02-01 00:00:00", "0", "true"],
    )
    .await
}
