-- Keeps writers off every table whose rows a backup compares. Hypertables and partitioned tables stand for their children.
do $$
declare
  names text;
begin
  select string_agg(format('%I.%I', n.nspname, c.relname), ', ' order by c.oid) into names
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relpersistence <> 't' and not c.relispartition
    and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'hypertide')
    and not exists (select from pg_inherits i where i.inhrelid = c.oid)
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e');
  if names is not null then
    execute 'lock table ' || names || ' in share mode';
  end if;
end
$$
