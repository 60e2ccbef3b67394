-- What is known about tables: their activity up to now, and what was kept of their last fingerprint.
-- Nothing is said of hypertide's own tables: those who write into them are not waited for (`backends.sql`).
-- $1 oid[]  the tables
select c.oid, hypertide.activity(c.oid), f.activity, f.rows, f.hash
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join hypertide.chunk_fingerprint f on f.schema_name = n.nspname and f.table_name = c.relname
where c.oid = any ($1) and n.nspname <> 'hypertide'
