//! What the l0_pipeline pack does with rows: the calendar, signals, gaps, health, quality, views and retention.

use tokio_postgres::Client;

use super::support::{Failure, ask, expect, refused, run};

/// Friday 22 March 2024 without 10:00 to 10:25 in Bogotá, then San José on Monday, and Tuesday from 8:10 to 9:00.
const BARS: &str = "insert into l0_pipeline.market_data (datetime, open, high, low, close, volume)
     select t, 100, 103, 99, 101, 10
     from generate_series('2024-03-22 13:00Z'::timestamptz, '2024-03-22 17:55Z', '5 minutes') as t
     where t < '2024-03-22 15:00Z' or t >= '2024-03-22 15:25Z'
     union all
     select t, 102, 110, 98, 106, 1 from generate_series('2024-03-26 13:10Z'::timestamptz, '2024-03-26 13:55Z', '5 minutes') as t";

pub async fn trading_hours_are_those_of_bogota_without_holidays(client: &Client) -> Result<(), Failure> {
    for zone in ["UTC", "America/New_York", "Asia/Tokyo"] {
        run(client, &format!("set local timezone = '{zone}'")).await?;
        expect(
            client,
            "select string_agg(case when l0_pipeline.is_trading_hours(t) then 'open' else 'shut' end, ' ' order by place)
             from unnest(array['2024-03-22 12:59:59Z', '2024-03-22 13:00Z', '2024-03-22 17:59:59Z', '2024-03-22 18:00Z',
                 '2024-03-23 15:00Z', '2024-03-25 15:00Z', '2024-03-26 15:00Z', '2024-07-05 13:00Z',
                 '2024-12-25 15:00Z']::timestamptz[]) with ordinality as u (t, place)",
            &["shut open open shut shut shut open open shut"],
        )
        .await?;
    }
    expect(
        client,
        "select count(*)::text from l0_pipeline.expected_bars('2024-03-22 00:00-05', '2024-03-27 00:00-05')",
        &["120"],
    )
    .await
}

pub async fn holidays_are_those_of_the_colombian_calendar(client: &Client) -> Result<(), Failure> {
    // The official ones of 2025; Easter was on 20 April. Two of them fall on 30 June.
    expect(
        client,
        "select to_char(day, 'MM-DD') from generate_series(timestamp '2025-01-01', '2025-12-31', '1 day') as day
         where l0_pipeline.colombian_holiday(day::date) is not null order by 1",
        &[
            "01-01", "01-06", "03-24", "04-17", "04-18", "05-01", "06-02", "06-23", "06-30", "07-20", "08-07", "08-18",
            "10-13", "11-03", "11-17", "12-08", "12-25",
        ],
    )
    .await?;
    expect(
        client,
        "select l0_pipeline.colombian_holiday('2024-03-25') || ', ' || l0_pipeline.colombian_holiday('2024-03-29')",
        &["San José, Viernes Santo"],
    )
    .await
}

pub async fn gaps_are_found_within_sessions_and_across_a_holiday(client: &Client) -> Result<(), Failure> {
    run(client, BARS).await?;
    let gaps = |from: &str, to: &str| {
        format!(
            "select concat_ws(' ', to_char(gap_start at time zone 'America/Bogota', 'DD HH24:MI'), gap_duration,
                 missing_points, gap_type, severity, impact_score)
             from l0_pipeline.detect_data_gaps('{from}', '{to}')"
        )
    };
    // Until nine o'clock of Tuesday.
    expect(
        client,
        &gaps("2024-03-22 00:00-05", "2024-03-26 09:00-05"),
        &["22 10:00 00:25:00 5 partial_session medium 8.33", "26 08:00 00:10:00 2 partial_session low 3.33"],
    )
    .await?;
    // Holy Thursday and Good Friday are no gaps, and neither is the guide's own example, a Saturday.
    expect(
        client,
        &gaps("2024-03-27 00:00-05", "2024-04-01 00:00-05"),
        &["27 08:00 05:00:00 60 whole_session critical 100.00"],
    )
    .await?;
    expect(client, &gaps("2024-01-20 08:00", "2024-01-20 13:00"), &[]).await?;
    refused(
        client,
        "there is no timeframe 7min",
        "select * from l0_pipeline.detect_data_gaps(now(), now(), 'X', '7min')",
    )
    .await
}

pub async fn gaps_are_written_down_once_and_their_filling_is_followed(client: &Client) -> Result<(), Failure> {
    run(client, BARS).await?;
    let record = "select l0_pipeline.record_data_gaps('2024-03-22 00:00-05', '2024-03-28 00:00-05')::text";
    run(client, "delete from l0_pipeline.market_data where datetime > '2024-03-24Z'").await?;
    expect(client, record, &["3"]).await?;
    expect(client, record, &["3"]).await?;
    let state = "select concat_ws(' ', missing_points, expected_points, severity, fill_status, fill_attempts,
             next_fill_attempt - now(), filled_points, fill_success_rate, fill_quality, resolution_status,
             resolved_at is not null)
         from l0_pipeline.data_gaps order by gap_start";
    expect(
        client,
        state,
        &["5 5 medium detected 0 0 open f", "60 60 critical detected 0 0 open f", "60 60 critical detected 0 0 open f"],
    )
    .await?;
    let ids = ask(client, "select gap_id::text from l0_pipeline.data_gaps order by gap_start").await?;
    let update = |id: &str, rest: &str| format!("select l0_pipeline.update_gap_fill_status('{id}', {rest})::text");
    expect(client, &update(&ids[0], "'failed', 'api_backfill'"), &["true"]).await?;
    expect(client, &update(&ids[1], "'filled', 'api_backfill', 58, 'good'"), &["true"]).await?;
    expect(client, &update(&ids[2], "'ignored'"), &["true"]).await?;
    let after = ["60 60 critical filled 1 58 96.67 good resolved t", "60 60 critical ignored 0 0 ignored t"];
    expect(client, state, &["5 5 medium failed 1 00:05:00 0 open f", after[0], after[1]]).await?;
    run(client, &update(&ids[0], "'filling'")).await?;
    run(client, &update(&ids[0], "'failed'")).await?;
    expect(client, state, &["5 5 medium failed 2 00:10:00 0 open f", after[0], after[1]]).await?;
    run(client, &update(&ids[0], "'failed'")).await?;
    expect(client, state, &["5 5 medium unfillable 3 0 permanent t", after[0], after[1]]).await?;
    expect(client, &update("00000000-0000-0000-0000-000000000000", "'filled'"), &["false"]).await?;
    refused(client, "data_gaps_filled_points_check", &update(&ids[1], "'filled', 'api_backfill', 61")).await?;
    refused(client, "data_gaps_fill_status_check", &update(&ids[1], "'mended'")).await?;
    refused(
        client,
        "data_gaps_times_check",
        "select l0_pipeline.create_data_gap_record(now(), now(), 1, 'pipeline_l0', 'missing_sequence')",
    )
    .await
}

pub async fn signals_come_by_priority_and_wait_for_others(client: &Client) -> Result<(), Failure> {
    let create = |name: &str, rest: &str| {
        format!(
            "select l0_pipeline.create_ready_signal('{name}', 'data_ready', '2024-01-20 08:00', '2024-01-20 08:05', 60, 100{rest})::text"
        )
    };
    let a = ask(client, &create("a", "")).await?.remove(0);
    let b = ask(client, &create("b", ", priority => 1")).await?.remove(0);
    run(client, &create("c", "")).await?;
    let d = ask(client, &create("d", ", priority => 1, expires_in => '-1 second'")).await?.remove(0);
    run(client, &create("e", &format!(", priority => 1, dependencies => array['{a}']::uuid[]"))).await?;
    let pending = "select pipeline_run_id from l0_pipeline.get_pending_ready_signals('data_ready')";
    let acknowledge =
        |id: &str| format!("select l0_pipeline.acknowledge_ready_signal('{id}', 'websocket_service')::text");
    let complete =
        |id: &str| format!("select l0_pipeline.complete_ready_signal('{id}', 'websocket_service', 250)::text");
    expect(client, pending, &["b", "a", "c"]).await?;
    expect(client, "select pipeline_run_id from l0_pipeline.get_pending_ready_signals(max_signals => 1)", &["b"])
        .await?;
    expect(client, "select pipeline_run_id from l0_pipeline.get_pending_ready_signals('other')", &[]).await?;
    expect(client, &complete(&b), &["false"]).await?;
    expect(client, &acknowledge(&b), &["true"]).await?;
    expect(client, &acknowledge(&b), &["false"]).await?;
    expect(client, &acknowledge(&d), &["false"]).await?;
    expect(client, &complete(&b), &["true"]).await?;
    expect(client, pending, &["a", "c"]).await?;
    run(client, &acknowledge(&a)).await?;
    // Acknowledged is not processed.
    expect(client, pending, &["c"]).await?;
    run(client, &complete(&a)).await?;
    expect(client, pending, &["e", "c"]).await?;
    expect(client, "select l0_pipeline.expire_ready_signals()::text", &["1"]).await?;
    expect(
        client,
        "select concat_ws(' ', pipeline_run_id, status, acknowledged_by, processed_by, processing_time_ms)
         from l0_pipeline.ready_signals order by 1",
        &[
            "a processed websocket_service websocket_service 250",
            "b processed websocket_service websocket_service 250",
            "c pending",
            "d expired",
            "e pending",
        ],
    )
    .await?;
    for (name, rest) in [
        ("ready_signals_priority_check", ", priority => 6"),
        ("ready_signals_dependencies", ", dependencies => array[gen_random_uuid()]"),
        ("ready_signals_dependencies", ", dependencies => array[null::uuid]"),
        ("ready_signals_quality_score_check", ", quality_score => 101"),
    ] {
        refused(client, name, &create("f", rest)).await?;
    }
    refused(client, "pipeline_run_id", &create("f", "").replace("'f'", "null")).await
}

pub async fn health_is_recorded_and_summed_up(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "select l0_pipeline.record_pipeline_health('l0_data_ingestion', 'api_connector', 'healthy', 95,
             response_time_ms => 150, error_rate => 0.5, cpu_usage_pct => 25, memory_usage_pct => 40);
         insert into l0_pipeline.pipeline_health
             (pipeline_name, component, status, health_score, response_time_ms, alert_level, measured_at)
         values ('l0_data_ingestion', 'api_connector', 'degraded', 80, 250, 'warning', now() - interval '20 hours'),
                ('l0_data_ingestion', 'api_connector', 'critical', 1, 999, 'critical', now() - interval '25 hours');
         select l0_pipeline.record_pipeline_health('l0_data_ingestion', 'storage', 'unhealthy', 30)",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', pipeline_name, component, latest_status, avg_health_score, min_health_score, avg_response_time,
             avg_error_rate, max_cpu_usage_pct, max_memory_usage_pct, check_count, alert_count, score_trend)
         from l0_pipeline.get_pipeline_health_summary(24)",
        &[
            "l0_data_ingestion api_connector healthy 87.50 80.00 200.00 0.25 25.00 40.00 2 1 15.00",
            "l0_data_ingestion storage unhealthy 30.00 30.00 0.00 1 1",
        ],
    )
    .await?;
    expect(
        client,
        "select string_agg(alert_level, ' ' order by alert_level) from l0_pipeline.pipeline_health where measured_at = now()",
        &["error none"],
    )
    .await?;
    for (name, values) in [
        ("pipeline_health_health_score_check", "'p', 'c', 'healthy', 101"),
        ("pipeline_health_status_check", "'p', 'c', 'fine', 90"),
        ("pipeline_health_resources_check", "'p', 'c', 'healthy', 90, disk_usage_pct => 101"),
        ("component", "'p', null, 'healthy', 90"),
    ] {
        refused(client, name, &format!("select l0_pipeline.record_pipeline_health({values})")).await?;
    }
    Ok(())
}

pub async fn quality_is_that_of_the_hand(client: &Client) -> Result<(), Failure> {
    run(client, BARS).await?;
    expect(
        client,
        "select concat_ws(' ', session_date, is_trading_day, total_points, expected_points, completeness_pct, open::float8,
             high::float8, low::float8, close::float8, avg_spread::float8, trading_range::float8, volume_total,
             price_volatility::float8)
         from l0_pipeline.get_trading_session_stats('2024-03-22')
         union all select concat_ws(' ', session_date, is_trading_day, total_points, expected_points, completeness_pct)
         from l0_pipeline.get_trading_session_stats('2024-01-20')",
        &["2024-03-22 t 55 60 91.67 100 103 99 101 4 4 550 0", "2024-01-20 f 0 0 100.00"],
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', total_expected, total_actual, missing_count, completeness_pct)
         from l0_pipeline.calculate_data_completeness('2024-03-22', '2024-03-26')
         union all select concat_ws(' ', total_expected, total_actual, missing_count, completeness_pct)
         from l0_pipeline.calculate_data_completeness('2024-01-20', '2024-01-21')",
        &["120 65 55 54.17", "0 0 0 100.00"],
    )
    .await?;
    let quality = |at: &str| {
        format!(
            "select concat_ws(' ', data_age_minutes, recent_points, expected_points, quality_score, issues)
             from l0_pipeline.check_realtime_data_quality(30, 'USDCOP', '{at}')"
        )
    };
    for (at, answer) in [
        // All six bars that begin from 13:30 on and have ended.
        ("2024-03-22 14:00Z", "0.0 6 6 100.00 {}"),
        // 15:00 to 15:20 are missing; 15:25 has not ended.
        ("2024-03-22 15:27Z", "2.0 0 5 0.00 {\"no data\"}"),
        ("2024-03-22 15:40Z", "0.0 3 6 50.00 {\"3 of 6 bars are missing\"}"),
        ("2024-03-22 15:24Z", "29.0 1 5 10.00 {\"4 of 5 bars are missing\",\"data is too old\"}"),
        ("2024-03-25 15:00Z", "4145.0 0 0 100 {}"),
    ] {
        expect(client, &quality(at), &[answer]).await?;
    }
    run(
        client,
        "insert into l0_pipeline.data_quality_checks (run_id, check_name, status, actual_value, created_at)
         values ('r', 'a', 'passed', 1, now()), ('r', 'b', 'passed', 2, now()), ('r', 'c', 'failed', 3, now()),
                ('s', 'a', 'warning', 4, now() - interval '8 days')",
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', total_checks, passed_checks, failed_checks, warning_checks, pass_rate, avg_actual_value::float8,
             pass_rate_before)
         from l0_pipeline.get_data_quality_summary()
         union all select concat_ws(' ', total_checks, pass_rate) from l0_pipeline.get_data_quality_summary('s')",
        &["3 2 1 0 66.67 2 0.00", "1 0.00"],
    )
    .await
}

pub async fn views_are_as_of_their_last_refresh(client: &Client) -> Result<(), Failure> {
    run(client, BARS).await?;
    run(
        client,
        "insert into l0_pipeline.market_data (datetime, open, high, low, close) values ('2024-03-23 15:00Z', 1, 1, 1, 1);
         insert into l0_pipeline.api_usage (api_key_name, request_datetime, success, response_time_ms, error_message)
         values ('k', '2024-03-22 00:00Z', true, 100, null), ('k', '2024-03-22 23:59Z', false, 300, 'timeout'),
                ('k', '2024-03-23 00:00Z', true, 50, null)",
    )
    .await?;
    expect(client, "select count(*)::text from l0_pipeline.daily_ohlc_summary", &["0"]).await?;
    run(client, "select l0_pipeline.refresh_trading_views()").await?;
    expect(
        client,
        "select concat_ws(' ', trading_date, open::float8, high::float8, low::float8, close::float8, volume, data_points,
             completeness_pct, trading_range::float8, daily_return_pct::float8, sources)
         from l0_pipeline.daily_ohlc_summary
         union all select concat_ws(' ', trading_date, trading_hour, data_points, completeness_pct, volume)
         from l0_pipeline.hourly_trading_metrics where trading_hour in (8, 10)
         union all select concat_ws(' ', usage_date, total_requests, total_credits, success_rate, avg_response_time,
             p95_response_time, error_messages)
         from l0_pipeline.api_usage_efficiency order by 1",
        &[
            "2024-03-22 10 7 58.33 70",
            "2024-03-22 100 103 99 101 550 55 91.67 4 1 {twelvedata}",
            "2024-03-22 2 2 50.00 200.00 290 {timeout}",
            "2024-03-22 8 12 100.00 120",
            "2024-03-23 1 1 100.00 50.00 50",
            "2024-03-26 102 110 98 106 10 10 16.67 12 3.9216 {twelvedata}",
            "2024-03-26 8 10 83.33 10",
        ],
    )
    .await
}

pub async fn bad_bars_are_refused_by_name(client: &Client) -> Result<(), Failure> {
    let bar = |values: &str| {
        format!(
            "insert into l0_pipeline.market_data (symbol, datetime, open, high, low, close, volume) values ({values})"
        )
    };
    for (name, values) in [
        ("market_data_high_low", "'A', now(), 10, 9, 12, 11, 1"),
        ("market_data_open_range", "'A', now(), 8, 12, 9, 11, 1"),
        ("market_data_close_range", "'A', now(), 10, 12, 9, 13, 1"),
        ("market_data_positive", "'A', now(), 0, 12, 0, 11, 1"),
        ("market_data_volume", "'A', now(), 10, 12, 9, 11, -1"),
        ("market_data_number", "'A', now(), 10, 'nan', 9, 11, 1"),
        ("market_data_symbol_check", "'', now(), 10, 12, 9, 11, 1"),
        ("symbol", "null, now(), 10, 12, 9, 11, 1"),
        ("datetime", "'A', null, 10, 12, 9, 11, 1"),
        ("close", "'A', now(), 10, 12, 9, null, 1"),
    ] {
        refused(client, name, &bar(values)).await?;
    }
    run(client, BARS).await?;
    refused(client, "market_data_pkey", BARS).await?;
    refused(client, "market_data_high_low", "update l0_pipeline.market_data set high = 1").await?;
    refused(client, "market_data_timeframe_check", "update l0_pipeline.market_data set timeframe = '7min'").await?;
    refused(client, "market_data_source_check", "update l0_pipeline.market_data set source = ''").await
}

pub async fn triggers_classify_log_and_clean_up(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into l0_pipeline.market_data (datetime, open, high, low, close, trading_session)
         values ('2024-03-22 13:00Z', 1, 1, 1, 1, false), ('2024-03-22 18:00Z', 1, 1, 1, 1, true);
         insert into l0_pipeline.api_limits values ('k', 3);
         insert into l0_pipeline.api_usage (api_key_name, request_datetime, success, credits_used) values
             ('k', '2024-03-22 10:00Z', true, 2), ('k', '2024-03-22 11:00Z', true, 2), ('k', '2024-03-23 00:00Z', true, 2),
             ('other', '2024-03-22 10:00Z', true, 2);
         insert into l0_pipeline.trading_signals (signal_type) values ('buy');
         update l0_pipeline.trading_signals set actual_outcome = 'win';
         update l0_pipeline.trading_signals set actual_return = 1;
         insert into l0_pipeline.pipeline_runs (run_id, pipeline_name, start_time)
         values ('good', 'p', '2024-03-22 10:00Z'), ('bad', 'p', '2024-03-22 10:00Z');
         update l0_pipeline.pipeline_runs set end_time = '2024-03-22 10:01Z' where run_id = 'good';
         update l0_pipeline.pipeline_runs set end_time = '2024-03-22 10:02Z', error_message = 'x' where run_id = 'bad';
         insert into l0_pipeline.user_sessions (user_name, created_at, expires_at)
         values ('old', now() - interval '2 days', now() - interval '1 day');
         insert into l0_pipeline.user_sessions (user_name) values ('new')",
    )
    .await?;
    expect(
        client,
        "select string_agg(trading_session::text, ' ' order by datetime) from l0_pipeline.market_data
         union all select string_agg(daily_credits_remaining::text, ' ' order by usage_id) from l0_pipeline.api_usage
         union all select string_agg(run_id || ' ' || status, ', ' order by run_id) from l0_pipeline.pipeline_runs
         union all select string_agg(user_name, ' ') from l0_pipeline.user_sessions",
        &["true false", "1 -1 1 798", "bad failed, good success", "new"],
    )
    .await?;
    expect(
        client,
        "select concat_ws(' ', category, metric_name, metric_value::float8) from l0_pipeline.system_metrics order by 1",
        &[
            "api api_limit_exceeded 4",
            "pipeline pipeline_duration 120",
            "pipeline pipeline_duration 60",
            "trading new_signal_created 1",
            "trading signal_outcome_updated 1",
        ],
    )
    .await?;
    run(
        client,
        "update l0_pipeline.pipeline_runs set updated_at = '2020-01-01';
         update l0_pipeline.pipeline_runs set records_processed = 1 where run_id = 'good'",
    )
    .await?;
    expect(client, "select run_id from l0_pipeline.pipeline_runs where updated_at = now()", &["good"]).await
}

pub async fn backups_are_listed_validated_and_expire(client: &Client) -> Result<(), Failure> {
    let id = ask(
        client,
        "select l0_pipeline.create_backup_record('/backups/market_data_20240120.csv.gz', '2024-01-20 08:00', '2024-01-20 13:00',
             1500, 2048576, 'run_20240120_080000', checksum => repeat('AB', 32))",
    )
    .await?
    .remove(0);
    run(
        client,
        "insert into hypertide.backup_metadata (backup_id, origin, kind, file_path, details)
         values ('full-1', 'hypertide', 'full', 'full-1', '{\"expire_date\": \"2020-01-01T00:00:00Z\"}')",
    )
    .await?;
    let validate = |id: &str, rest: &str| format!("select l0_pipeline.update_backup_validation('{id}', {rest})::text");
    let state = "select concat_ws(' ', origin, kind, record_count, validation_status, completeness_pct, quality_score,
             is_active, is_compressed, retention_days, expire_date - now(), left(checksum_sha256, 4))
         from l0_pipeline.backup_metadata where origin = 'sql'";
    expect(client, &validate(&id, "'validated', 98.5, 95.0"), &["true"]).await?;
    // hypertide's own are not the pipeline's to judge.
    expect(client, &validate("full-1", "'validated'"), &["false"]).await?;
    expect(client, state, &["sql file 1500 validated 98.50 95.00 t t 30 30 days abab"]).await?;
    expect(client, "select l0_pipeline.cleanup_expired_backups()::text", &["0"]).await?;
    expect(client, "select l0_pipeline.cleanup_expired_backups(now() + interval '30 days')::text", &["1"]).await?;
    expect(
        client,
        "select string_agg(origin || ' ' || is_active, ', ' order by origin) from l0_pipeline.backup_metadata",
        &["hypertide true, sql false"],
    )
    .await?;
    refused(client, "backup_metadata_completeness_pct_check", &validate(&id, "'validated', 101")).await?;
    refused(client, "backup_metadata_validation_status_check", &validate(&id, "'fine'")).await?;
    refused(
        client,
        "backup_metadata_check",
        "select l0_pipeline.create_backup_record('f', '2024-01-21', '2024-01-20', 1, 1)",
    )
    .await
}

pub async fn old_rows_are_deleted_as_the_schedule_says(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into l0_pipeline.market_data (datetime, open, high, low, close) values ('2001-01-01', 1, 1, 1, 1);
         insert into l0_pipeline.api_usage (api_key_name, success, request_datetime)
         select 'k', true, timestamptz '2026-06-30Z' - age from (values (interval '30 days'), ('30 days 1 second')) a (age);
         insert into l0_pipeline.pipeline_runs (run_id, pipeline_name, status, start_time, end_time) values
             ('a', 'p', 'success', '2026-01-01Z', '2026-03-31Z'), ('b', 'p', 'success', '2026-01-01Z', '2026-04-02Z'),
             ('c', 'p', 'running', '2020-01-01Z', null);
         insert into l0_pipeline.ready_signals
             (pipeline_run_id, signal_type, data_start_time, data_end_time, status, processed_at, expires_at) values
             ('a', 't', now(), now(), 'processed', '2026-06-22Z', '2026-06-22Z'),
             ('b', 't', now(), now(), 'processed', '2026-06-24Z', '2026-06-22Z'),
             ('c', 't', now(), now(), 'pending', null, '2026-06-22Z'),
             ('d', 't', now(), now(), 'pending', null, '2026-06-29Z'),
             ('e', 't', now(), now(), 'pending', null, '2026-07-01Z');
         insert into l0_pipeline.data_gaps (gap_start, gap_end, missing_points, expected_points, detected_by, detection_method,
             severity, impact_score, resolution_status, resolved_at) values
             ('2026-01-01Z', '2026-01-02Z', 1, 1, 'x', 'y', 'low', 1, 'resolved', '2026-05-30Z'),
             ('2026-01-01Z', '2026-01-02Z', 1, 1, 'x', 'y', 'low', 1, 'resolved', '2026-06-01Z'),
             ('2026-01-01Z', '2026-01-02Z', 1, 1, 'x', 'y', 'low', 1, 'open', null);
         insert into l0_pipeline.pipeline_health (pipeline_name, component, status, health_score, alert_level, measured_at)
         values ('p', 'c', 'healthy', 1, 'none', '2026-05-30Z'), ('p', 'c', 'healthy', 1, 'none', '2026-06-01Z');
         insert into l0_pipeline.system_metrics (metric_name, metric_value, category, measured_at)
         select category || days, 1, category, timestamptz '2026-06-30Z' - days * interval '1 day'
         from (values ('api', 6), ('api', 8), ('system', 13), ('system', 15), ('pipeline', 29), ('pipeline', 31),
                      ('trading', 89), ('trading', 91)) m (category, days);
         insert into l0_pipeline.data_quality_checks (run_id, check_name, status, created_at)
         values ('a', 'c', 'passed', '2026-03-31Z'), ('a', 'c', 'passed', '2026-04-02Z');
         insert into l0_pipeline.user_sessions (user_name, created_at, expires_at)
         values ('a', '2026-06-28Z', '2026-06-29Z'), ('b', '2026-06-29Z', '2026-07-01Z');
         insert into hypertide.backup_metadata
             (backup_id, origin, file_path, is_active, deactivated_at, details) values
             ('a', 'sql', 'f', false, '2026-06-22Z', '{}'), ('b', 'sql', 'f', false, '2026-06-24Z', '{}'),
             ('c', 'sql', 'f', true, null, '{\"expire_date\": \"2026-06-01T00:00:00Z\"}'),
             ('d', 'hypertide', 'f', false, '2020-01-01Z', '{}')",
    )
    .await?;
    let clean = "select table_name || ' ' || deleted from l0_pipeline.cleanup_old_data('2026-06-30Z')";
    expect(
        client,
        clean,
        &[
            "api_usage 1",
            "pipeline_runs 1",
            "backup_metadata 1",
            "ready_signals 2",
            "data_gaps 1",
            "pipeline_health 1",
            "system_metrics 4",
            "data_quality_checks 1",
            "user_sessions 1",
        ],
    )
    .await?;
    expect(
        client,
        "select string_agg(backup_id || is_active, ' ' order by backup_id) from l0_pipeline.backup_metadata
         union all select string_agg(pipeline_run_id || ' ' || status, ', ' order by pipeline_run_id) from l0_pipeline.ready_signals
         union all select string_agg(metric_name, ' ' order by metric_value, measured_at desc) from l0_pipeline.system_metrics
         union all select count(*)::text from l0_pipeline.market_data",
        &["bfalse cfalse dfalse", "b processed, d expired, e pending", "api6 system13 pipeline29 trading89", "1"],
    )
    .await?;
    let again = ask(client, clean).await?;
    if again.iter().all(|line| line.ends_with(" 0")) {
        Ok(())
    } else {
        Err(format!("the second time: {again:?}").into())
    }
}

pub async fn the_queries_of_the_guide_run_as_they_are_written(client: &Client) -> Result<(), Failure> {
    run(client, "set local search_path = l0_pipeline, public").await?;
    for query in [
        "select * from get_trading_session_stats('2024-01-20')",
        "select * from check_realtime_data_quality(30, 'USDCOP')",
        "select refresh_trading_views()",
        "select * from analyze_table_performance()",
        "select * from calculate_data_completeness('2024-01-20', '2024-01-21')",
        "select * from data_gaps where fill_status = 'detected' order by gap_start desc limit 10",
        "select * from ready_signals where status = 'pending' order by priority, created_at",
        "select * from pipeline_health where measured_at >= now() - interval '1 hour'",
        "select * from get_database_statistics()",
        "select * from backup_metadata",
    ] {
        run(client, query).await?;
    }
    expect(
        client,
        "select count(*) || ' ' || bool_and(total_bytes > 0) from analyze_table_performance()
         union all select count(*)::text from get_database_statistics()",
        &["11 true", "9"],
    )
    .await
}

pub async fn a_reader_reads_and_an_application_writes(client: &Client) -> Result<(), Failure> {
    // Functions with their owner's rights ask who logged in.
    run(client, "set local session authorization reader; select * from l0_pipeline.daily_ohlc_summary").await?;
    run(client, "select * from l0_pipeline.backup_metadata; select * from l0_pipeline.get_pending_ready_signals()")
        .await?;
    for sql in [
        BARS,
        "select l0_pipeline.refresh_trading_views()",
        "select * from l0_pipeline.cleanup_old_data()",
        "select l0_pipeline.create_backup_record('f', now(), now(), 1, 1)",
        "select l0_pipeline.cleanup_expired_backups()",
        "select l0_pipeline.record_pipeline_health('p', 'c', 'healthy', 90)",
        "insert into hypertide.backup_metadata (file_path) values ('f')",
    ] {
        let words = if sql.contains("refresh") { "takes the right" } else { "permission denied" };
        refused(client, words, sql).await?;
    }
    run(client, "reset session authorization; set local session authorization app").await?;
    run(client, BARS).await?;
    run(
        client,
        "select l0_pipeline.refresh_trading_views(); select * from l0_pipeline.cleanup_old_data();
         select l0_pipeline.create_backup_record('f', now(), now(), 1, 1); select l0_pipeline.record_data_gaps()",
    )
    .await?;
    refused(client, "permission denied", "delete from hypertide.backup_metadata").await
}
