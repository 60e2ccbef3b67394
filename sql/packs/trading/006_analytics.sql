-- Plain views, so that they work in both editions and are never stale, on a replica either.

create view analytics.dual_ticker_summary as
select
    public.time_bucket(interval '1 day', bar."timestamp") as day,
    bar.symbol,
    public.first(bar.open, bar."timestamp") as open,
    max(bar.high) as high,
    min(bar.low) as low,
    public.last(bar.close, bar."timestamp") as close,
    sum(bar.volume)::bigint as volume,
    count(*) as bars
from trading.market_data as bar
group by 1, 2;

comment on view analytics.dual_ticker_summary is 'Open, high, low, close and volume of each symbol and UTC day.';

create view analytics.nvda_msft_correlation as
with closes as (
    select nvda.day, nvda.close as nvda_close, msft.close as msft_close
    from analytics.dual_ticker_summary as nvda
    join analytics.dual_ticker_summary as msft using (day)
    where nvda.symbol = 'NVDA' and msft.symbol = 'MSFT'
),
returns as (
    select
        day,
        nvda_close,
        msft_close,
        -- Rounded, so that steady growth is the same return each day, down to the last digit.
        round(nvda_close / nullif(lag(nvda_close) over by_day, 0) - 1, 12) as nvda_return,
        round(msft_close / nullif(lag(msft_close) over by_day, 0) - 1, 12) as msft_return
    from closes
    window by_day as (order by day)
)
select
    day,
    nvda_close,
    msft_close,
    nvda_return,
    msft_return,
    -- corr() over values that are all alike gives chance instead of null, and can miss -1 and 1 by the last digit.
    case
        when min(nvda_return) over last_30_days < max(nvda_return) over last_30_days
            and min(msft_return) over last_30_days < max(msft_return) over last_30_days
        then round(corr(nvda_return::float8, msft_return::float8) over last_30_days::numeric, 12)::float8
    end as correlation,
    case
        when min(nvda_close) over last_30_days < max(nvda_close) over last_30_days
            and min(msft_close) over last_30_days < max(msft_close) over last_30_days
        then round(corr(nvda_close::float8, msft_close::float8) over last_30_days::numeric, 12)::float8
    end as close_correlation,
    count(nvda_return + msft_return) over last_30_days as observations
from returns
window last_30_days as (order by day rows between 29 preceding and current row);

comment on view analytics.nvda_msft_correlation is
    'Correlation of NVDA and MSFT over the last 30 days on which both traded.';
comment on column analytics.nvda_msft_correlation.correlation is
    'Of daily returns; null while there are fewer than two, or when one of them was the same every day.';
comment on column analytics.nvda_msft_correlation.close_correlation is 'Of daily closes.';
comment on column analytics.nvda_msft_correlation.observations is
    'Pairs of returns in the window; below 30 the correlation says little.';
