-- Schemas, who may do what with what, and the roles that a dump of the database names. What nobody granted counts as its default,
-- since a dump leaves it out when it is the same.
, granted as (
  select 'schema ' || s.schema as what, s.nspowner as owner, coalesce(s.nspacl, acldefault('n', s.nspowner)) as acl
  from own_schema s
  union all
  select case c.relkind when 'S' then 'sequence ' else 'table ' end || c.name, c.relowner,
         coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
  from own c where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select 'column ' || c.name || '.' || a.attname, c.relowner, a.attacl
  from own c join pg_attribute a on a.attrelid = c.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attacl is not null and not a.attisdropped
  union all
  select 'function ' || s.schema || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', p.proowner,
         coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc p join own_schema s on s.oid = p.pronamespace
  where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  union all
  select 'type ' || s.schema || '.' || t.typname, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
  from pg_type t join own_schema s on s.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r')
    and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
  union all
  select concat_ws(' ', 'default of', pg_get_userbyid(f.defaclrole), 'for', f.defaclobjtype, 'in ' || s.schema),
         f.defaclrole, f.defaclacl
  from pg_default_acl f left join own_schema s on s.oid = f.defaclnamespace
  where f.defaclnamespace = 0 or s.oid is not null
), line as (
  select g.what, g.owner, e.grantee,
         concat(case e.grantee when 0 then 'public' else pg_get_userbyid(e.grantee) end, ': ',
           string_agg(lower(e.privilege_type) || case when e.is_grantable then ' with grant option' else '' end, ', '
             order by e.privilege_type)) as line
  from granted g left join lateral aclexplode(g.acl) e on true
  group by 1, 2, 3
)
select 'grants ' || what, concat_ws(e'\n', 'owner ' || pg_get_userbyid(owner), string_agg(line, e'\n' order by line collate "C"))
from line group by what, owner
union all
-- Also those that own, or may do something with, what nobody compares: a dump names them all the same. The server keeps count of all
-- but the one that it began with.
select 'needed role ' || r.rolname, ''
from pg_roles r
where r.oid in (select owner from line union select grantee from line)
   or r.oid in (
     select d.refobjid from pg_shdepend d
     where d.refclassid = 'pg_authid'::regclass and d.dbid = (select oid from pg_database where datname = current_database()))
