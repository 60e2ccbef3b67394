//! What the dashboard pack does with rows: scores, anomalies, the audit trail, aggregates.

use tokio_postgres::Client;

use super::support::{Failure, expect, refused, run};

/// A source of daily closes and one of daily bars.
const SOURCES: &str = "insert into dashboard.sources (source_id, name, display_name, data_type)
     values (1, 'btc', 'Bitcoin', 'price'), (2, 'spy', 'SPY', 'ohlcv'), (3, 'fng', 'Fear and greed', 'sentiment')";

const SCORES: &str =
    "select concat_ws(' ', source_id, to_char(timestamp at time zone 'UTC', 'DD HH24'), quality_score::float8,
         metadata ->> 'penalties')
     from dashboard.timeseries_data order by source_id, timestamp";

/// Rows whose `ingested_at` is in time.
fn rows(columns: &str, values: &str) -> String {
    format!(
        "insert into dashboard.timeseries_data (source_id, timestamp, {columns}, ingested_at)
         select v.*, v.timestamp from (values {values}) as v (source_id, timestamp, {columns})"
    )
}

pub async fn a_complete_timely_row_scores_a_hundred_and_each_penalty_is_the_guides(
    client: &Client,
) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(
        client,
        &rows(
            "close",
            "(1, '2024-01-01Z'::timestamptz, 100::numeric), (1, '2024-01-02Z', 151), (1, '2024-01-03Z', 75.5),
             (1, '2024-01-04Z', null), (1, '2024-01-05Z', 80)",
        ),
    )
    .await?;
    // A row covers a day, and has another one to arrive.
    run(
        client,
        "insert into dashboard.timeseries_data (source_id, timestamp, close, ingested_at)
         values (1, '2024-01-06Z', 80, '2024-01-08Z'), (1, '2024-01-07Z', 80, '2024-01-09 00:00:01Z')",
    )
    .await?;
    expect(
        client,
        SCORES,
        &[
            "1 01 00 100",
            // 51 % up; then exactly 50 % down, which is not more than 50 %.
            "1 02 00 75 {\"consistency\": 25}",
            "1 03 00 100",
            "1 04 00 70 {\"completeness\": 30}",
            "1 05 00 100",
            "1 06 00 100",
            "1 07 00 80 {\"timeliness\": 20}",
        ],
    )
    .await
}

pub async fn each_violated_rule_takes_ten_points_down_to_nothing(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(
        client,
        "insert into dashboard.validation_rules (name, source_id, rule_type, field, minimum, maximum) values
             ('a', 2, 'range', 'close', null, 100), ('b', null, 'max_change', 'close', null, 10),
             ('c', 2, 'required', 'value', null, null), ('d', 1, 'range', 'close', 1000, null);
         insert into dashboard.validation_rules (name, rule_type, field, minimum, is_active)
         values ('e', 'range', 'close', 1000, false)",
    )
    .await?;
    run(
        client,
        &rows(
            "open, high, low, close, volume",
            "(2, '2024-01-01Z'::timestamptz, 99, 101, 98, 100, 5::numeric), (2, '2024-01-02Z', 99, 111, 98, 110, 5),
             (2, '2024-01-03Z', 99, 121.5, 98, 121.5, 5)",
        ),
    )
    .await?;
    // Incomplete, late, 64 % up, and against rules a, b and c: 30 + 20 + 25 + 30 points.
    run(client, "insert into dashboard.timeseries_data (source_id, timestamp, close) values (2, '2024-01-04Z', 200)")
        .await?;
    expect(
        client,
        "select quality_score::float8 || ' ' || (metadata -> 'penalties' ->> 'violated')
         from dashboard.timeseries_data order by timestamp",
        &["90 [\"c\"]", "80 [\"a\", \"c\"]", "70 [\"a\", \"b\", \"c\"]", "0 [\"a\", \"b\", \"c\"]"],
    )
    .await
}

pub async fn a_correction_is_scored_again(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(client, &rows("value", "(3, '2024-01-01Z'::timestamptz, 50::numeric), (3, '2024-01-02Z', null)")).await?;
    run(client, "update dashboard.timeseries_data set value = 60 where timestamp = '2024-01-02Z'").await?;
    run(client, "update dashboard.timeseries_data set value = 90 where timestamp = '2024-01-02Z'").await?;
    expect(client, SCORES, &["3 01 00 100", "3 02 00 75 {\"consistency\": 25}"]).await
}

/// Mean 10 and a sample deviation of 2 (36 over 9) in ten rows, for the sources 11 to 20.
const HISTORY: &str = "insert into dashboard.sources (source_id, name, display_name, data_type, zscore_window)
     select n, 's' || n, 's', 'value', 10 from generate_series(11, 20) as n;
     insert into dashboard.timeseries_data (source_id, timestamp, value, ingested_at)
     select n, d.day, d.value, d.day from generate_series(11, 20) as n, (values
         ('2024-01-02Z'::timestamptz, 13), ('2024-01-03Z', 7), ('2024-01-04Z', 13), ('2024-01-05Z', 7),
         ('2024-01-06Z', 10), ('2024-01-07Z', 10), ('2024-01-08Z', 10), ('2024-01-09Z', 10), ('2024-01-10Z', 10),
         ('2024-01-11Z', 10)) as d (day, value)";

pub async fn z_scores_beyond_four_are_anomalies_and_beyond_six_black_swans(client: &Client) -> Result<(), Failure> {
    run(client, HISTORY).await?;
    // An outlier that ten later rows have pushed out of the window; and nine rows, which are too few.
    run(
        client,
        "insert into dashboard.timeseries_data (source_id, timestamp, value, ingested_at)
         values (17, '2024-01-01Z', 1000, '2024-01-01Z');
         delete from dashboard.timeseries_data where source_id = 18 and timestamp = '2024-01-11Z';
         update dashboard.timeseries_data set value = 10 where source_id = 19",
    )
    .await?;
    run(
        client,
        &rows(
            "value",
            "(11, '2024-01-12Z'::timestamptz, 18), (12, '2024-01-12Z', 18.2), (13, '2024-01-12Z', 22),
             (14, '2024-01-12Z', 22.2), (15, '2024-01-12Z', 1.8), (16, '2024-01-12Z', -2.2),
             (17, '2024-01-12Z', 11), (18, '2024-01-12Z', 500), (19, '2024-01-12Z', 500)",
        ),
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', t.source_id, t.z_score, t.is_anomaly, a.kind, a.mean::float8, a.deviation::float8,
             a.observed, a.review)
         from dashboard.timeseries_data as t left join dashboard.anomalies as a using (source_id, timestamp)
         where t.timestamp = '2024-01-12Z' order by t.source_id",
        &[
            "11 4.0000 f",
            "12 4.1000 t anomaly 10 2 18.2 open",
            "13 6.0000 t anomaly 10 2 22 open",
            "14 6.1000 t black_swan 10 2 22.2 open",
            "15 -4.1000 t anomaly 10 2 1.8 open",
            "16 -6.1000 t black_swan 10 2 -2.2 open",
            "17 0.5000 f",
            "18 f",
            "19 f",
        ],
    )
    .await?;
    expect(client, "select count(*)::text from dashboard.anomalies", &["5"]).await
}

pub async fn an_anomaly_goes_when_its_row_is_corrected_and_stays_once_reviewed(client: &Client) -> Result<(), Failure> {
    run(client, HISTORY).await?;
    run(client, &rows("value", "(11, '2024-01-12Z'::timestamptz, 22), (12, '2024-01-12Z', 22)")).await?;
    run(
        client,
        "update dashboard.anomalies set review = 'confirmed' where source_id = 12;
         update dashboard.timeseries_data set value = 11 where timestamp = '2024-01-12Z'",
    )
    .await?;
    expect(client, "select source_id || ' ' || review from dashboard.anomalies", &["12 confirmed"]).await
}

pub async fn old_values_are_looked_for_beyond_the_usual_distance(client: &Client) -> Result<(), Failure> {
    run(client, HISTORY).await?;
    run(client, &rows("value", "(11, '2026-01-12Z'::timestamptz, 18.2)")).await?;
    expect(
        client,
        "select z_score::text || ' ' || quality_score from dashboard.timeseries_data where timestamp >= '2026-01-01'",
        &["4.1000 75.00"],
    )
    .await
}

pub async fn the_audit_tells_what_who_when_and_why(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(client, &rows("close", "(1, '2024-01-01Z'::timestamptz, 100::numeric)")).await?;
    run(
        client,
        "set local dashboard.changed_by = 'ana'; set local dashboard.reason = 'typo';
         update dashboard.timeseries_data set close = 101;
         update dashboard.timeseries_data set close = 101;
         set local dashboard.reason = '';
         update dashboard.sources set status = 'error' where source_id = 1;
         delete from dashboard.sources where source_id = 3;
         truncate dashboard.market_calendar",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', operation, table_name, row_key, changed_by, coalesce(reason, '-'), changed_fields,
             old_value -> 'close', new_value -> 'close', changed_at between now() and clock_timestamp())
         from dashboard.audit_log where operation <> 'INSERT' order by audit_id",
        &[
            "UPDATE timeseries_data {\"source_id\": 1, \"timestamp\": \"2024-01-01T00:00:00+00:00\"} postgres/ana typo \
             {close} 100 101 t",
            "UPDATE sources {\"source_id\": 1} postgres/ana - {status} t",
            "DELETE sources {\"source_id\": 3} postgres/ana - \
             {created_at,data_type,description,display_name,metadata,name,provider,source_id,status,unit,\
             update_interval,updated_at,zscore_window} t",
            "TRUNCATE market_calendar postgres/ana - {} t",
        ],
    )
    .await?;
    expect(client, "select count(*)::text from dashboard.audit_log where operation = 'INSERT'", &["3"]).await
}

pub async fn the_audit_cannot_be_changed_by_anybody(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    let forged = "insert into dashboard.audit_log (changed_by, operation, table_name) values ('x', 'INSERT', 'y')";
    for role in ["postgres", "app"] {
        run(client, &format!("set local role {role}")).await?;
        refused(client, "immutable: update", "update dashboard.audit_log set changed_by = 'x'").await?;
        refused(client, "immutable: delete", "delete from dashboard.audit_log").await?;
        refused(client, "by the triggers", forged).await?;
    }
    run(client, "set local role postgres").await?;
    refused(client, "immutable: truncate", "truncate dashboard.audit_log").await
}

pub async fn deleted_rows_can_be_brought_back(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(
        client,
        &rows(
            "close",
            "(1, '2024-01-01Z'::timestamptz, 100::numeric), (1, '2024-01-02Z', 101), (1, '2024-01-03Z', 102)",
        ),
    )
    .await?;
    run(
        client,
        "set local dashboard.reason = 'by mistake'; delete from dashboard.timeseries_data;
         insert into dashboard.timeseries_data (source_id, timestamp, close) values (1, '2024-01-02Z', 1)",
    )
    .await?;
    let restore = "select dashboard.restore_archived(1, '2024-01-01Z', '2024-01-03Z')::text";
    expect(client, restore, &["1"]).await?;
    expect(client, restore, &["0"]).await?;
    expect(
        client,
        "select string_agg(close::text, ' ' order by timestamp) from dashboard.timeseries_data
         union all select count(*) || ' ' || count(restored_at) || ' ' || max(reason) from dashboard.timeseries_archive",
        &["100 1", "3 1 by mistake"],
    )
    .await
}

pub async fn bulk_upserts_say_what_is_new_and_what_changed(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    let upsert = |records: &str| format!("select inserted || ' ' || updated from dashboard.bulk_upsert('{records}')");
    let first = r#"[{"source_id": 1, "timestamp": "2024-01-01T00:00:00Z", "close": 42000.50, "value": null},
                    {"source_id": 1, "timestamp": "2024-01-02T00:00:00Z", "close": 1},
                    {"source_id": 1, "timestamp": "2024-01-02T00:00:00Z", "close": 42500.75, "volume": 3}]"#;
    let second = r#"[{"source_id": 1, "timestamp": "2024-01-01T00:00:00Z", "close": 42000.50},
                     {"source_id": 1, "timestamp": "2024-01-02T00:00:00Z", "close": 42501},
                     {"source_id": 1, "timestamp": "2024-01-03T00:00:00Z", "close": 42502}]"#;
    expect(client, &upsert(first), &["2 0"]).await?;
    expect(client, &upsert(first), &["0 0"]).await?;
    expect(client, &upsert(second), &["1 1"]).await?;
    // What a record leaves out stays.
    expect(
        client,
        "select concat_ws(' ', close, volume) from dashboard.timeseries_data order by timestamp",
        &["42000.50", "42501 3", "42502"],
    )
    .await?;
    refused(client, "timeseries_data_source_id_fkey", &upsert(r#"[{"source_id": 99, "timestamp": "2024-01-01Z"}]"#))
        .await
}

pub async fn the_aggregates_are_those_of_the_hand(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(
        client,
        &rows(
            "open, high, low, close, volume",
            "(2, '2024-01-02 10:00Z'::timestamptz, 10::numeric, 12::numeric, 9::numeric, 11::numeric, 5::numeric),
             (2, '2024-01-02 10:30Z', 11, 15, 11, 14, 6), (2, '2024-01-02 23:59Z', 14, 14, 8, 13, 1)",
        ),
    )
    .await?;
    run(
        client,
        &rows(
            "value",
            "(3, '2024-01-02 10:00Z'::timestamptz, 20), (3, '2024-01-02 10:59Z', 40), (3, '2024-01-02 11:00Z', 50)",
        ),
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', source_id, (day at time zone 'UTC')::date, open, high, low, close, volume, rows)
         from dashboard.daily_ohlcv where source_id = 2 and day > '2024-01-01'
         union all select concat_ws(' ', source_id, to_char(hour at time zone 'UTC', 'HH24'), avg_value::float8, min_value,
             max_value, last_value, rows)
         from dashboard.hourly_values where source_id = 3 order by 1",
        &["2 2024-01-02 10 15 8 13 12 3", "3 10 30 20 40 40 2", "3 11 50 50 50 50 1"],
    )
    .await?;
    expect(client, "select aggregate from dashboard.refresh_all_aggregates()", &["daily_ohlcv", "hourly_values"])
        .await?;
    expect(
        client,
        "select name || ' ' || value from dashboard.latest_values
         union all select count(*) || ' ' || bool_and(total_bytes > 0) from dashboard.chunk_stats
         union all select count(*)::text from dashboard.chunk_compression_stats() where compression_status = 'Compressed'
         union all select (count(*) >= 0)::text from dashboard.slow_queries",
        &["fng 50", "spy 13", "1 true", "0", "true"],
    )
    .await
}

pub async fn the_grid_knows_weekends_and_holidays(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "set local timezone = 'Asia/Tokyo';
         insert into dashboard.market_calendar (date, market, is_holiday)
         values ('2024-01-01', 'NYSE', true), ('2024-01-02', 'LSE', true)",
    )
    .await?;
    // 1 January 2024 was a Monday.
    let fill = "select dashboard.fill_time_index('2024-01-01Z', '2024-01-08Z', '12 hours')::text";
    expect(client, fill, &["14"]).await?;
    expect(client, fill, &["0"]).await?;
    expect(
        client,
        "select string_agg(distinct date_only::text, ' ') from dashboard.time_index where is_trading_day
         union all select string_agg(distinct date_only || ' ' || day_of_week, ', ') from dashboard.time_index where is_weekend
         union all select string_agg(distinct hour::text, ' ') from dashboard.time_index",
        &["2024-01-02 2024-01-03 2024-01-04 2024-01-05", "2024-01-06 6, 2024-01-07 7", "0 12"],
    )
    .await
}

pub async fn forecasts_and_backtests_know_how_good_they_were(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(
        client,
        "insert into dashboard.ml_models (model_id, name, version) values (1, 'm', '1');
         insert into dashboard.forecasts (model_id, source_id, target_time, predicted, lower_bound, upper_bound, actual)
         values (1, 1, '2024-01-01Z', 110, 100, 120, 80), (1, 1, '2024-01-02Z', 110, 100, 120, null),
                (1, 1, '2024-01-03Z', 1, 0, 2, 0);
         insert into dashboard.backtest_results (strategy_name, start_time, end_time, total_trades, winning_trades)
         values ('s', '2024-01-01', '2024-02-01', 3, 2), ('s', '2024-01-01', '2024-02-01', 0, 0)",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', absolute_error, percentage_error::float8, is_within_bounds)
         from dashboard.forecasts order by target_time",
        &["30 37.5 f", "", "1 t"],
    )
    .await?;
    expect(client, "select win_rate::text from dashboard.backtest_results order by 1", &["66.67", "null"]).await
}

pub async fn bad_rows_are_refused_by_name(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    let data = "insert into dashboard.timeseries_data (source_id, timestamp, open, high, low, close, volume) values";
    let calendar = "insert into dashboard.market_calendar (date, market, timezone, open_time, close_time) values";
    let rule = "insert into dashboard.validation_rules (name, rule_type, field, minimum, maximum) values";
    for (name, sql) in [
        ("timeseries_data_high_low_check", format!("{data} (1, now(), null, 9, 10, null, 1)")),
        ("timeseries_data_high_check", format!("{data} (1, now(), 12, 11, 9, 10, 1)")),
        ("timeseries_data_low_check", format!("{data} (1, now(), 8, 11, 9, 10, 1)")),
        ("timeseries_data_volume_check", format!("{data} (1, now(), 10, 11, 9, 10, -1)")),
        ("timeseries_data_number_check", format!("{data} (1, now(), null, null, null, 'nan', 1)")),
        ("timeseries_data_source_id_fkey", format!("{data} (99, now(), 10, 11, 9, 10, 1)")),
        ("source_id", format!("{data} (null, now(), 10, 11, 9, 10, 1)")),
        ("timestamp", format!("{data} (1, null, 10, 11, 9, 10, 1)")),
        ("market_calendar_timezone_check", format!("{calendar} ('2024-01-01', 'X', 'Nowhere+3', null, null)")),
        ("market_calendar_timezone_check", format!("{calendar} ('2024-01-01', 'X', 'america/new_york', null, null)")),
        ("market_calendar_times_check", format!("{calendar} ('2024-01-01', 'X', 'Asia/Tokyo', '16:00', '09:30')")),
        ("market", format!("{calendar} ('2024-01-01', null, 'UTC', null, null)")),
        ("validation_rules_field_check", format!("{rule} ('r', 'required', 'price', null, null)")),
        ("validation_rules_bounds_check", format!("{rule} ('r', 'range', 'close', 2, 1)")),
        ("validation_rules_bounds_check", format!("{rule} ('r', 'max_change', 'close', null, null)")),
        (
            "invalid input value for enum",
            "insert into dashboard.sources (name, display_name, data_type) values ('x', 'X', 'gossip')".to_owned(),
        ),
        (
            "sources_name_key",
            "insert into dashboard.sources (source_id, name, display_name, data_type) values (50, 'btc', 'X', 'price')"
                .to_owned(),
        ),
        ("lineage_self_check", "insert into dashboard.lineage (source_id, depends_on) values (1, 1)".to_owned()),
    ] {
        refused(client, name, &sql).await?;
    }
    expect(client, "select count(*)::text from dashboard.anomalies", &["0"]).await
}

pub async fn a_reader_reads_and_an_application_writes(client: &Client) -> Result<(), Failure> {
    run(client, SOURCES).await?;
    run(client, "set local role reader; select * from dashboard.daily_ohlcv; select * from dashboard.chunk_stats")
        .await?;
    refused(
        client,
        "permission denied",
        "insert into dashboard.timeseries_data (source_id, timestamp) values (1, now())",
    )
    .await?;
    refused(client, "permission denied", "delete from dashboard.sources").await?;
    run(client, "set local role app").await?;
    run(client, &rows("close", "(1, '2024-01-01Z'::timestamptz, 100::numeric)")).await?;
    run(client, "update dashboard.timeseries_data set close = 101; delete from dashboard.timeseries_data").await
}
