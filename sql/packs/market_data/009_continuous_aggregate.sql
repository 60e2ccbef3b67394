-- needs: community, no-logical-replica
-- A continuous aggregate on a logical replica goes stale without saying so; there the plain view stays.

drop view market_data.ohlcv_daily;

-- An aggregate is made from market_data.ohlcv alone. What was archived before there was one goes back for a day, so that the
-- first refresh sees it; the job below archives it again.
insert into market_data.ohlcv
    (id, symbol, "timestamp", open, high, low, close, volume, vwap, trades_count, timeframe, source, created_at, updated_at)
select id, symbol, "timestamp", open, high, low, close, volume, vwap, trades_count, timeframe, source, created_at, updated_at
from market_data.ohlcv_archive
on conflict (symbol, "timestamp") do nothing;
truncate market_data.ohlcv_archive;

create materialized view market_data.ohlcv_daily
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
    symbol,
    public.time_bucket(interval '1 day', "timestamp") as day,
    public.first(open, "timestamp") as open,
    max(high) as high,
    min(low) as low,
    public.last(close, "timestamp") as close,
    sum(volume) as volume,
    avg(vwap) as vwap
from market_data.ohlcv
group by symbol, day
with no data;

comment on view market_data.ohlcv_daily is 'Open, high, low, close, volume and mean VWAP of each symbol and UTC day.';

grant select on market_data.ohlcv_daily to tetra_reader;
grant select on market_data.ohlcv_daily to tetra_app;

select public.add_continuous_aggregate_policy('market_data.ohlcv_daily',
    start_offset => interval '3 days',
    end_offset => interval '1 hour',
    schedule_interval => interval '1 hour');

-- The policy looks three days back. Whatever is loaded, or corrected, further back is taken up by this job; only what changed
-- is computed again. It never looks behind the oldest bar, since that would take away the days that were archived.
create procedure market_data.refresh_history(job_id integer, config jsonb)
language plpgsql as $$
declare
  oldest timestamptz;
begin
  select min(c.range_start) into oldest from timescaledb_information.chunks c
  where c.hypertable_schema = 'market_data' and c.hypertable_name = 'ohlcv';
  if oldest is not null then
    call public.refresh_continuous_aggregate('market_data.ohlcv_daily', oldest, null);
  end if;
end
$$;

select public.add_job('market_data.refresh_history', interval '1 day');

-- Archives the chunks older than two years, and then drops them; not before the first refresh.
create procedure market_data.archive_and_drop(job_id integer, config jsonb)
language plpgsql set search_path = pg_catalog as $$
begin
  perform market_data.archive_old_ohlcv((config ->> 'drop_after')::interval);
end
$$;

select public.add_job('market_data.archive_and_drop', interval '1 day', config => '{"drop_after": "2 years"}',
    initial_start => now() + interval '1 day');
