-- Retention that archives first. TimescaleDB's own policy would drop what nobody had copied yet.

create function market_data.archive_old_ohlcv(
    keep interval default interval '2 years',
    as_of timestamptz default now()
)
returns table (chunk text, range_start timestamptz, range_end timestamptz, archived bigint)
language plpgsql set search_path = pg_catalog as $$
declare
  old record;
begin
  if keep is null or keep < interval '30 days' then
    raise exception 'at least 30 days of bars are kept, and % was asked for', coalesce(keep::text, 'nothing')
      using errcode = 'invalid_parameter_value';
  end if;
  for old in
    select c.chunk_schema, c.chunk_name, c.range_start, c.range_end
    from timescaledb_information.chunks c
    where c.hypertable_schema = 'market_data' and c.hypertable_name = 'ohlcv' and c.range_end <= as_of - keep
    order by c.range_start
  loop
    -- Nobody writes to it between the copy and the end of this transaction.
    execute format('lock table %I.%I in exclusive mode', old.chunk_schema, old.chunk_name);
    -- A bar that comes again after it was archived is newer than the archived one.
    insert into market_data.ohlcv_archive as a
      (id, symbol, "timestamp", open, high, low, close, volume, vwap, trades_count, timeframe, source, created_at, updated_at)
    select o.id, o.symbol, o."timestamp", o.open, o.high, o.low, o.close, o.volume, o.vwap, o.trades_count, o.timeframe,
           o.source, o.created_at, o.updated_at
    from market_data.ohlcv o
    where o."timestamp" >= old.range_start and o."timestamp" < old.range_end
    on conflict (symbol, "timestamp") do update set
      id = excluded.id, open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
      volume = excluded.volume, vwap = excluded.vwap, trades_count = excluded.trades_count, timeframe = excluded.timeframe,
      source = excluded.source, created_at = excluded.created_at, updated_at = excluded.updated_at, archived_at = now();
    get diagnostics archived = row_count;
    perform public.drop_chunks('market_data.ohlcv', older_than => old.range_end, newer_than => old.range_start);
    chunk := format('%I.%I', old.chunk_schema, old.chunk_name);
    range_start := old.range_start;
    range_end := old.range_end;
    return next;
  end loop;
end
$$;

comment on function market_data.archive_old_ohlcv(interval, timestamptz) is
    'Copies each chunk that is wholly older than keep into market_data.ohlcv_archive, then drops it; says how many bars of each.';
