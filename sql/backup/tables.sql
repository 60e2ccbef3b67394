-- Every table whose rows a logical dump holds: plain tables, partitions, and chunks under their own names.
-- $1 oid[]  hypertables, those behind continuous aggregates included
-- $2 oid[]  tables that hold compressed rows
-- The bytes are the table's own. A row's hash is stable when that of each column is: an enum hashes by its oid, and that
-- is another one after a restore, so everything but the plain types below is hashed by its text.
select c.oid, n.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
       pg_table_size(c.oid), f.columns, f.is_stable
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = any ($1)
left join pg_class p on p.oid = i.inhparent
left join pg_namespace pn on pn.oid = p.relnamespace
cross join lateral (
  select coalesce(array_agg(a.attname::text order by a.attname collate "C"), '{}') as columns,
         coalesce(bool_and(k.base = any ('{bool,int2,int4,int8,float4,float8,numeric,text,varchar,bpchar,name,date,time,timestamp,timestamptz,uuid,bytea,jsonb,inet,cidr,macaddr}'::regtype[])
           and coalesce(l.collisdeterministic, true)), false) as is_stable
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join pg_collation l on l.oid = a.attcollation
  cross join lateral (select case when t.typtype = 'd' then t.typbasetype
    when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end as base) k
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) f
where c.relkind = 'r' and c.relpersistence <> 't'
  -- A standby has no rows of these.
  and not (c.relpersistence = 'u' and pg_is_in_recovery())
  and (i.inhparent is not null
    or n.nspname !~ '^(pg_|_timescaledb_|timescaledb_)' and n.nspname not in ('information_schema', 'hypertide'))
  and c.oid <> all ($1) and c.oid <> all ($2)
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 2, 3
