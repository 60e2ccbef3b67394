-- What is left out of the plain part of the DDL, as patterns for pg_dump: views of continuous aggregates, and chunks that lie
-- among a user's tables, by the prefix of their names or, where they have another, by their own.
-- $1 oid[]  chunks and tables with compressed rows
with place as (
  select distinct associated_schema_name::text as schema, associated_table_prefix || '_' as prefix
  from _timescaledb_catalog.hypertable
  where associated_schema_name !~ '^_timescaledb_'
)
select format('"%s"."%s"', replace(user_view_schema, '"', '""'), replace(user_view_name, '"', '""'))
from _timescaledb_catalog.continuous_agg
union
select format('"%s"."%s"*', replace(schema, '"', '""'), replace(prefix, '"', '""')) from place
union
select format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1) and n.nspname !~ '^_timescaledb_'
  and not exists (select from place p where p.schema = n.nspname and starts_with(c.relname, p.prefix))
order by 1
