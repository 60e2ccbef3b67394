-- Statements that make plain tables hypertables again, in an order in which they work, sorted by name.
-- The older form of create_hypertable() is the only one that takes a schema and a prefix for chunks.
with ext as (
  select quote_ident(n.nspname) as s from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
), ht as (
  select h.*, ext.s, format('%I.%I', h.schema_name, h.table_name) as name,
         h.associated_schema_name <> '_timescaledb_internal' or h.associated_table_prefix <> '_hyper_' || h.id as is_own_place
  from _timescaledb_catalog.hypertable h cross join ext
  where h.schema_name !~ '^_timescaledb_' and h.schema_name <> 'hypertide'
), dim as (
  select ht.*, d.id as dimension_id, d.column_name, d.num_slices, d.compress_interval_length,
         row_number() over (partition by ht.id order by d.id) as place,
         quote_ident(d.partitioning_func_schema) || '.' || quote_ident(d.partitioning_func) as func,
         d.partitioning_func is not null and d.partitioning_func <> 'get_partition_hash' as has_func,
         quote_ident(d.integer_now_func_schema) || '.' || quote_ident(d.integer_now_func) as now_func, d.integer_now_func is not null as has_now,
         d.interval_length as length,
         coalesce(p.result, d.column_type::oid) in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype, 'uuid'::regtype) as is_time,
         coalesce(p.result, d.column_type::oid)::regtype as kind
  from ht
  join _timescaledb_catalog.dimension d on d.hypertable_id = ht.id
  left join lateral (
    select f.prorettype as result from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where d.num_slices is null and n.nspname = d.partitioning_func_schema and f.proname = d.partitioning_func limit 1) p on true
), told as (
  select dim.*, case when num_slices is not null then null
      when is_time then format('INTERVAL %L', justify_hours((length || ' microseconds')::interval))
      else length::text || '::' || case kind when 'smallint'::regtype then 'smallint' when 'integer'::regtype then 'integer' else 'bigint' end
    end as every,
    case when has_func then format(', partition_func => %L', func) else '' end as by_func
  from dim
)
select statement from (
  select name, 1 as part, place, case when is_own_place
      then format('SELECT %s.create_hypertable(%L, %L, associated_schema_name => %L%s, chunk_time_interval => %s, create_default_indexes => false%s);',
        s, name, column_name, associated_schema_name,
        case when associated_table_prefix <> '_hyper_' || id then format(', associated_table_prefix => %L', associated_table_prefix) else '' end,
        every, case when has_func then format(', time_partitioning_func => %L', func) else '' end)
      else format('SELECT %s.create_hypertable(%L, %s.by_range(%L, %s%s), create_default_indexes => false);',
        s, name, s, column_name, every, by_func) end as statement
  from told where place = 1
  union all
  select name, 2, place, format('SELECT %s.add_dimension(%L, %s.%s);', s, name, s, case when num_slices is not null
      then format('by_hash(%L, %s%s)', column_name, num_slices, by_func)
      else format('by_range(%L, %s%s)', column_name, every, by_func) end)
  from told where place > 1
  union all
  select name, 3, place, format('SELECT %s.set_integer_now_func(%L, %L);', s, name, now_func) from told where has_now
  union all
  select ht.name, 4, row_number() over (order by t.id), format('SELECT %s.attach_tablespace(%L, %L);', ht.s, t.tablespace_name, ht.name)
  from ht join _timescaledb_catalog.tablespace t on t.hypertable_id = ht.id
  union all
  select ht.name, 5, row_number() over (order by c.column_name),
         format(e'SET timescaledb.enable_chunk_skipping = on;\nSELECT %s.enable_chunk_skipping(%L, %L);', ht.s, ht.name, c.column_name)
  from ht join _timescaledb_catalog.chunk_column_stats c on c.hypertable_id = ht.id where coalesce(c.chunk_id, 0) = 0
  union all
  select ht.name, 6, 1, format('ALTER TABLE %s SET (timescaledb.compress%s%s%s%s);', ht.name,
    case when coalesce(cs.segmentby, '{}') <> '{}' then format(', timescaledb.compress_segmentby = %L', (
      select string_agg(quote_ident(x), ', ' order by o) from unnest(cs.segmentby) with ordinality u (x, o))) else '' end,
    case when coalesce(cs.orderby, '{}') <> '{}' then format(', timescaledb.compress_orderby = %L', (
      select string_agg(concat(quote_ident(c), case when d then ' DESC' end,
        case when f and not d then ' NULLS FIRST' when d and not f then ' NULLS LAST' end), ', ' order by o)
      from unnest(cs.orderby, cs.orderby_desc, cs.orderby_nullsfirst) with ordinality u (c, d, f, o))) else '' end,
    (select format(', timescaledb.compress_chunk_time_interval = %L', case when is_time
       then justify_hours((compress_interval_length || ' microseconds')::interval)::text else compress_interval_length::text end)
     from told where told.id = ht.id and place = 1 and compress_interval_length is not null),
    -- Since 2.21; those that come with the order are made by themselves.
    (select format(', timescaledb.compress_index = %L', string_agg(format('%s(%s)', i ->> 'type',
       case jsonb_typeof(i -> 'column') when 'array'
         then (select string_agg(quote_ident(c), ', ' order by o) from jsonb_array_elements_text(i -> 'column') with ordinality u (c, o))
         else quote_ident(i ->> 'column') end), ', '))
     from jsonb_array_elements(coalesce(nullif(to_jsonb(cs) -> 'index', 'null'), '[]')) i where i ->> 'source' = 'config'
     having count(*) > 0))
  from ht
  left join _timescaledb_catalog.compression_settings cs on cs.relid = ht.name::regclass and cs.compress_relid is null
  where ht.compression_state = 1 or ht.status & 4 = 4
) s
order by name collate "C", part, place
