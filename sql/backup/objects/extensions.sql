-- Extensions with their versions; everything of theirs comes back with them.
select 'extension ' || e.extname, e.extversion || ' in ' || n.nspname
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
-- Part of every database.
where e.extname <> 'plpgsql' and $1::oid[] is not null
