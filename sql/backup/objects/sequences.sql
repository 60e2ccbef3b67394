-- Sequences, and whose they are.
select 'sequence ' || c.name,
       concat_ws(' ', format_type(q.seqtypid, null), 'start', q.seqstart, 'increment', q.seqincrement, 'min', q.seqmin,
         'max', q.seqmax, 'cache', q.seqcache, case when q.seqcycle then 'cycle' end,
         'owner ' || pg_get_userbyid(c.relowner),
         (select 'owned by ' || d.refobjid::regclass || '.' || quote_ident(a.attname)
          from pg_depend d
          join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')))
from own c
join pg_sequence q on q.seqrelid = c.oid
