-- BRIN for stretches of time, partial for what is asked for all the time, GIN for JSON, composite for the rest.

create index idx_market_data_datetime_brin on l0_pipeline.market_data using brin (datetime);
create index idx_market_data_symbol_datetime on l0_pipeline.market_data (symbol, datetime desc);
-- "Recent" cannot be in an index's condition; chunks and the order of the index bring the recent rows first.
create index idx_market_data_recent_trading on l0_pipeline.market_data (datetime desc, symbol) include (close)
    where trading_session;
create index idx_market_data_sequence_check on l0_pipeline.market_data (symbol, timeframe, datetime) where trading_session;

create index idx_trading_signals_symbol_time on l0_pipeline.trading_signals (symbol, signal_datetime desc);
create index idx_pipeline_runs_name_start on l0_pipeline.pipeline_runs (pipeline_name, start_time desc);
create index idx_pipeline_runs_running on l0_pipeline.pipeline_runs (start_time) where status = 'running';
create index idx_pipeline_runs_config_gin on l0_pipeline.pipeline_runs using gin (config);

create index idx_api_usage_datetime_brin on l0_pipeline.api_usage using brin (request_datetime);
create index idx_api_usage_key_time on l0_pipeline.api_usage (api_key_name, request_datetime desc);
create index idx_api_usage_failed on l0_pipeline.api_usage (request_datetime desc) where not success;

create index idx_system_metrics_measured_brin on l0_pipeline.system_metrics using brin (measured_at);
create index idx_system_metrics_category_time on l0_pipeline.system_metrics (category, measured_at desc);
create index idx_system_metrics_metadata_gin on l0_pipeline.system_metrics using gin (metadata);

create index idx_data_quality_checks_run on l0_pipeline.data_quality_checks (run_id, status);
create index idx_data_quality_checks_details_gin on l0_pipeline.data_quality_checks using gin (details);
create index idx_user_sessions_expires on l0_pipeline.user_sessions (expires_at);

create index idx_ready_signals_pending on l0_pipeline.ready_signals (priority, created_at) where status = 'pending';
create index idx_ready_signals_type_status on l0_pipeline.ready_signals (signal_type, status, created_at desc);
create index idx_ready_signals_expires on l0_pipeline.ready_signals (expires_at) where status in ('pending', 'acknowledged');
create index idx_ready_signals_run on l0_pipeline.ready_signals (pipeline_run_id);
create index idx_ready_signals_metadata_gin on l0_pipeline.ready_signals using gin (metadata);

create index idx_data_gaps_symbol_start on l0_pipeline.data_gaps (symbol, timeframe, gap_start desc);
create index idx_data_gaps_unfilled on l0_pipeline.data_gaps (gap_start desc) where fill_status in ('detected', 'filling', 'failed');
create index idx_data_gaps_context_gin on l0_pipeline.data_gaps using gin (context_data);
-- A gap that is found again is the same gap.
create unique index idx_data_gaps_open on l0_pipeline.data_gaps (symbol, timeframe, source, gap_start)
    where resolution_status = 'open';

create index idx_pipeline_health_measured_brin on l0_pipeline.pipeline_health using brin (measured_at);
create index idx_pipeline_health_component_time on l0_pipeline.pipeline_health (pipeline_name, component, measured_at desc);
create index idx_pipeline_health_alerts on l0_pipeline.pipeline_health (measured_at desc) where alert_level <> 'none';
