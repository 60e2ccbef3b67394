-- Tells two moments apart between which a table appeared or went.
select md5(coalesce(string_agg(c.oid::text, ',' order by c.oid), ''))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'hypertide')
