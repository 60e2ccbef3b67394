-- Daily and hourly values, chunks, and the guide's queries. The two aggregates are plain views: right in both editions and on
-- every replica. Where continuous aggregates are possible, migration 010 puts them in their place.

create view dashboard.daily_ohlcv as
select
    source_id,
    public.time_bucket(interval '1 day', "timestamp") as day,
    public.first(coalesce(open, close), "timestamp") as open,
    max(coalesce(high, close)) as high,
    min(coalesce(low, close)) as low,
    public.last(close, "timestamp") as close,
    sum(volume) as volume,
    count(*) as rows
from dashboard.timeseries_data
where close is not null
group by 1, 2;
comment on view dashboard.daily_ohlcv is 'Open, high, low, close and volume of each source with closes, by UTC day.';

create view dashboard.hourly_values as
select
    source_id,
    public.time_bucket(interval '1 hour', "timestamp") as hour,
    avg(coalesce(value, close)) as avg_value,
    min(coalesce(value, close)) as min_value,
    max(coalesce(value, close)) as max_value,
    public.last(coalesce(value, close), "timestamp") as last_value,
    avg(quality_score) as avg_quality,
    count(*) as rows
from dashboard.timeseries_data
where coalesce(value, close) is not null
group by 1, 2;
comment on view dashboard.hourly_values is 'Mean, least, greatest and last value of each source, by hour.';

create view dashboard.latest_values as
select s.source_id, s.name, s.display_name, t."timestamp", coalesce(t.value, t.close) as value, t.quality_score
from dashboard.sources as s
cross join lateral (
    select d.* from dashboard.timeseries_data as d
    where d.source_id = s.source_id order by d."timestamp" desc limit 1
) as t
order by s.name;
comment on view dashboard.latest_values is 'The latest row of each source, with the source''s names.';

create view dashboard.chunk_stats as
select
    c.hypertable_name,
    c.chunk_schema,
    c.chunk_name,
    c.range_start,
    c.range_end,
    c.is_compressed,
    pg_catalog.pg_size_pretty(size.total_bytes) as size,
    size.total_bytes
from timescaledb_information.hypertables as h
cross join lateral public.chunks_detailed_size(
    pg_catalog.format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
) as size
join timescaledb_information.chunks as c on c.chunk_schema = size.chunk_schema and c.chunk_name = size.chunk_name
where h.hypertable_schema = 'dashboard'
order by c.hypertable_name, c.range_start;
comment on view dashboard.chunk_stats is 'Chunks of the dashboard''s hypertables, with their ranges and sizes.';

create function dashboard.chunk_compression_stats()
returns table (
    hypertable_name name,
    chunk_name name,
    compression_status text,
    before_total_bytes bigint,
    after_total_bytes bigint,
    ratio numeric
)
language sql stable set search_path = pg_catalog as $$
  select h.hypertable_name, s.chunk_name, s.compression_status,
    s.before_compression_total_bytes, s.after_compression_total_bytes,
    round(s.before_compression_total_bytes::numeric / nullif(s.after_compression_total_bytes, 0), 2)
  from timescaledb_information.hypertables h
  cross join lateral public.chunk_compression_stats(
    format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass) s
  where h.hypertable_schema = 'dashboard'
  order by h.hypertable_name, s.chunk_name
$$;
comment on function dashboard.chunk_compression_stats() is
    'Each chunk''s size before and after compression, and the ratio of the two; nothing where nothing can be compressed.';

create view dashboard.slow_queries as
select query, mean_exec_time, calls
from public.pg_stat_statements
where mean_exec_time > 500
order by mean_exec_time desc;
comment on view dashboard.slow_queries is 'Statements that take more than half a second on average.';

-- A continuous aggregate cannot be refreshed from inside a function, so its job is told to run at once.
create function dashboard.refresh_all_aggregates()
returns table (aggregate text, state text)
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if not has_table_privilege(session_user, 'dashboard.timeseries_data', 'insert') then
    raise exception 'refreshing aggregates takes the right to write timeseries_data' using errcode = 'insufficient_privilege';
  end if;
  for aggregate in values ('daily_ohlcv'), ('hourly_values') loop
    if exists (select from timescaledb_information.continuous_aggregates a
               where a.view_schema = 'dashboard' and a.view_name = aggregate) then
      perform public.alter_job(j.job_id, next_start => now()) from timescaledb_information.jobs j
      where j.proc_schema = 'dashboard' and j.proc_name = 'refresh_history';
      state := 'refresh begun';
    else
      state := 'always current';
    end if;
    return next;
  end loop;
end
$$;
comment on function dashboard.refresh_all_aggregates() is
    'Brings daily_ohlcv and hourly_values up to date, where they are not always.';
