-- Begins a question about tables: hypertables, and what their rows lie in. The chunks of a hypertable, and what holds their
-- compressed rows, count as it; a continuous aggregate has the name it is asked by.
with hypertable as (
  select c.oid, coalesce(a.user_view_schema, n.nspname) as schemaname, coalesce(a.user_view_name, c.relname) as relname
  from _timescaledb_catalog.hypertable h
  join pg_namespace n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
  left join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = h.id
  where a.mat_hypertable_id is not null or h.schema_name !~ '^_timescaledb'
), chunk as materialized (
  select inhrelid as oid, inhparent as root from pg_inherits where inhparent in (select oid from hypertable)
), part as materialized (
  select oid, root from chunk
  union all
  select s.compress_relid, k.root from _timescaledb_catalog.compression_settings s join chunk k on k.oid = s.relid
  where s.compress_relid is not null
)
