-- Everything that a list can name, each as its kind and its name.
select 'schema ' || n.nspname from pg_namespace n
union all
select case c.relkind when 'r' then 'table ' when 'v' then 'view ' when 'm' then 'materialized view '
         when 'i' then 'index ' else 'relation ' end || n.nspname || '.' || c.relname
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'v', 'm', 'i')
union all
select 'function ' || n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
union all
select 'type ' || n.nspname || '.' || t.typname
from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.typtype in ('e', 'd')
union all
select 'trigger ' || t.tgrelid::regclass || ' ' || t.tgname from pg_trigger t where not t.tgisinternal
union all
select 'constraint ' || c.conrelid::regclass || ' ' || c.conname from pg_constraint c where c.conrelid <> 0
union all
select 'hypertable ' || d.hypertable_schema || '.' || d.hypertable_name || ' ' || d.column_name || ' ' || d.time_interval
from timescaledb_information.dimensions d
union all
select 'column ' || c.table_schema || '.' || c.table_name || ' ' || c.column_name from information_schema.columns c
union all
select 'role ' || r.rolname from pg_roles r
union all
select 'cascade ' || c.conrelid::regclass || ' to ' || c.confrelid::regclass
from pg_constraint c where c.contype = 'f' and c.confdeltype = 'c'
