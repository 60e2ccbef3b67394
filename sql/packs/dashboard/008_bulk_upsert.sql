-- Loads many rows at once, new ones and corrections alike.

create function dashboard.bulk_upsert(records jsonb, out inserted bigint, out updated bigint)
language plpgsql set search_path = pg_catalog as $$
begin
  with given as (
    -- The last of several records for one row wins.
    select distinct on (source_id, "timestamp")
      (r.record ->> 'source_id')::integer as source_id, (r.record ->> 'timestamp')::timestamptz as "timestamp", r.record
    from jsonb_array_elements(records) with ordinality r (record, place)
    order by 1, 2, r.place desc
  ),
  merged as (
    -- What a record does not mention stays as it is; what it gives as null becomes null.
    select g.source_id, g."timestamp",
      case when g.record ? 'open' then (g.record ->> 'open')::numeric else t.open end as open,
      case when g.record ? 'high' then (g.record ->> 'high')::numeric else t.high end as high,
      case when g.record ? 'low' then (g.record ->> 'low')::numeric else t.low end as low,
      case when g.record ? 'close' then (g.record ->> 'close')::numeric else t.close end as close,
      case when g.record ? 'volume' then (g.record ->> 'volume')::numeric else t.volume end as volume,
      case when g.record ? 'value' then (g.record ->> 'value')::numeric else t.value end as value,
      coalesce((g.record ->> 'ingested_at')::timestamptz, t.ingested_at, now()) as ingested_at,
      coalesce(g.record -> 'metadata', t.metadata, '{}') as metadata
    from given g left join dashboard.timeseries_data t on t.source_id = g.source_id and t."timestamp" = g."timestamp"
  ),
  written as (
    insert into dashboard.timeseries_data as t
      (source_id, "timestamp", open, high, low, close, volume, value, ingested_at, metadata)
    select m.* from merged m order by m.source_id, m."timestamp"
    on conflict (source_id, "timestamp") do update set
      open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume,
      value = excluded.value, ingested_at = excluded.ingested_at, metadata = excluded.metadata
    where (t.open, t.high, t.low, t.close, t.volume, t.value, t.metadata - 'penalties')
      is distinct from (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.value,
        excluded.metadata - 'penalties')
    returning t.xmax = 0 as is_new
  )
  select count(*) filter (where is_new), count(*) filter (where not is_new) into inserted, updated from written;
end
$$;
comment on function dashboard.bulk_upsert(jsonb) is
    'Writes an array of objects with source_id, timestamp and any columns; says how many rows are new and how many changed.';
