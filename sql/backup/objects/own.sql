-- What belongs to a user: the beginning of every statement beside this one.
-- $1 oid[]  relations that TimescaleDB made: chunks, compressed rows, materializations, views of continuous aggregates
with own_schema as (
  select n.oid, n.nspname::text as schema, n.nspowner, n.nspacl
  from pg_namespace n
  where n.nspname !~ '^(pg_|_timescaledb_|timescaledb_)' and n.nspname not in ('information_schema', 'hypertide')
    and not exists (
      select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
), own as (
  select c.*, s.schema, s.schema || '.' || c.relname as name
  from pg_class c
  join own_schema s on s.oid = c.relnamespace
  where c.oid <> all ($1) and c.relpersistence <> 't'
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
)
