-- Views that select from continuous aggregates, at any remove: they can only be made after them.
-- $1 oid[]  views of continuous aggregates
with recursive dependent as (
  select distinct r.ev_class as oid
  from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
  where d.refclassid = 'pg_class'::regclass and d.refobjid = any ($1) and r.ev_class <> all ($1)
  union
  select r.ev_class
  from dependent p
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = p.oid and d.classid = 'pg_rewrite'::regclass
  join pg_rewrite r on r.oid = d.objid
  where r.ev_class <> p.oid and r.ev_class <> all ($1)
)
select n.nspname::text, c.relname::text
from dependent d join pg_class c on c.oid = d.oid join pg_namespace n on n.oid = c.relnamespace
where n.nspname !~ '^_timescaledb_'
order by 1, 2
