-- The guide's common queries. Bodies of the standard's own form: every name is resolved here and now.

create function market_data.latest_price(symbol text)
returns setof market_data.ohlcv
language sql stable parallel safe
begin atomic
    select bar.* from market_data.ohlcv as bar
    where bar.symbol = latest_price.symbol
    order by bar."timestamp" desc
    limit 1;
end;

comment on function market_data.latest_price(text) is 'The latest bar of a symbol.';

create function market_data.find_gaps(
    symbol text,
    first_day date default date '2024-01-01',
    last_day date default (now() at time zone 'UTC')::date
)
returns table (trading_date date)
language sql stable parallel safe
begin atomic
    select series.day::date
    from generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') as series (day)
    where extract(dow from series.day) not in (0, 6)
      and not exists (
          select from market_data.ohlcv as bar
          where bar.symbol = find_gaps.symbol
            and bar."timestamp" >= series.day at time zone 'UTC'
            and bar."timestamp" < (series.day + interval '1 day') at time zone 'UTC'
      )
    order by 1;
end;

comment on function market_data.find_gaps(text, date, date) is
    'Weekdays from first_day to last_day, both included, without a bar of the symbol. Holidays count as gaps.';
