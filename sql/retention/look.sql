-- What retention decides on, as one JSON document.
-- $1 text  JSON list of [schema, table]
select json_build_object(
  'now', extract(epoch from clock_timestamp())::bigint,
  -- Backups of the whole database that are there, and were restored and found equal: when each began.
  'proofs', (
    select coalesce(json_agg(extract(epoch from m.created_at)::bigint), '[]')
    from hypertide.backup_metadata m
    where m.origin = 'hypertide' and m.kind in ('full', 'base') and m.is_active and m.validation_status = 'validated'),
  'hypertables', (
    select coalesce(json_agg(json_build_object(
      'schema', s.nspname, 'table', r.relname,
      'is_time', d.column_type in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype),
      'chunks', (
        select coalesce(json_agg(json_build_object(
          'schema', n.nspname, 'table', c.relname, 'end', h.slices[1][2]::text,
          'bytes', pg_total_relation_size(c.oid),
          'since', extract(epoch from k.since)::bigint, 'since_xid', k.since_xid::text)
          order by h.slices[1][2], n.nspname, c.relname), '[]')
        from hypertide.chunks(array[r.oid]) h
        join pg_class c on c.oid = h.relation
        join pg_namespace n on n.oid = c.relnamespace
        left join hypertide.chunk_activity k
          on k.schema_name = n.nspname and k.table_name = c.relname and k.activity = hypertide.activity(c.oid))
    )), '[]')
    from json_array_elements($1::text::json) e
    join pg_namespace s on s.nspname = e ->> 0
    join pg_class r on r.relnamespace = s.oid and r.relname = e ->> 1
    join _timescaledb_catalog.hypertable t on t.schema_name = s.nspname and t.table_name = r.relname
    join lateral (
      select column_type from _timescaledb_catalog.dimension d where d.hypertable_id = t.id order by d.id limit 1) d on true)
)::text
