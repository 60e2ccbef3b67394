-- The guide's new tables. The fourth, backup_metadata, is hypertide's own: see migration 010.

create table l0_pipeline.ready_signals (
    signal_id uuid primary key default gen_random_uuid(),
    pipeline_run_id text not null,
    signal_type text not null,
    status text not null default 'pending',
    priority integer not null default 3,
    symbol text not null default 'USDCOP',
    timeframe text not null default '5min',
    data_start_time timestamptz not null,
    data_end_time timestamptz not null,
    records_available integer not null default 0,
    completeness_pct numeric(5, 2) not null default 0,
    quality_score numeric(5, 2),
    dependencies uuid[] not null default '{}',
    metadata jsonb not null default '{}',
    acknowledged_by text,
    acknowledged_at timestamptz,
    processed_by text,
    processed_at timestamptz,
    processing_time_ms integer,
    error_message text,
    expires_at timestamptz not null default now() + interval '1 hour',
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default now(),
    constraint ready_signals_signal_type_check check (signal_type <> ''),
    constraint ready_signals_status_check check (status in ('pending', 'acknowledged', 'processed', 'expired')),
    constraint ready_signals_priority_check check (priority between 1 and 5),
    constraint ready_signals_times_check check (data_end_time >= data_start_time),
    constraint ready_signals_records_available_check check (records_available >= 0),
    constraint ready_signals_completeness_pct_check check (completeness_pct between 0 and 100),
    constraint ready_signals_quality_score_check check (quality_score between 0 and 100)
);
comment on table l0_pipeline.ready_signals is 'Data handed over by L0; kept for 7 days after processing.';
comment on column l0_pipeline.ready_signals.priority is '1 is most urgent, 5 least.';
comment on column l0_pipeline.ready_signals.dependencies is 'Signals that must be processed before this one.';

create table l0_pipeline.data_gaps (
    gap_id uuid primary key default gen_random_uuid(),
    symbol text not null default 'USDCOP',
    timeframe text not null default '5min',
    source text not null default 'twelvedata',
    gap_start timestamptz not null,
    gap_end timestamptz not null,
    gap_duration interval generated always as (gap_end - gap_start) stored,
    missing_points integer not null,
    expected_points integer not null,
    detected_by text not null,
    detection_method text not null,
    detected_at timestamptz not null default now(),
    gap_type text not null default 'data_provider',
    severity text not null,
    impact_score numeric(5, 2) not null,
    fill_status text not null default 'detected',
    fill_method text,
    fill_quality text,
    fill_attempts integer not null default 0,
    max_fill_attempts integer not null default 3,
    last_fill_attempt timestamptz,
    next_fill_attempt timestamptz,
    filled_points integer not null default 0,
    fill_success_rate numeric(5, 2),
    filled_at timestamptz,
    resolution_status text not null default 'open',
    resolved_at timestamptz,
    context_data jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint data_gaps_times_check check (gap_end > gap_start),
    constraint data_gaps_missing_points_check check (missing_points between 1 and expected_points),
    constraint data_gaps_filled_points_check check (filled_points between 0 and missing_points),
    constraint data_gaps_gap_type_check
        check (gap_type in ('trading_hours', 'data_provider', 'system_outage', 'partial_session', 'whole_session')),
    constraint data_gaps_severity_check check (severity in ('low', 'medium', 'high', 'critical')),
    constraint data_gaps_impact_score_check check (impact_score between 0 and 100),
    constraint data_gaps_fill_status_check
        check (fill_status in ('detected', 'filling', 'filled', 'failed', 'unfillable', 'ignored')),
    constraint data_gaps_fill_quality_check check (fill_quality in ('perfect', 'good', 'acceptable', 'poor')),
    constraint data_gaps_resolution_status_check check (resolution_status in ('open', 'resolved', 'permanent', 'ignored'))
);
comment on table l0_pipeline.data_gaps is 'Gaps and what became of them; kept for 30 days after resolution.';
comment on column l0_pipeline.data_gaps.gap_end is 'Where the last missing bar ends.';

create table l0_pipeline.pipeline_health (
    check_id uuid primary key default gen_random_uuid(),
    pipeline_name text not null,
    component text not null,
    status text not null,
    health_score numeric(5, 2) not null,
    response_time_ms integer,
    error_rate numeric(5, 2) not null default 0,
    throughput_records_per_min integer,
    cpu_usage_pct numeric(5, 2),
    memory_usage_pct numeric(5, 2),
    disk_usage_pct numeric(5, 2),
    alert_level text not null,
    issues jsonb not null default '[]',
    check_metadata jsonb not null default '{}',
    measured_at timestamptz not null default now(),
    constraint pipeline_health_pipeline_name_check check (pipeline_name <> ''),
    constraint pipeline_health_status_check check (status in ('healthy', 'degraded', 'unhealthy', 'critical')),
    constraint pipeline_health_health_score_check check (health_score between 0 and 100),
    constraint pipeline_health_error_rate_check check (error_rate between 0 and 100),
    constraint pipeline_health_resources_check check (
        cpu_usage_pct between 0 and 100 and memory_usage_pct between 0 and 100 and disk_usage_pct between 0 and 100
    ),
    constraint pipeline_health_alert_level_check check (alert_level in ('none', 'info', 'warning', 'error', 'critical'))
);
comment on table l0_pipeline.pipeline_health is 'Measurements of components; kept for 30 days.';
