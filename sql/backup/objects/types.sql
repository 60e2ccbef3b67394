-- Types that somebody made: enums, composites, domains and ranges.
select 'type ' || s.schema || '.' || t.typname,
       concat_ws(e'\n', 'owner ' || pg_get_userbyid(t.typowner),
         case t.typtype
           when 'e' then (
             select 'enum ' || string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
             from pg_enum e where e.enumtypid = t.oid)
           when 'c' then (
             select 'composite ' || string_agg(
               concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
             from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
           when 'd' then concat_ws(' ', 'domain', format_type(t.typbasetype, t.typtypmod),
             case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
             (select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ' ' order by k.conname)
              from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
           else (
             select concat_ws(' ', 'range', format_type(r.rngsubtype, null), r.rngcanonical, r.rngsubdiff)
             from pg_range r where r.rngtypid = t.oid)
         end)
from pg_type t
join own_schema s on s.oid = t.typnamespace
where t.typtype in ('e', 'c', 'd', 'r')
  and (t.typrelid = 0 or exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
  and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
