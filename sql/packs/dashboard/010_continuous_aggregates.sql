-- needs: community, no-logical-replica
-- Continuous aggregates on a logical replica go stale without saying so; there the plain views stay.

drop view dashboard.daily_ohlcv, dashboard.hourly_values;

create materialized view dashboard.daily_ohlcv
with (timescaledb.continuous, timescaledb.materialized_only = false) as
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
group by 1, 2
with no data;
comment on view dashboard.daily_ohlcv is 'Open, high, low, close and volume of each source with closes, by UTC day.';

create materialized view dashboard.hourly_values
with (timescaledb.continuous, timescaledb.materialized_only = false) as
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
group by 1, 2
with no data;
comment on view dashboard.hourly_values is 'Mean, least, greatest and last value of each source, by hour.';

select public.add_continuous_aggregate_policy('dashboard.daily_ohlcv',
    start_offset => interval '7 days', end_offset => interval '1 hour', schedule_interval => interval '1 hour');
select public.add_continuous_aggregate_policy('dashboard.hourly_values',
    start_offset => interval '1 day', end_offset => interval '1 hour', schedule_interval => interval '1 hour');

-- The policies look back for days; this takes up what was loaded, or corrected, further back. Only what changed is computed
-- again. refresh_all_aggregates() has it run at once.
create procedure dashboard.refresh_history(job_id integer, config jsonb)
language plpgsql as $$
begin
  call public.refresh_continuous_aggregate('dashboard.daily_ohlcv', null, null);
  commit;
  call public.refresh_continuous_aggregate('dashboard.hourly_values', null, null);
end
$$;

select public.add_job('dashboard.refresh_history', interval '1 day');
