-- Triggers, rules and row policies of users; TimescaleDB makes some of its own.
select 'trigger ' || t.tgname || ' on ' || c.name, concat(pg_get_triggerdef(t.oid), ' ', t.tgenabled)
from own c
join pg_trigger t on t.tgrelid = c.oid
join pg_proc p on p.oid = t.tgfoid
join pg_namespace n on n.oid = p.pronamespace
where not t.tgisinternal and n.nspname !~ '^_timescaledb_' and t.tgname !~ '^ts_(insert_blocker|cagg_invalidation_trigger)'
union all
select 'rule ' || r.rulename || ' on ' || c.name, concat(pg_get_ruledef(r.oid), ' ', r.ev_enabled)
from own c
join pg_rewrite r on r.ev_class = c.oid
where r.rulename <> '_RETURN'
union all
select 'policy ' || p.polname || ' on ' || c.name,
       concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd,
         (select 'to ' || string_agg(case r when 0 then 'public' else pg_get_userbyid(r) end, ', ' order by r::regrole::text)
          from unnest(p.polroles) r),
         'using ' || pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
from own c
join pg_policy p on p.polrelid = c.oid
union all
select 'statistics ' || s.schema || '.' || e.stxname, pg_get_statisticsobjdef(e.oid)
from pg_statistic_ext e
join own_schema s on s.oid = e.stxnamespace
where e.stxrelid <> all ($1)
union all
select 'event trigger ' || t.evtname,
       concat_ws(' ', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, array_to_string(t.evttags, ', '))
from pg_event_trigger t
where not exists (
  select from pg_depend d where d.classid = 'pg_event_trigger'::regclass and d.objid = t.oid and d.deptype = 'e')
