-- How pipelines and data are.

create function l0_pipeline.record_pipeline_health(
    pipeline_name text,
    component text,
    status text,
    health_score numeric,
    response_time_ms integer default null,
    error_rate numeric default 0,
    cpu_usage_pct numeric default null,
    memory_usage_pct numeric default null,
    disk_usage_pct numeric default null,
    throughput_records_per_min integer default null,
    alert_level text default null,
    issues jsonb default '[]',
    check_metadata jsonb default '{}'
)
returns uuid
language sql set search_path = pg_catalog as $$
  insert into l0_pipeline.pipeline_health
    (pipeline_name, component, status, health_score, response_time_ms, error_rate, cpu_usage_pct, memory_usage_pct,
     disk_usage_pct, throughput_records_per_min, alert_level, issues, check_metadata)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    coalesce($11, case $3 when 'healthy' then 'none' when 'degraded' then 'warning' when 'unhealthy' then 'error'
                  else 'critical' end),
    $12, $13)
  returning check_id
$$;
comment on function l0_pipeline.record_pipeline_health(
    text, text, text, numeric, integer, numeric, numeric, numeric, numeric, integer, text, jsonb, jsonb) is
    'Writes a measurement down; the level of alert follows from the status unless it is given.';

create function l0_pipeline.get_pipeline_health_summary(hours_back integer default 24)
returns table (
    pipeline_name text,
    component text,
    latest_status text,
    avg_health_score numeric,
    min_health_score numeric,
    avg_response_time numeric,
    avg_error_rate numeric,
    max_cpu_usage_pct numeric,
    max_memory_usage_pct numeric,
    check_count bigint,
    alert_count bigint,
    score_trend numeric,
    last_check timestamptz
)
language sql stable set search_path = pg_catalog as $$
  select h.pipeline_name, h.component, (array_agg(h.status order by h.measured_at desc, h.check_id))[1],
    round(avg(h.health_score), 2), min(h.health_score), round(avg(h.response_time_ms), 2), round(avg(h.error_rate), 2),
    max(h.cpu_usage_pct), max(h.memory_usage_pct), count(*), count(*) filter (where h.alert_level <> 'none'),
    round(avg(h.health_score) filter (where h.measured_at >= now() - hours_back * interval '30 minutes')
      - avg(h.health_score) filter (where h.measured_at < now() - hours_back * interval '30 minutes'), 2),
    max(h.measured_at)
  from l0_pipeline.pipeline_health h
  where h.measured_at >= now() - hours_back * interval '1 hour'
  group by h.pipeline_name, h.component
  order by h.pipeline_name, h.component
$$;
comment on function l0_pipeline.get_pipeline_health_summary(integer) is
    'Each component over the last hours; score_trend is the mean of the later half of them less that of the earlier.';

create function l0_pipeline.calculate_data_completeness(
    start_date date,
    end_date date,
    symbol text default 'USDCOP',
    timeframe text default '5min'
)
returns table (total_expected integer, total_actual integer, missing_count integer, completeness_pct numeric)
language sql stable set search_path = pg_catalog as $$
  select count(*)::integer, count(*) filter (where e.is_there)::integer, count(*) filter (where not e.is_there)::integer,
    case when count(*) = 0 then 100.00 else round(100.0 * count(*) filter (where e.is_there) / count(*), 2) end
  from (
    select exists (
      select from l0_pipeline.market_data m
      where m.symbol = $3 and m.timeframe = $4 and m.datetime >= b.begins and m.datetime < b.ends) as is_there
    from l0_pipeline.expected_bars(
      $1::timestamp at time zone 'America/Bogota', ($2 + 1)::timestamp at time zone 'America/Bogota', $4) b
  ) e
$$;
comment on function l0_pipeline.calculate_data_completeness(date, date, text, text) is
    'Bars expected and there on the days from start_date to end_date, both included, in Bogotá; 100 % where none is expected.';

create function l0_pipeline.get_trading_session_stats(
    target_date date default (now() at time zone 'America/Bogota')::date,
    symbol text default 'USDCOP',
    timeframe text default '5min'
)
returns table (
    session_date date,
    is_trading_day boolean,
    session_start timestamptz,
    session_end timestamptz,
    total_points integer,
    expected_points integer,
    completeness_pct numeric,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    avg_spread numeric,
    trading_range numeric,
    volume_total bigint,
    price_volatility numeric
)
language sql stable set search_path = pg_catalog as $$
  select $1, l0_pipeline.is_trading_day($1), min(m.datetime), max(m.datetime), count(m.datetime)::integer,
    (select c.total_expected from l0_pipeline.calculate_data_completeness($1, $1, $2, $3) c),
    (select c.completeness_pct from l0_pipeline.calculate_data_completeness($1, $1, $2, $3) c),
    (array_agg(m.open order by m.datetime))[1], max(m.high), min(m.low), (array_agg(m.close order by m.datetime desc))[1],
    round(avg(m.high - m.low), 4), max(m.high) - min(m.low), coalesce(sum(m.volume), 0)::bigint, round(stddev_samp(m.close), 4)
  from l0_pipeline.market_data m
  where m.symbol = $2 and m.timeframe = $3 and m.trading_session
    and m.datetime >= $1::timestamp at time zone 'America/Bogota'
    and m.datetime < ($1 + 1)::timestamp at time zone 'America/Bogota'
$$;
comment on function l0_pipeline.get_trading_session_stats(date, text, text) is 'One session of a symbol; one row, also without bars.';

create function l0_pipeline.check_realtime_data_quality(
    lookback_minutes integer default 30,
    symbol text default 'USDCOP',
    as_of timestamptz default now(),
    timeframe text default '5min'
)
returns table (
    check_timestamp timestamptz,
    latest_data_time timestamptz,
    data_age_minutes numeric,
    recent_points integer,
    expected_points integer,
    quality_score numeric,
    issues text[]
)
language plpgsql stable set search_path = pg_catalog as $$
begin
  check_timestamp := $3;
  select max(m.datetime) into latest_data_time
  from l0_pipeline.market_data m where m.symbol = $2 and m.timeframe = $4 and m.datetime <= $3;
  data_age_minutes := round(extract(epoch from $3 - latest_data_time) / 60, 1);
  -- A bar can be there once it has ended.
  select count(*), count(*) filter (where exists (
    select from l0_pipeline.market_data m
    where m.symbol = $2 and m.timeframe = $4 and m.datetime >= b.begins and m.datetime < b.ends))
  into expected_points, recent_points
  from l0_pipeline.expected_bars($3 - $1 * interval '1 minute', $3, $4) b where b.ends <= $3;
  quality_score := 100;
  issues := '{}';
  if expected_points > 0 then
    quality_score := round(100.0 * recent_points / expected_points, 2);
    if recent_points = 0 then
      issues := issues || 'no data'::text;
    elsif recent_points < expected_points then
      issues := issues || format('%s of %s bars are missing', expected_points - recent_points, expected_points);
    end if;
    -- One bar late is usual, two are not.
    if recent_points > 0 and $3 - latest_data_time > 3 * l0_pipeline.bar_length($4) then
      issues := issues || 'data is too old'::text;
      quality_score := round(quality_score / 2, 2);
    end if;
  end if;
  return next;
end
$$;
comment on function l0_pipeline.check_realtime_data_quality(integer, text, timestamptz, text) is
    'Bars expected and there in the last minutes; the score is their percentage, halved when the latest is too old.';

create function l0_pipeline.get_data_quality_summary(run_id text default null, days_back integer default 7)
returns table (
    total_checks bigint,
    passed_checks bigint,
    failed_checks bigint,
    warning_checks bigint,
    pass_rate numeric,
    avg_actual_value numeric,
    avg_expected_value numeric,
    pass_rate_before numeric
)
language sql stable set search_path = pg_catalog as $$
  select count(*) filter (where c.is_wanted), count(*) filter (where c.is_wanted and c.status = 'passed'),
    count(*) filter (where c.is_wanted and c.status = 'failed'), count(*) filter (where c.is_wanted and c.status = 'warning'),
    round(100.0 * count(*) filter (where c.is_wanted and c.status = 'passed')
      / nullif(count(*) filter (where c.is_wanted), 0), 2),
    avg(c.actual_value) filter (where c.is_wanted), avg(c.expected_value) filter (where c.is_wanted),
    round(100.0 * count(*) filter (where not c.is_wanted and c.status = 'passed')
      / nullif(count(*) filter (where not c.is_wanted), 0), 2)
  from (
    select q.*, ($1 is not null or q.created_at >= now() - $2 * interval '1 day') as is_wanted
    from l0_pipeline.data_quality_checks q
    where case when $1 is null then q.created_at >= now() - 2 * $2 * interval '1 day' else q.run_id = $1 end
  ) c
$$;
comment on function l0_pipeline.get_data_quality_summary(text, integer) is
    'Checks of one run, or of the last days; pass_rate_before is that of as many days before those.';
