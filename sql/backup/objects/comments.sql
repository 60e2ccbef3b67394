-- Comments on what users made.
select 'comment on ' || o.type || ' ' || o.identity, d.description
from pg_description d
cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) o
where d.classoid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass,
    'pg_trigger'::regclass)
  and case d.classoid
    when 'pg_class'::regclass then d.objoid in (select oid from own)
    when 'pg_proc'::regclass then exists (
      select from pg_proc p join own_schema s on s.oid = p.pronamespace
      where p.oid = d.objoid and not exists (
        select from pg_depend x where x.classid = d.classoid and x.objid = p.oid and x.deptype = 'e'))
    when 'pg_type'::regclass then exists (
      select from pg_type t join own_schema s on s.oid = t.typnamespace
      where t.oid = d.objoid and not exists (
        select from pg_depend x where x.classid = d.classoid and x.objid = t.oid and x.deptype = 'e'))
    when 'pg_constraint'::regclass then exists (
      select from pg_constraint k join own c on c.oid = k.conrelid where k.oid = d.objoid)
    else exists (
      select from pg_trigger t join own c on c.oid = t.tgrelid where t.oid = d.objoid and not t.tgisinternal)
  end
