-- Compression settings of hypertables and continuous aggregates; those of single chunks go with the chunks.
select 'compression of ' || coalesce(a.user_view_schema || '.' || a.user_view_name, h.schema_name || '.' || h.table_name),
       concat_ws(' ',
         case when h.compression_state = 1 or h.status & 4 = 4 then 'enabled' end,
         jsonb_strip_nulls(to_jsonb(s) - 'relid' - 'compress_relid'))
from _timescaledb_catalog.hypertable h
left join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = h.id
join pg_namespace n on n.nspname = h.schema_name
join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
left join _timescaledb_catalog.compression_settings s on s.relid = c.oid and s.compress_relid is null
where (h.compression_state = 1 or h.status & 4 = 4) and $1::oid[] is not null
