-- Finds bars that trading hours make one expect and that are not there, and keeps track of what becomes of them.

create function l0_pipeline.gap_severity(missing interval) returns text
language sql immutable parallel safe
return case
    when missing < interval '15 minutes' then 'low'
    when missing < interval '1 hour' then 'medium'
    when missing < interval '3 hours' then 'high'
    else 'critical'
end;
comment on function l0_pipeline.gap_severity(interval) is 'By the trading time that is missing.';

create function l0_pipeline.detect_data_gaps(
    start_date timestamptz,
    end_date timestamptz,
    symbol text default 'USDCOP',
    timeframe text default '5min'
)
returns table (
    gap_start timestamptz,
    gap_end timestamptz,
    gap_duration interval,
    missing_points integer,
    gap_type text,
    severity text,
    impact_score numeric
)
language sql stable set search_path = pg_catalog as $$
  with expected as (
    select e.*, row_number() over (partition by e.trading_date order by e.begins) as place,
      count(*) over (partition by e.trading_date) as in_session
    from l0_pipeline.expected_bars($1, $2, $4) e
  ),
  missing as (
    -- Neighbours within a session keep the same difference.
    select x.*, x.place - row_number() over (partition by x.trading_date order by x.begins) as run
    from expected x
    where not exists (
      select from l0_pipeline.market_data m
      where m.symbol = $3 and m.timeframe = $4 and m.datetime >= x.begins and m.datetime < x.ends)
  )
  select min(begins), max(ends), max(ends) - min(begins), count(*)::integer,
    case when count(*) = max(in_session) then 'whole_session' else 'partial_session' end,
    l0_pipeline.gap_severity(max(ends) - min(begins)),
    round(least(100, 100 * extract(epoch from max(ends) - min(begins)) / 18000), 2)
  from missing
  group by trading_date, run
  order by 1
$$;
comment on function l0_pipeline.detect_data_gaps(timestamptz, timestamptz, text, text) is
    'Runs of missing bars from start_date (inclusive) to end_date (exclusive), within trading hours, each within one session.';

create function l0_pipeline.create_data_gap_record(
    gap_start timestamptz,
    gap_end timestamptz,
    missing_points integer,
    detected_by text,
    detection_method text,
    severity text default null,
    symbol text default 'USDCOP',
    timeframe text default '5min',
    source text default 'twelvedata',
    gap_type text default 'data_provider',
    impact_score numeric default null,
    context_data jsonb default '{}'
)
returns uuid
language sql set search_path = pg_catalog as $$
  insert into l0_pipeline.data_gaps as g
    (gap_start, gap_end, missing_points, expected_points, detected_by, detection_method, severity, symbol, timeframe, source,
     gap_type, impact_score, context_data)
  values (
    $1, $2, $3,
    -- No fewer than are missing: who detects by other means may count otherwise.
    greatest($3, (select count(*) from l0_pipeline.expected_bars($1, $2, $8))),
    $4, $5,
    coalesce($6, l0_pipeline.gap_severity($3 * l0_pipeline.bar_length($8))),
    $7, $8, $9, $10,
    coalesce($11, round(least(100, 100 * $3 * extract(epoch from l0_pipeline.bar_length($8)) / 18000), 2)),
    $12)
  on conflict (symbol, timeframe, source, gap_start) where resolution_status = 'open' do update set
    gap_end = excluded.gap_end, missing_points = excluded.missing_points, expected_points = excluded.expected_points,
    severity = excluded.severity, impact_score = excluded.impact_score,
    filled_points = least(g.filled_points, excluded.missing_points)
  returning gap_id
$$;
comment on function l0_pipeline.create_data_gap_record(
    timestamptz, timestamptz, integer, text, text, text, text, text, text, text, numeric, jsonb) is
    'Writes a gap down; one that is open already keeps its id.';

create function l0_pipeline.update_gap_fill_status(
    gap_id uuid,
    fill_status text,
    fill_method text default null,
    filled_points integer default null,
    fill_quality text default null
)
returns boolean
language plpgsql set search_path = pg_catalog as $$
declare
  gap      l0_pipeline.data_gaps;
  attempts integer;
  state    text := $2;
begin
  select g.* into gap from l0_pipeline.data_gaps g where g.gap_id = $1 for update;
  if not found then
    return false;
  end if;
  -- An attempt is counted when it begins, or when its end is told without its beginning.
  attempts := gap.fill_attempts
    + case when $2 = 'filling' or ($2 in ('filled', 'failed') and gap.fill_status <> 'filling') then 1 else 0 end;
  if $2 = 'failed' and attempts >= gap.max_fill_attempts then
    state := 'unfillable';
  end if;
  update l0_pipeline.data_gaps g set
    fill_status = state,
    fill_method = coalesce($3, g.fill_method),
    filled_points = coalesce($4, g.filled_points),
    fill_quality = coalesce($5, g.fill_quality),
    fill_attempts = attempts,
    last_fill_attempt = case when attempts > g.fill_attempts then now() else g.last_fill_attempt end,
    -- Five minutes, then ten, then twenty.
    next_fill_attempt = case when state = 'failed' then now() + interval '5 minutes' * 2 ^ greatest(attempts - 1, 0) end,
    fill_success_rate = case when state = 'filled'
      then round(100.0 * coalesce($4, g.filled_points) / g.missing_points, 2) else g.fill_success_rate end,
    filled_at = case when state = 'filled' then now() end,
    resolution_status = case state
      when 'filled' then 'resolved' when 'unfillable' then 'permanent' when 'ignored' then 'ignored' else 'open' end,
    resolved_at = case when state in ('filled', 'unfillable', 'ignored') then coalesce(g.resolved_at, now()) end
  where g.gap_id = $1;
  return true;
end
$$;
comment on function l0_pipeline.update_gap_fill_status(uuid, text, text, integer, text) is
    'Says how filling a gap goes; false when there is no such gap. The last failure that is allowed makes it unfillable.';

create function l0_pipeline.record_data_gaps(
    start_date timestamptz default now() - interval '1 day',
    end_date timestamptz default now(),
    symbol text default 'USDCOP',
    timeframe text default '5min',
    detected_by text default 'pipeline_l0'
)
returns bigint
language sql set search_path = pg_catalog as $$
  select count(l0_pipeline.create_data_gap_record(
    g.gap_start, g.gap_end, g.missing_points, $5, 'missing_sequence', g.severity, $3, $4,
    gap_type => g.gap_type, impact_score => g.impact_score))
  from l0_pipeline.detect_data_gaps($1, $2, $3, $4) g
$$;
comment on function l0_pipeline.record_data_gaps(timestamptz, timestamptz, text, text, text) is
    'Detects gaps and writes each down; says how many. For a job.';
