-- The tables beside hypertables and their parts.
, plain as (
  select c.oid, n.nspname as schemaname, c.relname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^_timescaledb|^pg_|^information_schema$|^hypertide$'
    and c.oid not in (select oid from part where oid is not null)
    and c.oid not in (select oid from hypertable)
    and not exists (select from retired r where r.schema_name = n.nspname and r.table_name = c.relname)
)
