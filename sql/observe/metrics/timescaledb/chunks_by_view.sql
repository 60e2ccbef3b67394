-- Their chunks, by TimescaleDB's own view, where hypertide has no catalog. What has no time has no boundary.
, chunk as materialized (
  select h.oid as root, v.is_compressed, c.reltuples,
         case when isfinite(v.range_start) then (extract(epoch from v.range_start) * 1000000)::bigint end as began,
         case when isfinite(v.range_end) then (extract(epoch from v.range_end) * 1000000)::bigint end as ends
  from timescaledb_information.chunks v
  join hypertable h on h.schema_name = v.hypertable_schema and h.table_name = v.hypertable_name
  join pg_namespace n on n.nspname = v.chunk_schema
  join pg_class c on c.relnamespace = n.oid and c.relname = v.chunk_name
)
