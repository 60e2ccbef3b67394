-- What there is to say of a database's schema, as one JSON document of the shape of `model::description`. Nothing in it tells a time, an id or
-- how many rows there are, so that it changes when the schema does.
, relation as (
  select c.oid, c.schema, c.relname, c.relowner, c.relacl,
         case when g.view_name is not null then 'continuous aggregate'
              else case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
                     else case when h.id is not null then 'hypertable' else 'table' end end end as kind,
         case when g.view_name is not null then g.view_definition when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as definition,
         h.id as hypertable, coalesce(h.associated_schema_name, '') as chunk_schema, h.schema_name, h.table_name
  from own c
  left join timescaledb_information.continuous_aggregates g on g.view_schema = c.schema and g.view_name = c.relname
  left join _timescaledb_catalog.hypertable h on h.schema_name = c.schema and h.table_name = c.relname
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
)
select json_build_object('schemas', coalesce((
  select json_agg(json_build_object(
    'name', s.schema,
    'comment', obj_description(s.oid, 'pg_namespace'),
    'grants', (
      select coalesce(json_agg(g.line order by g.line collate "C"), '[]')
      from (select concat(case e.grantee when 0 then 'public' else pg_get_userbyid(e.grantee) end, ': ',
                     string_agg(lower(e.privilege_type), ', ' order by e.privilege_type)) as line
            from aclexplode(s.nspacl) e where e.grantee <> s.nspowner group by e.grantee) g),
    'relations', (
      select coalesce(json_agg(json_build_object(
        'name', r.relname, 'kind', r.kind, 'comment', obj_description(r.oid, 'pg_class'), 'definition', r.definition,
        'columns', (
          select coalesce(json_agg(json_build_object(
            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
            'default', case when a.attidentity <> '' then 'identity' else pg_get_expr(d.adbin, d.adrelid) end,
            'comment', col_description(r.oid, a.attnum)) order by a.attnum), '[]')
          from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
          where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped),
        'chunks', (
          select coalesce(json_agg(line order by place, line collate "C"), '[]')
          from (
            select 1 as place, concat('chunks in schema ', r.chunk_schema) as line where r.hypertable is not null
            union all
            select 1 + d.dimension_number, concat_ws(' ', 'dimension', d.column_name,
              'every ' || coalesce(d.time_interval::text, d.integer_interval::text), 'in ' || d.num_partitions || ' slices')
            from timescaledb_information.dimensions d
            where d.hypertable_schema = r.schema_name and d.hypertable_name = r.table_name
            union all
            select 10, concat('compression ', (jsonb_strip_nulls(to_jsonb(cs) - 'relid' - 'compress_relid'))::text)
            from _timescaledb_catalog.compression_settings cs where cs.relid = r.oid and cs.compress_relid is null
            union all
            select 20, concat_ws(' ', 'job', j.proc_schema || '.' || j.proc_name, 'every ' || j.schedule_interval,
              nullif((j.config - 'hypertable_id' - 'mat_hypertable_id')::text, '{}'))
            from timescaledb_information.jobs j where j.hypertable_schema = r.schema and j.hypertable_name = r.relname) l),
        'indexes', (
          select coalesce(json_agg(pg_get_indexdef(x.indexrelid) order by x.indexrelid::regclass::text collate "C"), '[]')
          from pg_index x where x.indrelid = r.oid
            and not exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x'))),
        'constraints', (
          select coalesce(json_agg(k.conname || ': ' || pg_get_constraintdef(k.oid) order by k.conname collate "C"), '[]')
          from pg_constraint k
          where k.conrelid = r.oid and k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0 and k.confrelid <> all ($1)),
        'grants', (
          select coalesce(json_agg(g.line order by g.line collate "C"), '[]')
          from (select concat(case e.grantee when 0 then 'public' else pg_get_userbyid(e.grantee) end, ': ',
                         string_agg(lower(e.privilege_type), ', ' order by e.privilege_type)) as line
                from aclexplode(r.relacl) e where e.grantee <> r.relowner group by e.grantee) g)
        ) order by r.relname collate "C"), '[]')
      from relation r where r.schema = s.schema),
    'functions', (
      select coalesce(json_agg(json_build_object(
        'signature', p.proname || '(' || pg_get_function_arguments(p.oid) || ')', 'returns', pg_get_function_result(p.oid),
        'comment', obj_description(p.oid, 'pg_proc'))
        order by p.proname collate "C", pg_get_function_identity_arguments(p.oid) collate "C"), '[]')
      from pg_proc p
      where p.pronamespace = s.oid
        and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
    ) order by s.schema collate "C")
  from own_schema s), '[]'))::text
