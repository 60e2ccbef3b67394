-- Continuous aggregates by what they select, with the indexes of their materialization. Names with ids are left out of it.
select 'continuous aggregate ' || a.user_view_schema || '.' || a.user_view_name,
       concat_ws(e'\n',
         'owner ' || pg_get_userbyid(v.relowner),
         case when a.materialized_only then 'materialized only' else 'real-time' end,
         case when to_jsonb(a) ->> 'finalized' = 'false' then 'old format' end,
         'chunks every ' || (select d.interval_length from _timescaledb_catalog.dimension d
           where d.hypertable_id = a.mat_hypertable_id order by d.id limit 1),
         pg_get_viewdef(dv.oid),
         (select string_agg(i.line, e'\n' order by i.line collate "C")
          from (
            select replace(regexp_replace(pg_get_indexdef(x.indexrelid), ' INDEX \S+ ON ', ' INDEX ON '),
              h.table_name, 'materialization') as line
            from pg_index x where x.indrelid = m.oid) i),
         (select string_agg(e.line, e'\n' order by e.line collate "C")
          from (
            select concat('grants ', case x.grantee when 0 then 'public' else pg_get_userbyid(x.grantee) end, ': ',
              string_agg(lower(x.privilege_type) || case when x.is_grantable then ' with grant option' else '' end, ', '
                order by x.privilege_type)) as line
            from aclexplode(coalesce(v.relacl, acldefault('r', v.relowner))) x
            group by x.grantee) e),
         'comment ' || obj_description(v.oid, 'pg_class'))
from _timescaledb_catalog.continuous_agg a
join _timescaledb_catalog.hypertable h on h.id = a.mat_hypertable_id
join pg_class m on m.oid = format('%I.%I', h.schema_name, h.table_name)::regclass
join pg_class v on v.oid = format('%I.%I', a.user_view_schema, a.user_view_name)::regclass
join pg_class dv on dv.oid = format('%I.%I', a.direct_view_schema, a.direct_view_name)::regclass
where $1::oid[] is not null
