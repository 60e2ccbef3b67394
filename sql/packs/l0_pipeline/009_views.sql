-- The guide's materialized views, and what looks after tables.

create materialized view l0_pipeline.daily_ohlc_summary as
select
    m.symbol,
    m.timeframe,
    (m.datetime at time zone 'America/Bogota')::date as trading_date,
    min(m.datetime) as session_start,
    max(m.datetime) as session_end,
    (array_agg(m.open order by m.datetime))[1] as open,
    max(m.high) as high,
    min(m.low) as low,
    (array_agg(m.close order by m.datetime desc))[1] as close,
    sum(m.volume)::bigint as volume,
    count(*) as data_points,
    round(100.0 * count(*) * extract(epoch from l0_pipeline.bar_length(m.timeframe)) / 18000, 2) as completeness_pct,
    max(m.high) - min(m.low) as trading_range,
    round(stddev_samp(m.close), 4) as price_volatility,
    round(100 * ((array_agg(m.close order by m.datetime desc))[1] / (array_agg(m.open order by m.datetime))[1] - 1), 4)
        as daily_return_pct,
    array_agg(distinct m.source) as sources
from l0_pipeline.market_data as m
where m.trading_session
group by 1, 2, 3
with no data;
comment on materialized view l0_pipeline.daily_ohlc_summary is 'Each session of each symbol, as of the last refresh.';
create unique index idx_daily_ohlc_summary_key on l0_pipeline.daily_ohlc_summary (symbol, timeframe, trading_date);
create index idx_daily_ohlc_summary_date on l0_pipeline.daily_ohlc_summary (trading_date desc);

create materialized view l0_pipeline.hourly_trading_metrics as
select
    m.symbol,
    m.timeframe,
    (m.datetime at time zone 'America/Bogota')::date as trading_date,
    extract(hour from m.datetime at time zone 'America/Bogota')::integer as trading_hour,
    (array_agg(m.open order by m.datetime))[1] as open,
    max(m.high) as high,
    min(m.low) as low,
    (array_agg(m.close order by m.datetime desc))[1] as close,
    sum(m.volume)::bigint as volume,
    count(*) as data_points,
    round(100.0 * count(*) * extract(epoch from l0_pipeline.bar_length(m.timeframe)) / 3600, 2) as completeness_pct,
    round(stddev_samp(m.close), 4) as hourly_volatility,
    round(100 * ((array_agg(m.close order by m.datetime desc))[1] / (array_agg(m.open order by m.datetime))[1] - 1), 4)
        as hourly_return_pct
from l0_pipeline.market_data as m
where m.trading_session
group by 1, 2, 3, 4
with no data;
comment on materialized view l0_pipeline.hourly_trading_metrics is 'Each hour of each session, as of the last refresh.';
create unique index idx_hourly_trading_metrics_key
    on l0_pipeline.hourly_trading_metrics (symbol, timeframe, trading_date, trading_hour);

create materialized view l0_pipeline.api_usage_efficiency as
select
    u.api_key_name,
    (u.request_datetime at time zone 'UTC')::date as usage_date,
    count(*) as total_requests,
    sum(u.credits_used) as total_credits,
    count(*) filter (where u.success) as successful_requests,
    round(100.0 * count(*) filter (where u.success) / count(*), 2) as success_rate,
    round(avg(u.response_time_ms), 2) as avg_response_time,
    percentile_cont(0.95) within group (order by u.response_time_ms) as p95_response_time,
    max(u.response_time_ms) as max_response_time,
    min(u.daily_credits_remaining) as min_credits_remaining,
    array_agg(distinct u.error_message) filter (where not u.success) as error_messages
from l0_pipeline.api_usage as u
group by 1, 2
with no data;
comment on materialized view l0_pipeline.api_usage_efficiency is 'Each key''s requests by UTC day, as of the last refresh.';
create unique index idx_api_usage_efficiency_key on l0_pipeline.api_usage_efficiency (api_key_name, usage_date);

-- Only owners may refresh; whoever may write bars may have it done.
create function l0_pipeline.refresh_trading_views() returns text
language plpgsql security definer set search_path = pg_catalog as $$
declare
  view record;
begin
  if not has_table_privilege(session_user, 'l0_pipeline.market_data', 'insert') then
    raise exception 'refreshing views takes the right to write market_data' using errcode = 'insufficient_privilege';
  end if;
  for view in
    select c.oid::regclass as name, c.relispopulated as has_rows from pg_class c
    where c.relnamespace = 'l0_pipeline'::regnamespace and c.relkind = 'm' order by c.relname
  loop
    -- Readers go on reading, except the first time, when there is nothing to read.
    execute format('refresh materialized view %s %s', case when view.has_rows then 'concurrently' end, view.name);
  end loop;
  return 'refreshed at ' || clock_timestamp();
end
$$;
comment on function l0_pipeline.refresh_trading_views() is 'Brings the three materialized views up to date.';

-- A logical replica would show for ever what was there now, without saying so. There they stay without rows, and are refused.
do $$
declare
  seat text := 'primary';
begin
  if to_regclass('hypertide.node') is not null then
    select n.seat into seat from hypertide.node n;
  end if;
  if seat is distinct from 'logical' then
    perform l0_pipeline.refresh_trading_views();
  end if;
end
$$;

create function l0_pipeline.get_database_statistics()
returns table (table_name text, total_size text, total_bytes bigint, estimated_rows bigint, recent_records bigint, latest timestamptz)
language plpgsql stable set search_path = pg_catalog as $$
declare
  listed record;
begin
  for listed in
    select * from (values
      ('market_data', 'created_at'), ('trading_signals', 'created_at'), ('pipeline_runs', 'created_at'),
      ('api_usage', 'request_datetime'), ('ready_signals', 'created_at'), ('data_gaps', 'detected_at'),
      ('pipeline_health', 'measured_at'), ('system_metrics', 'measured_at'), ('data_quality_checks', 'created_at')
    ) t (name, time_column)
  loop
    table_name := listed.name;
    select p.total_bytes, p.live_rows into total_bytes, estimated_rows
    from l0_pipeline.analyze_table_performance() p where p.table_name = listed.name;
    total_size := pg_size_pretty(total_bytes);
    execute format('select count(*), max(%1$I) from l0_pipeline.%2$I where %1$I >= now() - interval ''24 hours''',
      listed.time_column, listed.name) into recent_records, latest;
    return next;
  end loop;
end
$$;
comment on function l0_pipeline.get_database_statistics() is 'Size of each table, and how many rows came in the last day.';

create function l0_pipeline.analyze_table_performance()
returns table (
    table_name text,
    total_size text,
    total_bytes bigint,
    index_size text,
    live_rows bigint,
    dead_rows bigint,
    dead_pct numeric,
    seq_scans bigint,
    index_scans bigint,
    last_vacuum timestamptz,
    last_analyze timestamptz,
    recommendation text
)
language sql stable set search_path = pg_catalog as $$
  select t.name, pg_size_pretty(t.bytes), t.bytes, pg_size_pretty(t.index_bytes), t.live, t.dead, t.dead_pct, t.seq, t.idx,
    t.vacuumed, t.analyzed,
    case
      when t.dead > 1000 and t.dead_pct > 20 then 'vacuum'
      when t.live > 1000 and t.analyzed is null then 'analyze'
      when t.live > 10000 and t.seq > 10 * coalesce(t.idx, 0) then 'look for a missing index'
    end
  from (
    select c.relname::text as name, sum(pg_total_relation_size(p.oid))::bigint as bytes,
      sum(pg_indexes_size(p.oid))::bigint as index_bytes, sum(s.n_live_tup)::bigint as live, sum(s.n_dead_tup)::bigint as dead,
      round(100.0 * sum(s.n_dead_tup) / nullif(sum(s.n_live_tup + s.n_dead_tup), 0), 2) as dead_pct,
      sum(s.seq_scan)::bigint as seq, sum(s.idx_scan)::bigint as idx,
      max(greatest(s.last_vacuum, s.last_autovacuum)) as vacuumed, max(greatest(s.last_analyze, s.last_autoanalyze)) as analyzed
    from pg_class c
    -- A hypertable's rows are in its chunks.
    cross join lateral (select c.oid union all select i.inhrelid from pg_inherits i where i.inhparent = c.oid) p
    join pg_stat_all_tables s on s.relid = p.oid
    where c.relnamespace = 'l0_pipeline'::regnamespace and c.relkind = 'r'
    group by c.oid, c.relname
  ) t
  order by t.bytes desc, t.name
$$;
comment on function l0_pipeline.analyze_table_performance() is 'Sizes, rows and scans of each table, chunks included, and what to do.';
