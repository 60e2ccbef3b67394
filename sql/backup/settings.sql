-- Settings that a dump of roles has not: those of databases, and those that were made with ALTER SYSTEM.
select format('ALTER DATABASE %I SET %I = %s;', d.datname, split_part(s, '=', 1),
    quote_literal(substring(s from position('=' in s) + 1)))
from pg_db_role_setting r
join pg_database d on d.oid = r.setdatabase
cross join unnest(r.setconfig) s
where r.setrole = 0
union all
select format('ALTER SYSTEM SET %I = %s;', f.name, quote_literal(f.setting))
from pg_file_settings f
where f.sourcefile like '%postgresql.auto.conf'
  -- Where a server follows is its own.
  and f.name not in ('primary_conninfo', 'primary_slot_name', 'restore_command', 'recovery_target_timeline')
order by 1
