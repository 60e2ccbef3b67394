-- Judges each row of timeseries_data as it comes. The triggers do not fire where rows arrive by replication: they arrive judged.

create function dashboard.required_fields(data_type dashboard.data_type) returns text[]
language sql immutable parallel safe
return case data_type
    when 'ohlcv'::dashboard.data_type then array['open', 'high', 'low', 'close', 'volume']
    when 'price'::dashboard.data_type then array['close']
    else array['value']
end;
comment on function dashboard.required_fields(dashboard.data_type) is 'The columns without which a row of such a source is incomplete.';

-- A row and the one before it give the score, whichever row is asked about.
create function dashboard.quality_score(
    data dashboard.timeseries_data,
    before dashboard.timeseries_data,
    source dashboard.sources,
    out score numeric,
    out penalties jsonb
)
language plpgsql stable set search_path = pg_catalog as $$
declare
  row_values jsonb := to_jsonb(data);
  old_values jsonb := to_jsonb(before);
  measured   numeric := coalesce(data.close, data.value);
  previous   numeric := coalesce(before.close, before.value);
  field      text;
  violated   text[];
begin
  score := 100;
  penalties := '{}';
  foreach field in array dashboard.required_fields(source.data_type) loop
    if row_values -> field is null or row_values -> field = 'null' then
      penalties := penalties || '{"completeness": 30}';
    end if;
  end loop;
  if data.ingested_at > data."timestamp" + 2 * source.update_interval then
    penalties := penalties || '{"timeliness": 20}';
  end if;
  if abs(measured - previous) > 0.5 * abs(previous) and previous <> 0 then
    penalties := penalties || '{"consistency": 25}';
  end if;
  select array_agg(r.name order by r.name) into violated
  from dashboard.validation_rules r
  cross join lateral (
    select (row_values ->> r.field)::numeric as now, (old_values ->> r.field)::numeric as earlier
  ) v
  where r.is_active and (r.source_id is null or r.source_id = data.source_id)
    and case r.rule_type
      when 'required' then v.now is null
      when 'range' then v.now < r.minimum or v.now > r.maximum
      when 'max_change' then abs(v.now - v.earlier) * 100 > r.maximum * abs(v.earlier)
    end;
  if violated is not null then
    penalties := penalties || jsonb_build_object('validation', 10 * cardinality(violated), 'violated', violated);
  end if;
  score := greatest(0, 100 - coalesce((penalties ->> 'completeness')::numeric, 0)
    - coalesce((penalties ->> 'timeliness')::numeric, 0)
    - coalesce((penalties ->> 'consistency')::numeric, 0)
    - coalesce((penalties ->> 'validation')::numeric, 0));
end
$$;

-- The source's last rows before a time: the latest whole, and what their measured values are like.
create function dashboard.earlier_rows(
    source dashboard.sources,
    at timestamptz,
    out previous dashboard.timeseries_data,
    out mean numeric,
    out deviation numeric
)
language plpgsql stable set search_path = pg_catalog
-- With bounds that are known when it is planned, a query opens one or two chunks instead of all of them.
set plan_cache_mode = force_custom_plan as $$
declare
  since timestamptz := at - 2 * source.zscore_window * source.update_interval;
  seen  record;
begin
  loop
    select (array_agg(e.line order by (e.line)."timestamp" desc))[1] as latest, count(*) as rows,
      count(e.measured) as known, avg(e.measured) as mean, stddev_samp(e.measured) as deviation
    into seen
    from (
      select t as line, coalesce(t.close, t.value) as measured
      from dashboard.timeseries_data t
      where t.source_id = source.source_id and t."timestamp" < at and t."timestamp" >= since
      order by t."timestamp" desc
      limit source.zscore_window
    ) e;
    exit when seen.rows = source.zscore_window or since = '-infinity';
    since := '-infinity';
  end loop;
  previous := seen.latest;
  if seen.known >= 10 then
    mean := seen.mean;
    deviation := seen.deviation;
  end if;
end
$$;
comment on function dashboard.earlier_rows(dashboard.sources, timestamptz) is
    'The row before a time, and mean and standard deviation of as many rows as the source''s zscore_window; null below ten.';

create function dashboard.z_score(observed numeric, mean numeric, deviation numeric) returns numeric
language sql immutable parallel safe
-- Values that were all alike say nothing about how far is far. The column has room for so much.
return case when deviation > 0 then least(greatest(round((observed - mean) / deviation, 4), -99999999), 99999999) end;
comment on function dashboard.z_score(numeric, numeric, numeric) is
    'How many standard deviations a value is off the mean; null when there is none.';

create function dashboard.calculate_quality_score() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
  source  dashboard.sources;
  earlier record;
  judged  record;
begin
  if tg_op = 'UPDATE' and new.updated_at is not distinct from old.updated_at then
    new.updated_at := now();
  end if;
  select s.* into source from dashboard.sources s where s.source_id = new.source_id;
  if not found or new."timestamp" is null then
    -- The foreign key, or the key itself, refuses it.
    return new;
  end if;
  earlier := dashboard.earlier_rows(source, new."timestamp");
  new.z_score := dashboard.z_score(coalesce(new.close, new.value), earlier.mean, earlier.deviation);
  new.is_anomaly := coalesce(abs(new.z_score) > 4, false);
  judged := dashboard.quality_score(new, earlier.previous, source);
  new.quality_score := judged.score;
  new.metadata := coalesce(new.metadata, '{}') - 'penalties';
  if judged.penalties <> '{}' then
    new.metadata := new.metadata || jsonb_build_object('penalties', judged.penalties);
  end if;
  return new;
end
$$;

create trigger trg_calculate_quality_score
    before insert or update of source_id, "timestamp", open, high, low, close, volume, value, ingested_at
    on dashboard.timeseries_data
    for each row execute function dashboard.calculate_quality_score();
