-- Daily bars as a plain view: right in both editions and on every replica. Where a continuous aggregate is possible, migration
-- 009 puts one in its place, which has the same columns and rows, archived days included.

create view market_data.ohlcv_daily as
select
    bar.symbol,
    public.time_bucket(interval '1 day', bar."timestamp") as day,
    public.first(bar.open, bar."timestamp") as open,
    max(bar.high) as high,
    min(bar.low) as low,
    public.last(bar.close, bar."timestamp") as close,
    sum(bar.volume) as volume,
    avg(bar.vwap) as vwap
from (
    select symbol, "timestamp", open, high, low, close, volume, vwap from market_data.ohlcv
    union all
    select symbol, "timestamp", open, high, low, close, volume, vwap from market_data.ohlcv_archive
) as bar
group by 1, 2;

comment on view market_data.ohlcv_daily is 'Open, high, low, close, volume and mean VWAP of each symbol and UTC day.';
