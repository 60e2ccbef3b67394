-- Statements that make continuous aggregates again, empty: those that others build upon first, else by name.
with recursive depth as (
  select mat_hypertable_id as id, 0 as depth from _timescaledb_catalog.continuous_agg where parent_mat_hypertable_id is null
  union all
  select a.mat_hypertable_id, d.depth + 1 from _timescaledb_catalog.continuous_agg a join depth d on d.id = a.parent_mat_hypertable_id
), agg as (
  select d.depth, a.mat_hypertable_id, a.materialized_only, format('%I.%I', a.user_view_schema, a.user_view_name) as name,
         v.relowner, v.oid, v.relacl, pg_get_viewdef(format('%I.%I', a.direct_view_schema, a.direct_view_name)::regclass) as query,
         m.oid as mat, h.table_name, h.compression_state = 1 or h.status & 4 = 4 as is_compressed,
         i.column_name, i.interval_length, i.compress_interval_length,
         i.column_type in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype, 'uuid'::regtype) as is_time
  from depth d
  join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = d.id
  join _timescaledb_catalog.hypertable h on h.id = a.mat_hypertable_id
  join _timescaledb_catalog.dimension i on i.hypertable_id = h.id
  join pg_class m on m.oid = format('%I.%I', h.schema_name, h.table_name)::regclass
  join pg_class v on v.oid = format('%I.%I', a.user_view_schema, a.user_view_name)::regclass
)
select statement from (
  select depth, name, 1 as part, '' as key,
         format(e'CREATE MATERIALIZED VIEW %s WITH (timescaledb.continuous, timescaledb.materialized_only = %s, timescaledb.create_group_indexes = false) AS\n%s\nWITH NO DATA;',
           name, materialized_only::text, rtrim(query, ' ;')) as statement
  from agg
  union all
  select depth, name, 2, '', format('ALTER MATERIALIZED VIEW %s SET (timescaledb.chunk_interval = %L);', name,
    case when is_time then justify_hours((interval_length || ' microseconds')::interval)::text else interval_length::text end)
  from agg
  union all
  -- The materialization has an index on the time by itself. Names with ids in them are left to the server.
  select depth, name, 3, line, format('CREATE%s INDEX%s ON %s USING%s;', case when x.indisunique then ' UNIQUE' else '' end,
    case when i.relname like table_name || '%' then '' else ' ' || quote_ident(i.relname) end, name, line)
  from agg
  join pg_index x on x.indrelid = agg.mat
  join pg_class i on i.oid = x.indexrelid
  cross join lateral (select substring(pg_get_indexdef(x.indexrelid) from ' USING(.*)$') as line) l
  where line <> format(' btree (%I DESC)', column_name)
  union all
  select depth, name, 4, '', format('ALTER MATERIALIZED VIEW %s SET (timescaledb.compress%s%s%s);', name,
    case when coalesce(cs.segmentby, '{}') <> '{}' then format(', timescaledb.compress_segmentby = %L', (
      select string_agg(quote_ident(x), ', ' order by o) from unnest(cs.segmentby) with ordinality u (x, o))) else '' end,
    case when coalesce(cs.orderby, '{}') <> '{}' then format(', timescaledb.compress_orderby = %L', (
      select string_agg(concat(quote_ident(c), case when d then ' DESC' end,
        case when f and not d then ' NULLS FIRST' when d and not f then ' NULLS LAST' end), ', ' order by o)
      from unnest(cs.orderby, cs.orderby_desc, cs.orderby_nullsfirst) with ordinality u (c, d, f, o))) else '' end,
    case when compress_interval_length is not null then format(', timescaledb.compress_chunk_time_interval = %L', case when is_time
      then justify_hours((compress_interval_length || ' microseconds')::interval)::text else compress_interval_length::text end) else '' end)
  from agg left join _timescaledb_catalog.compression_settings cs on cs.relid = agg.mat and cs.compress_relid is null
  where is_compressed
  union all
  select depth, name, 5, '', format('ALTER MATERIALIZED VIEW %s OWNER TO %I;', name, pg_get_userbyid(relowner)) from agg
  union all
  select depth, name, 6, coalesce(r.grantee::regrole::text, ''), format('GRANT %s ON TABLE %s TO %s%s;',
    string_agg(r.privilege_type, ', ' order by r.privilege_type), name,
    case r.grantee when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(r.grantee)) end,
    case when r.is_grantable then ' WITH GRANT OPTION' else '' end)
  from agg cross join lateral aclexplode(relacl) r
  where r.grantee <> relowner
  group by depth, name, r.grantee, r.is_grantable
  union all
  select depth, name, 7, '', format('COMMENT ON VIEW %s IS %L;', name, obj_description(oid, 'pg_class'))
  from agg where obj_description(oid, 'pg_class') is not null
) s
order by depth, name collate "C", part, key collate "C"
