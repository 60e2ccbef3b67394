-- Functions, procedures and aggregate functions.
select case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate function ' else 'function ' end
         || s.schema || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(e'\n', 'owner ' || pg_get_userbyid(p.proowner),
         case when p.prokind = 'a' then (
           select concat_ws(' ', g.aggkind, g.aggtransfn, g.aggfinalfn, g.aggcombinefn, format_type(g.aggtranstype, null),
             g.agginitval, g.aggsortop::regoperator)
           from pg_aggregate g where g.aggfnoid = p.oid)
         else pg_get_functiondef(p.oid) end)
from pg_proc p
join own_schema s on s.oid = p.pronamespace
where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
