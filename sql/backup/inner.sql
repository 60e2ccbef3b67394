-- What TimescaleDB makes to keep its hypertables, for databases that have the extension: each relation with what it is.
-- Rows of a compressed chunk are read through the chunk, so what holds them is no table of its own.
with root as (
  select c.oid, case
      when h.id in (select compressed_hypertable_id from _timescaledb_catalog.hypertable) then 'compressed_root'
      when h.id in (select mat_hypertable_id from _timescaledb_catalog.continuous_agg) then 'materialized'
      else 'hypertable' end as kind
  from _timescaledb_catalog.hypertable h
  join pg_namespace n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
), compressed as (
  select compress_relid::oid as oid from _timescaledb_catalog.compression_settings where compress_relid is not null
  union
  select i.inhrelid from pg_inherits i join root on root.oid = i.inhparent where root.kind = 'compressed_root'
)
select oid, kind from root
union all
select oid, 'compressed' from compressed
union all
select i.inhrelid, 'chunk' from pg_inherits i join root on root.oid = i.inhparent where root.kind <> 'compressed_root'
union all
select c.oid, 'aggregate'
from _timescaledb_catalog.continuous_agg a
join pg_namespace n on n.nspname = a.user_view_schema
join pg_class c on c.relnamespace = n.oid and c.relname = a.user_view_name
