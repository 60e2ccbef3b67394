-- What a table's rows are copied by: its columns, generated ones left out. Nothing when there is no such table.
-- $1 text  schema
-- $2 text  table
select c.relkind::text, array(
  select a.attname::text from pg_attribute a
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
