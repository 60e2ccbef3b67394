-- Begins the question about TimescaleDB: its hypertables.
with hypertable as (
  select c.oid, h.schema_name, h.table_name, coalesce(a.user_view_schema, n.nspname) as schemaname, coalesce(a.user_view_name, c.relname) as relname,
         -- Only time has a boundary that a clock can be compared with.
         (select d.column_type in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
          from _timescaledb_catalog.dimension d where d.hypertable_id = h.id order by d.id limit 1) as is_time
  from _timescaledb_catalog.hypertable h
  join pg_namespace n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
  left join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = h.id
  where a.mat_hypertable_id is not null or h.schema_name !~ '^_timescaledb'
)
