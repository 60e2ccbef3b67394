-- Hypertables with their dimensions in order, and what goes with them. Prefixes of chunk names count only where they are not
-- TimescaleDB's own, which hold an id.
select 'hypertable ' || c.name,
       concat_ws(e'\n',
         'chunks in ' || h.associated_schema_name,
         case when h.associated_table_prefix <> '_hyper_' || h.id then 'chunks called ' || h.associated_table_prefix end,
         (select string_agg(concat_ws(' ', 'dimension', quote_ident(d.column_name), d.column_type::regtype,
              'every ' || d.interval_length, 'in ' || d.num_slices || ' slices',
              'by ' || d.partitioning_func_schema || '.' || d.partitioning_func,
              case when d.aligned then 'aligned' end,
              'compressed every ' || d.compress_interval_length,
              'now by ' || d.integer_now_func_schema || '.' || d.integer_now_func), e'\n' order by d.id)
          from _timescaledb_catalog.dimension d where d.hypertable_id = h.id),
         (select 'tablespaces ' || string_agg(t.tablespace_name, ', ' order by t.id)
          from _timescaledb_catalog.tablespace t where t.hypertable_id = h.id),
         (select 'skips chunks by ' || string_agg(distinct s.column_name::text, ', ')
          from _timescaledb_catalog.chunk_column_stats s where s.hypertable_id = h.id and coalesce(s.chunk_id, 0) = 0))
from _timescaledb_catalog.hypertable h
join own c on c.schema = h.schema_name and c.relname = h.table_name
