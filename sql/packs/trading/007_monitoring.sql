-- Bodies of the standard's own form: every name is resolved here and now, whatever search_path a caller has.

create function monitoring.check_data_freshness(
    max_age interval default interval '1 day',
    as_of timestamptz default now()
)
returns table (symbol text, last_update timestamptz, age interval, status text)
language sql stable parallel safe
begin atomic
    -- One index probe per symbol instead of a scan of all history.
    with recursive symbols as (
        (select bar.symbol from trading.market_data as bar order by bar.symbol limit 1)
        union all
        select (
            select bar.symbol from trading.market_data as bar
            where bar.symbol > known.symbol order by bar.symbol limit 1
        )
        from symbols as known where known.symbol is not null
    )
    select
        known.symbol,
        latest."timestamp",
        as_of - latest."timestamp",
        case
            -- A bar from the future is a wrong clock or time zone, and would look fresh for too long.
            when latest."timestamp" > as_of + interval '5 minutes' then 'future'
            when as_of - latest."timestamp" <= max_age then 'fresh'
            else 'stale'
        end
    from symbols as known
    cross join lateral (
        select bar."timestamp" from trading.market_data as bar
        where bar.symbol = known.symbol order by bar."timestamp" desc limit 1
    ) as latest
    order by known.symbol;
end;

comment on function monitoring.check_data_freshness(interval, timestamptz) is
    'For each symbol the age of its latest bar: fresh, stale (older than max_age) or future.';

create function monitoring.validate_ohlc_data(
    since timestamptz default '-infinity',
    until timestamptz default 'infinity'
)
returns table (
    "timestamp" timestamptz,
    symbol text,
    source text,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume bigint,
    problems text[]
)
language sql stable parallel safe
begin atomic
    select
        bar."timestamp", bar.symbol, bar.source, bar.open, bar.high, bar.low, bar.close, bar.volume, found.problems
    from trading.market_data as bar
    cross join lateral (
        select array_remove(array[
            case when bar.high < bar.low then 'high is below low' end,
            case when bar.open > bar.high then 'open is above high' end,
            case when bar.open < bar.low then 'open is below low' end,
            case when bar.close > bar.high then 'close is above high' end,
            case when bar.close < bar.low then 'close is below low' end,
            case when least(bar.open, bar.high, bar.low, bar.close) <= 0 then 'a price is not positive' end,
            -- NaN sorts above infinity.
            case when greatest(bar.open, bar.high, bar.low, bar.close) >= 'infinity' then 'a price is not a number' end
        ], null) as problems
    ) as found
    where bar."timestamp" >= since and bar."timestamp" < until and found.problems <> '{}'
    order by bar."timestamp", bar.symbol;
end;

comment on function monitoring.validate_ohlc_data(timestamptz, timestamptz) is
    'Bars from since (inclusive) to until (exclusive) whose prices contradict each other, and how.';
